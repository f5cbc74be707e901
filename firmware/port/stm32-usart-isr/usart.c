/* The newer USART and LPUART, of the STM32H7, L4+ and U5: FIFOs, separate status, clear and data
 * registers (the chapters "USART" and "LPUART" of RM0432, RM0433 and RM0456, whose registers are at
 * the same offsets). */
#include "usart.h"
#include "line.h"
#include "port.h"
#include "registers.h"
#include "vectors.h"

#define USART_CR1 REGISTER(USART_BASE + 0x00u)
#define USART_BRR REGISTER(USART_BASE + 0x0Cu)
#define USART_ISR REGISTER(USART_BASE + 0x1Cu)
#define USART_ICR REGISTER(USART_BASE + 0x20u)
#define USART_RDR REGISTER(USART_BASE + 0x24u)
#define USART_TDR REGISTER(USART_BASE + 0x28u)
#define USART_CR1_UE (1u << 0)
#define USART_CR1_RE (1u << 2)
#define USART_CR1_TE (1u << 3)
#define USART_CR1_RXFNEIE (1u << 5)
#define USART_CR1_FIFOEN (1u << 29)
#define USART_ISR_RXFNE (1u << 5)
#define USART_ISR_TXFNF (1u << 7)
#define USART_ERRORS 0xFu /* PE, FE, NE, ORE: the same bits in ISR and ICR */
#define BYTE_BITS 10u

static uint32_t write_turns; /* polls of TXFNF that take longer than one byte on the line */

void usart_start(uint32_t divider, uint32_t core_hz)
{
    write_turns = 2u * BYTE_BITS * (core_hz / BAUD);
    USART_BRR = divider;
    USART_CR1 = USART_CR1_FIFOEN;
    USART_CR1 |= USART_CR1_UE | USART_CR1_TE | USART_CR1_RE | USART_CR1_RXFNEIE;
    NVIC_IPR(USART_IRQ) = 0; /* above SysTick */
    NVIC_ISER(USART_IRQ) = 1u << (USART_IRQ % 32u);
}

/* Everything the FIFO holds. Errors belong to the reading that showed them and are cleared by hand
 * here, unlike on the STM32F4. */
static void USART_IRQHandler(void)
{
    const uint32_t begin = counter_ticks();
    uint32_t status = USART_ISR;
    do {
        line_receive(status, (status & USART_ISR_RXFNE) ? (uint8_t)USART_RDR : 0u);
        USART_ICR = status & USART_ERRORS;
        status = USART_ISR;
    } while (status & USART_ISR_RXFNE);
    line_handled_since(begin);
}

const vector peripheral_vectors[PERIPHERALS] PERIPHERAL_VECTORS = {[USART_IRQ] = USART_IRQHandler};

void port_write(const uint8_t *bytes, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        uint32_t turn = 0;
        while (!(USART_ISR & USART_ISR_TXFNF))
            if (++turn == write_turns)
                return;
        USART_TDR = bytes[i];
    }
}

/* The USART of the STM32F4: one status and one data register (RM0090 30.6, RM0390 25.6). */
#include "usart.h"
#include "line.h"
#include "port.h"
#include "registers.h"
#include "vectors.h"

#define USART_SR REGISTER(USART_BASE + 0x00u)
#define USART_DR REGISTER(USART_BASE + 0x04u)
#define USART_BRR REGISTER(USART_BASE + 0x08u)
#define USART_CR1 REGISTER(USART_BASE + 0x0Cu)
#define USART_SR_TXE (1u << 7)
#define USART_CR1_RE (1u << 2)
#define USART_CR1_TE (1u << 3)
#define USART_CR1_RXNEIE (1u << 5)
#define USART_CR1_UE (1u << 13)
#define BYTE_BITS 10u

static uint32_t write_turns; /* polls of TXE that take longer than one byte on the line */

void usart_start(uint32_t divider, uint32_t core_hz)
{
    write_turns = 2u * BYTE_BITS * (core_hz / BAUD);
    USART_BRR = divider;
    USART_CR1 = USART_CR1_UE | USART_CR1_TE | USART_CR1_RE | USART_CR1_RXNEIE;
    NVIC_IPR(USART_IRQ) = 0; /* above SysTick */
    NVIC_ISER(USART_IRQ) = 1u << (USART_IRQ % 32u);
}

static void USART_IRQHandler(void)
{
    const uint32_t begin = counter_ticks();
    /* SR, then DR: this order clears RXNE, ORE, FE and NF (RM0090 30.6.1, RM0390 25.6.1) */
    const uint32_t status = USART_SR;
    line_receive(status, (uint8_t)USART_DR);
    line_handled_since(begin);
}

const vector peripheral_vectors[PERIPHERALS] PERIPHERAL_VECTORS = {[USART_IRQ] = USART_IRQHandler};

void port_write(const uint8_t *bytes, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        uint32_t turn = 0;
        while (!(USART_SR & USART_SR_TXE))
            if (++turn == write_turns)
                return;
        USART_DR = bytes[i];
    }
}

/* STM32F405 at 168 MHz: USART1 on PA9 (TX) and PA10 (RX), 921600 baud, 8N1. Reception by interrupt into a ring that needs no masking,
 * transmission by polling (QEMU 7.2 raises no TXE interrupt). The same image runs on silicon and in QEMU's netduinoplus2. */
#include "port.h"
#include "clock.h"
#include "line.h"
#include "registers.h"
#include "ring.h"
#include "vectors.h"

#define BAUD 921600u
#define BYTE_BITS 10u

static uint32_t write_turns; /* polls of TXE that take longer than one byte on the line */
static port_info info = {.name = "virtual-f405", .line_bytes = RING_BYTES};

/* RM0090 30.3.4, 16 samples per bit: 84 MHz / 91 is 0.2 % fast. On 16 MHz, should the PLL fail, 1/17 is 2.1 % fast: still received. */
static void set_baud(uint32_t apb2_hz)
{
    USART1_BRR = (apb2_hz + BAUD / 2u) / BAUD;
}

/* RM0090 8.3.2: alternate function 7 on PA9 and PA10, fast output, pull-up so that an open line rests. */
static void set_pins(void)
{
    RCC_AHB1ENR |= RCC_AHB1ENR_GPIOA;
    RCC_APB2ENR |= RCC_APB2ENR_USART1;
    (void)RCC_APB2ENR; /* two cycles until the clock runs: RM0090 7.2.13 */
    GPIOA_AFRH = (GPIOA_AFRH & ~0xFF0u) | 0x770u;
    GPIOA_OSPEEDR |= 2u << 18;
    GPIOA_PUPDR = (GPIOA_PUPDR & ~(3u << 20)) | 1u << 20;
    GPIOA_MODER = (GPIOA_MODER & ~(0xFu << 18)) | 0xAu << 18;
}

/* RM0090 21.3: LSI (17 to 47 kHz) / 64, 2048 counts: 2.8 to 7.7 s. */
static void start_watchdog(void)
{
    DBGMCU_APB1_FZ |= DBGMCU_IWDG_STOP;
    IWDG_KR = IWDG_KR_START;
    IWDG_KR = IWDG_KR_UNLOCK;
    IWDG_PR = 4u;
    IWDG_RLR = 2047u;
    IWDG_KR = IWDG_KR_SERVE;
}

const port_info *port_start(void)
{
    const clock_state clock = clock_start();
    info.clock_hz = clock.core_hz;
    info.counts = clock.emulated ? PORT_COUNTS_INSTRUCTIONS : PORT_COUNTS_CYCLES;
    info.tick_num = clock.emulated ? 1000u : 1u; /* under -icount shift=0 an instruction is a nanosecond, a tick 1000/168 of them */
    info.tick_den = clock.emulated ? clock.core_hz / 1000000u : 1u;
    write_turns = 2u * BYTE_BITS * (clock.core_hz / BAUD);
    set_pins();
    set_baud(clock.apb2_hz);
    USART1_CR1 |= USART_CR1_UE | USART_CR1_TE | USART_CR1_RE | USART_CR1_RXNEIE;
    NVIC_IPR(USART1_IRQ) = 0; /* above SysTick */
    NVIC_ISER(USART1_IRQ) = 1u << (USART1_IRQ % 32u);
    start_watchdog();
    return &info;
}

static void USART1_IRQHandler(void)
{
    const uint32_t begin = counter_ticks();
    const uint32_t status = USART1_SR; /* SR, then DR: this order clears RXNE, ORE, FE and NF (RM0090 30.6.1) */
    line_receive(status, (uint8_t)USART1_DR);
    line_handled_since(begin);
}

const vector peripheral_vectors[PERIPHERALS] PERIPHERAL_VECTORS = {[USART1_IRQ] = USART1_IRQHandler};

void line_serve_watchdog(void)
{
    IWDG_KR = IWDG_KR_SERVE;
}

void port_write(const uint8_t *bytes, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        uint32_t turn = 0;
        while (!(USART1_SR & USART_SR_TXE))
            if (++turn == write_turns)
                return;
        USART1_DR = bytes[i];
    }
}

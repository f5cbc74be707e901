/* NUCLEO-H743ZI2: USART3 on PD8 (TX) and PD9 (RX), which its ST-LINK carries to USB; 921600 baud, 8N1. Reception by interrupt into a ring
 * that needs no masking, transmission by polling, as on the STM32F405. */
#include "clock.h"
#include "line.h"
#include "port.h"
#include "registers.h"
#include "vectors.h"

#define BAUD 921600u
#define BYTE_BITS 10u

static uint32_t write_turns; /* polls of TXFNF that take longer than one byte on the line */
static port_info info = {.name = "nucleo-h743zi2", .counts = PORT_COUNTS_CYCLES, .tick_num = 1u, .tick_den = 1u, .line_bytes = RING_BYTES};

/* 16 samples per bit: 120 MHz / 130 is 0.2 % fast, 100 MHz / 109 0.5 % slow. On 16 MHz, should the PLL fail, 1/17 is 2.1 % fast: still received. */
static void set_baud(uint32_t apb1_hz)
{
    USART3_BRR = (apb1_hz + BAUD / 2u) / BAUD;
}

/* Alternate function 7 on PD8 and PD9 (STM32H743 data sheet, table of port D), fast output, pull-up so that an open line rests. */
static void set_pins(void)
{
    RCC_AHB4ENR |= RCC_AHB4ENR_GPIOD;
    RCC_APB1LENR |= RCC_APB1LENR_USART3;
    (void)RCC_APB1LENR; /* until the clock runs */
    GPIOD_AFRH = (GPIOD_AFRH & ~0xFFu) | 0x77u;
    GPIOD_OSPEEDR |= 2u << 16;
    GPIOD_PUPDR = (GPIOD_PUPDR & ~(3u << 18)) | 1u << 18;
    GPIOD_MODER = (GPIOD_MODER & ~(0xFu << 16)) | 0xAu << 16;
}

/* RM0433 chapter 45: LSI (about 32 kHz) / 64, 2048 counts: about 4 s. */
static void start_watchdog(void)
{
    DBGMCU_APB4FZ1 |= DBGMCU_WDGLSD1;
    IWDG_KR = IWDG_KR_START;
    IWDG_KR = IWDG_KR_UNLOCK;
    IWDG_PR = 4u;
    IWDG_RLR = 2047u;
    IWDG_KR = IWDG_KR_SERVE;
}

void line_serve_watchdog(void)
{
    IWDG_KR = IWDG_KR_SERVE;
}

const port_info *port_start(void)
{
    const clock_state clock = clock_start();
    info.clock_hz = clock.core_hz;
    write_turns = 2u * BYTE_BITS * (clock.core_hz / BAUD);
    set_pins();
    set_baud(clock.apb1_hz);
    USART3_CR1 = USART_CR1_FIFOEN;
    USART3_CR1 |= USART_CR1_UE | USART_CR1_TE | USART_CR1_RE | USART_CR1_RXFNEIE;
    NVIC_IPR(USART3_IRQ) = 0; /* above SysTick */
    NVIC_ISER(USART3_IRQ) = 1u << (USART3_IRQ % 32u);
    start_watchdog();
    return &info;
}

/* Everything the FIFO of 16 holds. Errors belong to the reading that showed them and are cleared by hand here, unlike on the STM32F4. */
static void USART3_IRQHandler(void)
{
    const uint32_t begin = counter_ticks();
    uint32_t status = USART3_ISR;
    do {
        line_receive(status, (status & USART_ISR_RXFNE) ? (uint8_t)USART3_RDR : 0u);
        USART3_ICR = status & USART_ERRORS;
        status = USART3_ISR;
    } while (status & USART_ISR_RXFNE);
    line_handled_since(begin);
}

const vector peripheral_vectors[PERIPHERALS] PERIPHERAL_VECTORS = {[USART3_IRQ] = USART3_IRQHandler};

void port_write(const uint8_t *bytes, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        uint32_t turn = 0;
        while (!(USART3_ISR & USART_ISR_TXFNF))
            if (++turn == write_turns)
                return;
        USART3_TDR = bytes[i];
    }
}

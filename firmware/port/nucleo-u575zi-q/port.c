/* NUCLEO-U575ZI-Q: USART1 on PA9 (TX) and PA10 (RX), which its ST-LINK carries to USB; 921600 baud,
 * 8N1. */
#include "port.h"
#include "clock.h"
#include "pin.h"
#include "registers.h"
#include "ring.h"
#include "usart.h"
#include "watchdog.h"

static port_info info = {.name = "nucleo-u575zi-q", .counts = PORT_COUNTS_CYCLES, .tick_num = 1u,
                         .tick_den = 1u, .line_bytes = RING_BYTES};

/* Alternate function 7 on PA9 and PA10 (STM32U575 data sheet, table of alternate functions). */
static void set_pins(void)
{
    RCC_AHB2ENR1 |= RCC_AHB2ENR1_GPIOA;
    RCC_APB2ENR |= RCC_APB2ENR_USART1;
    (void)RCC_APB2ENR; /* until the clock runs */
    pin_alternate(GPIOA, 9u, 7u);
    pin_alternate(GPIOA, 10u, 7u);
    pin_pull_up(GPIOA, 10u);
}

/* BRR: 160 MHz / 174 is 0.2 % slow. On 16 MHz, should the PLL fail, 1/17 is 2.1 % fast: still
 * received (RM0456 chapter USART, tolerance of the receiver: 3.3 %). */
const port_info *port_start(void)
{
    const clock_state clock = clock_start();
    info.clock_hz = clock.core_hz;
    set_pins();
    usart_start(usart_divider(clock.line_hz), clock.core_hz);
    DBGMCU_APB1FZR1 |= DBGMCU_IWDG_STOP;
    watchdog_start(clock.core_hz);
    return &info;
}

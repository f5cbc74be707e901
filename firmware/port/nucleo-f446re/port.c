/* NUCLEO-F446RE: USART2 on PA2 (TX) and PA3 (RX), which its ST-LINK carries to USB; 921600 baud,
 * 8N1. */
#include "port.h"
#include "clock.h"
#include "pin.h"
#include "registers.h"
#include "ring.h"
#include "usart.h"
#include "watchdog.h"

static port_info info = {.name = "nucleo-f446re", .counts = PORT_COUNTS_CYCLES, .tick_num = 1u,
                         .tick_den = 1u, .line_bytes = RING_BYTES};

/* Alternate function 7 on PA2 and PA3 (STM32F446 data sheet, table of alternate functions). */
static void set_pins(void)
{
    RCC_AHB1ENR |= RCC_AHB1ENR_GPIOA;
    RCC_APB1ENR |= RCC_APB1ENR_USART2;
    (void)RCC_APB1ENR; /* until the clock runs */
    pin_alternate(GPIOA, 2u, 7u);
    pin_alternate(GPIOA, 3u, 7u);
    pin_pull_up(GPIOA, 3u);
}

/* BRR: 45 MHz / 49 is 0.4 % slow. On 16 MHz, should the PLL fail, 1/17 is 2.1 % fast: still
 * received (RM0390 25.4.5, tolerance of the receiver: 3.3 %). */
const port_info *port_start(void)
{
    const clock_state clock = clock_start();
    info.clock_hz = clock.core_hz;
    set_pins();
    usart_start(usart_divider(clock.line_hz), clock.core_hz);
    DBGMCU_APB1_FZ |= DBGMCU_IWDG_STOP;
    watchdog_start(clock.core_hz);
    return &info;
}

/* STM32H735G-DK: USART3 on PD8 (TX) and PD9 (RX), which its ST-LINK carries to USB; 921600 baud,
 * 8N1. */
#include "port.h"
#include "clock.h"
#include "pin.h"
#include "registers.h"
#include "ring.h"
#include "usart.h"
#include "watchdog.h"

static port_info info = {.name = "stm32h735g-dk", .counts = PORT_COUNTS_CYCLES, .tick_num = 1u,
                         .tick_den = 1u, .line_bytes = RING_BYTES};

/* Alternate function 7 on PD8 and PD9 (STM32H735 data sheet, table of port D). Port D has its clock
 * from octospi_start(). */
static void set_pins(void)
{
    RCC_APB1LENR |= RCC_APB1LENR_USART3;
    (void)RCC_APB1LENR; /* until the clock runs */
    pin_alternate(GPIOD, 8u, 7u);
    pin_alternate(GPIOD, 9u, 7u);
    pin_pull_up(GPIOD, 9u);
}

/* BRR: 130 MHz / 141 is 0.04 % fast; 64 MHz / 69, should the PLL fail, 0.6 %. */
const port_info *port_start(void)
{
    const clock_state clock = clock_start();
    info.clock_hz = clock.core_hz;
    info.memory = clock.memory;
    set_pins();
    usart_start(usart_divider(clock.line_hz), clock.core_hz);
    DBGMCU_APB4FZ1 |= DBGMCU_WDGLSD1;
    watchdog_start(clock.core_hz);
    return &info;
}

/* NUCLEO-H743ZI2: USART3 on PD8 (TX) and PD9 (RX), which its ST-LINK carries to USB; 921600 baud,
 * 8N1. */
#include "port.h"
#include "clock.h"
#include "pin.h"
#include "registers.h"
#include "ring.h"
#include "usart.h"
#include "watchdog.h"

static port_info info = {.name = "nucleo-h743zi2", .counts = PORT_COUNTS_CYCLES, .tick_num = 1u,
                         .tick_den = 1u, .line_bytes = RING_BYTES};

/* Alternate function 7 on PD8 and PD9 (STM32H743 data sheet, table of port D). */
static void set_pins(void)
{
    RCC_AHB4ENR |= RCC_AHB4ENR_GPIOD;
    RCC_APB1LENR |= RCC_APB1LENR_USART3;
    (void)RCC_APB1LENR; /* until the clock runs */
    pin_alternate(GPIOD, 8u, 7u);
    pin_alternate(GPIOD, 9u, 7u);
    pin_pull_up(GPIOD, 9u);
}

/* BRR: 120 MHz / 130 is 0.2 % fast, 100 MHz / 109 0.5 % slow; 64 MHz / 69, should the PLL fail,
 * 0.6 % fast. */
const port_info *port_start(void)
{
    const clock_state clock = clock_start();
    info.clock_hz = clock.core_hz;
    set_pins();
    usart_start(usart_divider(clock.line_hz), clock.core_hz);
    DBGMCU_APB4FZ1 |= DBGMCU_WDGLSD1;
    watchdog_start(clock.core_hz);
    return &info;
}

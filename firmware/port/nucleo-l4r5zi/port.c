/* NUCLEO-L4R5ZI: LPUART1 on PG7 (TX) and PG8 (RX), which its ST-LINK carries to USB; 921600 baud,
 * 8N1. */
#include "port.h"
#include "clock.h"
#include "pin.h"
#include "registers.h"
#include "ring.h"
#include "usart.h"
#include "watchdog.h"

static port_info info = {.name = "nucleo-l4r5zi", .counts = PORT_COUNTS_CYCLES, .tick_num = 1u,
                         .tick_den = 1u, .line_bytes = RING_BYTES};

/* PG2 to PG15 have a supply of their own, VDDIO2, and are cut off until IOSV says that it is there
 * (RM0432 chapter 5, independent I/O supply rail). Alternate function 8 on PG7 and PG8 (STM32L4R5
 * data sheet, table of alternate functions). */
static void set_pins(void)
{
    PWR_CR2 |= PWR_CR2_IOSV;
    RCC_AHB2ENR |= RCC_AHB2ENR_GPIOG;
    RCC_APB1ENR2 |= RCC_APB1ENR2_LPUART1;
    (void)RCC_APB1ENR2; /* until the clock runs */
    pin_alternate(GPIOG, 7u, 8u);
    pin_alternate(GPIOG, 8u, 8u);
    pin_pull_up(GPIOG, 8u);
}

/* RM0432 chapter LPUART, baud rate generation: BRR = 256 * f / baud, at least 0x300. 256 / 921600
 * is 1 / 3600: exact within 0.01 % on 120 MHz and 16, should the PLL fail, and
 * within 0.02 on 4, should HSI. */
static uint32_t divider(uint32_t line_hz)
{
    _Static_assert(BAUD == 256u * 3600u, "the fraction below");
    return (line_hz + 1800u) / 3600u;
}

const port_info *port_start(void)
{
    const clock_state clock = clock_start();
    info.clock_hz = clock.core_hz;
    set_pins();
    usart_start(divider(clock.line_hz), clock.core_hz);
    DBGMCU_APB1FZR1 |= DBGMCU_IWDG_STOP;
    watchdog_start(clock.core_hz);
    return &info;
}

/* STM32F405 at 168 MHz: USART1 on PA9 (TX) and PA10 (RX), 921600 baud, 8N1. The same image runs on
 * silicon and in QEMU's netduinoplus2, which raises no TXE interrupt (7.2): transmission is by
 * polling. */
#include "port.h"
#include "clock.h"
#include "pin.h"
#include "registers.h"
#include "ring.h"
#include "usart.h"
#include "watchdog.h"

static port_info info = {.name = "virtual-f405", .line_bytes = RING_BYTES};

static void set_pins(void)
{
    RCC_AHB1ENR |= RCC_AHB1ENR_GPIOA;
    RCC_APB2ENR |= RCC_APB2ENR_USART1;
    (void)RCC_APB2ENR; /* two cycles until the clock runs: RM0090 7.2.13 */
    pin_alternate(GPIOA, 9u, 7u);
    pin_alternate(GPIOA, 10u, 7u);
    pin_pull_up(GPIOA, 10u);
}

/* BRR: 84 MHz / 91 is 0.2 % fast (RM0090 30.3.4). On 16 MHz, should the PLL fail, 1/17 is 2.1 %
 * fast: still received (RM0090 30.3.5, tolerance of the receiver: 3.3 %). */
const port_info *port_start(void)
{
    const clock_state clock = clock_start();
    info.clock_hz = clock.core_hz;
    info.counts = clock.emulated ? PORT_COUNTS_INSTRUCTIONS : PORT_COUNTS_CYCLES;
    /* under -icount shift=0 an instruction is a nanosecond, a tick 1000/168 of them */
    info.tick_num = clock.emulated ? 1000u : 1u;
    info.tick_den = clock.emulated ? clock.core_hz / 1000000u : 1u;
    set_pins();
    usart_start(usart_divider(clock.line_hz), clock.core_hz);
    DBGMCU_APB1_FZ |= DBGMCU_IWDG_STOP;
    watchdog_start(clock.core_hz);
    return &info;
}

/* Power, clock and caches of the STM32H743. */
#ifndef CLOCK_H
#define CLOCK_H
#include <stdbool.h>
#include <stdint.h>

/* What the core and the USART run on after clock_start(). */
typedef struct {
    uint32_t core_hz; /* 480 MHz; 400 on revision Y; 64 when supply or PLL did not start */
    uint32_t apb1_hz; /* clocks USART3 */
} clock_state;

/* Supply, flash wait states, HSI through the PLL, caches, counters. Every wait is bounded; when something does not come up the core stays on
 * HSI and the line still has its rate. */
clock_state clock_start(void);
#endif

/* Clock of the STM32F405. */
#ifndef CLOCK_H
#define CLOCK_H
#include <stdbool.h>
#include <stdint.h>

/* What the core and the USART run on after clock_start(). */
typedef struct {
    uint32_t core_hz; /* 168 MHz; 16 MHz when the PLL did not start */
    uint32_t apb2_hz; /* clocks USART1 */
    bool emulated;    /* the cycle counter stands still: this is QEMU */
} clock_state;

/* Flash wait states and caches, HSI (or a crystal: -DPORT_CRYSTAL_HZ=8000000) through the PLL to 168 MHz, and the counters.
 * Every wait is bounded; when the PLL does not start the core stays on HSI and the line still has its rate. */
clock_state clock_start(void);
#endif

/* Supply, clock and caches: each board's clock.c. */
#ifndef CLOCK_H
#define CLOCK_H
#include <stdbool.h>
#include <stdint.h>

/* What the core and the port's USART run on after clock_start(). */
typedef struct {
    uint32_t core_hz;   /* as board.toml says; that of the internal oscillator when supply or PLL
                           did not start */
    uint32_t line_hz;   /* clocks the USART */
    bool emulated;      /* the cycle counter stands still: this is QEMU, where the board has an
                           emulator */
    const char *memory; /* how external memory is mapped and how fast; NULL where there is none */
} clock_state;

/* Supply, flash wait states, internal oscillator through the PLL, caches, counters. Every wait is
 * bounded; when something does not come up the core stays on the internal oscillator, the line
 * still has its rate, and HELLO says the clock: both are read from the registers that
 * choose and divide it, so a switch that failed or came late tells no lie. */
clock_state clock_start(void);
#endif

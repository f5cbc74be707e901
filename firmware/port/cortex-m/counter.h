/* The counter of port_ticks(): core cycles on silicon, SysTick in QEMU, which has no cycle
 * counter. */
#ifndef COUNTER_H
#define COUNTER_H
#include <stdbool.h>
#include <stdint.h>

/* Starts both; true when the cycle counter moves, so this is silicon. SysTick runs on the core's
 * clock and wraps, with an interrupt that also wakes the main loop, after 2^SYSTICK_BITS ticks: the
 * board's registers.h chooses at most 200 ms. */
bool counter_start(void);

/* DWT cycles on silicon; SysTick ticks, extended to 32 bits, in QEMU. */
uint32_t counter_ticks(void);
#endif

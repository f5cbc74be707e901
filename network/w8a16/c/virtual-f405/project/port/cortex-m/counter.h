/* The counter of port_ticks(): core cycles on silicon, SysTick in QEMU, which has no cycle
 * counter. */
#ifndef COUNTER_H
#define COUNTER_H
#include <stdbool.h>
#include <stdint.h>

#define COUNTER_WAKES_PER_SECOND 10u

/* Starts both; true when the cycle counter moves, so this is silicon. SysTick runs on the core's
 * clock and wraps, with an interrupt that also wakes the main loop, after 2^SYSTICK_BITS ticks: the
 * board's registers.h chooses at most 200 ms of its full speed. */
bool counter_start(void);

/* Once the core's clock is known: on a slower one 2^SYSTICK_BITS ticks are long (4.2 s at 4 MHz,
 * more than the watchdog's period). On silicon SysTick wakes the main loop ten times a second from
 * now on, or as seldom as its 24 bits allow; in QEMU nothing changes. */
void counter_pace(uint32_t core_hz);

/* DWT cycles on silicon; SysTick ticks, extended to 32 bits, in QEMU. */
uint32_t counter_ticks(void);
#endif

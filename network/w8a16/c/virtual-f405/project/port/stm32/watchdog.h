/* The independent watchdog (IWDG). Served by line_serve_watchdog(). */
#ifndef WATCHDOG_H
#define WATCHDOG_H
#include <stdint.h>

/* About 4 s from the internal 32 kHz oscillator; nothing stops it any more. `core_hz` bounds the
 * waits for its registers, by counter_ticks(). */
void watchdog_start(uint32_t core_hz);
#endif

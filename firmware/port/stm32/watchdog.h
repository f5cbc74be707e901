/* The independent watchdog (IWDG). Served by line_serve_watchdog(). */
#ifndef WATCHDOG_H
#define WATCHDOG_H

/* About 4 s from the internal 32 kHz oscillator; nothing stops it any more. */
void watchdog_start(void);
#endif

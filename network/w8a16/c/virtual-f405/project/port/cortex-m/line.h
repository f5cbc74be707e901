/* The receiving half of a Cortex-M port: port_read(), port_alive(), port_ticks() and port_measure()
 * are the same on all of them (line.c). A board brings port_start(), port_write(), the handler of
 * its UART and the two functions of its watchdog. */
#ifndef LINE_H
#define LINE_H
#include "counter.h"
#include "receive.h"

extern ring received;
extern receive_counts receive_seen;           /* written by the interrupt alone */
extern volatile uint32_t receive_ticks;       /* longest run of the handler */

/* Of the board, around every sleep: before it, its watchdog may be patient until it is served;
 * after it, it is content for its period. */
void line_rest_watchdog(void);
void line_serve_watchdog(void);

/* In the handler: one reading of status (the bits of receive.h) and data. */
static inline void line_receive(uint32_t status, uint8_t byte)
{
    receive(&received, &receive_seen, status, byte);
}

/* In the handler, last: `begin` is what counter_ticks() said first. */
static inline void line_handled_since(uint32_t begin)
{
    const uint32_t ticks = counter_ticks() - begin;
    if (ticks > receive_ticks)
        receive_ticks = ticks;
}
#endif

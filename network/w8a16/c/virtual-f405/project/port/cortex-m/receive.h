/* What the receive interrupt does with one reading of a UART's status and data registers. Free of
 * hardware, so that it can be tested where there is none: QEMU holds bytes back and never
 * overruns. */
#ifndef RECEIVE_H
#define RECEIVE_H
#include "ring.h"

/* The bits of a reading. They are where the STM32F4's SR (RM0090 30.6.1) and the STM32H7's ISR
 * (RM0433 chapter 48) have them; other UARTs translate. */
#define RECEIVE_FE (1u << 1)
#define RECEIVE_NF (1u << 2)
#define RECEIVE_ORE (1u << 3)
#define RECEIVE_RXNE (1u << 5)

typedef struct {
    volatile uint32_t overruns, dropped, line_errors;
} receive_counts;

/* On an overrun the data register still holds the byte before the lost one: RXNE says whether it
 * was read already (RM0090 30.3.3). */
static inline void receive(ring *into, receive_counts *counts, uint32_t status, uint8_t byte)
{
    if (status & RECEIVE_ORE)
        counts->overruns++;
    if (status & (RECEIVE_FE | RECEIVE_NF))
        counts->line_errors++;
    if ((status & RECEIVE_RXNE) && !ring_put(into, byte))
        counts->dropped++;
}
#endif

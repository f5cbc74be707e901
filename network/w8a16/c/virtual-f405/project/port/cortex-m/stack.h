/* The stack lies at the bottom of RAM: what overflows it faults at once instead of overwriting a
 * variable. start.c paints it. */
#ifndef STACK_H
#define STACK_H
#include <stdint.h>

#define STACK_PAINT 0xC5C5C5C5u

uint32_t stack_bytes(void);
/* Most bytes ever used: from the first word that lost its paint. */
uint32_t stack_used(void);
#endif

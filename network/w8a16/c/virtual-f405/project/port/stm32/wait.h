/* A wait that ends. */
#ifndef WAIT_H
#define WAIT_H
#include "registers.h"
#include <stdbool.h>
#include <stdint.h>

/* 100,000 turns of about 8 cycles are 50 ms at 16 MHz: a crystal starts within 20, everything else
 * within 1. */
#define WAIT_TURNS 100000u

/* True when the register's masked bits became `value`. */
static inline bool wait_for(const volatile uint32_t *at, uint32_t mask, uint32_t value)
{
    for (uint32_t turn = 0; turn < WAIT_TURNS; turn++)
        if ((REGISTER_AGAIN(at) & mask) == value)
            return true;
    return false;
}
#endif

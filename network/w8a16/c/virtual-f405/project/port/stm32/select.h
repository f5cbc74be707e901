/* Which clock the core runs on, and what the dividers make of it. On every STM32 a field SW asks
 * for a source, and the field SWS behind it, of the same length, says which one runs: RCC_CFGR in
 * RM0090 7.3.3, RM0390 6.3.3, RM0432 6.4.3 and RM0433 8.7.6, RCC_CFGR1 in RM0456 chapter 11. The
 * board's registers.h says where (CLOCK_SELECT) and of how many bits (CLOCK_SELECT_BITS), and which
 * bits of RCC_CR belong to the oscillator of the reset, whose number is 0, and to the PLL. */
#ifndef SELECT_H
#define SELECT_H
#include "wait.h"

#define CLOCK_SELECT_MASK ((1u << CLOCK_SELECT_BITS) - 1u)

static inline uint32_t clock_selected(void)
{
    return CLOCK_SELECT >> CLOCK_SELECT_BITS & CLOCK_SELECT_MASK;
}

static inline void clock_ask_for(uint32_t source)
{
    CLOCK_SELECT = (CLOCK_SELECT & ~CLOCK_SELECT_MASK) | source;
}

/* A switch that was asked for and did not come may still come later, when dividers and baud rate
 * are already those of another clock. So what runs now is asked for; should the switch come between
 * reading and writing, once more. */
static inline void clock_stay(void)
{
    for (uint32_t turn = 0; turn < 8u; turn++) {
        const uint32_t now = clock_selected();
        clock_ask_for(now);
        if (clock_selected() == now)
            return;
    }
}

/* True when the core runs on `source`, also when it came late. Otherwise it runs on what it ran on
 * and stays there. */
static inline bool clock_runs_on(uint32_t source)
{
    clock_ask_for(source);
    if (wait_for(&CLOCK_SELECT, CLOCK_SELECT_MASK << CLOCK_SELECT_BITS,
                 source << CLOCK_SELECT_BITS))
        return true;
    clock_stay();
    return clock_selected() == source;
}

/* A boot loader that is told to start a program may leave the core on a PLL, and a PLL that runs
 * takes no other factors: back to the oscillator of the reset. The dividers are the caller's. */
static inline void clock_as_after_reset(void)
{
    if (clock_selected() == 0 && !(RCC_CR & CLOCK_PLL_ON))
        return;
    RCC_CR |= CLOCK_OSCILLATOR_ON;
    (void)wait_for(&RCC_CR, CLOCK_OSCILLATOR_READY, CLOCK_OSCILLATOR_READY);
    if (!clock_runs_on(0))
        return;
    RCC_CR &= ~CLOCK_PLL_ON;
    (void)wait_for(&RCC_CR, CLOCK_PLL_READY, 0);
}

/* `hz` behind a divider of the AHB or the core, whose field is the lowest 4 bits: 0xxx is
 * undivided, then 2, 4, 8, 16, 64, 128, 256 and 512. The same in all the chapters above. */
static inline uint32_t ahb_divided(uint32_t hz, uint32_t field)
{
    const uint32_t step = field & 7u;
    return (field & 8u) ? hz >> (step + (step < 4u ? 1u : 2u)) : hz;
}

/* `hz` behind a divider of an APB, whose field is the lowest 3 bits: 0xx is undivided, then 2, 4, 8
 * and 16. */
static inline uint32_t apb_divided(uint32_t hz, uint32_t field)
{
    return (field & 4u) ? hz >> ((field & 3u) + 1u) : hz;
}
#endif

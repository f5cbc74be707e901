#include "counter.h"
#include "registers.h"

#define SYSTICK_MASK ((1u << SYSTICK_BITS) - 1u)
_Static_assert(SYSTICK_BITS <= 24u, "SysTick has 24 bits");

static bool cycles;
static volatile uint32_t wraps; /* of SysTick */

static bool cycles_move(void)
{
    DEMCR |= DEMCR_TRCENA;
    DWT_LAR = DWT_LAR_OPEN;
    DWT_CYCCNT = 0;
    DWT_CTRL |= DWT_CTRL_CYCCNTENA;
    for (volatile uint32_t turn = 0; turn < 8u; turn++) {
    }
    return DWT_CYCCNT != 0;
}

bool counter_start(void)
{
    cycles = cycles_move();
    SCB_SHPR3 |= 0xF0u << 24; /* SysTick waits for everything else */
    SYSTICK_LOAD = SYSTICK_MASK;
    SYSTICK_VAL = 0;
    SYSTICK_CTRL = SYSTICK_ENABLE | SYSTICK_TICKINT | SYSTICK_CORE_CLOCK;
    return cycles;
}

/* On silicon nothing is counted by it, so its turn may have any length. */
void counter_pace(uint32_t core_hz)
{
    const uint32_t turn = core_hz / COUNTER_WAKES_PER_SECOND;
    if (!cycles || turn > SYSTICK_MASK)
        return;
    SYSTICK_LOAD = turn - 1u;
    SYSTICK_VAL = 0;
}

void SysTick_Handler(void);
void SysTick_Handler(void)
{
    wraps++;
}

/* SysTick counts down and fires on reaching 0, so 0 begins a turn. A wrap that has fired but is not
 * yet counted is seen pending. */
static uint32_t turn_ticks(void)
{
    return (0u - SYSTICK_VAL) & SYSTICK_MASK;
}

uint32_t counter_ticks(void)
{
    if (cycles)
        return DWT_CYCCNT;
    uint32_t high, low, pending;
    do {
        high = wraps;
        low = turn_ticks();
        pending = SCB_ICSR & SCB_ICSR_PENDSTSET;
    } while (high != wraps);
    if (pending)
        return (high + 1u) << SYSTICK_BITS | turn_ticks();
    return high << SYSTICK_BITS | low;
}

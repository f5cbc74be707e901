/* Own samples on their way into the network: their conversion, and two buffers that hardware fills
 * in turn. Nothing here knows a chip. */
#ifndef OWN_SAMPLES_H
#define OWN_SAMPLES_H
#include "network.h"

/* What one step of the front end's words is worth in the unit of the samples (network.h, Samples),
 * and which word means zero: 0 for two's complement, 32768 for 16 bits without a sign. Yours to
 * say; these are of a front end that gives the network's own words. */
#ifndef FRONT_END_SCALE
#define FRONT_END_SCALE NETWORK_INPUT_SCALE
#endif
#ifndef FRONT_END_ZERO
#define FRONT_END_ZERO 0
#endif
#if FRONT_END_ZERO
typedef uint16_t front_end_word;
#else
typedef int16_t front_end_word;
#endif

/* Real value / NETWORK_INPUT_SCALE, rounded, and held to what the network takes. The gain has 32
 * bits behind the point, and may be up to 8192. */
static inline int16_t own_sample(front_end_word word)
{
    static const int64_t gain =
        (int64_t)(FRONT_END_SCALE / NETWORK_INPUT_SCALE * 4294967296.0 + 0.5);
    const int64_t scaled = (((int32_t)word - FRONT_END_ZERO) * gain + ((int64_t)1 << 31)) >> 32;
    if (scaled < NETWORK_INPUT_LOW)
        return NETWORK_INPUT_LOW;
    if (scaled > NETWORK_INPUT_HIGH)
        return NETWORK_INPUT_HIGH;
    return (int16_t)scaled;
}

/* A buffer of words becomes one of samples, in its place. */
static inline void own_samples(int16_t *words, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        words[i] = own_sample((front_end_word)words[i]);
}

/* Two buffers, filled in turn without a pause: while one is computed, the other is filled. */
typedef struct {
    volatile uint32_t filled; /* by the hardware; counted by its interrupt alone */
    uint32_t taken;           /* computed, or given up */
    uint32_t lost;            /* given up: overwritten before the step was through */
} two_buffers;

/* In the interrupt: a buffer is full, and the hardware fills number `filling`. When that is not its
 * turn, the interrupt of another buffer got lost, and is counted too. */
static inline void buffer_filled(two_buffers *self, uint32_t filling)
{
    const uint32_t filled = self->filled + 1u;
    self->filled = filled + ((filled ^ filling) & 1u);
}

/* Whether a full buffer waits, and which one: the one that was filled first. */
static inline int buffer_waits(const two_buffers *self)
{
    return self->filled != self->taken;
}

static inline uint32_t buffer_next(const two_buffers *self)
{
    return self->taken & 1u;
}

/* After the step over that buffer: how many steps were lost. Not 0: another buffer became full
 * meanwhile, so the hardware has begun to overwrite this one; its outputs mean nothing, and samples
 * are missing. */
static inline uint32_t buffer_done(two_buffers *self)
{
    const uint32_t behind = self->filled - self->taken;
    const uint32_t lost = behind - 1u;
    self->taken += lost > 0 ? lost : 1u;
    self->lost += lost;
    return lost;
}
#endif

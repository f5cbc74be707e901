/* A byte queue between one writer and one reader that may interrupt each other at any instruction:
 * nobody ever masks interrupts. The writer alone moves `head`, the reader alone moves `tail`; both
 * run freely and wrap at 2^32. */
#ifndef RING_H
#define RING_H
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define RING_BYTES 4096u
_Static_assert((RING_BYTES & (RING_BYTES - 1u)) == 0, "the ring's size is a power of two");

typedef struct {
    _Atomic uint32_t head; /* bytes ever put */
    _Atomic uint32_t tail; /* bytes ever taken */
    uint8_t bytes[RING_BYTES];
} ring;

/* Writer: false when the ring is full and the byte was not stored. */
static inline bool ring_put(ring *r, uint8_t byte)
{
    const uint32_t head = atomic_load_explicit(&r->head, memory_order_relaxed);
    if (head - atomic_load_explicit(&r->tail, memory_order_acquire) == RING_BYTES)
        return false;
    r->bytes[head & (RING_BYTES - 1u)] = byte;
    atomic_store_explicit(&r->head, head + 1u, memory_order_release);
    return true;
}

/* Reader: bytes waiting. */
static inline uint32_t ring_used(ring *r)
{
    return atomic_load_explicit(&r->head, memory_order_acquire) -
           atomic_load_explicit(&r->tail, memory_order_relaxed);
}

/* Reader: takes up to `room` bytes; returns how many. */
static inline uint32_t ring_take(ring *r, uint8_t *bytes, uint32_t room)
{
    const uint32_t used = ring_used(r);
    const uint32_t count = used < room ? used : room;
    uint32_t tail = atomic_load_explicit(&r->tail, memory_order_relaxed);
    for (uint32_t i = 0; i < count; i++)
        bytes[i] = r->bytes[tail++ & (RING_BYTES - 1u)];
    atomic_store_explicit(&r->tail, tail, memory_order_release);
    return count;
}
#endif

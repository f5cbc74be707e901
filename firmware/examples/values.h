/* The outputs of a frame as numbers in their unit: a line each, with as many decimals as one step
 * of an output is worth. */
#ifndef VALUES_H
#define VALUES_H
#include "network.h"
#include "number_text.h"

typedef struct {
    uint32_t frames; /* said so far; a frame needs nothing of those before it */
} values;

static inline void values_reset(values *self)
{
    self->frames = 0;
}

/* Decimals, and what one unit of the last one is worth. */
#define VALUES_CHOOSE(none, one, two, three, four, five, six) \
    (NETWORK_OUTPUT_SCALE >= 1e0 ? (none) : \
     NETWORK_OUTPUT_SCALE >= 1e-1 ? (one) : \
     NETWORK_OUTPUT_SCALE >= 1e-2 ? (two) : \
     NETWORK_OUTPUT_SCALE >= 1e-3 ? (three) : \
     NETWORK_OUTPUT_SCALE >= 1e-4 ? (four) : \
     NETWORK_OUTPUT_SCALE >= 1e-5 ? (five) : (six))

static inline void values_frame(values *self, const int16_t *frame, void (*say)(const char *text))
{
    static const int decimals = VALUES_CHOOSE(0, 1, 2, 3, 4, 5, 6);
    static const int64_t factor = FACTOR(
        NETWORK_OUTPUT_SCALE * VALUES_CHOOSE(1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6));
    for (int i = 0; i < NETWORK_OUTPUTS; i++) {
        if (i > 0)
            say(" ");
        say_number(times(frame[i], factor), decimals, say);
    }
    say("\n");
    self->frames++;
}
#endif

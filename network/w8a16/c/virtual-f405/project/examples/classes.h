/* The class that has the largest score, said when it is another than in the frame before. */
#ifndef CLASSES_H
#define CLASSES_H
#include "network.h"
#include "number_text.h"

typedef struct {
    int last; /* class of the frame before; -1: there was none */
} classes;

static inline void classes_reset(classes *self)
{
    self->last = -1;
}

static inline int classes_largest(const int16_t *frame)
{
    int best = 0;
    for (int i = 1; i < NETWORK_OUTPUTS; i++)
        if (frame[i] > frame[best])
            best = i;
    return best;
}

/* By its name, or by its number where the network has no names. */
static inline void classes_frame(
    classes *self, const int16_t *frame, void (*say)(const char *text))
{
    const int found = classes_largest(frame);
    if (found == self->last)
        return;
    self->last = found;
#ifdef NETWORK_NAMES
    static const char *const names[] = NETWORK_NAMES;
    say(names[found]);
#else
    say_number(found, 0, say);
#endif
    say("\n");
}
#endif

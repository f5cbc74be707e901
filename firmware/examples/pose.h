/* Joint angles from frames: a line each, `joint=degrees` by name, to a tenth of a degree.
 *
 * Some networks go on from a pose that is given to them: network.h has then a macro that begins
 * with NETWORK_INITIAL_, the place of it in the state. Where nothing is written there, as here,
 * they go on from all angles at zero. */
#ifndef POSE_H
#define POSE_H
#include "network.h"
#include "number_text.h"

typedef struct {
    uint32_t frames; /* said so far; a frame needs nothing of those before it */
} pose;

static inline void pose_reset(pose *self)
{
    self->frames = 0;
}

/* Tenths of a degree: of an output, in rad, 1800 / pi. */
static inline int32_t pose_angle(int16_t word)
{
    static const int64_t factor = FACTOR(
        NETWORK_OUTPUT_SCALE * 1800.0 / 3.14159265358979324);
    return (int32_t)times(word, factor);
}

static inline void pose_frame(pose *self, const int16_t *frame, void (*say)(const char *text))
{
#ifdef NETWORK_NAMES
    static const char *const names[] = NETWORK_NAMES;
#endif
    for (int i = 0; i < NETWORK_OUTPUTS; i++) {
        if (i > 0)
            say(" ");
#ifdef NETWORK_NAMES
        say(names[i]);
#else
        say_number(i, 0, say);
#endif
        say("=");
        say_number(pose_angle(frame[i]), 1, say);
    }
    say("\n");
    self->frames++;
}
#endif

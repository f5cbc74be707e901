/* Text from frames of logarithms of the characters' probabilities: greedy CTC, on any device.
 *
 * The most likely class of each frame is what it says. Said again in the frame behind, it is the
 * same key still; the blank, which is the last class, says nothing and parts a key from its like.
 * Nothing is taken back: a character is final when it appears. */
#ifndef TYPING_H
#define TYPING_H
#include "network.h"
#include "number_text.h"
#include <string.h>

typedef struct {
    int last; /* class of the frame before */
} typing;

enum { TYPING_BLANK = NETWORK_OUTPUTS - 1 };

static inline void typing_reset(typing *self)
{
    self->last = TYPING_BLANK;
}

static inline int typing_class(const int16_t *frame)
{
    int best = 0;
    for (int i = 1; i < NETWORK_OUTPUTS; i++)
        if (frame[i] > frame[best])
            best = i;
    return best;
}

/* A character as it is, the space bar as a blank, any other key as <its name>, or as <its number>
 * where the network has no names. */
static inline void typing_say(int found, void (*say)(const char *text))
{
#ifdef NETWORK_NAMES
    static const char *const names[] = NETWORK_NAMES;
    const char *const name = names[found];
    const int key = strlen(name) > 1;
    if (key && strcmp(name, "space") == 0) {
        say(" ");
    } else {
        say(key ? "<" : "");
        say(name);
        say(key ? ">" : "");
    }
#else
    say("<");
    say_number(found, 0, say);
    say(">");
#endif
}

/* Says what this frame adds to the text; mostly nothing. */
static inline void typing_frame(typing *self, const int16_t *frame, void (*say)(const char *text))
{
    const int found = typing_class(frame);
    if (found != self->last && found != TYPING_BLANK)
        typing_say(found, say);
    self->last = found;
}
#endif

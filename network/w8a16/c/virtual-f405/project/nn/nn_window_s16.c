#include <string.h>

#include "nn.h"
#include "nn_intrinsics.h"

/* The window that begins `at` values into history and x, copied whole */
static void one_window(const nn_window *op, const uint8_t *past, uint32_t at, const int16_t *x,
                       int16_t *y)
{
    const uint32_t size = sizeof *x, kept = op->history;
    /* values from here to the end of the history */
    const uint32_t reach = at < kept ? kept - at : 0;
    const uint32_t old = reach < op->width ? reach : op->width;
    if (old)
        memcpy(y, past + at * size, old * size);
    if (old < op->width)
        memcpy(y + old, x + (at + old - kept), (op->width - old) * size);
}

/* n values of each of some frames, `step` values apart, side by side; returns y behind them.
 * Sixteen are the channels of most such layers. */
static int16_t *frames_of_band(const int16_t *x, uint32_t frames, uint32_t step, uint32_t n,
                               int16_t *y)
{
    if (n == 16 && step % 2u == 0 && nn_on_words(x, y)) {
        for (; frames; frames--, x += step - 16)
            nn_copy_sixteen(&y, &x);
        return y;
    }
    for (; frames; frames--, x += step, y += n)
        nn_copy(y, x, n);
    return y;
}

/* The same frame by frame, so that each band's values lie side by side, and frames may be apart:
 * first those of frames in the history */
static void window_of_frames(const nn_window *op, const int16_t *past, uint32_t at,
                             const int16_t *x, int16_t *y)
{
    const uint32_t n = op->features / op->bands, frames = op->width / op->features,
                   step = (uint32_t)op->features * op->dilation;
    const uint32_t reach = at < op->history ? (op->history - at + step - op->features) / step : 0,
                   old = reach < frames ? reach : frames;
    const int16_t *early = old ? past + at : x,
                  *late = old < frames ? x + (at + old * step - op->history) : x;
    for (uint32_t b = op->bands; b; b--, early += n, late += n) {
        if (old)
            y = frames_of_band(early, old, step, n, y);
        y = frames_of_band(late, frames - old, step, n, y);
    }
}

/* The last values of history and x are the next history. */
static void keep(const nn_window *op, uint8_t *past, const int16_t *x)
{
    const uint32_t size = sizeof *x, kept = op->history, fresh = op->windows * op->stride;
    if (kept > fresh)
        memmove(past, past + fresh * size, (kept - fresh) * size);
    if (kept) {
        const uint32_t taken = kept < fresh ? kept : fresh;
        memcpy(past + (kept - taken) * size, x + (fresh - taken), taken * size);
    }
}

void nn_window_s16(const nn_window *op, void *history, const int16_t *x, int16_t *y)
{
    for (uint32_t m = 0, at = op->skip; m < op->windows; m++, at += op->stride, y += op->width)
        if (op->bands > 1 || op->dilation > 1)
            window_of_frames(op, history, at, x, y);
        else
            one_window(op, history, at, x, y);
    keep(op, history, x);
}

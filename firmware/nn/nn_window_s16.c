#include <string.h>

#include "nn.h"
#include "nn_intrinsics.h"

/* The window that begins `at` values into history and x, copied whole */
static void one_window(const nn_window *op, const uint8_t *past, uint32_t at, const int16_t *x, int16_t *y)
{
    const uint32_t size = sizeof *x, kept = op->history;
    const uint32_t reach = at < kept ? kept - at : 0; /* values from here to the end of the history */
    const uint32_t old = reach < op->width ? reach : op->width;
    if (old)
        memcpy(y, past + at * size, old * size);
    if (old < op->width)
        memcpy(y + old, x + (at + old - kept), (op->width - old) * size);
}

/* The same, frame by frame, each of which gives every band n values */
static void window_of_bands(const nn_window *op, const int16_t *past, uint32_t at, const int16_t *x, int16_t *y)
{
    const uint32_t features = op->features, n = features / op->bands, behind = at + op->width, band = op->width / op->bands;
    for (; at != behind; at += features, y += n) {
        const int16_t *from = at < op->history ? past + at : x + (at - op->history);
        int16_t *to = y;
        for (uint32_t b = op->bands; b; b--, from += n, to += band)
            nn_copy(to, from, n);
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
        if (op->bands > 1)
            window_of_bands(op, history, at, x, y);
        else
            one_window(op, history, at, x, y);
    keep(op, history, x);
}

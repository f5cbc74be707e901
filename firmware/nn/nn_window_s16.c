#include <string.h>

#include "nn.h"

void nn_window_s16(const nn_window *op, void *history, const int16_t *x, int16_t *y)
{
    const uint32_t size = sizeof *x, kept = op->history, fresh = op->windows * op->stride;
    uint8_t *past = history;
    for (uint32_t m = 0, at = op->skip; m < op->windows; m++, at += op->stride, y += op->width) {
        const uint32_t reach = at < kept ? kept - at : 0; /* values from here to the end of the history */
        const uint32_t old = reach < op->width ? reach : op->width;
        if (old)
            memcpy(y, past + at * size, old * size);
        if (old < op->width)
            memcpy(y + old, x + (at + old - kept), (op->width - old) * size);
    }
    if (kept > fresh)
        memmove(past, past + fresh * size, (kept - fresh) * size);
    if (kept) {
        const uint32_t taken = kept < fresh ? kept : fresh;
        memcpy(past + (kept - taken) * size, x + (fresh - taken), taken * size);
    }
}

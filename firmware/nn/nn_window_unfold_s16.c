#include <string.h>

#include "nn.h"
#include "nn_intrinsics.h"

/* n values of the frame of the window at `at`, from `band` on */
static inline void one_frame(const nn_window_unfold *op, int32_t at, const int16_t *band,
                             int16_t *y, uint32_t n)
{
    const int32_t last = op->frames - 1;
    const int32_t seen = nn_clamp(at, 0, last);
    if (at == seen || op->edge)
        nn_copy(y, band + (uint32_t)seen * op->features, n);
    else
        memset(y, 0, n * sizeof *y);
}

void nn_window_unfold_s16(const nn_window_unfold *op, const int16_t *x, int16_t *y)
{
    const uint32_t n = (uint32_t)op->features / op->bands;
    for (int32_t j = 0, first = -op->before; j < op->outputs; j++, first += op->step)
        for (uint32_t b = 0; b < op->bands; b++)
            for (int32_t i = 0, at = first; i < op->kernel; i++, at += op->dilation, y += n)
                one_frame(op, at, x + b * n, y, n);
}

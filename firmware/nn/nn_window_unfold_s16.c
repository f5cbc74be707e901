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

/* What one output sees of a band */
static inline void taps_of(const nn_window_unfold *op, int32_t first, const int16_t *band,
                           int16_t *y, uint32_t n)
{
    for (int32_t i = 0, at = first; i < op->kernel; i++, at += op->dilation, y += n)
        one_frame(op, at, band, y, n);
}

void nn_window_unfold_s16(const nn_window_unfold *op, const int16_t *x, int16_t *y)
{
    const nn_window_unfold own = *op; /* which no store to y can change */
    const uint32_t n = (uint32_t)own.features / own.bands, width = own.kernel * n;
    const uint32_t in_a_row = own.bands == 1 && (own.dilation == 1 || own.kernel == 1);
    int32_t first = -own.before;
    for (uint32_t j = own.outputs; j; j--, first += own.step)
        if (in_a_row && first >= 0 && first + own.kernel <= own.frames) {
            nn_copy(y, x + (uint32_t)first * n, width);
            y += width;
        } else {
            for (uint32_t b = 0; b < own.bands; b++, y += width)
                taps_of(&own, first, x + b * n, y, n);
        }
}

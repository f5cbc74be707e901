#include <string.h>

#include "nn.h"
#include "nn_intrinsics.h"

/* One row of a patch, columns first to first + kernel_columns - 1 of a frame, of which some may lie
 * outside; returns y behind it. */
static int16_t *patch_row(const nn_patches *op, const int16_t *frame, int32_t first, int16_t *y)
{
    const int32_t n = op->n, width = op->width, last = first + op->kernel_columns;
    const int32_t begin = nn_clamp(first, 0, width), end = nn_clamp(last, 0, width);
    for (int32_t k = (begin - first) * n; k; k--)
        *y++ = 0;
    if (op->copies == 1) {
        nn_copy(y, frame + begin * n, (uint32_t)((end - begin) * n));
        y += (end - begin) * n;
    } else {
        for (int32_t column = begin; column < end; column++, y += n)
            nn_copy(y, frame + column / op->copies * n, (uint32_t)n);
    }
    for (int32_t k = (last - end) * n; k; k--)
        *y++ = 0;
    return y;
}

/* The frame of x that is frame `at` of the picture, which begins with -before. */
static const int16_t *frame_of(const nn_patches *op, const int16_t *x, int32_t at)
{
    const int32_t factor = op->factor, frame = (at + factor * op->before) / factor - op->before;
    return x + frame * (op->width / op->copies) * op->n;
}

void nn_patches_s16(const nn_patches *op, const int16_t *x, int16_t *y)
{
    const int32_t frames = op->frames, width = op->width, row = op->kernel_columns * op->n;
    const int32_t above = (op->kernel_frames - 1) / 2, left = (op->kernel_columns - 1) / 2;
    for (int32_t t = 0; t < frames; t++)
        for (int32_t w = 0; w < width; w++)
            for (int32_t from = t - above; from < t - above + op->kernel_frames; from++)
                if (from >= -op->before && from < frames + op->after) {
                    y = patch_row(op, frame_of(op, x, from), w - left, y);
                } else {
                    memset(y, 0, (size_t)row * sizeof *y);
                    y += row;
                }
}

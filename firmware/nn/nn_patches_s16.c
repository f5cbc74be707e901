#include <string.h>

#include "nn.h"
#include "nn_intrinsics.h"

/* One row of a patch, columns first … first + kernel_columns − 1 of a frame, of which some may lie outside; returns y behind it. */
static int16_t *patch_row(const nn_patches *op, const int16_t *frame, int32_t first, int16_t *y)
{
    const int32_t n = op->n, width = op->width, last = first + op->kernel_columns;
    const int32_t begin = nn_clamp(first, 0, width), end = nn_clamp(last, 0, width);
    for (int32_t k = (begin - first) * n; k; k--)
        *y++ = 0;
    nn_copy(y, frame + begin * n, (uint32_t)((end - begin) * n));
    y += (end - begin) * n;
    for (int32_t k = (last - end) * n; k; k--)
        *y++ = 0;
    return y;
}

void nn_patches_s16(const nn_patches *op, const int16_t *x, int16_t *y)
{
    const int32_t frames = op->frames, width = op->width, row = op->kernel_columns * op->n;
    const int32_t above = (op->kernel_frames - 1) / 2, left = (op->kernel_columns - 1) / 2;
    for (int32_t t = 0; t < frames; t++)
        for (int32_t w = 0; w < width; w++)
            for (int32_t from = t - above; from < t - above + op->kernel_frames; from++)
                if (from >= -op->before && from < frames + op->after) {
                    y = patch_row(op, x + from * width * op->n, w - left, y);
                } else {
                    memset(y, 0, (size_t)row * sizeof *y);
                    y += row;
                }
}

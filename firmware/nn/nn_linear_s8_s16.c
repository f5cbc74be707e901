#include "nn.h"
#include "nn_intrinsics.h"

/* Weight k of row n in either packed layout (export/pack.py). */
static int32_t weight(const nn_linear *op, uint32_t n, uint32_t k)
{
    const uint32_t padded = (op->in + 3u) & ~3u;
    if (op->frames > 1) /* row pairs, bytes a0 b0 a1 b1 … */
        return ((const int8_t *)op->weights)[(n & ~1u) * padded + 2 * k + (n & 1u)];
    /* blocks of four rows, halfwords a + 256·b: rows (0, 1) of inputs k, k+1, then rows (2, 3) of them */
    int32_t h = ((const int16_t *)op->weights)[((n >> 2) * padded + (k & ~1u) + ((n >> 1) & 1u)) * 2 + (k & 1u)];
    int32_t a = (int8_t)(h & 255);
    return n & 1u ? (h - a) / 256 : a;
}

static void linear_portable(const nn_linear *op, const int16_t *x, int16_t *y)
{
    for (uint32_t t = 0; t < op->frames; t++, x += op->x_stride, y += op->y_stride)
        for (uint32_t n = 0; n < op->out; n++) {
            int32_t acc = op->bias[n];
            for (uint32_t k = 0; k < op->in; k++)
                acc += weight(op, n, k) * x[k];
            y[n] = (int16_t)nn_clamp(nn_requant(acc, op->shift, op->mult[n]), op->lo, op->hi);
        }
}

void nn_linear_s8_s16(const nn_linear *op, const int16_t *x, int16_t *y)
{
    linear_portable(op, x, y);
}

#include "nn.h"
#include "nn_intrinsics.h"

void nn_rescale_s16(const nn_rescale *op, const int16_t *x, int16_t *y)
{
    for (uint32_t r = op->rows; r; r--, x += op->n, y += op->stride)
        for (uint32_t i = 0; i < op->n; i++)
            y[i] = (int16_t)nn_clamp(nn_requant(x[i], op->shift, op->mult), op->lo, op->hi);
}

#include "nn.h"
#include "nn_intrinsics.h"

void nn_multiply_s16(const nn_multiply *op, const int16_t *a, const int16_t *b, int16_t *y)
{
    for (uint32_t i = 0; i < op->n; i++)
        y[i] = (int16_t)nn_clamp(nn_smmulr(a[i] * b[i], op->mult), op->lo, op->hi);
}

#include "nn.h"
#include "nn_intrinsics.h"

void nn_clamp_s16(const int16_t *x, int16_t *y, uint32_t n, int16_t lo, int16_t hi)
{
    for (uint32_t i = 0; i < n; i++)
        y[i] = (int16_t)nn_clamp(x[i], lo, hi);
}

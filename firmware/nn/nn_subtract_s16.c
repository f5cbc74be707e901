#include "nn.h"
#include "nn_intrinsics.h"

void nn_subtract_s16(const int16_t *a, const int16_t *b, int16_t *y, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        y[i] = (int16_t)nn_ssat16(a[i] - b[i]);
}

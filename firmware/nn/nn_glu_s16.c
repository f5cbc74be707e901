#include "nn.h"
#include "nn_intrinsics.h"

void nn_glu_s16(const int16_t table[257], const int16_t *x, int16_t *y, uint32_t n, uint32_t rows)
{
    const int16_t *middle = table + 128;
    for (uint32_t r = 0; r < rows; r++, x += 2 * n, y += n)
        for (uint32_t i = 0; i < n; i++)
            y[i] = (int16_t)((x[i] * nn_lut(middle, x[n + i]) + (1 << 14)) >> 15);
}

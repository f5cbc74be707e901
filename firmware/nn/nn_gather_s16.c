#include "nn.h"

void nn_gather_s16(const uint16_t *index, const int16_t *x, int16_t *y, uint32_t rows,
                   uint32_t features, uint32_t n)
{
    for (; rows; rows--, x += features)
        for (uint32_t i = 0; i < n; i++)
            *y++ = x[index[i]];
}

#include "nn.h"
#include "nn_intrinsics.h"

void nn_add_s16(const int16_t *a, const int16_t *b, int16_t *y, uint32_t n)
{
    uint32_t i = 0;
    for (; i + 2 <= n; i += 2)
        nn_store_pair(y + i, nn_qadd16(nn_load_pair(a + i), nn_load_pair(b + i)));
    if (i < n)
        y[i] = (int16_t)nn_ssat16(a[i] + b[i]);
}

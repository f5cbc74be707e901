#include "nn.h"
#include "nn_intrinsics.h"

void nn_add_s16(const int16_t *a, const int16_t *b, int16_t *y, uint32_t n)
{
    const int16_t *const end = a + (n & ~1u);
    for (; a != end; a += 2, b += 2, y += 2)
        nn_store_pair(y, nn_qadd16(nn_load_pair(a), nn_load_pair(b)));
    if (n & 1u)
        *y = (int16_t)nn_ssat16(*a + *b);
}

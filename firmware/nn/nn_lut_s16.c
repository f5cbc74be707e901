#include "nn.h"
#include "nn_intrinsics.h"

#if NN_MVE

void nn_lut_s16(const int16_t table[257], const int16_t *x, int16_t *y, uint32_t n)
{
    for (; n >= 8; n -= 8, x += 8, y += 8)
        vst1q_s16(y, nn_lut_eight(table, vld1q_s16(x)));
    const mve_pred16_t rest = vctp16q(n);
    vstrhq_p_s16(y, nn_lut_eight(table, vldrhq_z_s16(x, rest)), rest);
}

#else

void nn_lut_s16(const int16_t table[257], const int16_t *x, int16_t *y, uint32_t n)
{
    const int16_t *middle = table + 128, *const end = x + (n & ~1u);
    for (; x != end; x += 2, y += 2)
        nn_store_pair(y, nn_lut_pair(middle, nn_load_pair(x)));
    if (n & 1u)
        *y = (int16_t)nn_lut(middle, *x);
}

#endif

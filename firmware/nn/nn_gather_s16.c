#include "nn.h"
#include "nn_intrinsics.h"

#if NN_MVE

void nn_gather_s16(const uint16_t *index, const int16_t *x, int16_t *y, uint32_t rows,
                   uint32_t features, uint32_t n)
{
    for (; rows; rows--, x += features, y += n)
        for (uint32_t at = 0; at < n; at += 8) {
            const mve_pred16_t there = vctp16q(n - at);
            const uint16x8_t places = vldrhq_z_u16(index + at, there);
            vstrhq_p_s16(y + at, vldrhq_gather_shifted_offset_z_s16(x, places, there), there);
        }
}

#else

void nn_gather_s16(const uint16_t *index, const int16_t *x, int16_t *y, uint32_t rows,
                   uint32_t features, uint32_t n)
{
    for (; rows; rows--, x += features) {
        const uint16_t *const end = index + n;
        for (const uint16_t *i = index; i != end; i++)
            *y++ = x[*i];
    }
}

#endif

#include "nn.h"
#include "nn_intrinsics.h"

#if NN_MVE

/* Eight columns at a time; `wanted` are those there are. */
static inline void largest_of(const int16_t *x, int16_t *y, uint32_t factor, uint32_t features,
                              mve_pred16_t wanted)
{
    int16x8_t largest = vldrhq_z_s16(x, wanted);
    for (uint32_t j = factor - 1; j; j--) {
        x += features;
        largest = vmaxq_s16(largest, vldrhq_z_s16(x, wanted));
    }
    vstrhq_p_s16(y, largest, wanted);
}

void nn_max_pool_s16(const int16_t *x, int16_t *y, uint32_t factor, uint32_t frames,
                     uint32_t features)
{
    for (uint32_t t = frames; t; t--, x += factor * features, y += features)
        for (uint32_t at = 0; at < features; at += 8)
            largest_of(x + at, y + at, factor, features, vctp16q(features - at));
}

#else

/* Two columns at a time. */
void nn_max_pool_s16(const int16_t *x, int16_t *y, uint32_t factor, uint32_t frames,
                     uint32_t features)
{
    for (uint32_t t = frames; t; t--, x += (factor - 1) * features) {
        uint32_t left = features;
        for (; left >= 2; left -= 2, x += 2, y += 2) {
            const int16_t *p = x;
            uint32_t largest = nn_load_pair(p);
            for (uint32_t j = factor - 1; j; j--) {
                p += features;
                largest = nn_smax16(largest, nn_load_pair(p));
            }
            nn_store_pair(y, largest);
        }
        for (; left; left--, x++) {
            int16_t largest = *x;
            for (uint32_t j = 1; j < factor; j++)
                largest = x[j * features] > largest ? x[j * features] : largest;
            *y++ = largest;
        }
    }
}

#endif

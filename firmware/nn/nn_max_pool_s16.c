#include "nn.h"
#include "nn_intrinsics.h"

/* Two columns at a time. */
void nn_max_pool_s16(const int16_t *x, int16_t *y, uint32_t factor, uint32_t frames, uint32_t features)
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

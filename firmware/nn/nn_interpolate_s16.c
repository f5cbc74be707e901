#include <string.h>

#include "nn.h"
#include "nn_intrinsics.h"

/* One frame of x and the one before it: columns in twos, each with all its new frames, so that both
 * ends are loaded once. */
static void between(const int16_t *before, const int16_t *x, int16_t *y, uint32_t features,
                    uint32_t log2_factor)
{
    const uint32_t r = 1u << log2_factor;
    const int32_t half = (int32_t)(r >> 1);
    uint32_t c = 0;
    for (; c + 2 <= features; c += 2) {
        const uint32_t a = nn_load_pair(before + c), b = nn_load_pair(x + c);
        const uint32_t low = nn_pair(nn_low(a), nn_low(b)), high = nn_pair(nn_high(a), nn_high(b));
        int16_t *to = y + c;
        /* the pair (r - j, j) */
        for (uint32_t weights = r, j = r; j; j--, weights += 0xFFFFu, to += features)
            nn_store_pair(to, nn_pair(nn_smlad(low, weights, half) >> log2_factor,
                                      nn_smlad(high, weights, half) >> log2_factor));
    }
    if (c < features)
        for (int32_t j = 0; j < (int32_t)r; j++)
            y[c + (uint32_t)j * features] =
                (int16_t)((before[c] * ((int32_t)r - j) + x[c] * j + half) >> log2_factor);
}

void nn_interpolate_s16(const int16_t *x, int16_t *past, int16_t *y, uint32_t frames,
                        uint32_t features, uint32_t log2_factor)
{
    const int16_t *before = past;
    for (; frames; frames--, before = x, x += features, y += features << log2_factor)
        between(before, x, y, features, log2_factor);
    memcpy(past, before, features * sizeof *past);
}

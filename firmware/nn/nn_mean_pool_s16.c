#include "nn.h"
#include "nn_intrinsics.h"

#if NN_MVE

/* Eight columns of as many rows as are averaged; `wanted` are those there are. */
static inline void mean_of(const nn_mean_pool *op, const int16_t *x, int16_t *y,
                           mve_pred16_t wanted)
{
    int32x4_t even = vdupq_n_s32(0), odd = even;
    for (uint32_t j = op->factor, features = op->features; j; j--, x += features) {
        const int16x8_t row = vldrhq_z_s16(x, wanted);
        even = vaddq_s32(even, vmovlbq_s16(row));
        odd = vaddq_s32(odd, vmovltq_s16(row));
    }
    const int32x4_t mult = vdupq_n_s32(op->mult), lo = vdupq_n_s32(op->lo),
                    hi = vdupq_n_s32(op->hi);
    even = vminq_s32(vmaxq_s32(vrmulhq_s32(vshlq_r_s32(even, op->shift), mult), lo), hi);
    odd = vminq_s32(vmaxq_s32(vrmulhq_s32(vshlq_r_s32(odd, op->shift), mult), lo), hi);
    vstrhq_p_s16(y, vmovntq_s32(vreinterpretq_s16_s32(even), odd), wanted);
}

void nn_mean_pool_s16(const nn_mean_pool *op, const int16_t *x, int16_t *y)
{
    const uint32_t features = op->features, rows = op->factor * features;
    for (uint32_t t = op->frames; t; t--, x += rows, y += features)
        for (uint32_t at = 0; at < features; at += 8)
            mean_of(op, x + at, y + at, vctp16q(features - at));
}

#else

/* Four columns at a time: their sums stay in registers over the frames. */
void nn_mean_pool_s16(const nn_mean_pool *op, const int16_t *x, int16_t *y)
{
    const uint32_t features = op->features, factor = op->factor, shift = op->shift;
    const int32_t mult = op->mult;
    const nn_clamp_pair clamp = nn_clamp_to(op->lo, op->hi);
    for (uint32_t t = op->frames; t; t--, x += (factor - 1) * features) {
        uint32_t left = features;
        for (; left >= 4; left -= 4, x += 4, y += 4) {
            const int16_t *p = x;
            int32_t a = 0, b = 0, c = 0, d = 0;
            uint32_t j = factor;
            do {
                uint32_t first = nn_load_pair(p), second = nn_load_pair(p + 2);
                a += nn_low(first), b += nn_high(first), c += nn_low(second), d += nn_high(second);
                p += features;
                NN_ROLLED(j);
            } while (--j);
            nn_store_pair(y, nn_clamp_requant(&clamp, nn_shift_left(a, shift), mult,
                                              nn_shift_left(b, shift), mult));
            nn_store_pair(y + 2, nn_clamp_requant(&clamp, nn_shift_left(c, shift), mult,
                                                  nn_shift_left(d, shift), mult));
        }
        for (; left; left--, x++) {
            const int16_t *p = x;
            int32_t sum = 0;
            for (uint32_t j = factor; j; j--, p += features) {
                sum += *p;
                NN_ROLLED(j);
            }
            *y++ = (int16_t)nn_clamp(nn_requant(sum, shift, mult), op->lo, op->hi);
        }
    }
}

#endif

#include "nn.h"
#include "nn_intrinsics.h"

/* Whether every value stays as it is. */
static inline uint32_t is_one(const nn_rescale *op)
{
    return op->mult == 1 << 30 && op->shift == 2 && op->lo == -32768 && op->hi == 32767;
}

#if NN_MVE

static inline int32x4_t four_values(const nn_rescale *op, int32x4_t x)
{
    return vrmulhq_s32(vshlq_r_s32(x, op->shift), vdupq_n_s32(op->mult));
}

static inline void one_row(const nn_rescale *op, const int16_t *x, int16_t *y)
{
    const int16x8_t lo = vdupq_n_s16(op->lo), hi = vdupq_n_s16(op->hi), zero = vdupq_n_s16(0);
    for (int32_t left = op->n; left > 0; left -= 8, x += 8, y += 8) {
        const mve_pred16_t there = vctp16q((uint32_t)left);
        const int16x8_t eight = vldrhq_z_s16(x, there);
        const int16x8_t low = vqmovnbq_s32(zero, four_values(op, vmovlbq_s16(eight)));
        const int16x8_t all = vqmovntq_s32(low, four_values(op, vmovltq_s16(eight)));
        vstrhq_p_s16(y, vminq_s16(vmaxq_s16(all, lo), hi), there);
    }
}

#else

/* Both factors with the other sign, so that x << 15 is a product of 16 bits. */
static inline void one_row(const nn_rescale *op, const int16_t *x, int16_t *y)
{
    const nn_clamp_pair clamp = nn_clamp_to(op->lo, op->hi);
    const int16_t minus = (int16_t) - (1 << op->shift);
    const int32_t mult = -op->mult, lo = op->lo, hi = op->hi;
    uint32_t n = op->n;
    for (; n >= 2; n -= 2, x += 2, y += 2) {
        const uint32_t pair = nn_load_pair(x);
        nn_store_pair(y, nn_clamp_requant(&clamp, nn_low(pair) * minus, mult,
                                          nn_high(pair) * minus, mult));
    }
    if (n)
        *y = (int16_t)nn_clamp(nn_smmulr(*x * minus, mult), lo, hi);
}

#endif

void nn_rescale_s16(const nn_rescale *op, const int16_t *x, int16_t *y)
{
    const nn_rescale own = *op; /* which no store to y can change */
    const uint32_t one = is_one(&own);
    for (uint32_t r = own.rows; r; r--, x += own.n, y += own.stride)
        if (one)
            nn_copy(y, x, own.n);
        else
            one_row(&own, x, y);
}

#include "nn.h"
#include "nn_intrinsics.h"

#if NN_MVE

/* Eight products, every other one of them a vector of 32 bits on the way */
static inline int16x8_t eight_products(const nn_multiply *op, int16x8_t a, int16x8_t b)
{
    const int32x4_t mult = vdupq_n_s32(op->mult);
    const int16x8_t low =
        vqmovnbq_s32(vdupq_n_s16(0), vrmulhq_s32(vmullbq_int_s16(a, b), mult));
    const int16x8_t y = vqmovntq_s32(low, vrmulhq_s32(vmulltq_int_s16(a, b), mult));
    return vminq_s16(vmaxq_s16(y, vdupq_n_s16(op->lo)), vdupq_n_s16(op->hi));
}

void nn_multiply_s16(const nn_multiply *op, const int16_t *a, const int16_t *b, int16_t *y)
{
    const nn_multiply own = *op; /* which no store to y can change */
    for (int32_t left = (int32_t)own.n; left > 0; left -= 8, a += 8, b += 8, y += 8) {
        const mve_pred16_t there = vctp16q((uint32_t)left);
        const int16x8_t eight =
            eight_products(&own, vldrhq_z_s16(a, there), vldrhq_z_s16(b, there));
        vstrhq_p_s16(y, eight, there);
    }
}

#else

void nn_multiply_s16(const nn_multiply *op, const int16_t *a, const int16_t *b, int16_t *y)
{
    const nn_clamp_pair clamp = nn_clamp_to(op->lo, op->hi);
    const int32_t mult = op->mult, lo = op->lo, hi = op->hi;
    uint32_t n = op->n;
    for (; n >= 2; n -= 2, a += 2, b += 2, y += 2) {
        const uint32_t p = nn_load_pair(a), q = nn_load_pair(b);
        nn_store_pair(y, nn_clamp_requant(&clamp, nn_low(p) * nn_low(q), mult,
                                          nn_high(p) * nn_high(q), mult));
    }
    if (n)
        *y = (int16_t)nn_clamp(nn_smmulr(*a * *b, mult), lo, hi);
}

#endif

/* LayerNorm, and RMSNorm, which is the same without the mean. */
#ifndef NN_NORM_H
#define NN_NORM_H

#include "nn.h"
#include "nn_intrinsics.h"

/* 2^46/sqrt(m) for 2^30 <= m < 2^32 */
static inline int32_t rsqrt(uint32_t m)
{
    uint32_t r = 0x8A000000u - (m >> 2) - (m >> 4);
    for (int i = 0; i < 3; i++) {
        uint64_t t = ((uint64_t)r * r) >> 31;
        uint32_t u = (uint32_t)((m * t) >> 32);
        r = (uint32_t)(((uint64_t)r * (0x60000000u - u)) >> 30);
    }
    return (int32_t)(r < 0x7FFFFFFFu ? r : 0x7FFFFFFFu);
}

#if NN_MVE
/* sum x and sum x^2 */
static inline int64_t sums(const int16_t *x, uint32_t n, int32_t *sum)
{
    int32_t total = 0;
    int64_t squares = 0;
    for (; n >= 8; n -= 8, x += 8) {
        const int16x8_t eight = vld1q_s16(x);
        total = vaddvaq_s16(total, eight);
        squares = vmlaldavaq_s16(squares, eight, eight);
    }
    const int16x8_t rest = vldrhq_z_s16(x, vctp16q(n));
    *sum = vaddvaq_s16(total, rest);
    return vmlaldavaq_s16(squares, rest, rest);
}
#else
static inline int64_t sums(const int16_t *x, uint32_t n, int32_t *sum)
{
    int32_t total = 0;
    int64_t squares = 0;
    uint32_t i = 0;
    for (; i + 2 <= n; i += 2) {
        uint32_t pair = nn_load_pair(x + i);
        total = nn_smlad(pair, 0x00010001u, total);
        squares = nn_smlald(pair, pair, squares);
    }
    if (i < n) {
        total += x[i];
        squares += x[i] * x[i];
    }
    *sum = total;
    return squares;
}
#endif

/* n*sum x^2 - (sum x)^2, which is sum d^2/n: all the row's statistics in one pass. Not centred, the
 * sum counts as 0. */
static inline uint64_t spread(const int16_t *x, uint32_t n, int centred, int32_t *sum)
{
    const uint64_t squares = n * (uint64_t)sums(x, n, sum);
    if (!centred)
        *sum = 0;
    return squares - (uint64_t)((int64_t)*sum * *sum);
}

typedef struct {
    int32_t scale, offset; /* d << shift = x*scale + offset, modulo 2^32 */
    int32_t r;
} norm;

static inline norm norm_of(const int16_t *x, uint32_t n, uint64_t epsilon, int centred)
{
    int32_t sum;
    uint64_t v = n * spread(x, n, centred, &sum) + epsilon;
    int32_t e = (33 - (int32_t)nn_clz64(v)) >> 1;
    uint32_t shift = (uint32_t)(14 - e);
    norm m = {(int32_t)(n << shift), (int32_t)(0u - ((uint32_t)sum << shift)),
              rsqrt((uint32_t)(e >= 0 ? v >> 2 * e : v << -2 * e))};
    return m;
}

#if NN_MVE

/* What is the same for a row */
typedef struct {
    int32x4_t scale, r, lo, hi;
    int32_t offset;
} row_norm;

static inline int32x4_t norm_four(const row_norm *m, int32x4_t x, int32x4_t gain, int32x4_t bias)
{
    /* 2^28*d/sqrt(V) */
    const int32x4_t normal = vrmulhq_s32(vmlasq_n_s32(x, m->scale, m->offset), m->r);
    return vminq_s32(vmaxq_s32(vaddq_s32(vrmulhq_s32(normal, gain), bias), m->lo), m->hi);
}

static inline void norm_row(const nn_layer_norm *op, int centred, const int16_t *x, int16_t *y)
{
    const int32_t *gain = op->gain, *bias = op->bias;
    uint32_t n = op->n;
    const norm of = norm_of(x, n, op->epsilon, centred);
    const row_norm m = {vdupq_n_s32(of.scale), vdupq_n_s32(of.r), vdupq_n_s32(op->lo),
                        vdupq_n_s32(op->hi), of.offset};
    for (; n >= 4; n -= 4, x += 4, y += 4, gain += 4, bias += 4)
        vstrhq_s32(y, norm_four(&m, vldrhq_s32(x), vld1q_s32(gain), vld1q_s32(bias)));
    const mve_pred16_t rest = vctp32q(n);
    vstrhq_p_s32(
        y, norm_four(&m, vldrhq_z_s32(x, rest), vldrwq_z_s32(gain, rest), vldrwq_z_s32(bias, rest)),
        rest);
}

static inline void norm_rows(const nn_layer_norm *op, int centred, const int16_t *x, int16_t *y)
{
    for (uint32_t row = op->rows; row; row--, x += op->stride, y += op->stride)
        norm_row(op, centred, x, y);
}

#else

/* 2^28*d/sqrt(V) */
static inline int32_t normal(const norm *m, int32_t x)
{
    return nn_smmulr(nn_mla(x, m->scale, m->offset), m->r);
}

static inline void norm_row(const nn_layer_norm *op, const nn_clamp_pair *clamp, int centred,
                            const int16_t *x, int16_t *y)
{
    const uint32_t n = op->n;
    const norm m = norm_of(x, n, op->epsilon, centred);
    const int32_t *gain = op->gain, *bias = op->bias;
    const int16_t *const end = x + (n & ~1u);
    for (; x != end; x += 2, y += 2) {
        uint32_t pair = nn_load_pair(x);
        int32_t gain_low, gain_high, bias_low, bias_high;
        nn_next_words(&gain, &gain_low, &gain_high);
        nn_next_words(&bias, &bias_low, &bias_high);
        int32_t low = nn_smmlar(normal(&m, nn_low(pair)), gain_low, bias_low);
        int32_t high = nn_smmlar(normal(&m, nn_high(pair)), gain_high, bias_high);
        nn_store_pair(y, nn_clamp_both(clamp, low + clamp->minus_lo, high + clamp->minus_lo));
    }
    if (n & 1u)
        *y = (int16_t)nn_clamp(nn_smmlar(normal(&m, *x), *gain, *bias), op->lo, op->hi);
}

static inline void norm_rows(const nn_layer_norm *op, int centred, const int16_t *x, int16_t *y)
{
    const nn_clamp_pair clamp = nn_clamp_to(op->lo, op->hi);
    for (uint32_t row = op->rows; row; row--, x += op->stride, y += op->stride)
        norm_row(op, &clamp, centred, x, y);
}

#endif
#endif

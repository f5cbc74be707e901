/* LayerNorm, and RMSNorm, which is the same without the mean. */
#ifndef NN_NORM_H
#define NN_NORM_H

#include "nn.h"
#include "nn_assembly.h"

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

/* A row, and what all rows share, as the loop over its pairs reads them */
typedef struct {
    const int16_t *x;
    int16_t *y;
    const int32_t *gain, *bias;
    const int16_t *end; /* of the pairs of x */
    norm m;
    nn_clamp_pair clamp;
} norm_pairs;

/* 2^28*d/sqrt(V) */
static inline int32_t normal(const norm *m, int32_t x)
{
    return nn_smmulr(nn_mla(x, m->scale, m->offset), m->r);
}

#if NN_DSP
NN_LIES(norm_pairs, m.scale, 20);
NN_LIES(norm_pairs, m.r, 28);
NN_LIES(norm_pairs, clamp.minus_lo, 32);
NN_LIES(norm_pairs, clamp.back, 40);

/* One pair at least. r0 x, r1 y, r2 the gain, r3 the bias, r4 the end of x, r5 scale, r6 offset,
 * r7 r; the clamp lies on the stack, and is read when gain and bias are through. */
/* stack: 48 bytes */
static NN_NAKED void norm_each(const norm_pairs *row)
{
    __asm__("push {r4-r11, lr}\n"
            "add r8, r0, #32\n"
            "ldmia r8, {r9-r11}\n"
            "push {r9-r11}\n"
            "ldmia r0, {r0-r7}\n"
            "1:\n"
            "ldr r8, [r0], #4\n"
            "ldrd r9, r10, [r2], #8\n"
            "ldrd r11, r12, [r3], #8\n"
            "sxth lr, r8\n"
            "asr r8, r8, #16\n"
            "mla lr, lr, r5, r6\n"
            "mla r8, r8, r5, r6\n"
            "smmulr lr, lr, r7\n"
            "smmulr r8, r8, r7\n"
            "smmlar lr, lr, r9, r11\n"
            "smmlar r8, r8, r10, r12\n"
            "ldmia sp, {r9-r11}\n"
            "add lr, lr, r9\n"
            "add r8, r8, r9\n"
            "usat lr, #16, lr\n"
            "usat r8, #16, r8\n"
            "pkhbt lr, lr, r8, lsl #16\n"
            "uqadd16 lr, lr, r10\n"
            "uadd16 lr, lr, r11\n"
            "cmp r0, r4\n"
            "str lr, [r1], #4\n"
            "bne 1b\n"
            "add sp, sp, #12\n"
            "pop {r4-r11, pc}\n");
}
#else
static inline void norm_each(const norm_pairs *row)
{
    const int32_t *gain = row->gain, *bias = row->bias;
    int16_t *y = row->y;
    for (const int16_t *x = row->x; x != row->end; x += 2, y += 2, gain += 2, bias += 2) {
        const uint32_t pair = nn_load_pair(x);
        const int32_t low = nn_smmlar(normal(&row->m, nn_low(pair)), gain[0], bias[0]);
        const int32_t high = nn_smmlar(normal(&row->m, nn_high(pair)), gain[1], bias[1]);
        nn_store_pair(y, nn_clamp_both(&row->clamp, low + row->clamp.minus_lo,
                                       high + row->clamp.minus_lo));
    }
}
#endif

static inline void norm_rows(const nn_layer_norm *op, int centred, const int16_t *x, int16_t *y)
{
    const uint32_t n = op->n, last = n & ~1u;
    norm_pairs pairs = {.gain = op->gain, .bias = op->bias, .clamp = nn_clamp_to(op->lo, op->hi)};
    for (uint32_t row = op->rows; row; row--, x += op->stride, y += op->stride) {
        pairs.m = norm_of(x, n, op->epsilon, centred);
        pairs.x = x, pairs.y = y, pairs.end = x + last;
        if (last)
            norm_each(&pairs);
        if (n & 1u)
            y[last] = (int16_t)nn_clamp(
                nn_smmlar(normal(&pairs.m, x[last]), op->gain[last], op->bias[last]), op->lo,
                op->hi);
    }
}

#endif
#endif

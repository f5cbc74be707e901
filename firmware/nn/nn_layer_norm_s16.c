#include "nn.h"
#include "nn_intrinsics.h"

/* 2⁴⁶/√m for 2³⁰ ≤ m < 2³² */
static int32_t rsqrt(uint32_t m)
{
    uint32_t r = 0x8A000000u - (m >> 2) - (m >> 4);
    for (int i = 0; i < 3; i++) {
        uint64_t t = ((uint64_t)r * r) >> 31;
        uint32_t u = (uint32_t)((m * t) >> 32);
        r = (uint32_t)(((uint64_t)r * (0x60000000u - u)) >> 30);
    }
    return (int32_t)(r < 0x7FFFFFFFu ? r : 0x7FFFFFFFu);
}

/* n·Σx² − (Σx)², which is Σd²/n: all the row's statistics in one pass. */
static uint64_t spread(const int16_t *x, uint32_t n, int32_t *sum)
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
    return n * (uint64_t)squares - (uint64_t)((int64_t)total * total);
}

typedef struct {
    int32_t scale, offset; /* d << shift = x·scale + offset, modulo 2³² */
    int32_t r;
} norm;

static norm norm_of(const int16_t *x, uint32_t n, uint64_t epsilon)
{
    int32_t sum;
    uint64_t v = n * spread(x, n, &sum) + epsilon;
    int32_t e = (33 - (int32_t)nn_clz64(v)) >> 1;
    uint32_t shift = (uint32_t)(14 - e);
    norm m = {(int32_t)(n << shift), (int32_t)(0u - ((uint32_t)sum << shift)), rsqrt((uint32_t)(e >= 0 ? v >> 2 * e : v << -2 * e))};
    return m;
}

/* 2²⁸·d/√V */
static inline int32_t normal(const norm *m, int32_t x)
{
    return nn_smmulr(nn_mla(x, m->scale, m->offset), m->r);
}

static void norm_row(const nn_layer_norm *op, const nn_clamp_pair *clamp, const int16_t *x, int16_t *y)
{
    const uint32_t n = op->n;
    const norm m = norm_of(x, n, op->epsilon);
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

void nn_layer_norm_s16(const nn_layer_norm *op, const int16_t *x, int16_t *y)
{
    const nn_clamp_pair clamp = nn_clamp_to(op->lo, op->hi);
    for (uint32_t row = op->rows; row; row--, x += op->stride, y += op->stride)
        norm_row(op, &clamp, x, y);
}

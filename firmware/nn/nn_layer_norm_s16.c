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

static void norm_row(const nn_layer_norm *op, const int16_t *x, int16_t *y)
{
    const uint32_t n = op->n;
    int32_t sum;
    uint64_t v = n * spread(x, n, &sum) + op->epsilon;
    int32_t e = (33 - (int32_t)nn_clz64(v)) >> 1;
    int32_t r = rsqrt((uint32_t)(e >= 0 ? v >> 2 * e : v << -2 * e));
    uint32_t shift = (uint32_t)(14 - e); /* d << shift = x·(n << shift) − (sum << shift) */
    uint32_t scale = n << shift, offset = (uint32_t)sum << shift;
    for (uint32_t i = 0; i < n; i++) {
        int32_t z = nn_smmulr((int32_t)((uint32_t)x[i] * scale - offset), r);
        y[i] = (int16_t)nn_clamp(nn_smmlar(z, op->gain[i], op->bias[i]), op->lo, op->hi);
    }
}

void nn_layer_norm_s16(const nn_layer_norm *op, const int16_t *x, int16_t *y)
{
    for (uint32_t row = 0; row < op->rows; row++, x += op->stride, y += op->stride)
        norm_row(op, x, y);
}

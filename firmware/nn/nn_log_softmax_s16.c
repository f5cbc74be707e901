#include "nn.h"
#include "nn_intrinsics.h"
#include "nn_log_softmax_tables.h"

#define LN2 11357 /* 2^14*ln 2 */

/* Nats below the maximum, in units of 2^-fraction. Of an x that no proof foresaw, which a snapshot
 * may bring, the sign may be lost on the way: that is far below too, and no index of a table. */
static inline int32_t below(const nn_log_softmax *op, int32_t x, int32_t max)
{
    const uint32_t q = (uint32_t)-nn_requant(x - max, op->shift, op->mult);
    return q > 32767 ? 32767 : (int32_t)q;
}

/* 2^15*exp(-q); one segment of the table is 1/16 nat, 2^width units */
static inline uint32_t exponential(int32_t q, int32_t width)
{
    if (q >> width >= 256)
        return 0;
    const uint16_t *e = nn_exp_table + (q >> width);
    int32_t k = q & ((1 << width) - 1);
    return (uint32_t)(e[0] - (((e[0] - e[1]) * k + (1 << (width - 1))) >> width));
}

/* ln(total/2^15) in units of 2^-fraction; total >= 2^15 because the maximum itself gives that */
static int32_t logarithm(uint32_t total, int32_t fraction)
{
    int32_t b = 31 - __builtin_clz(total);
    uint32_t f = total << (31 - b);
    const uint16_t *l = nn_log_table + ((f >> 23) & 255u);
    int32_t log = l[0] + (((l[1] - l[0]) * (int32_t)((f >> 15) & 255u) + 128) >> 8);
    return ((b - 15) * LN2 + log + (1 << (13 - fraction))) >> (14 - fraction);
}

static int32_t maximum(const int16_t *x, uint32_t n)
{
    int32_t max = x[0];
    for (uint32_t i = 1; i < n; i++)
        if (x[i] > max)
            max = x[i];
    return max;
}

void nn_log_softmax_s16(const nn_log_softmax *op, const int16_t *x, int16_t *y)
{
    const uint32_t n = op->n;
    for (uint32_t t = 0; t < op->frames; t++, x += n, y += n) {
        int32_t max = maximum(x, n);
        uint32_t total = 0;
        for (uint32_t i = 0; i < n; i++)
            total += exponential(below(op, x[i], max), op->fraction - 4);
        int32_t log = logarithm(total, op->fraction);
        for (uint32_t i = 0; i < n; i++)
            y[i] = (int16_t)nn_clamp(-below(op, x[i], max) - log, -32768, 32767);
    }
}

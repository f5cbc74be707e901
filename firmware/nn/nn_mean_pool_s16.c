#include "nn.h"
#include "nn_intrinsics.h"

static inline int16_t mean(const nn_mean_pool *op, int32_t sum)
{
    return (int16_t)nn_clamp(nn_requant(sum, op->shift, op->mult), op->lo, op->hi);
}

void nn_mean_pool_s16(const nn_mean_pool *op, const int16_t *x, int16_t *y)
{
    const uint32_t features = op->features, factor = op->factor;
    for (uint32_t t = 0; t < op->frames; t++, x += factor * features) {
        uint32_t c = 0;
        for (; c + 2 <= features; c += 2) {
            int32_t low = 0, high = 0;
            const int16_t *p = x + c;
            for (uint32_t j = 0; j < factor; j++, p += features) {
                uint32_t pair = nn_load_pair(p);
                low += nn_low(pair);
                high += nn_high(pair);
            }
            *y++ = mean(op, low);
            *y++ = mean(op, high);
        }
        if (c < features) {
            int32_t sum = 0;
            for (uint32_t j = 0; j < factor; j++)
                sum += x[j * features + c];
            *y++ = mean(op, sum);
        }
    }
}

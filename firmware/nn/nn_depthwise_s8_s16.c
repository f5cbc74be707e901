#include "nn.h"
#include "nn_intrinsics.h"

static inline int16_t one_channel(const nn_depthwise *op, uint32_t c, const int16_t *x)
{
    const uint32_t channels = op->channels;
    const int16_t *w = op->weights + 2 * c;
    int32_t acc = op->bias[c];
    for (uint32_t i = 0; i < op->kernel; i++)
        acc = nn_add(acc, w[i / 2 * 2 * channels + i % 2] * x[i * channels + c]);
    return (int16_t)nn_clamp(nn_requant(acc, op->shift, op->mult[c]), op->lo, op->hi);
}

void nn_depthwise_s8_s16(const nn_depthwise *op, const int16_t *x, int16_t *y)
{
    for (uint32_t t = op->frames; t; t--, x += op->kernel * op->channels)
        for (uint32_t c = 0; c < op->channels; c++)
            *y++ = one_channel(op, c, x);
}

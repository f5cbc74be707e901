#include "nn_attention.h"

static inline int32_t product(const nn_attention *op, const int16_t *weights, const int16_t *value,
                              uint32_t row)
{
    int32_t acc = nn_attention_half(op);
    for (uint32_t k = 0; k < op->keys; k++, value += row)
        acc = nn_add(acc, weights[k] * *value);
    return acc >> op->bits;
}

void nn_attention_context_s16(const nn_attention *op, const int16_t *weights, const int16_t *values,
                              int16_t *y)
{
    const uint32_t row = (uint32_t)op->heads * op->depth;
    for (uint32_t t = op->frames; t; t--, values = nn_attention_next(op, values))
        for (uint32_t h = 0; h < op->heads; h++, weights += op->keys)
            for (uint32_t d = 0; d < op->depth; d++)
                *y++ = nn_attention_output(
                    op, product(op, weights, values + h * op->depth + d, row));
}

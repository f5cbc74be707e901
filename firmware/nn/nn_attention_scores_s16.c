#include "nn_attention.h"

static inline int32_t product(const nn_attention *op, const int16_t *query, const int16_t *key)
{
    int64_t acc = (int64_t)nn_attention_half(op);
    for (uint32_t d = 0; d < op->depth; d++)
        acc += query[d] * key[d];
    return (int32_t)(acc >> op->bits);
}

void nn_attention_scores_s16(const nn_attention *op, const int16_t *queries, const int16_t *keys,
                             int16_t *y)
{
    const uint32_t row = (uint32_t)op->heads * op->depth;
    for (uint32_t t = op->frames; t; t--, keys = nn_attention_next(op, keys))
        for (uint32_t h = 0; h < op->heads; h++, queries += op->depth)
            for (uint32_t k = 0; k < op->keys; k++)
                *y++ = nn_attention_output(
                    op, product(op, queries, keys + k * row + h * op->depth));
}

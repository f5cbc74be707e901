/* What both products of attention share. */
#ifndef NN_ATTENTION_H
#define NN_ATTENTION_H

#include "nn.h"
#include "nn_intrinsics.h"

/* The half that a sum is shortened with. */
static inline int32_t nn_attention_half(const nn_attention *op)
{
    return (int32_t)((1u << op->bits) >> 1);
}

/* A shortened sum as an output. */
static inline int16_t nn_attention_output(const nn_attention *op, int32_t sum)
{
    return (int16_t)nn_clamp(nn_smmulr(sum, op->mult), op->lo, op->hi);
}

/* Keys, or values, of the frame after this one. */
static inline const int16_t *nn_attention_next(const nn_attention *op, const int16_t *keys)
{
    return op->shared ? keys : keys + (uint32_t)op->keys * op->heads * op->depth;
}

#endif

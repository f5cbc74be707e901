/* What both products of attention share. */
#ifndef NN_ATTENTION_H
#define NN_ATTENTION_H

#include "nn.h"
#include "nn_intrinsics.h"

/* What a sum begins with, so that it is rounded when it is shortened. */
static inline int32_t half_of(const nn_attention *op)
{
    return (int32_t)((1u << op->bits) >> 1);
}

/* A shortened sum as an output. */
static inline int16_t output_of(const nn_attention *op, int32_t sum)
{
    return (int16_t)nn_clamp(nn_smmulr(sum, op->mult), op->lo, op->hi);
}

/* int16 values from one key, or value, to the next. */
static inline uint32_t row_of(const nn_attention *op)
{
    return (uint32_t)op->heads * op->depth;
}

#if NN_MVE
/* Four shortened sums as outputs. */
static inline void store_four(const nn_attention *op, int32x4_t sums, int16_t *y)
{
    const int32x4_t of = vrmulhq_s32(sums, vdupq_n_s32(op->mult));
    vstrhq_s32(y, vminq_s32(vmaxq_s32(of, vdupq_n_s32(op->lo)), vdupq_n_s32(op->hi)));
}
#endif

#endif

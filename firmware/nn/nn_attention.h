/* What both products of attention share. */
#ifndef NN_ATTENTION_H
#define NN_ATTENTION_H

#include "nn.h"
#include "nn_assembly.h"
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
/* Four sums as outputs; those that are shortened already have `bits` of 0. */
static inline int32x4_t four_outputs(const nn_attention *op, int32x4_t sums, uint32_t bits)
{
    const int32x4_t y = vrmulhq_s32(vshlq_r_s32(sums, -(int32_t)bits), vdupq_n_s32(op->mult));
    return vminq_s32(vmaxq_s32(y, vdupq_n_s32(op->lo)), vdupq_n_s32(op->hi));
}
#endif

#endif

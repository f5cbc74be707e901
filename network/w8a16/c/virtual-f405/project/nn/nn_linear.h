/* What the kernels of dense layers and convolutions share besides nn.h: the definition, and how
 * they read packed tables. */
#ifndef NN_LINEAR_H
#define NN_LINEAR_H

#include "nn.h"
#include "nn_intrinsics.h"

#define INPUTS 4u /* inputs of one step */
#define UNROLL 4  /* steps of one turn of the long loop */

/* the sum of w[n][k] * x[k], modulo 2^32 */
typedef int32_t sum_of_row(const nn_linear *op, uint32_t n, const int16_t *x);

/* The definition, given the sum of a row. Where there are fast paths it serves only what they
 * leave out. */
static inline void linear_of_sums(const nn_linear *op, const int16_t *x, int16_t *y,
                                  sum_of_row *sum)
{
    uint32_t from = 0, to = 0; /* a pointer past the last frame would be undefined */
    for (uint32_t t = op->frames; t; t--, from += op->x_stride, to += op->y_stride) {
        const int16_t *const x_t = x + from;
        int16_t *const y_t = y + to;
        for (uint32_t n = 0; n < op->out; n++) {
            const int32_t of_row = sum(op, n, x_t), acc = nn_add(op->bias[n], of_row);
            y_t[n] = (int16_t)nn_clamp(nn_requant(acc, op->shift, op->mult[n]), op->lo, op->hi);
        }
    }
}

/* Bytes of a row of int8 weights, which zeros pad */
static inline uint32_t padded_inputs(const nn_linear *op)
{
    return (op->in + INPUTS - 1) & ~(INPUTS - 1);
}

/* Weights are bytes to a compiler, whatever words their kernel makes of them. */
static inline int32_t word_at(const int8_t *p)
{
    int32_t v;
    memcpy(&v, p, sizeof v);
    return v;
}

#endif

/* What the kernels of dense layers and convolutions share besides nn.h: the definition, and on
 * Armv7E-M the frame of their loops. */
#ifndef NN_LINEAR_H
#define NN_LINEAR_H

#include "nn.h"
#include "nn_intrinsics.h"

#define INPUTS 4u /* inputs of one step */
#define UNROLL 4u /* steps of one turn of the long loop */

/* Σ_k w[n][k]·x[k] */
typedef int32_t sum_of_row(const nn_linear *op, uint32_t n, const int16_t *x);

/* The definition, given the sum of a row. On Armv7E-M it serves only what the fast paths leave
 * out. */
static inline void linear_of_sums(const nn_linear *op, const int16_t *x, int16_t *y,
                                  sum_of_row *sum)
{
    for (uint32_t t = 0; t < op->frames; t++, x += op->x_stride, y += op->y_stride)
        for (uint32_t n = 0; n < op->out; n++) {
            int32_t acc = nn_add(op->bias[n], sum(op, n, x));
            y[n] = (int16_t)nn_clamp(nn_requant(acc, op->shift, op->mult[n]), op->lo, op->hi);
        }
}

#if NN_DSP

/* How sums become outputs, the same for every row of a layer. */
typedef struct {
    uint32_t shift;
    nn_clamp_pair clamp;
} output;

/* The steps up to `part` one by one, then UNROLL of them a turn up to `end`; `at` is the pointer
 * that tells, `spare` a register free between steps. Where `part` is the start there is at least
 * one whole turn. */
#define LOOPS(step, at, spare)                                                                \
    "ldr %[" spare "], %[part]\n\tcmp %[" at "], %[" spare "]\n\tbeq 2f\n"                    \
    "1:\n\t" step "ldr %[" spare "], %[part]\n\tcmp %[" at "], %[" spare "]\n\tbne 1b\n\t"    \
    "ldr %[" spare "], %[end]\n\tcmp %[" at "], %[" spare "]\n\tbeq 3f\n"                     \
    "2:\n\t" step step step step                                                              \
    "ldr %[" spare "], %[end]\n\tcmp %[" at "], %[" spare "]\n\tbne 2b\n"                     \
    "3:\n\t"

/* One frame of x: its whole steps, split as LOOPS wants it, the inputs left over, followed by
 * zeros, and what all its sums begin with besides their bias. */
typedef struct {
    const int16_t *start, *part, *end;
    int16_t rest[INPUTS] __attribute__((aligned(4)));
    uint32_t has_rest;
    int32_t first;
} frame;

static inline frame frame_of(const int16_t *x, uint32_t in)
{
    const uint32_t whole = in & ~(INPUTS - 1);
    frame f = {x, x + whole % (INPUTS * UNROLL), x + whole, {0}, in - whole, 0};
    for (uint32_t k = whole; k < in; k++)
        f.rest[k - whole] = x[k];
    return f;
}

/* Two rows of a layer: their weights, split as LOOPS wants it, and how their sums begin and end. */
typedef struct {
    const uint32_t *start, *part, *end;
    int32_t bias_a, bias_b, mult_a, mult_b;
} two_rows;

/* The sums of two rows over `count` frames, a constant, as outputs; the test of the shift is made
 * once. */
static inline __attribute__((always_inline)) void store_frames(const two_rows *r, const output *o,
                                                               int32_t *a, int32_t *b,
                                                               uint32_t count, int16_t *y,
                                                               uint32_t y_stride)
{
    if (o->shift)
        for (uint32_t t = 0; t < count; t++)
            a[t] = nn_shift_left(a[t], o->shift), b[t] = nn_shift_left(b[t], o->shift);
    for (uint32_t t = 0; t < count; t++)
        nn_store_pair(y + t * y_stride,
                      nn_clamp_requant(&o->clamp, a[t], r->mult_a, b[t], r->mult_b));
}

/* The sums of four rows over one frame */
static inline void store_rows(const output *o, int32_t a0, int32_t b0, int32_t a2, int32_t b2,
                              const int32_t *mult, int16_t *y)
{
    if (o->shift) {
        a0 = nn_shift_left(a0, o->shift), b0 = nn_shift_left(b0, o->shift);
        a2 = nn_shift_left(a2, o->shift), b2 = nn_shift_left(b2, o->shift);
    }
    nn_store_pair(y, nn_clamp_requant(&o->clamp, a0, mult[0], b0, mult[1]));
    nn_store_pair(y + 2, nn_clamp_requant(&o->clamp, a2, mult[2], b2, mult[3]));
}

/* Four rows over a frame; returns the weights of the next four. */
typedef const uint32_t *rows_of_four(const frame *f, const output *o, const uint32_t *w,
                                     const int32_t *bias, const int32_t *mult, int16_t *y);

/* Blocks of four rows; the last one to three rows are a block of their own with padded tables and
 * output. */
static inline __attribute__((always_inline)) void
one_frame(const nn_linear *op, const output *o, const frame *f, int16_t *y, rows_of_four *four_rows)
{
    const uint32_t *w = op->weights;
    const int32_t *bias = op->bias, *mult = op->mult;
    const uint32_t rest = op->out % 4u;
    int32_t last_bias[4] = {0}, last_mult[4] = {0};
    int16_t last[4] = {0}, *const behind = y + op->out - rest, *end = behind;
    for (;;) {
        for (; y != end; bias += 4, mult += 4, y += 4)
            w = four_rows(f, o, w, bias, mult, y);
        if (!rest || end != behind)
            break;
        bias = memcpy(last_bias, bias, rest * sizeof *bias);
        mult = memcpy(last_mult, mult, rest * sizeof *mult);
        y = last, end = last + 4;
    }
    memcpy(behind, last, rest * sizeof *last);
}

#endif
#endif

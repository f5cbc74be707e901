/* What the kernels of dense layers and convolutions for 128-bit vectors share besides
 * nn_linear.h. */
#ifndef NN_LINEAR_MVE_H
#define NN_LINEAR_MVE_H

#include "nn_linear.h"

/* The packed layout (export/c/pack.py), for any number of frames, read from front to back: for each
 * block of rows their biases, int32; their weights for a step of 16 inputs, row by row, then those
 * for the next step; their mults, int32. The last step is of the last 16 inputs: where it reaches
 * back into the step before, its weights are zero. The last block is of the last rows, some of
 * which may be in the block before, too. */
#define LANES 16u

#define WORD 4u

/* Bytes of the weights of a block, and of all of it */
static inline uint32_t weight_bytes(uint32_t in, uint32_t rows)
{
    return (in + LANES - 1) / LANES * LANES * rows;
}

static inline uint32_t packed_bytes(uint32_t in, uint32_t rows)
{
    return weight_bytes(in, rows) + 2 * WORD * rows;
}

/* The definition: acc = bias + Σ_k w[k]·(x[k] − zero), where the kernel takes `zero` from x before
 * it multiplies. */
static inline int16_t output_of(const nn_linear *op, uint32_t rows, uint32_t n, const int16_t *x,
                                int32_t zero)
{
    /* among those of all blocks */
    const uint32_t left = op->out % rows, row = n + (n >= op->out - left ? rows - left : 0);
    const int8_t *block = (const int8_t *)op->weights + row / rows * packed_bytes(op->in, rows);
    const int8_t *w = block + rows * WORD + row % rows * LANES;
    int32_t acc = word_at(block + row % rows * WORD);
    for (uint32_t k = 0; k < op->in; w += rows * LANES)
        for (uint32_t lane = op->in - k < LANES ? LANES - (op->in - k) : 0; lane < LANES;
             lane++, k++)
            acc = nn_add(acc, w[lane] * (x[k] - zero));
    const int32_t mult =
        word_at(block + rows * WORD + weight_bytes(op->in, rows) + row % rows * WORD);
    return (int16_t)nn_clamp(nn_requant(acc, op->shift, mult), op->lo, op->hi);
}

static inline void linear_of_lanes(const nn_linear *op, uint32_t rows, const int16_t *x, int16_t *y,
                                   int32_t zero)
{
    for (uint32_t t = 0; t < op->frames; t++, x += op->x_stride, y += op->y_stride)
        for (uint32_t n = 0; n < op->out; n++)
            y[n] = output_of(op, rows, n, x, zero);
}

#if NN_MVE

/* How to go through the inputs of a frame: whole steps in a loop unrolled UNROLL times, into which
 * `add pc` jumps behind what the first turn has too much, and then the last 16 inputs, where some
 * are left. */
typedef struct {
    uint32_t turns, skip; /* skip: bytes of code */
    int32_t back;         /* from behind the whole steps to the last 16 inputs, or 0 */
} walk;

static inline walk walk_of(uint32_t in, uint32_t step_code)
{
    const uint32_t steps = in / LANES, turns = (steps + UNROLL - 1) / UNROLL;
    const walk w = {turns, (turns * UNROLL - steps) * step_code,
                    in % LANES ? (int32_t)(in % LANES - LANES) : 0};
    return w;
}

/* Eight sums, in the registers that VMLADAVA and LDM can write. They are only there from one asm to
 * the next: a call between them may change r12 and r14, so vectors are made of them at once. */
#define EIGHT_SUMS                                                                           \
    register int32_t s0 __asm__("r0"), s1 __asm__("r2"), s2 __asm__("r4"), s3 __asm__("r6"), \
        s4 __asm__("r8"), s5 __asm__("r10"), s6 __asm__("r12"), s7 __asm__("r14")
#define SUMS(how)                                                                       \
    [s0] how(s0), [s1] how(s1), [s2] how(s2), [s3] how(s3), [s4] how(s4), [s5] how(s5), \
        [s6] how(s6), [s7] how(s7)
#define OPERANDS(how) SUMS(how), [x] "+&r"(x), [w] "+&r"(w)

/* All whole steps */
#define WALK(step)                                                       \
    "ldrd %[turns], %[skip], %[walk]\n\tadd pc, %[skip]\n\tnop\n1:\n\t"  \
    step step step step "subs %[turns], #1\n\tbne 1b\n\t"

#define TO_VECTOR(q, a, b, c, d) \
    "vmov " q "[2], " q "[0], %[" a "], %[" c "]\n\tvmov " q "[3], " q "[1], %[" b "], %[" d "]\n\t"

/* What is the same for every row: where frames lie, how sums become outputs. */
typedef struct {
    uint32_t frames, x_stride, y_stride, mults; /* mults: bytes from the front of a block to them */
    int32_t shift;
    int32x4_t lo, hi;
} layer;

static inline int32x4_t four_words(const int8_t *p)
{
    return vld1q_s32((const int32_t *)(const void *)p);
}

static inline void store_sums(const layer *l, int32x4_t sums, int32x4_t mult, int16_t *y)
{
    const int32x4_t v = vrmulhq_s32(vshlq_r_s32(sums, l->shift), mult);
    vstrhq_s32(y, vminq_s32(vmaxq_s32(v, l->lo), l->hi));
}

/* Whether frames lie where VLD2 can load them */
static inline uint32_t loadable(const nn_linear *op, const int16_t *x)
{
    return ((uintptr_t)x | 2u * op->in | 2u * op->x_stride) % 4u == 0;
}

/* A block of rows over all frames */
typedef void rows_of_block(const layer *l, const walk *s, const int16_t *x, const int8_t *w,
                           int16_t *y);

static inline __attribute__((always_inline)) void all_blocks(const nn_linear *op, uint32_t rows,
                                                             uint32_t step_code, const int16_t *x,
                                                             int16_t *y, rows_of_block *block)
{
    const uint32_t out = op->out, mults = rows * WORD + weight_bytes(op->in, rows);
    const walk s = walk_of(op->in, step_code);
    const layer l = {op->frames, op->x_stride, op->y_stride, mults, op->shift,
                     vdupq_n_s32(op->lo), vdupq_n_s32(op->hi)};
    const int8_t *w = op->weights;
    for (uint32_t n = 0; n < out; n += rows, w += mults + rows * WORD)
        block(&l, &s, x, w, y + (n + rows <= out ? n : out - rows));
}

#endif
#endif

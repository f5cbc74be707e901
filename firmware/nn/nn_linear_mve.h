/* What the kernels of dense layers and convolutions for 128-bit vectors share besides
 * nn_linear.h. */
#ifndef NN_LINEAR_MVE_H
#define NN_LINEAR_MVE_H

#include "nn_assembly.h"
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

/* The definition: acc = bias + sum of w[k] * (x[k] - zero), where the kernel takes `zero` from x
 * before it multiplies. */
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
    for (uint32_t t = 0; t < op->frames; t++)
        for (uint32_t n = 0; n < op->out; n++)
            y[t * op->y_stride + n] = output_of(op, rows, n, x + t * op->x_stride, zero);
}

#if NN_MVE

/* Whether frames lie where VLD2 can load them */
static inline uint32_t loadable(const nn_linear *op, const int16_t *x)
{
    return ((uintptr_t)x | 2u * op->in | 2u * op->x_stride) % 4u == 0;
}

/* What the assembly is told of a layer. It goes through the inputs of a frame in whole steps, in a
 * loop unrolled UNROLL times, into which `add pc` jumps behind what the first turn has too much,
 * and then through the last 16 inputs, where some are left. Distances are in bytes. */
typedef struct {
    const int8_t *w;              /* of this block of rows */
    uint32_t turns, skip;         /* skip: of code */
    int32_t back;                 /* from behind the whole steps to the last 16 inputs, or 0 */
    const int16_t *x;
    int16_t *y;                   /* of this block, for the next frame */
    uint32_t y_stride, x_stride;
    uintptr_t y_end;              /* y of this block behind the last frame */
    uint32_t y_span;              /* over all frames */
    uintptr_t y_last;             /* y_end of the last block */
    uint32_t shift;
    int32_t lo, hi;
} lanes_job;

#define LANES_W 0
#define LANES_TURNS 4
#define LANES_BACK 12
#define LANES_X 16
#define LANES_Y 20
#define LANES_X_STRIDE 28
#define LANES_Y_END 32
#define LANES_SPAN 36
#define LANES_SHIFT 44
#define LANES_LO 48
NN_LIES(lanes_job, turns, LANES_TURNS);
NN_LIES(lanes_job, back, LANES_BACK);
NN_LIES(lanes_job, x, LANES_X);
NN_LIES(lanes_job, y, LANES_Y);
NN_LIES(lanes_job, x_stride, LANES_X_STRIDE);
NN_LIES(lanes_job, y_end, LANES_Y_END);
NN_LIES(lanes_job, y_span, LANES_SPAN);
NN_LIES(lanes_job, y_last, LANES_SPAN + 4);
NN_LIES(lanes_job, shift, LANES_SHIFT);
NN_LIES(lanes_job, lo, LANES_LO);

/* All blocks over all frames */
typedef void rows_of_lanes(lanes_job *job);

static inline void all_blocks(const nn_linear *op, uint32_t rows, uint32_t step_code,
                              const int16_t *x, int16_t *y, rows_of_lanes *blocks)
{
    const uint32_t steps = op->in / LANES, turns = (steps + UNROLL - 1) / UNROLL,
                   span = 2u * op->frames * op->y_stride;
    const uintptr_t y_end = (uintptr_t)y + span;
    lanes_job job = {
        .w = op->weights, .turns = turns, .skip = (turns * UNROLL - steps) * step_code,
        .back = op->in % LANES ? 2 * (int32_t)(op->in % LANES - LANES) : 0, .x = x,
        .x_stride = 2u * op->x_stride, .y = y, .y_stride = 2u * op->y_stride, .y_span = span,
        .y_end = y_end, .y_last = y_end + 2u * (op->out - rows), .shift = op->shift, .lo = op->lo,
        .hi = op->hi,
    };
    blocks(&job);
}

/* Registers: eight sums, all that VMLADAVA can write, and the rest. FRAME is where the frame
 * begins on which X goes on; between frames the sums are free to use. */
#define S0 "r0"
#define S1 "r2"
#define S2 "r4"
#define S3 "r6"
#define S4 "r8"
#define S5 "r10"
#define S6 "r12"
#define S7 "lr"
#define X "r1"
#define W "r3"
#define TURNS "r5"
#define SKIP "r7"
#define FRAME "r9"
#define JOB "r11"

#define LOAD(w) "vldrb.8 " w ", [" W "], #16\n"
#define VECTOR(q, a, b, c, d) \
    "vmov " q "[2], " q "[0], " a ", " c "\nvmov " q "[3], " q "[1], " b ", " d "\n"
#define DUP(q, r) "vdup.32 " q ", " r "\n"
#define SHIFT(q, by) "vshl.s32 " q ", " by "\n"
#define SCALE_AND_CLAMP(q, mult, lo, hi)                                 \
    "vrmulh.s32 " q ", " q ", " mult "\nvmax.s32 " q ", " q ", " lo "\n" \
    "vmin.s32 " q ", " q ", " hi "\n"

/* All whole steps, and the last 16 inputs */
#define WALK(step)                                                    \
    LDRD(TURNS, SKIP, JOB, LANES_TURNS) "add pc, " SKIP "\nnop\n1:\n" \
    TIMES(UNROLL, step) "subs " TURNS ", #1\nbne 1b\n"                \
    LDR(TURNS, JOB, LANES_BACK) "cbz " TURNS ", 2f\n" ADD(X, X, TURNS) step "2:\n"

/* The job in JOB, lo and hi in vectors */
#define LANES_BEGIN                                      \
    "push {r4-r11, lr}\nvpush {d8-d11}\n" MOV(JOB, "r0") \
    LDRD("r1", "r3", JOB, LANES_LO) DUP("q4", "r1") DUP("q5", "r3")
#define LANES_RETURN "vpop {d8-d11}\npop {r4-r11, pc}"

/* The next frame; the flags tell whether there is none. r5 was y and r7 is y_stride. */
#define NEXT_FRAME                                                                      \
    ADD("r5", "r5", "r7") STR("r5", JOB, LANES_Y) LDRD("r0", "r2", JOB, LANES_X_STRIDE) \
    ADD(FRAME, FRAME, "r0") "cmp r5, r2\n"
/* Without one, the next block, of which W is told; or a jump to `done`. r5 is y_end. */
#define NEXT_BLOCK(rows_y, done)                                                    \
    STR(W, JOB, LANES_W) LDRD("r0", "r2", JOB, LANES_SPAN) "subs r2, r5\nbeq " done \
    "\ncmp r2, #" rows_y "\nit hi\nmovhi r2, #" rows_y "\n" ADD("r5", "r5", "r2")   \
    STR("r5", JOB, LANES_Y_END) "subs r5, r0\n" STR("r5", JOB, LANES_Y)

#endif
#endif

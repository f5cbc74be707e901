/* What the kernels of linear layers in Armv7E-M assembly share besides nn_linear.h: what C tells
 * them of a layer, their loops, and how sums become outputs.
 *
 * A sum is taken in steps of four inputs. In all of them r0 walks over x and r1 over the weights,
 * and sums are in r6 to r11. */
#ifndef NN_LINEAR_DSP_H
#define NN_LINEAR_DSP_H

#include "nn_assembly.h"
#include "nn_linear.h"

#if NN_DSP

#define X "r0"
#define W "r1"

/* The steps up to a part of the way one by one, then UNROLL of them a turn up to the end. `part`
 * and `end` compare with these places; where the way begins with part there is a whole turn. */
#define LOOPS(step, part, end)                                  \
    part "beq 2f\n1:\n" step part "bne 1b\n" end "beq 3f\n2:\n" \
    TIMES(UNROLL, step) end "bne 2b\n3:\n"
#define COMPARE(a, b) "cmp " a ", " b "\n"

#define SMLAD(sum, a, b) "smlad " sum ", " a ", " b ", " sum "\n"

/* Sums become pairs of clamp(smmulr(sum, mult)), in a: the instructions of nn_clamp_requant() */
#define SHIFTED(sums, by) "cbz " by ", 5f\n" EACH(sums, "lsl \\r, " by) "5:\n"
#define SCALED(sum, mult, minus_lo) "smmlar " sum ", " sum ", " mult ", " minus_lo "\n"
#define SATURATED(sums) EACH(sums, "usat \\r, #16, \\r")
#define PAIRED(a, b) "pkhbt " a ", " a ", " b ", lsl #16\n"
#define CLAMPED(pairs, top, back) \
    EACH(pairs, "uqadd16 \\r, \\r, " top) EACH(pairs, "uadd16 \\r, \\r, " back)

/* --- one frame, blocks of four rows --- */

typedef struct {
    const int16_t *x, *part, *end; /* the whole steps of the frame */
    const int16_t *rest;           /* the inputs left over, followed by zeros; 0 without */
    const void *w;                 /* of all blocks */
    const int32_t *bias, *mult;    /* of the next block, and so is y */
    int16_t *y, *y_end;
    uint32_t shift;
    nn_clamp_pair clamp;
    int32_t first; /* what all sums begin with besides their bias; of 4-bit weights */
} rows_job;

#define ROWS_X 0
#define ROWS_PART 4
#define ROWS_END 8
#define ROWS_REST 12
#define ROWS_W 16
#define ROWS_BIAS 20
#define ROWS_MULT 24
#define ROWS_Y 28
#define ROWS_Y_END 32
#define ROWS_SHIFT 36
#define ROWS_MINUS_LO 40
#define ROWS_TOP 44 /* and back */
#define ROWS_FIRST 52

NN_LIES(rows_job, rest, ROWS_REST);
NN_LIES(rows_job, w, ROWS_W);
NN_LIES(rows_job, bias, ROWS_BIAS);
NN_LIES(rows_job, mult, ROWS_MULT);
NN_LIES(rows_job, y_end, ROWS_Y_END);
NN_LIES(rows_job, shift, ROWS_SHIFT);
NN_LIES(rows_job, clamp.top, ROWS_TOP);
NN_LIES(rows_job, first, ROWS_FIRST);

/* Each kernel's own, up to y_end */
static NN_NAKED void blocks_of_four(rows_job *job);

/* The last one to three rows, as a block of their own with padded tables and output. */
static inline void last_rows(rows_job *job, uint32_t rows)
{
    int32_t bias[4] = {0}, mult[4] = {0};
    int16_t y[4], *const to = job->y;
    for (uint32_t n = 0; n < rows; n++)
        bias[n] = job->bias[n], mult[n] = job->mult[n];
    job->bias = bias, job->mult = mult, job->y = y, job->y_end = y + 4;
    blocks_of_four(job);
    for (uint32_t n = 0; n < rows; n++)
        to[n] = y[n];
}

/* Not in line, as several frames: their stack is not needed at once. */
static __attribute__((noinline)) void one_frame(const nn_linear *op, const int16_t *x, int16_t *y,
                                                int32_t first)
{
    const uint32_t whole = op->in & ~(INPUTS - 1), left = op->out % 4u;
    int16_t rest[INPUTS] __attribute__((aligned(4))) = {0};
    rows_job job = {x, x + whole % (INPUTS * UNROLL), x + whole, 0, op->weights, op->bias, op->mult,
                    y, y + op->out - left, op->shift, nn_clamp_to(op->lo, op->hi), first};
    for (uint32_t k = whole; k < op->in; k++)
        rest[k - whole] = x[k];
    if (!whole)
        job.x = rest, job.part = job.end = rest + INPUTS;
    else if (whole < op->in)
        job.rest = rest;
    if (job.y != job.y_end)
        blocks_of_four(&job);
    if (left)
        last_rows(&job, left);
}

/* Registers: four sums, where the steps end, and the job, which stays there */
#define ROW_0 "r6"
#define ROW_1 "r7"
#define ROW_2 "r8"
#define ROW_3 "r9"
#define END "r12"
#define JOB "lr"

#define ROWS_BEGIN "push {r4-r11, lr}\n" MOV(JOB, "r0") LDR(W, JOB, ROWS_W) LDR(END, JOB, ROWS_END)
#define ROWS_RETURN STR(W, JOB, ROWS_W) "pop {r4-r11, pc}"
#define ROWS_LOOPS(step) LOOPS(step, LDR("r2", JOB, ROWS_PART) COMPARE(X, "r2"), COMPARE(X, END))
#define ROWS_LEFT(step) LDR(X, JOB, ROWS_REST) "cmp " X ", #0\nbeq 4f\n" step "4:\n"

/* The sums of four rows become outputs; the flags tell whether they were the last. r0 and r2 to r5
 * are free to use. */
#define ROWS_STORE                                                                      \
    LDR("r2", JOB, ROWS_SHIFT) SHIFTED("r6, r7, r8, r9", "r2")                          \
    LDR("r0", JOB, ROWS_MULT) "ldm r0!, {r2, r3, r4, r5}\n" STR("r0", JOB, ROWS_MULT)   \
    LDR("r0", JOB, ROWS_MINUS_LO) SCALED(ROW_0, "r2", "r0") SCALED(ROW_1, "r3", "r0")   \
    SCALED(ROW_2, "r4", "r0") SCALED(ROW_3, "r5", "r0") LDRD("r2", "r3", JOB, ROWS_TOP) \
    SATURATED("r6, r7, r8, r9") LDRD("r4", "r5", JOB, ROWS_Y) PAIRED(ROW_0, ROW_1)      \
    PAIRED(ROW_2, ROW_3) CLAMPED(ROW_0 ", " ROW_2, "r2", "r3")                          \
    "str " ROW_0 ", [r4], #4\nstr " ROW_2 ", [r4], #4\n" STR("r4", JOB, ROWS_Y)         \
    COMPARE("r4", "r5")

/* --- several frames, pairs of rows --- */

typedef struct {
    const void *w, *w_end;      /* of this pair of rows */
    const int32_t *bias, *mult; /* of this pair of rows */
    int16_t *y;                 /* where the next outputs go */
    uint32_t y_stride;          /* this and all distances that follow in bytes */
    uint32_t skip_three;        /* from behind a frame of x to the third one after it */
    int16_t *y_end;             /* of the loop that moves y */
    uint32_t skip_two;          /* to the second one */
    nn_clamp_pair clamp;
    uint32_t shift;
    const int16_t *x;
    uint32_t x_stride;
    uint32_t part, row;         /* of the weights of a pair: single steps, and all */
    const void *w_part;         /* of this pair of rows */
    int16_t *y_row, *rows_end;  /* the first frame's y of this pair, and behind the last one */
    uint32_t threes, twos;      /* over all frames of y computed by threes and by twos */
    int32_t first[3];           /* what a frame's sums begin with besides bias; of 4-bit weights */
} frames_job;

#define FRAMES_W 0
#define FRAMES_W_END 4
#define FRAMES_BIAS 8
#define FRAMES_MULT 12
#define FRAMES_Y 16
#define FRAMES_SKIP_THREE 24
#define FRAMES_Y_END 28
#define FRAMES_MINUS_LO 36
#define FRAMES_TOP 40
#define FRAMES_SHIFT 48
#define FRAMES_X 52
#define FRAMES_X_STRIDE 56
#define FRAMES_PART 60
#define FRAMES_W_PART 68
#define FRAMES_Y_ROW 72
#define FRAMES_THREES 80
#define FRAMES_TWOS 84
#define FRAMES_FIRST 88
#define FRAMES_FIRST_1 92

NN_LIES(frames_job, w_end, FRAMES_W_END);
NN_LIES(frames_job, mult, FRAMES_MULT);
NN_LIES(frames_job, y, FRAMES_Y);
NN_LIES(frames_job, skip_three, FRAMES_SKIP_THREE);
NN_LIES(frames_job, y_end, FRAMES_Y_END);
NN_LIES(frames_job, skip_two, FRAMES_Y_END + 4);
NN_LIES(frames_job, clamp.minus_lo, FRAMES_MINUS_LO);
NN_LIES(frames_job, clamp.top, FRAMES_TOP);
NN_LIES(frames_job, shift, FRAMES_SHIFT);
NN_LIES(frames_job, x_stride, FRAMES_X_STRIDE);
NN_LIES(frames_job, part, FRAMES_PART);
NN_LIES(frames_job, w_part, FRAMES_W_PART);
NN_LIES(frames_job, rows_end, FRAMES_Y_ROW + 4);
NN_LIES(frames_job, threes, FRAMES_THREES);
NN_LIES(frames_job, first, FRAMES_FIRST);

/* Whether the layer has a fast path for several frames */
static inline int takes_several(const nn_linear *op)
{
    return op->in % INPUTS == 0 && op->x_stride % 2u == 0 && op->out % 2u == 0;
}

/* All but threes, twos and first; a step of two rows has `step` bytes of weights. */
static inline void tell(frames_job *job, const nn_linear *op, const int16_t *x, int16_t *y,
                        uint32_t step)
{
    const uint32_t steps = op->in / INPUTS;
    const int8_t *w = op->weights;
    job->part = steps % UNROLL * step, job->row = steps * step;
    job->w = w, job->w_end = w + job->row, job->w_part = w + job->part;
    job->bias = op->bias, job->mult = op->mult;
    job->x = x, job->x_stride = 2u * op->x_stride;
    job->skip_three = 2 * (3u * op->x_stride - op->in); /* modulo 2^32, as skip_two */
    job->skip_two = 2 * (2u * op->x_stride - op->in);
    job->y = job->y_row = y, job->y_end = job->rows_end = y + op->out;
    job->y_stride = 2u * op->y_stride;
    job->shift = op->shift, job->clamp = nn_clamp_to(op->lo, op->hi);
}

/* Registers: sums of rows a and b over a frame. The job is the last word pushed. */
#define A0 "r6"
#define B0 "r7"
#define A1 "r8"
#define B1 "r9"
#define A2 "r10"
#define B2 "r11"
#define FRAMES_JOB(r) "ldr " r ", [sp]\n"

/* Sums become outputs in A0, A1 and A2; afterwards r1 is the job, r4 its y and r5 its y_stride.
 * r2 and r3 are free to use. */
#define FRAMES_OUTPUTS(sums, scaled, paired, pairs)                                     \
    FRAMES_JOB("r1") LDR("r2", "r1", FRAMES_SHIFT) SHIFTED(sums, "r2")                  \
    LDR("r2", "r1", FRAMES_MULT) "ldrd r3, r4, [r2]\n" LDR("r5", "r1", FRAMES_MINUS_LO) \
    scaled LDRD("r2", "r3", "r1", FRAMES_TOP) SATURATED(sums)                           \
    LDRD("r4", "r5", "r1", FRAMES_Y) paired CLAMPED(pairs, "r2", "r3")
#define FRAME_SCALED(a, b) SCALED(a, "r3", "r5") SCALED(b, "r4", "r5")
#define FRAMES_OUTPUTS_2                                                        \
    FRAMES_OUTPUTS("r6, r7, r8, r9", FRAME_SCALED(A0, B0) FRAME_SCALED(A1, B1), \
                   PAIRED(A0, B0) PAIRED(A1, B1), A0 ", " A1)
#define FRAMES_OUTPUTS_3                                                           \
    FRAMES_OUTPUTS("r6, r7, r8, r9, r10, r11",                                     \
                   FRAME_SCALED(A0, B0) FRAME_SCALED(A1, B1) FRAME_SCALED(A2, B2), \
                   PAIRED(A0, B0) PAIRED(A1, B1) PAIRED(A2, B2), A0 ", " A1 ", " A2)

/* On to bias and mult of the next pair; the job is r1. */
#define FRAMES_NEXT_ROWS                                             \
    LDRD("r2", "r3", "r1", FRAMES_BIAS) "adds r2, #8\nadds r3, #8\n" \
    STRD("r2", "r3", "r1", FRAMES_BIAS)

#endif
#endif

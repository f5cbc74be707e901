/* What the kernels of linear layers in Armv7E-M assembly share besides nn_linear.h: what C tells
 * them of a layer, their loops, and how sums become outputs.
 *
 * A sum is taken in steps of four inputs. In both kinds of kernel r0 walks over x and r1 over the
 * weights, and sums are in r6…r11. */
#ifndef NN_LINEAR_DSP_H
#define NN_LINEAR_DSP_H

#include "nn_assembly.h"
#include "nn_linear.h"

#if NN_DSP

#define X "r0"
#define W "r1"

/* The steps up to a part of the way one by one, then UNROLL of them a turn up to the end. `part`
 * and `end` compare with these places; where the way begins with part there is a whole turn. */
#define LOOPS(step, part, end)                                                      \
    part "beq 2f\n1:\n\t" step part "bne 1b\n\t" end "beq 3f\n2:\n\t"                \
    step step step step end "bne 2b\n3:\n\t"
#define COMPARE(a, b) "cmp " a ", " b "\n\t"

#define SMLAD(sum, a, b) "smlad " sum ", " a ", " b ", " sum "\n\t"
#define LSL(sum, by) "lsl " sum ", " sum ", " by "\n\t"

/* Two sums, as clamp(smmulr(sum, mult)), become a pair in the first: the instructions of
 * nn_clamp_requant() */
#define SMMLAR(sum, mult, minus_lo) "smmlar " sum ", " sum ", " mult ", " minus_lo "\n\t"
#define USAT(sum) "usat " sum ", #16, " sum "\n\t"
#define PAIR(a, b) "pkhbt " a ", " a ", " b ", lsl #16\n\t"
#define UQADD(a, top) "uqadd16 " a ", " a ", " top "\n\t"
#define UADD(a, back) "uadd16 " a ", " a ", " back "\n\t"

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

/* Blocks of four rows up to y_end */
typedef void blocks_of_rows(rows_job *job);

/* The last one to three rows, as a block of their own with padded tables and output. */
static inline void last_rows(rows_job *job, uint32_t rows, blocks_of_rows *blocks)
{
    int32_t bias[4] = {0}, mult[4] = {0};
    int16_t y[4], *const to = job->y;
    for (uint32_t n = 0; n < rows; n++)
        bias[n] = job->bias[n], mult[n] = job->mult[n];
    job->bias = bias, job->mult = mult, job->y = y, job->y_end = y + 4;
    blocks(job);
    for (uint32_t n = 0; n < rows; n++)
        to[n] = y[n];
}

static inline void one_frame(const nn_linear *op, const int16_t *x, int16_t *y, int32_t first,
                             blocks_of_rows *blocks)
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
        blocks(&job);
    if (left)
        last_rows(&job, left, blocks);
}

/* Registers: four sums, where the steps end, and the job, which stays there */
#define ROW_0 "r6"
#define ROW_1 "r7"
#define ROW_2 "r8"
#define ROW_3 "r9"
#define END "r12"
#define JOB "lr"

#define ROWS_BEGIN "push {r4-r11, lr}\n\t" MOV(JOB, "r0") LDR(W, JOB, ROWS_W) LDR(END, JOB, ROWS_END)
#define ROWS_RETURN STR(W, JOB, ROWS_W) "pop {r4-r11, pc}"
#define ROWS_LOOPS(step) LOOPS(step, LDR("r2", JOB, ROWS_PART) COMPARE(X, "r2"), COMPARE(X, END))
#define ROWS_LEFT(step) LDR(X, JOB, ROWS_REST) "cmp " X ", #0\n\tbeq 4f\n\t" step "4:\n\t"

/* The sums of four rows become outputs; the flags tell whether they were the last. r0 and r2…r5 are
 * free to use. */
#define ROWS_STORE                                                                           \
    LDR("r2", JOB, ROWS_SHIFT) "cbz r2, 5f\n\t"                                              \
    LSL(ROW_0, "r2") LSL(ROW_1, "r2") LSL(ROW_2, "r2") LSL(ROW_3, "r2") "5:\n\t"             \
    LDR("r0", JOB, ROWS_MULT) "ldm r0!, {r2, r3, r4, r5}\n\t" STR("r0", JOB, ROWS_MULT)      \
    LDR("r0", JOB, ROWS_MINUS_LO) SMMLAR(ROW_0, "r2", "r0") SMMLAR(ROW_1, "r3", "r0")        \
    SMMLAR(ROW_2, "r4", "r0") SMMLAR(ROW_3, "r5", "r0") LDRD("r2", "r3", JOB, ROWS_TOP)      \
    USAT(ROW_0) USAT(ROW_1) USAT(ROW_2) USAT(ROW_3) LDRD("r4", "r5", JOB, ROWS_Y)            \
    PAIR(ROW_0, ROW_1) PAIR(ROW_2, ROW_3) UQADD(ROW_0, "r2") UQADD(ROW_2, "r2")              \
    UADD(ROW_0, "r3") UADD(ROW_2, "r3") "str " ROW_0 ", [r4], #4\n\tstr " ROW_2 ", [r4], #4\n\t" \
    STR("r4", JOB, ROWS_Y) COMPARE("r4", "r5")

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

/* A job but for threes, twos and first; a step of two rows has `step` bytes of weights. */
static inline frames_job frames_job_of(const nn_linear *op, const int16_t *x, int16_t *y,
                                       uint32_t step)
{
    const uint32_t steps = op->in / INPUTS, part = steps % UNROLL * step, row = steps * step;
    const int8_t *w = op->weights;
    const frames_job job = {
        .w = w, .w_end = w + row, .w_part = w + part, .part = part, .row = row,
        .bias = op->bias, .mult = op->mult, .shift = op->shift,
        .clamp = nn_clamp_to(op->lo, op->hi), .x = x, .x_stride = 2u * op->x_stride,
        .skip_three = 2 * (3u * op->x_stride - op->in), /* modulo 2³², as skip_two */
        .skip_two = 2 * (2u * op->x_stride - op->in),
        .y = y, .y_end = y + op->out, .y_row = y, .rows_end = y + op->out,
        .y_stride = 2u * op->y_stride,
    };
    return job;
}

/* Registers: sums of rows a and b over a frame. The job is the last word pushed. */
#define A0 "r6"
#define B0 "r7"
#define A1 "r8"
#define B1 "r9"
#define A2 "r10"
#define B2 "r11"
#define FRAMES_JOB(r) "ldr " r ", [sp]\n\t"

/* Sums become outputs in A0, A1 and A2; afterwards r1 is the job, r4 its y and r5 its y_stride.
 * r2 and r3 are free to use. */
#define FRAMES_SHIFTED(shifts) \
    FRAMES_JOB("r1") LDR("r2", "r1", FRAMES_SHIFT) "cbz r2, 5f\n\t" shifts "5:\n\t"
#define FRAMES_MULTS \
    LDR("r2", "r1", FRAMES_MULT) "ldrd r3, r4, [r2]\n\t" LDR("r5", "r1", FRAMES_MINUS_LO)
#define FRAMES_OUTPUTS_2                                                              \
    FRAMES_SHIFTED(LSL(A0, "r2") LSL(B0, "r2") LSL(A1, "r2") LSL(B1, "r2"))           \
    FRAMES_MULTS SMMLAR(A0, "r3", "r5") SMMLAR(B0, "r4", "r5") SMMLAR(A1, "r3", "r5") \
    SMMLAR(B1, "r4", "r5") LDRD("r2", "r3", "r1", FRAMES_TOP)                         \
    USAT(A0) USAT(B0) USAT(A1) USAT(B1) LDRD("r4", "r5", "r1", FRAMES_Y)              \
    PAIR(A0, B0) PAIR(A1, B1) UQADD(A0, "r2") UQADD(A1, "r2") UADD(A0, "r3") UADD(A1, "r3")
#define FRAMES_OUTPUTS_3                                                              \
    FRAMES_SHIFTED(LSL(A0, "r2") LSL(B0, "r2") LSL(A1, "r2") LSL(B1, "r2")            \
                   LSL(A2, "r2") LSL(B2, "r2"))                                       \
    FRAMES_MULTS SMMLAR(A0, "r3", "r5") SMMLAR(B0, "r4", "r5") SMMLAR(A1, "r3", "r5") \
    SMMLAR(B1, "r4", "r5") SMMLAR(A2, "r3", "r5") SMMLAR(B2, "r4", "r5")              \
    LDRD("r2", "r3", "r1", FRAMES_TOP) USAT(A0) USAT(B0) USAT(A1) USAT(B1) USAT(A2)   \
    USAT(B2) LDRD("r4", "r5", "r1", FRAMES_Y) PAIR(A0, B0) PAIR(A1, B1) PAIR(A2, B2)  \
    UQADD(A0, "r2") UQADD(A1, "r2") UQADD(A2, "r2") UADD(A0, "r3") UADD(A1, "r3")     \
    UADD(A2, "r3")

/* On to bias and mult of the next pair; the job is r1. */
#define FRAMES_NEXT_ROWS                                                           \
    LDRD("r2", "r3", "r1", FRAMES_BIAS) "adds r2, #8\n\tadds r3, #8\n\t"            \
    STRD("r2", "r3", "r1", FRAMES_BIAS)

#endif
#endif

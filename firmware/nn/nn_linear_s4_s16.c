#include "nn_linear.h"

/* Weights are stored plus eight, two to a byte (export/c/pack.py), rows padded with zero weights,
 * inputs to a multiple of four. A word holds two rows a, b x four inputs: from its lowest nibble on
 * a0 b0 a2 b2 a1 b1 a3 b3. So one AND with a shifted operand takes two inputs of one row as the
 * halfwords that SMLAD wants: four of them unpack eight weights. sum(w*x) is sum((w + 8)*x) less
 * 8*sum(x), which is the same for all rows of a frame. Sums on the way may pass 2^31 and wrap; the
 * results are proven not to.
 *
 * one frame       blocks of four rows: for each four inputs the word of rows (0, 1), then the word
 *                 of rows (2, 3).
 * several frames  blocks of two rows; the unpacked weights serve two or three frames.
 */

/* The weight in the lowest nibble */
static inline int32_t nibble(uint32_t v)
{
    return (int32_t)(v & 15u) - 8;
}

/* Row n in either layout. */
static int32_t sum_of_nibbles(const nn_linear *op, uint32_t n, const int16_t *x)
{
    const uint32_t pairs = op->frames > 1 ? 1 : 2, steps = padded_inputs(op) / INPUTS;
    const uint32_t first = n / (2 * pairs) * pairs * steps + n / 2 % pairs, row = 4 * (n & 1u);
    const int8_t *w = (const int8_t *)op->weights + 4 * first;
    int32_t acc = 0;
    for (uint32_t k = 0; k < op->in; k += INPUTS, w += 4 * pairs) {
        const uint32_t v = (uint32_t)word_at(w) >> row;
        for (uint32_t j = 0; j < INPUTS && k + j < op->in; j++)
            acc = nn_add(acc, nibble(v >> (16 * (j & 1u) + 4 * (j & 2u))) * x[k + j]);
    }
    return acc;
}

NN_APART static void linear_portable(const nn_linear *op, const int16_t *x, int16_t *y)
{
    linear_of_sums(op, x, y, sum_of_nibbles);
}

#if !NN_DSP

void nn_linear_s4_s16(const nn_linear *op, const int16_t *x, int16_t *y)
{
    linear_portable(op, x, y);
}

#else

#include "nn_linear_dsp.h"

#define EIGHTS 0xFFF8FFF8u /* the pair (-8, -8) */

/* -8*sum(x) over one frame */
static int32_t minus_eight_sum(const int16_t *x, uint32_t in)
{
    int32_t sum = 0;
    for (; in > 1; in -= 2, x += 2)
        sum = nn_smlad(nn_load_pair(x), EIGHTS, sum);
    return in ? nn_mla(*x, -8, sum) : sum;
}

/* The lowest nibble of both halves, of a word shifted as the kernel wants it */
#define SET_MASK(mask) "mov " mask ", #0x000F000F\n"
#define UNPACK(to, mask, word, shift) "and " to ", " mask ", " word shift "\n"
#define A_FIRST ""
#define B_FIRST ", lsr #4"
#define A_SECOND ", lsr #8"
#define B_SECOND ", lsr #12"

/* --- one frame: four rows --- */

#define X0 "r2"
#define X1 "r3"
#define W0 "r4"
#define W2 "r5"
#define T "r10"
#define MASK "r11"

#define TWO_ROWS(w, a, b)                                                                   \
    UNPACK(T, MASK, w, A_FIRST) SMLAD(a, T, X0) UNPACK(T, MASK, w, B_FIRST) SMLAD(b, T, X0) \
    UNPACK(T, MASK, w, A_SECOND) SMLAD(a, T, X1) UNPACK(T, MASK, w, B_SECOND) SMLAD(b, T, X1)
#define STEP                                                               \
    "ldrd " X0 ", " X1 ", [" X "], #8\nldrd " W0 ", " W2 ", [" W "], #8\n" \
    TWO_ROWS(W0, ROW_0, ROW_1) TWO_ROWS(W2, ROW_2, ROW_3)

/* stack: 36 bytes */
static NN_NAKED void blocks_of_four(rows_job *job)
{
    __asm__(ROWS_BEGIN SET_MASK(MASK)
            "6:\n" LDR(X, JOB, ROWS_X) LDR("r2", JOB, ROWS_BIAS) LDR("r3", JOB, ROWS_FIRST)
            "ldm r2!, {r6, r7, r8, r9}\n" STR("r2", JOB, ROWS_BIAS)
            ADD(ROW_0, ROW_0, "r3") ADD(ROW_1, ROW_1, "r3")
            ADD(ROW_2, ROW_2, "r3") ADD(ROW_3, ROW_3, "r3")
            ROWS_LOOPS(STEP) ROWS_LEFT(STEP)
            ROWS_STORE "bne 6b\n" ROWS_RETURN);
}

/* --- several frames: two rows x two or three frames --- */

/* The end of a pair's weights is the second word on the stack: fourteen registers are in use. */
#define PAIRS_BEGIN "push {r0, r1, r4-r11, lr}\n" LDR(W, "r0", FRAMES_W)
#define PAIRS_RETURN "pop {r0, r1, r4-r11, pc}"
#define PAIRS_LOOPS(step, spare)                                                      \
    LOOPS(step, FRAMES_JOB(spare) LDR(spare, spare, FRAMES_W_PART) COMPARE(W, spare), \
          LDR(spare, "sp", 4) COMPARE(W, spare))
/* X, where its steps end, and the biases of rows a and b; the job in r2 */
#define PAIRS_ROWS                                                                          \
    FRAMES_JOB("r2") LDRD("r3", "r4", "r2", FRAMES_PART) LDR("r5", "r2", FRAMES_BIAS)       \
    ADD("r3", "r3", W) ADD("r4", "r4", W) STR("r3", "r2", FRAMES_W_PART) STR("r4", "sp", 4) \
    LDR(X, "r2", FRAMES_X) LDRD(A0, B0, "r5", 0)
/* What r4 is left behind, y; the flags tell whether the rows were the last. */
#define PAIRS_NEXT                                             \
    "adds r4, #4\n" STR("r4", "r1", FRAMES_Y) FRAMES_NEXT_ROWS \
    LDR("r5", "r1", FRAMES_Y_END) LDR(W, "sp", 4) COMPARE("r4", "r5")

#define WA "r2"
#define WB "r3"
#define XT "r4"
#define V "r5"
#define MASK_3 "r12"
#define STRIDE "lr"
#define MACS(a, b, x) SMLAD(a, WA, x) SMLAD(b, WB, x)
#define THREE_HALF(shift_a, shift_b)                              \
    UNPACK(WA, MASK_3, V, shift_a) UNPACK(WB, MASK_3, V, shift_b) \
    "ldr " XT ", [" X ", " STRIDE "]\n" MACS(A1, B1, XT)          \
    "ldr " XT ", [" X ", " STRIDE ", lsl #1]\n" MACS(A2, B2, XT)  \
    "ldr " XT ", [" X "], #4\n" MACS(A0, B0, XT)
#define THREE_STEP \
    "ldr " V ", [" W "], #4\n" THREE_HALF(A_FIRST, B_FIRST) THREE_HALF(A_SECOND, B_SECOND)

/* stack: 44 bytes */
static NN_NAKED void pairs_over_three(frames_job *job)
{
    __asm__(PAIRS_BEGIN LDR(STRIDE, "r0", FRAMES_X_STRIDE) SET_MASK(MASK_3)
            "6:\n" PAIRS_ROWS LDR("r3", "r2", FRAMES_FIRST) LDRD("r4", "r5", "r2", FRAMES_FIRST_1)
            ADD(A1, A0, "r4") ADD(B1, B0, "r4") ADD(A2, A0, "r5") ADD(B2, B0, "r5")
            ADD(A0, A0, "r3") ADD(B0, B0, "r3")
            PAIRS_LOOPS(THREE_STEP, XT) FRAMES_OUTPUTS_3
            "str " A0 ", [r4]\nstr " A1 ", [r4, r5]\nstr " A2 ", [r4, r5, lsl #1]\n"
            PAIRS_NEXT "bne 6b\n" PAIRS_RETURN);
}

#define MASK_2 "r12"
#define NEXT "lr"
#define V2 "r2"
#define T2 "r3"
#define XA "r4"
#define XB "r5"
#define YA "r10"
#define YB "r11"
#define TWO_PART(a0, a1, shift, x, y) \
    UNPACK(T2, MASK_2, V2, shift) SMLAD(a0, T2, x) SMLAD(a1, T2, y)
#define TWO_STEP                                                        \
    "ldr " V2 ", [" W "], #4\nldrd " XA ", " XB ", [" X "], #8\n"       \
    "ldrd " YA ", " YB ", [" NEXT "], #8\n"                             \
    TWO_PART(A0, A1, A_FIRST, XA, YA) TWO_PART(B0, B1, B_FIRST, XA, YA) \
    TWO_PART(A0, A1, A_SECOND, XB, YB) TWO_PART(B0, B1, B_SECOND, XB, YB)

/* stack: 44 bytes */
static NN_NAKED void pairs_over_two(frames_job *job)
{
    __asm__(PAIRS_BEGIN SET_MASK(MASK_2)
            "6:\n" PAIRS_ROWS LDRD("r3", "r4", "r2", FRAMES_FIRST) LDR(NEXT, "r2", FRAMES_X_STRIDE)
            ADD(A1, A0, "r4") ADD(B1, B0, "r4") ADD(A0, A0, "r3") ADD(B0, B0, "r3")
            ADD(NEXT, NEXT, X) PAIRS_LOOPS(TWO_STEP, XA) FRAMES_OUTPUTS_2
            "str " A0 ", [r4]\nstr " A1 ", [r4, r5]\n"
            PAIRS_NEXT "bne 6b\n" PAIRS_RETURN);
}

/* Frames in threes, the last two or four in twos. */
static __attribute__((noinline)) void several_frames(const nn_linear *op, const int16_t *x,
                                                     int16_t *y)
{
    for (uint32_t t = 0, count; t < op->frames; t += count) {
        const uint32_t left = op->frames - t;
        const int16_t *from = x + t * op->x_stride;
        frames_job job;
        tell(&job, op, from, y + t * op->y_stride, INPUTS);
        count = left == 2 || left == 4 ? 2 : 3;
        for (uint32_t i = 0; i < count; i++)
            job.first[i] = minus_eight_sum(from + i * op->x_stride, op->in);
        if (count == 3)
            pairs_over_three(&job);
        else
            pairs_over_two(&job);
    }
}

void nn_linear_s4_s16(const nn_linear *op, const int16_t *x, int16_t *y)
{
    if ((uintptr_t)x % 4u)
        linear_portable(op, x, y);
    else if (op->frames == 1)
        one_frame(op, x, y, minus_eight_sum(x, op->in));
    else if (takes_several(op))
        several_frames(op, x, y);
    else
        linear_portable(op, x, y);
}

#endif

#include "nn_linear.h"

/* Two packed layouts (export/c/pack.py), rows padded with zero weights, inputs to a multiple of
 * four:
 *
 * one frame       blocks of four rows. For each two inputs the word of rows (0, 1), then the word
 *                 of rows (2, 3); a word is two halfwords h = a + 256*b, one per input. SXTB16
 *                 gives the a's to SMLAD, the raw word feeds SMLALD, and sum(b*x) is exactly
 *                 (sum(h*x) - sum(a*x)) / 256: three instructions for four multiply-accumulates
 *                 besides the loads.
 * several frames  row pairs, bytes a0 b0 a1 b1 and so on. SXTB16 gives the a's and, rotated, the
 *                 b's: widened once for all frames.
 */

/* Where rows n & ~1 and n | 1 begin in the layout for one frame */
static const int8_t *pair_of_rows(const nn_linear *op, uint32_t n)
{
    return (const int8_t *)op->weights + (n >> 2) * 4u * padded_inputs(op) + ((n >> 1) & 1u) * 4u;
}

/* The second weight of a halfword: its high byte, from which a negative first one has borrowed */
static int32_t second_of(const int8_t *half)
{
    return half[1] + (half[0] < 0);
}

#if !NN_HOSTED

/* Row n in the layout for several frames */
static int32_t sum_of_bytes(const nn_linear *op, uint32_t n, const int16_t *x)
{
    const int8_t *w = (const int8_t *)op->weights + (n & ~1u) * padded_inputs(op) + (n & 1u);
    int32_t acc = 0;
    for (uint32_t k = 0; k < op->in; k++)
        acc = nn_add(acc, w[2 * k] * x[k]);
    return acc;
}

/* Row n in the layout for one frame */
static int32_t sum_of_halves(const nn_linear *op, uint32_t n, const int16_t *x)
{
    const int8_t *w = pair_of_rows(op, n);
    int32_t acc = 0;
    for (uint32_t k = 0; k < op->in; k++) {
        const int8_t *half = w + 4 * (k & ~1u) + 2 * (k & 1u);
        acc = nn_add(acc, (n & 1u ? second_of(half) : half[0]) * x[k]);
    }
    return acc;
}

NN_APART static void linear_portable(const nn_linear *op, const int16_t *x, int16_t *y)
{
    linear_of_sums(op, x, y, op->frames > 1 ? sum_of_bytes : sum_of_halves);
}

#endif

#if NN_HOSTED

/* Two rows are widened BLOCK inputs at a time and serve FRAMES frames, and a compiler finds the
 * multiply-accumulate of 16-bit pairs in dot(): 3 KB of stack. Integers are the same in any
 * order. */
#define BLOCK 512u
#define FRAMES 64u

/* `count` inputs from the k-th on, which is even, of rows n and n + 1 */
static void widen(const nn_linear *op, uint32_t n, uint32_t k, uint32_t count,
                  int16_t rows[2][BLOCK])
{
    const int8_t *w = (const int8_t *)op->weights + n * padded_inputs(op) + 2 * k;
    if (op->frames > 1) {
        for (uint32_t i = 0; i < count; i++)
            rows[0][i] = w[2 * i], rows[1][i] = w[2 * i + 1];
        return;
    }
    w = pair_of_rows(op, n) + 4 * k;
    for (uint32_t i = 0; i < count; i += 2, w += 8) {
        rows[0][i] = w[0], rows[1][i] = (int16_t)second_of(w);
        rows[0][i + 1] = w[2], rows[1][i + 1] = (int16_t)second_of(w + 2);
    }
}

static int32_t dot(const int16_t *w, const int16_t *x, uint32_t count)
{
    uint32_t sum = 0;
    for (uint32_t k = 0; k < count; k++)
        sum += (uint32_t)(w[k] * x[k]);
    return (int32_t)sum;
}

/* Two rows, or the last one, over at most FRAMES frames */
static void two_rows(const nn_linear *op, uint32_t n, uint32_t frames, const int16_t *x, int16_t *y)
{
    const uint32_t rows = op->out - n < 2 ? 1 : 2;
    int16_t w[2][BLOCK];
    int32_t sums[2][FRAMES] = {{0}};
    for (uint32_t k = 0, count; k < op->in; k += count) {
        count = op->in - k < BLOCK ? op->in - k : BLOCK;
        widen(op, n, k, count, w);
        for (uint32_t r = 0; r < rows; r++)
            for (uint32_t t = 0; t < frames; t++)
                sums[r][t] = nn_add(sums[r][t], dot(w[r], x + t * op->x_stride + k, count));
    }
    for (uint32_t r = 0; r < rows; r++, n++)
        for (uint32_t t = 0; t < frames; t++) {
            const int32_t acc = nn_add(op->bias[n], sums[r][t]);
            y[t * op->y_stride + n] =
                (int16_t)nn_clamp(nn_requant(acc, op->shift, op->mult[n]), op->lo, op->hi);
        }
}

void nn_linear_s8_s16(const nn_linear *op, const int16_t *x, int16_t *y)
{
    for (uint32_t t = 0, count; t < op->frames; t += count) {
        count = op->frames - t < FRAMES ? op->frames - t : FRAMES;
        for (uint32_t n = 0; n < op->out; n += 2)
            two_rows(op, n, count, x + t * op->x_stride, y + t * op->y_stride);
    }
}

#elif !NN_DSP

void nn_linear_s8_s16(const nn_linear *op, const int16_t *x, int16_t *y)
{
    linear_portable(op, x, y);
}

#else

#include "nn_linear_dsp.h"

/* --- one frame: four rows --- */

#define X0 "r2"
#define X1 "r3"
#define W0 "r4"
#define W2 "r5"
#define HIGH_0 "r10" /* over ROW_1 and ROW_3 */
#define HIGH_2 "r11"

#define SMLALD(low, high, a, b) "smlald " low ", " high ", " a ", " b "\n"
#define SXTB(w) "sxtb16 " w ", " w "\n"
#define HALF(x)                                                        \
    "ldrd " W0 ", " W2 ", [" W "], #8\n"                               \
    SMLALD(ROW_1, HIGH_0, W0, x) SXTB(W0) SMLALD(ROW_3, HIGH_2, W2, x) \
    SXTB(W2) SMLAD(ROW_0, W0, x) SMLAD(ROW_2, W2, x)
#define STEP "ldrd " X0 ", " X1 ", [" X "], #8\n" HALF(X0) HALF(X1)

/* sum(a*x) and sum((a + 256*b)*x) both begin with the bias of row a. */
#define BEGIN_PAIR(a, low, high) MOV(low, a) "asr " high ", " a ", #31\n"
/* sum(b*x) + bias */
#define SECOND_ROW(a, low, high, bias)                                       \
    "subs " low ", " low ", " a "\nsbc " high ", " high ", " a ", asr #31\n" \
    "lsr " low ", " low ", #8\norr " low ", " low ", " high ", lsl #24\n" ADD(low, low, bias)

/* stack: 36 bytes */
static NN_NAKED void blocks_of_four(rows_job *job)
{
    __asm__(ROWS_BEGIN
            "6:\n" LDR(X, JOB, ROWS_X) LDR("r2", JOB, ROWS_BIAS)
            LDR(ROW_0, "r2", 0) LDR(ROW_2, "r2", 8)
            BEGIN_PAIR(ROW_0, ROW_1, HIGH_0) BEGIN_PAIR(ROW_2, ROW_3, HIGH_2)
            ROWS_LOOPS(STEP) ROWS_LEFT(STEP)
            LDR("r2", JOB, ROWS_BIAS) LDR("r3", "r2", 4) LDR("r4", "r2", 12)
            "adds r2, #16\n" STR("r2", JOB, ROWS_BIAS)
            SECOND_ROW(ROW_0, ROW_1, HIGH_0, "r3") SECOND_ROW(ROW_2, ROW_3, HIGH_2, "r4")
            ROWS_STORE "bne 6b\n" ROWS_RETURN);
}

/* --- several frames: two rows x two or three frames --- */

/* Registers: two words of weights; in U the weights of row b */
#define V0 "r2"
#define V1 "r3"
#define U "r4"
#define WIDEN(w, wide) "sxtb16 " wide ", " w ", ror #8\n" SXTB(w)
#define MACS(a, b, w, wide, x) SMLAD(a, w, x) SMLAD(b, wide, x)

#define FRAMES_LOOPS(step, spare)                                                     \
    LOOPS(step, FRAMES_JOB(spare) LDR(spare, spare, FRAMES_W_PART) COMPARE(W, spare), \
          COMPARE(W, "lr"))
/* W, its end, and sums that are biases of a frame; the job in r2 */
#define FRAMES_BEGIN                                                            \
    FRAMES_JOB("r2") LDR("r3", "r2", FRAMES_BIAS) LDRD(W, "lr", "r2", FRAMES_W) \
    LDRD(A0, B0, "r3", 0)

#define STRIDE "r12"
#define XT "r5"
#define THREE_HALF(w)                                                      \
    WIDEN(w, U) "ldr " XT ", [" X ", " STRIDE "]\n" MACS(A1, B1, w, U, XT) \
    "ldr " XT ", [" X ", " STRIDE ", lsl #1]\n" MACS(A2, B2, w, U, XT)     \
    "ldr " XT ", [" X "], #4\n" MACS(A0, B0, w, U, XT)
#define LOAD_WEIGHTS "ldrd " V0 ", " V1 ", [" W "], #8\n"
#define THREE_STEP LOAD_WEIGHTS THREE_HALF(V0) THREE_HALF(V1)

/* The last frame's X and U for the second word of weights */
#define NEXT "r12"
#define U1 "r5"
#define XA "r10"
#define XB "r11"
#define TWO_STEP                                                                 \
    LOAD_WEIGHTS "ldrd " XA ", " XB ", [" X "], #8\n" WIDEN(V0, U) WIDEN(V1, U1) \
    MACS(A0, B0, V0, U, XA) MACS(A0, B0, V1, U1, XB)                             \
    "ldrd " XA ", " XB ", [" NEXT "], #8\n"                                      \
    MACS(A1, B1, V0, U, XA) MACS(A1, B1, V1, U1, XB)

/* stack: 40 bytes */
static NN_NAKED void pairs_over_frames(frames_job *job)
{
    __asm__("push {r0, r4-r11, lr}\n"
            /* a pair of rows: its threes, if any */
            "6:\n" FRAMES_JOB("r2") LDR(X, "r2", FRAMES_X) LDR("r4", "r2", FRAMES_Y_ROW)
            LDR("r5", "r2", FRAMES_THREES) LDR(STRIDE, "r2", FRAMES_X_STRIDE)
            STR("r4", "r2", FRAMES_Y) "adds r5, r4\n" STR("r5", "r2", FRAMES_Y_END)
            COMPARE("r4", "r5") "beq 8f\n"
            "7:\n" FRAMES_BEGIN MOV(A1, A0) MOV(B1, B0) MOV(A2, A0) MOV(B2, B0)
            FRAMES_LOOPS(THREE_STEP, XT) FRAMES_OUTPUTS_3
            "str " A0 ", [r4]\nstr " A1 ", [r4, r5]\nadd r4, r4, r5, lsl #1\n"
            LDRD("r2", "r3", "r1", FRAMES_SKIP_THREE) "str " A2 ", [r4]\nadds r4, r5\n"
            STR("r4", "r1", FRAMES_Y) ADD(X, X, "r2") COMPARE("r4", "r3") "bne 7b\n"
            /* its twos, if any */
            "8:\n" FRAMES_JOB("r2") LDR("r5", "r2", FRAMES_TWOS) "adds r5, r4\n"
            STR("r5", "r2", FRAMES_Y_END) COMPARE("r4", "r5") "beq 0f\n"
            "9:\n" FRAMES_BEGIN LDR(NEXT, "r2", FRAMES_X_STRIDE) ADD(NEXT, NEXT, X)
            MOV(A1, A0) MOV(B1, B0) FRAMES_LOOPS(TWO_STEP, XA) FRAMES_OUTPUTS_2
            "str " A0 ", [r4]\nstr " A1 ", [r4, r5]\nadd r4, r4, r5, lsl #1\n"
            LDRD("r2", "r3", "r1", FRAMES_Y_END) STR("r4", "r1", FRAMES_Y) ADD(X, X, "r3")
            COMPARE("r4", "r2") "bne 9b\n"
            /* the next pair */
            "0:\n" FRAMES_JOB("r1") FRAMES_NEXT_ROWS LDRD("r2", "r3", "r1", FRAMES_PART)
            LDR("r4", "r1", FRAMES_W_END) "adds r2, r4\nadds r3, r4\n"
            STRD("r4", "r3", "r1", FRAMES_W) STR("r2", "r1", FRAMES_W_PART)
            LDRD("r4", "r5", "r1", FRAMES_Y_ROW) "adds r4, #4\n" STR("r4", "r1", FRAMES_Y_ROW)
            COMPARE("r4", "r5") "bne 6b\n"
            "pop {r0, r4-r11, pc}");
}

static __attribute__((noinline)) void several_frames(const nn_linear *op, const int16_t *x,
                                                     int16_t *y)
{
    const uint32_t threes = op->frames / 3u - (op->frames % 3u == 1),
                   twos = (op->frames - 3 * threes) / 2;
    frames_job job;
    tell(&job, op, x, y, 2 * INPUTS);
    job.threes = 3 * threes * job.y_stride, job.twos = 2 * twos * job.y_stride;
    pairs_over_frames(&job);
}

void nn_linear_s8_s16(const nn_linear *op, const int16_t *x, int16_t *y)
{
    if ((uintptr_t)x % 4u)
        linear_portable(op, x, y);
    else if (op->frames == 1)
        one_frame(op, x, y, 0);
    else if (takes_several(op))
        several_frames(op, x, y);
    else
        linear_portable(op, x, y);
}

#endif

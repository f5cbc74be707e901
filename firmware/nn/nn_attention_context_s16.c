#include "nn_attention.h"

#define COLUMN 64u /* keys of a column that the stack has room for */

/* The definition, for one head of one frame; the weights are that sum's promise to keep to 32 bits.
 */
static inline void every_value(const nn_attention *op, const int16_t *weights,
                               const int16_t *values, int16_t *y)
{
    const uint32_t row = row_of(op);
    for (uint32_t d = 0; d < op->depth; d++) {
        int32_t acc = half_of(op);
        for (uint32_t k = 0; k < op->keys; k++)
            acc = nn_add(acc, weights[k] * values[k * row + d]);
        y[d] = output_of(op, acc >> op->bits);
    }
}

#if NN_MVE

#define AT_ONCE 4u /* frames that share a column */

/* A column of eight keys is loaded at once, by offsets of 16 bits. */
static inline uint32_t in_columns(const nn_attention *op, const int16_t *weights)
{
    (void)weights;
    return op->shared && op->frames >= AT_ONCE && op->keys <= COLUMN && row_of(op) <= 65535 / 7;
}

/* One value of all keys, in front of zeros up to a multiple of eight */
static inline void take_column(const nn_attention *op, const int16_t *values, int16_t *column)
{
    const uint32_t row = row_of(op);
    const uint16x8_t places = vmulq_n_u16(vidupq_n_u16(0, 1), (uint16_t)row);
    for (int32_t left = op->keys; left > 0; left -= 8, values += 8 * row, column += 8)
        vst1q_s16(column, vldrhq_gather_shifted_offset_z_s16(values, places,
                                                             vctp16q((uint32_t)left)));
}

/* What all blocks of four frames share */
typedef struct {
    uint32_t turns;      /* whole vectors of a column, 0 too */
    uint32_t rest;       /* keys behind them */
    uint32_t half;       /* what a sum begins with */
    uint32_t next;       /* bytes from the weights of a frame to those of the next */
    int32_t minus_bits, mult, lo, hi;
    uint32_t places[4];  /* of four outputs, in values */
} four_frames;
NN_LIES(four_frames, half, 8);
NN_LIES(four_frames, minus_bits, 16);
NN_LIES(four_frames, lo, 24);
NN_LIES(four_frames, places, 32);

/* Four frames with one column.
 * r0 the column, r1 to r4 the weights of a frame each, r6, r8, r10, r12 the sums */
/* stack: 40 bytes */
static NN_NAKED void frames_of(const int16_t *column, const int16_t *weights, int16_t *y,
                               const four_frames *four)
{
    __asm__("push {r2, r3, r4, r5, r6, r7, r8, r9, r10, lr}\n\t"
            "ldrd r5, r7, [r3]\n\tldrd r6, r4, [r3, #8]\n\t"
            "adds r2, r1, r4\n\tadds r3, r2, r4\n\tadds r4, r3, r4\n\t"
            "mov r8, r6\n\tmov r10, r6\n\tmov r12, r6\n\t"
            "wls lr, r5, 2f\n1:\n\t"
            "vldrh.u16 q0, [r0], #16\n\tvldrh.u16 q1, [r1], #16\n\tvldrh.u16 q2, [r2], #16\n\t"
            "vmladava.s16 r6, q0, q1\n\tvmladava.s16 r8, q0, q2\n\t"
            "vldrh.u16 q1, [r3], #16\n\tvldrh.u16 q2, [r4], #16\n\t"
            "vmladava.s16 r10, q0, q1\n\tvmladava.s16 r12, q0, q2\n\tle lr, 1b\n2:\n\t"
            "cbz r7, 3f\n\tvctp.16 r7\n\tvldrh.u16 q0, [r0]\n\tvpstttt\n\t"
            "vldrht.u16 q1, [r1]\n\tvldrht.u16 q2, [r2]\n\t"
            "vmladavat.s16 r6, q0, q1\n\tvmladavat.s16 r8, q0, q2\n\tvpstttt\n\t"
            "vldrht.u16 q1, [r3]\n\tvldrht.u16 q2, [r4]\n\t"
            "vmladavat.s16 r10, q0, q1\n\tvmladavat.s16 r12, q0, q2\n3:\n\t"
            "pop {r2, r3}\n\tldrd r0, r1, [r3, #16]\n\tldrd r4, r5, [r3, #24]\n\t"
            "vmov q0[2], q0[0], r6, r10\n\tvmov q0[3], q0[1], r8, r12\n\t"
            "vldrw.u32 q1, [r3, #32]\n\tvshl.s32 q0, r0\n\tvdup.32 q2, r1\n\t"
            "vrmulh.s32 q0, q0, q2\n\tvdup.32 q2, r4\n\tvmax.s32 q0, q0, q2\n\t"
            "vdup.32 q2, r5\n\tvmin.s32 q0, q0, q2\n\t"
            "vstrh.32 q0, [r2, q1, uxtw #1]\n\t"
            "pop {r4, r5, r6, r7, r8, r9, r10, pc}");
}

/* All frames with one column; the last block holds the last frames, some of them once more. */
static inline void all_frames(const nn_attention *op, const int16_t *weights, uint32_t next,
                              const int16_t *column, int16_t *y)
{
    const uint32_t last = op->frames - AT_ONCE, row = row_of(op);
    const four_frames four = {.turns = op->keys / 8u,
                              .rest = op->keys % 8u,
                              .half = (uint32_t)half_of(op),
                              .next = next * (uint32_t)sizeof *weights,
                              .minus_bits = -(int32_t)op->bits,
                              .mult = op->mult,
                              .lo = op->lo,
                              .hi = op->hi,
                              .places = {0, row, 2 * row, 3 * row}};
    for (uint32_t t = 0;; t = t + AT_ONCE < last ? t + AT_ONCE : last) {
        frames_of(column, weights + t * next, y + t * row, &four);
        if (t == last)
            break;
    }
}

static inline uint32_t in_rows(const nn_attention *op, const int16_t *values)
{
    (void)values;
    return op->depth >= 4;
}

/* Four values of one frame */
static inline void several_values(const nn_attention *op, const int16_t *weights,
                                  const int16_t *values, int16_t *y)
{
    const uint32_t row = row_of(op);
    int32x4_t sums = vdupq_n_s32(half_of(op));
    for (uint32_t k = op->keys; k; k--, values += row)
        sums = vmlaq_n_s32(sums, vldrhq_s32(values), *weights++);
    vstrhq_s32(y, four_outputs(op, sums, op->bits));
}

#elif NN_DSP

#define AT_ONCE 2u /* frames that share a column */

static inline uint32_t in_columns(const nn_attention *op, const int16_t *weights)
{
    return op->shared && op->frames >= AT_ONCE && op->keys <= COLUMN && op->keys % 2u == 0 &&
           ((uintptr_t)weights & 3u) == 0;
}

/* One value of all keys */
static inline void take_column(const nn_attention *op, const int16_t *values, int16_t *column)
{
    const uint32_t row = row_of(op);
    for (uint32_t k = op->keys; k; k--, values += row)
        *column++ = *values;
}

/* What all pairs of frames share with one column */
typedef struct {
    const int16_t *column;
    int32_t half;          /* what a sum begins with */
    uint32_t next;         /* bytes from the weights of a frame to those of the next */
    const int16_t *eights; /* behind the last whole eight keys */
    const int16_t *last;   /* behind the last key */
    uint32_t on;           /* bytes from behind a second frame's weights to the next first one's */
    uint32_t bits;
    int32_t mult;
    nn_clamp_pair clamp;
    uint32_t row;          /* bytes from an output to that of the next frame */
} frame_pairs;
NN_LIES(frame_pairs, eights, 12);
NN_LIES(frame_pairs, last, 16);
NN_LIES(frame_pairs, on, 20);
NN_LIES(frame_pairs, clamp, 32);
NN_LIES(frame_pairs, row, 44);

/* Pairs of frames, of which there is one at least, up to the output `end`.
 * r0 the column, r1 and r2 the weights of a frame each, r3 and r4 the sums */
/* stack: 48 bytes */
static NN_NAKED void frames_of(const frame_pairs *pairs, const int16_t *weights, int16_t *y,
                               const int16_t *end)
{
#define FOUR_KEYS(acc)                                                                             \
    "smlad " acc ", r5, r9, " acc "\n\tsmlad " acc ", r6, r10, " acc "\n\t"                        \
    "smlad " acc ", r7, r11, " acc "\n\tsmlad " acc ", r8, r12, " acc "\n\t"
    __asm__("push {r0, r2, r3, r4, r5, r6, r7, r8, r9, r10, r11, lr}\n1:\n\t"
            "ldr r12, [sp]\n\tldm r12, {r0, r3, r5, lr}\n\t"
            "add r2, r1, r5\n\tmov r4, r3\n\tcmp r0, lr\n\tbeq 3f\n2:\n\t"
            "ldmia r0!, {r5, r6, r7, r8}\n\t"
            "ldmia r1!, {r9, r10, r11, r12}\n\t" FOUR_KEYS("r3")
            "ldmia r2!, {r9, r10, r11, r12}\n\t" FOUR_KEYS("r4")
            "cmp r0, lr\n\tbne 2b\n3:\n\t"
            "ldr r12, [sp]\n\tldr r5, [r12, #16]\n\tcmp r0, r5\n\tbeq 5f\n4:\n\t"
            "ldr r6, [r0], #4\n\tldr r7, [r1], #4\n\tldr r8, [r2], #4\n\t"
            "smlad r3, r6, r7, r3\n\tsmlad r4, r6, r8, r4\n\tcmp r0, r5\n\tbne 4b\n5:\n\t"
            "add r12, r12, #20\n\tldm r12, {r5, r6, r7, r8, r9, r10, r11}\n\t"
            "asr r3, r3, r6\n\tasr r4, r4, r6\n\t"
            "smmlar r3, r3, r7, r8\n\tsmmlar r4, r4, r7, r8\n\t"
            "usat r3, #16, r3\n\tusat r4, #16, r4\n\tpkhbt r3, r3, r4, lsl #16\n\t"
            "uqadd16 r3, r3, r9\n\tuadd16 r3, r3, r10\n\t"
            "ldrd r4, r12, [sp, #4]\n\tstrh r3, [r4]\n\tlsr r3, r3, #16\n\t"
            "strh r3, [r4, r11]\n\tadd r4, r4, r11, lsl #1\n\tstr r4, [sp, #4]\n\t"
            "add r1, r2, r5\n\tcmp r4, r12\n\tbne 1b\n\t"
            "add sp, sp, #12\n\tpop {r4, r5, r6, r7, r8, r9, r10, r11, pc}");
}

/* All frames with one column; of an odd number the last two by themselves */
static inline void all_frames(const nn_attention *op, const int16_t *weights, uint32_t next,
                              const int16_t *column, int16_t *y)
{
    const uint32_t frames = op->frames, row = row_of(op);
    const frame_pairs pairs = {.column = column,
                               .half = half_of(op),
                               .next = 2 * next,
                               .eights = column + (op->keys & ~7u),
                               .last = column + op->keys,
                               .on = 2 * (next - op->keys),
                               .bits = op->bits,
                               .mult = op->mult,
                               .clamp = nn_clamp_to(op->lo, op->hi),
                               .row = 2 * row};
    frames_of(&pairs, weights, y, y + (frames & ~1u) * row);
    if (frames & 1u) {
        y += frames * row;
        frames_of(&pairs, weights + (frames - 2u) * next, y - 2 * row, y);
    }
}

static inline uint32_t in_rows(const nn_attention *op, const int16_t *values)
{
    return op->depth % 4u == 0 && ((uintptr_t)values & 3u) == 0;
}

/* Sums of four values over all keys but an odd last one, from `sums` on; `row`: bytes from the
 * values of a key to those of the next.
 * r0 the values, r1 the weights, r3 the row, lr the end, r4 to r7 the sums */
/* stack: 40 bytes */
static NN_NAKED void several_sums(const int16_t *values, const int16_t *weights, int32_t *sums,
                                  uint32_t row, const int16_t *end)
{
#define TWO_VALUES(first, second, a, b)                                                            \
    "pkhbt r12, " first ", " second ", lsl #16\n\t"                                                \
    "pkhtb " second ", " second ", " first ", asr #16\n\t"                                         \
    "smlad " a ", r12, r2, " a "\n\tsmlad " b ", " second ", r2, " b "\n\t"
#define TWO_KEYS                                                                                   \
    "ldrd r8, r9, [r0]\n\tadd r0, r3\n\tldrd r10, r11, [r0]\n\tadd r0, r3\n\t"                    \
    "ldr r2, [r1], #4\n\t" TWO_VALUES("r8", "r10", "r4", "r5")                                     \
    TWO_VALUES("r9", "r11", "r6", "r7")
    __asm__("push {r2, r4, r5, r6, r7, r8, r9, r10, r11, lr}\n\tldr lr, [sp, #40]\n\t"
            "ldm r2, {r4, r5, r6, r7}\n\t"
            "cmp r1, lr\n\tbeq 2f\n\tsub r2, lr, r1\n\tlsls r2, r2, #29\n\tbpl 1f\n\t"
            TWO_KEYS "cmp r1, lr\n\tbeq 2f\n1:\n\t"
            TWO_KEYS TWO_KEYS "cmp r1, lr\n\tbne 1b\n2:\n\t"
            "pop {r2}\n\tstm r2, {r4, r5, r6, r7}\n\t"
            "pop {r4, r5, r6, r7, r8, r9, r10, r11, pc}");
}

/* Four values of one frame */
static inline void several_values(const nn_attention *op, const int16_t *weights,
                                  const int16_t *values, int16_t *y)
{
    const uint32_t row = row_of(op), bits = op->bits, twos = op->keys & ~1u;
    const int32_t half = half_of(op), mult = op->mult;
    int32_t s[4] = {half, half, half, half};
    several_sums(values, weights, s, 2 * row, weights + twos);
    if (op->keys & 1u)
        for (uint32_t i = 0; i < 4; i++)
            s[i] += weights[twos] * values[twos * row + i];
    const nn_clamp_pair clamp = nn_clamp_to(op->lo, op->hi);
    nn_store_pair(y, nn_clamp_requant(&clamp, s[0] >> bits, mult, s[1] >> bits, mult));
    nn_store_pair(y + 2, nn_clamp_requant(&clamp, s[2] >> bits, mult, s[3] >> bits, mult));
}
#endif

#ifdef AT_ONCE

/* Value by value, each for all frames. By itself, so that no other path needs its stack. */
static __attribute__((noinline)) void by_columns(const nn_attention *op, const int16_t *weights,
                                                 const int16_t *values, int16_t *y)
{
    const nn_attention own = *op; /* which no store to y can change */
    const uint32_t next = (uint32_t)own.heads * own.keys;
    int16_t column[COLUMN] __attribute__((aligned(8)));
    for (uint32_t h = own.heads; h; h--, weights += own.keys)
        for (uint32_t d = own.depth; d; d--) {
            take_column(&own, values++, column);
            all_frames(&own, weights, next, column, y++);
        }
}

/* One head of one frame, the last block once more where it is not whole */
static inline void by_rows(const nn_attention *op, const int16_t *weights, const int16_t *values,
                           int16_t *y)
{
    const uint32_t last = op->depth - 4u;
    for (uint32_t d = 0;; d = d + 4 < last ? d + 4 : last) {
        several_values(op, weights, values + d, y + d);
        if (d == last)
            break;
    }
}

#else

static inline uint32_t in_columns(const nn_attention *op, const int16_t *weights)
{
    (void)op, (void)weights;
    return 0;
}

#define by_columns(op, weights, values, y) ((void)0)
#define in_rows(op, values) 0
#define by_rows every_value

#endif

static __attribute__((noinline)) void frame_by_frame(const nn_attention *op, const int16_t *weights,
                                                     const int16_t *values, int16_t *y)
{
    const nn_attention own = *op; /* which no store to y can change */
    const uint32_t fast = in_rows(&own, values), next = own.shared ? 0 : own.keys * row_of(&own);
    for (uint32_t t = own.frames; t; t--, values += next)
        for (uint32_t h = 0; h < own.heads; h++, weights += own.keys, y += own.depth)
            if (fast)
                by_rows(&own, weights, values + h * own.depth, y);
            else
                every_value(&own, weights, values + h * own.depth, y);
}

void nn_attention_context_s16(const nn_attention *op, const int16_t *weights, const int16_t *values,
                              int16_t *y)
{
    if (in_columns(op, weights))
        by_columns(op, weights, values, y);
    else
        frame_by_frame(op, weights, values, y);
}

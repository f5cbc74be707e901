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

/* Four frames, whose weights lie `next` apart, with one column: their sums. */
static inline int32x4_t sums_of_four(const nn_attention *op, const int16_t *w0, uint32_t next,
                                     const int16_t *x)
{
    const int16_t *w1 = w0 + next, *w2 = w1 + next, *w3 = w2 + next;
    const uint32_t turns = op->keys / 8u, rest = op->keys % 8u;
    int32_t a = half_of(op), b = a, c = a, d = a;
    __asm__("wls lr, %[turns], 2f\n1:\n\tvldrh.u16 q0, [%[x]], #16\n\t"
            "vldrh.u16 q1, [%[w0]], #16\n\tvldrh.u16 q2, [%[w1]], #16\n\t"
            "vmladava.s16 %[a], q0, q1\n\tvmladava.s16 %[b], q0, q2\n\t"
            "vldrh.u16 q1, [%[w2]], #16\n\tvldrh.u16 q2, [%[w3]], #16\n\t"
            "vmladava.s16 %[c], q0, q1\n\tvmladava.s16 %[d], q0, q2\n\tle lr, 1b\n2:\n\t"
            : [x] "+&r"(x), [w0] "+&r"(w0), [w1] "+&r"(w1), [w2] "+&r"(w2), [w3] "+&r"(w3),
              [a] "+&Te"(a), [b] "+&Te"(b), [c] "+&Te"(c), [d] "+&Te"(d)
            : [turns] "r"(turns)
            : "q0", "q1", "q2", "lr", "memory");
    if (rest) {
        const mve_pred16_t there = vctp16q(rest);
        const int16x8_t last = vld1q_s16(x);
        a = vmladavaq_s16(a, last, vldrhq_z_s16(w0, there));
        b = vmladavaq_s16(b, last, vldrhq_z_s16(w1, there));
        c = vmladavaq_s16(c, last, vldrhq_z_s16(w2, there));
        d = vmladavaq_s16(d, last, vldrhq_z_s16(w3, there));
    }
    const int32x4_t sums = {a, b, c, d};
    return sums;
}

/* All frames with one column; the last block holds the last frames, some of them once more. */
static inline void all_frames(const nn_attention *op, const int16_t *weights, uint32_t next,
                              const int16_t *column, int16_t *y)
{
    const uint32_t last = op->frames - AT_ONCE, row = row_of(op);
    const uint32x4_t places = vmulq_n_u32(vidupq_n_u32(0, 1), row);
    for (uint32_t t = 0;; t = t + AT_ONCE < last ? t + AT_ONCE : last) {
        const int32x4_t sums = sums_of_four(op, weights + t * next, next, column);
        vstrhq_scatter_shifted_offset_s32(y + t * row, places, four_outputs(op, sums, op->bits));
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

/* Eight keys of one frame, whose values are in r3 … r6 */
#define EIGHT_KEYS(w, acc)                                                                    \
    "ldmia %[" w "]!, {r8, r9, r10, r11}\n\t"                                                 \
    "smlad %[" acc "], r3, r8, %[" acc "]\n\tsmlad %[" acc "], r4, r9, %[" acc "]\n\t"        \
    "smlad %[" acc "], r5, r10, %[" acc "]\n\tsmlad %[" acc "], r6, r11, %[" acc "]\n\t"

/* Pairs of frames, whose weights lie `next` apart, with one column */
static inline void frames_of(const nn_attention *op, const int16_t *w, uint32_t next,
                             const int16_t *column, int16_t *y, uint32_t pairs)
{
    const uint32_t row = row_of(op), bits = op->bits;
    const int16_t *const end = column + (op->keys & ~7u), *const last = column + op->keys;
    const int32_t half = half_of(op), mult = op->mult;
    const nn_clamp_pair clamp = nn_clamp_to(op->lo, op->hi);
    for (; pairs; pairs--, y += 2 * row) {
        const int16_t *v = w + next, *x = column;
        int32_t a = half, b = half;
        if (x != end)
            __asm__("1:\n\tldmia %[x]!, {r3, r4, r5, r6}\n\t" EIGHT_KEYS("w", "a")
                    EIGHT_KEYS("v", "b") "ldr r3, %[end]\n\tcmp %[x], r3\n\tbne 1b\n\t"
                    : [x] "+&r"(x), [w] "+&r"(w), [v] "+&r"(v), [a] "+&r"(a), [b] "+&r"(b)
                    : [end] "m"(end)
                    : "r3", "r4", "r5", "r6", "r8", "r9", "r10", "r11", "cc", "memory");
        for (; x != last; x += 2, w += 2, v += 2) {
            const uint32_t two = nn_load_pair(x);
            a = nn_smlad(two, nn_load_pair(w), a);
            b = nn_smlad(two, nn_load_pair(v), b);
        }
        const uint32_t both = nn_clamp_requant(&clamp, a >> bits, mult, b >> bits, mult);
        y[0] = (int16_t)nn_low(both), y[row] = (int16_t)nn_high(both);
        w = v + (next - op->keys);
    }
}

/* All frames with one column; of an odd number the last two by themselves */
static inline void all_frames(const nn_attention *op, const int16_t *weights, uint32_t next,
                              const int16_t *column, int16_t *y)
{
    const uint32_t frames = op->frames;
    frames_of(op, weights, next, column, y, frames / 2u);
    if (frames & 1u)
        frames_of(op, weights + (frames - 2u) * next, next, column, y + (frames - 2u) * row_of(op),
                  1);
}

static inline uint32_t in_rows(const nn_attention *op, const int16_t *values)
{
    return op->depth % 4u == 0 && ((uintptr_t)values & 3u) == 0;
}

/* Two values for each of two keys, whose words are p and r */
#define TWO_VALUES(p, r, a, b)                                                                \
    "pkhbt %[t], %[" p "], %[" r "], lsl #16\n\tpkhtb %[" r "], %[" r "], %[" p "], asr #16\n\t" \
    "smlad %[" a "], %[t], %[w], %[" a "]\n\tsmlad %[" b "], %[" r "], %[w], %[" b "]\n\t"

/* Four values of one frame */
static inline void several_values(const nn_attention *op, const int16_t *weights,
                                  const int16_t *values, int16_t *y)
{
    const uint32_t row = 2 * row_of(op);
    const int16_t *const end = weights + (op->keys & ~1u);
    int32_t a = half_of(op), b = a, c = a, d = a;
    uint32_t p, q, r, s, t, w;
    while (weights != end)
        __asm__("ldrd %[p], %[q], [%[x]]\n\tadd %[x], %[row]\n\t"
                "ldrd %[r], %[s], [%[x]]\n\tadd %[x], %[row]\n\tldr %[w], [%[weights]], #4\n\t"
                TWO_VALUES("p", "r", "a", "b") TWO_VALUES("q", "s", "c", "d")
                : [x] "+&r"(values), [weights] "+&r"(weights), [a] "+&r"(a), [b] "+&r"(b),
                  [c] "+&r"(c), [d] "+&r"(d), [p] "=&r"(p), [q] "=&r"(q), [r] "=&r"(r),
                  [s] "=&r"(s), [t] "=&r"(t), [w] "=&r"(w)
                : [row] "r"(row)
                : "memory");
    if (op->keys & 1u) {
        p = nn_load_pair(values), q = nn_load_pair(values + 2);
        a += nn_low(p) * *weights, b += nn_high(p) * *weights;
        c += nn_low(q) * *weights, d += nn_high(q) * *weights;
    }
    const nn_clamp_pair clamp = nn_clamp_to(op->lo, op->hi);
    const uint32_t bits = op->bits;
    const int32_t mult = op->mult;
    nn_store_pair(y, nn_clamp_requant(&clamp, a >> bits, mult, b >> bits, mult));
    nn_store_pair(y + 2, nn_clamp_requant(&clamp, c >> bits, mult, d >> bits, mult));
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

#if defined(__arm__) && defined(__GNUC__) && !defined(__clang__)
/* the inner loops need 14 registers, in debug builds too */
#pragma GCC optimize("O3", "omit-frame-pointer")
#endif

#include "nn_linear.h"

/* Weights are stored plus eight, two to a byte (export/c/pack.py), rows padded with zero weights,
 * inputs to a multiple of four. A word holds two rows a, b × four inputs: from its lowest nibble on
 * a0 b0 a2 b2 a1 b1 a3 b3. So one AND with a shifted operand takes two inputs of one row as the
 * halfwords that SMLAD wants: four of them unpack eight weights. Σw·x = Σ(w + 8)·x − 8·Σx, and 8·Σx
 * is the same for all rows of a frame. Sums on the way may pass 2³¹ and wrap; the results are
 * proven not to.
 *
 * one frame       blocks of four rows: for each four inputs the word of rows (0, 1), then the word
 *                 of rows (2, 3).
 * several frames  blocks of two rows; the unpacked weights serve two or three frames.
 */
#define NIBBLES 0x000F000Fu /* the lowest nibble of both halves */
#define EIGHTS 0xFFF8FFF8u  /* the pair (−8, −8) */

/* The weight in the lowest nibble */
static inline int32_t nibble(uint32_t v)
{
    return (int32_t)(v & 15u) - 8;
}

/* Row n in either layout. */
static int32_t sum_of_nibbles(const nn_linear *op, uint32_t n, const int16_t *x)
{
    const uint32_t pairs = op->frames > 1 ? 1 : 2, steps = (op->in + INPUTS - 1) / INPUTS,
                   whole = op->in / INPUTS;
    const uint32_t *w = (const uint32_t *)op->weights + n / (2 * pairs) * pairs * steps +
                        n / 2 % pairs,
                   row = 4 * (n & 1u);
    int32_t acc = 0;
    for (const int16_t *end = x + whole * INPUTS; x != end; x += INPUTS, w += pairs) {
        const uint32_t v = *w >> row;
        acc += nibble(v) * x[0] + nibble(v >> 16) * x[1] + nibble(v >> 8) * x[2] +
               nibble(v >> 24) * x[3];
    }
    for (uint32_t k = 0; k < op->in % INPUTS; k++)
        acc += nibble(*w >> (row + 16 * (k & 1u) + 4 * (k & 2u))) * x[k];
    return acc;
}

NN_COLD static void linear_portable(const nn_linear *op, const int16_t *x, int16_t *y)
{
    linear_of_sums(op, x, y, sum_of_nibbles);
}

#if !NN_DSP

void nn_linear_s4_s16(const nn_linear *op, const int16_t *x, int16_t *y)
{
    linear_portable(op, x, y);
}

#else

/* −8·Σx over one frame */
static int32_t minus_eight_sum(const int16_t *x, uint32_t in)
{
    int32_t sum = 0;
    for (; in > 1; in -= 2, x += 2)
        sum = nn_smlad(nn_load_pair(x), EIGHTS, sum);
    return in ? nn_mla(*x, -8, sum) : sum;
}

/* --- one frame: four rows --- */

#define UNPACK(to, word, shift) "and %[" to "], %[mask], %[" word "]" shift "\n\t"
#define MAC(sum, w, x) "smlad %[" sum "], %[" w "], %[" x "], %[" sum "]\n\t"

#define ROWS2(w, a, b)                                                    \
    UNPACK("t", w, "") MAC(a, "t", "x0")                                  \
    UNPACK("t", w, ", lsr #4") MAC(b, "t", "x0")                          \
    UNPACK("t", w, ", lsr #8") MAC(a, "t", "x1")                          \
    UNPACK("t", w, ", lsr #12") MAC(b, "t", "x1")
#define ROWS4_STEP                                                        \
    "ldrd %[x0], %[x1], [%[x]], #8\n\tldrd %[w0], %[w2], [%[w]], #8\n\t"  \
    ROWS2("w0", "a0", "b0") ROWS2("w2", "a2", "b2")
#define ROWS4_REGISTERS                                                                         \
    [a0] "+&r"(a0), [b0] "+&r"(b0), [a2] "+&r"(a2), [b2] "+&r"(b2), [w] "+&r"(w), [x] "+&r"(x), \
        [x0] "=&r"(x0), [x1] "=&r"(x1), [w0] "=&r"(w0), [w2] "=&r"(w2), [t] "=&r"(t)

/* Four rows; returns the weights of the next four. */
static inline __attribute__((always_inline)) const uint32_t *
four_rows(const frame *f, const output *o, const uint32_t *w, const int32_t *bias,
          const int32_t *mult, int16_t *y)
{
    int32_t a0 = nn_add(bias[0], f->first), b0 = nn_add(bias[1], f->first);
    int32_t a2 = nn_add(bias[2], f->first), b2 = nn_add(bias[3], f->first);
    const int16_t *x = f->start;
    uint32_t x0, x1, w0, w2, t;
    if (f->end != x)
        __asm__(LOOPS(ROWS4_STEP, "x", "t")
                : ROWS4_REGISTERS
                : [mask] "r"(NIBBLES), [part] "m"(f->part), [end] "m"(f->end)
                : "cc", "memory");
    if (f->has_rest) {
        x = f->rest;
        __asm__(ROWS4_STEP : ROWS4_REGISTERS : [mask] "r"(NIBBLES) : "memory");
    }
    store_rows(o, a0, b0, a2, b2, mult, y);
    return w;
}

/* --- several frames: two rows × two or three frames --- */

#define FRAMES3_HALF(shift_a, shift_b)                                                  \
    UNPACK("wa", "v", shift_a) UNPACK("wb", "v", shift_b)                               \
    "ldr %[u], [%[x], %[stride]]\n\t" MAC("a1", "wa", "u") MAC("b1", "wb", "u")         \
    "ldr %[u], [%[x], %[stride], lsl #1]\n\t" MAC("a2", "wa", "u") MAC("b2", "wb", "u") \
    "ldr %[u], [%[x]], #4\n\t" MAC("a0", "wa", "u") MAC("b0", "wb", "u")
#define FRAMES3_STEP \
    "ldr %[v], [%[w]], #4\n\t" FRAMES3_HALF("", ", lsr #4") FRAMES3_HALF(", lsr #8", ", lsr #12")

#define FRAMES2_STEP                                                       \
    "ldr %[v], [%[w]], #4\n\tldrd %[x0], %[x1], [%[x]], #8\n\t"            \
    "ldrd %[y0], %[y1], [%[next]], #8\n\t"                                 \
    UNPACK("t", "v", "") MAC("a0", "t", "x0") MAC("a1", "t", "y0")         \
    UNPACK("t", "v", ", lsr #4") MAC("b0", "t", "x0") MAC("b1", "t", "y0") \
    UNPACK("t", "v", ", lsr #8") MAC("a0", "t", "x1") MAC("a1", "t", "y1") \
    UNPACK("t", "v", ", lsr #12") MAC("b0", "t", "x1") MAC("b1", "t", "y1")

/* Three frames of two rows; `first`: what the sums of each frame begin with besides their bias. */
static inline __attribute__((always_inline)) void three_frames(const two_rows *r, const output *o,
                                                               const int32_t *first,
                                                               const int16_t *x, uint32_t x_stride,
                                                               int16_t *y, uint32_t y_stride)
{
    int32_t a0 = nn_add(r->bias_a, first[0]), a1 = nn_add(r->bias_a, first[1]),
            a2 = nn_add(r->bias_a, first[2]);
    int32_t b0 = nn_add(r->bias_b, first[0]), b1 = nn_add(r->bias_b, first[1]),
            b2 = nn_add(r->bias_b, first[2]);
    const uint32_t *w = r->start;
    uint32_t wa, wb, u, v;
    __asm__(
        LOOPS(FRAMES3_STEP, "w", "u")
        : [a0] "+&r"(a0), [b0] "+&r"(b0), [a1] "+&r"(a1), [b1] "+&r"(b1), [a2] "+&r"(a2),
          [b2] "+&r"(b2), [w] "+&r"(w), [x] "+&r"(x), [wa] "=&r"(wa), [wb] "=&r"(wb), [u] "=&r"(u),
          [v] "=&r"(v)
        : [mask] "r"(NIBBLES), [stride] "r"(2 * x_stride), [part] "m"(r->part), [end] "m"(r->end)
        : "cc", "memory");
    store_frames(r, o, (int32_t[]){a0, a1, a2}, (int32_t[]){b0, b1, b2}, 3, y, y_stride);
}

static inline __attribute__((always_inline)) void two_frames(const two_rows *r, const output *o,
                                                             const int32_t *first, const int16_t *x,
                                                             uint32_t x_stride, int16_t *y,
                                                             uint32_t y_stride)
{
    int32_t a0 = nn_add(r->bias_a, first[0]), a1 = nn_add(r->bias_a, first[1]);
    int32_t b0 = nn_add(r->bias_b, first[0]), b1 = nn_add(r->bias_b, first[1]);
    const uint32_t *w = r->start;
    const int16_t *next = x + x_stride;
    uint32_t t, v, x0, x1, y0, y1;
    __asm__(LOOPS(FRAMES2_STEP, "w", "t")
            : [a0] "+&r"(a0), [b0] "+&r"(b0), [a1] "+&r"(a1), [b1] "+&r"(b1), [w] "+&r"(w),
              [x] "+&r"(x), [next] "+&r"(next), [t] "=&r"(t), [v] "=&r"(v), [x0] "=&r"(x0),
              [x1] "=&r"(x1), [y0] "=&r"(y0), [y1] "=&r"(y1)
            : [mask] "r"(NIBBLES), [part] "m"(r->part), [end] "m"(r->end)
            : "cc", "memory");
    store_frames(r, o, (int32_t[]){a0, a1}, (int32_t[]){b0, b1}, 2, y, y_stride);
}

/* All rows over `count` frames, two or three. */
static void all_rows(const nn_linear *op, const output *o, uint32_t count, const int16_t *x,
                     int16_t *y)
{
    const uint32_t *w = op->weights, words = op->in / INPUTS, part = words % UNROLL,
                   x_stride = op->x_stride, y_stride = op->y_stride;
    int32_t first[3] = {0};
    for (uint32_t t = 0; t < count; t++)
        first[t] = minus_eight_sum(x + t * x_stride, op->in);
    for (uint32_t n = 0; n < op->out; n += 2, w += words) {
        const two_rows r = {w, w + part, w + words, op->bias[n], op->bias[n + 1],
                            op->mult[n], op->mult[n + 1]};
        if (count == 3)
            three_frames(&r, o, first, x, x_stride, y + n, y_stride);
        else
            two_frames(&r, o, first, x, x_stride, y + n, y_stride);
    }
}

/* Frames in threes, the last two or four in twos. */
static void several_frames(const nn_linear *op, const output *o, const int16_t *x, int16_t *y)
{
    for (uint32_t left = op->frames, count; left;
         left -= count, x += count * op->x_stride, y += count * op->y_stride) {
        count = left == 2 || left == 4 ? 2 : 3;
        all_rows(op, o, count, x, y);
    }
}

void nn_linear_s4_s16(const nn_linear *op, const int16_t *x, int16_t *y)
{
    const output o = {op->shift, nn_clamp_to(op->lo, op->hi)};
    if ((uintptr_t)x % 4u) {
        linear_portable(op, x, y);
    } else if (op->frames == 1) {
        frame f = frame_of(x, op->in);
        f.first = minus_eight_sum(x, op->in);
        one_frame(op, &o, &f, y, four_rows);
    } else if (op->in % INPUTS == 0 && op->x_stride % 2u == 0 && op->out % 2u == 0) {
        several_frames(op, &o, x, y);
    } else {
        linear_portable(op, x, y);
    }
}

#endif

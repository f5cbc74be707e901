#if defined(__arm__) && defined(__GNUC__) && !defined(__clang__)
/* the inner loops need 13 registers, in debug builds too */
#pragma GCC optimize("O3", "omit-frame-pointer")
#endif

#include "nn_linear.h"

/* Two packed layouts (export/c/pack.py), rows padded with zero weights, inputs to a multiple of
 * four:
 *
 * one frame       blocks of four rows. For each two inputs the word of rows (0, 1), then the word
 *                 of rows (2, 3); a word is two halfwords h = a + 256·b, one per input. SXTB16
 *                 gives the a's to SMLAD, the raw word feeds SMLALD, and Σb·x = (Σh·x − Σa·x) / 256
 *                 exactly: three instructions for four multiply-accumulates besides the loads.
 * several frames  row pairs, bytes a0 b0 a1 b1 …. SXTB16 gives the a's and, rotated, the b's:
 *                 widened once for all frames.
 */

#if !NN_HOSTED

/* Row n in the layout for several frames */
static int32_t sum_of_bytes(const nn_linear *op, uint32_t n, const int16_t *x)
{
    const uint32_t padded = (op->in + INPUTS - 1) & ~(INPUTS - 1);
    const int8_t *w = (const int8_t *)op->weights + (n & ~1u) * padded + (n & 1u);
    int32_t acc = 0;
    for (uint32_t k = 0; k < op->in; k++)
        acc += w[2 * k] * x[k];
    return acc;
}

/* Row n in the layout for one frame */
static int32_t sum_of_halves(const nn_linear *op, uint32_t n, const int16_t *x)
{
    const uint32_t padded = (op->in + INPUTS - 1) & ~(INPUTS - 1);
    const int16_t *w = (const int16_t *)op->weights + ((n >> 2) * padded + ((n >> 1) & 1u)) * 2;
    int32_t acc = 0;
    for (uint32_t k = 0; k < op->in; k++) {
        const int32_t h = w[2 * (k & ~1u) + (k & 1u)], a = (int8_t)(h & 255);
        acc += (n & 1u ? (h - a) >> 8 : a) * x[k];
    }
    return acc;
}

NN_COLD static void linear_portable(const nn_linear *op, const int16_t *x, int16_t *y)
{
    linear_of_sums(op, x, y, op->frames > 1 ? sum_of_bytes : sum_of_halves);
}

#endif

#if NN_HOSTED

/* A computer has stack for whole rows: two of them are widened at a time and serve all frames, and
 * a compiler finds the multiply-accumulate of 16-bit pairs in dot(). Integers are the same in any
 * order. */
static void widen(const nn_linear *op, uint32_t n, int16_t *a, int16_t *b)
{
    const uint32_t padded = (op->in + INPUTS - 1) & ~(INPUTS - 1);
    if (op->frames > 1) {
        const int8_t *w = (const int8_t *)op->weights + n * padded;
        for (uint32_t k = 0; k < op->in; k++)
            a[k] = w[2 * k], b[k] = w[2 * k + 1];
    } else {
        const int16_t *w = (const int16_t *)op->weights + ((n >> 2) * padded + ((n >> 1) & 1u)) * 2;
        for (uint32_t k = 0; k < op->in; k++) {
            const int32_t h = w[2 * (k & ~1u) + (k & 1u)];
            a[k] = (int8_t)(h & 255), b[k] = (int16_t)((h - a[k]) >> 8);
        }
    }
}

static int32_t dot(const int16_t *w, const int16_t *x, uint32_t count)
{
    uint32_t sum = 0;
    for (uint32_t k = 0; k < count; k++)
        sum += (uint32_t)(w[k] * x[k]);
    return (int32_t)sum;
}

void nn_linear_s8_s16(const nn_linear *op, const int16_t *x, int16_t *y)
{
    int16_t rows[2][UINT16_MAX];
    for (uint32_t n = 0; n < op->out; n++) {
        if (!(n & 1u))
            widen(op, n, rows[0], rows[1]);
        for (uint32_t t = 0; t < op->frames; t++) {
            const int32_t acc =
                nn_add(op->bias[n], dot(rows[n & 1u], x + t * op->x_stride, op->in));
            y[t * op->y_stride + n] =
                (int16_t)nn_clamp(nn_requant(acc, op->shift, op->mult[n]), op->lo, op->hi);
        }
    }
}

#elif !NN_DSP

void nn_linear_s8_s16(const nn_linear *op, const int16_t *x, int16_t *y)
{
    linear_portable(op, x, y);
}

#else

/* --- one frame: four rows --- */

#define ROWS4_HALF(x)                             \
    "ldrd %[w0], %[w2], [%[w]], #8\n\t"           \
    "smlald %[lo0], %[hi0], %[w0], %[" x "]\n\t"  \
    "sxtb16 %[w0], %[w0]\n\t"                     \
    "smlald %[lo2], %[hi2], %[w2], %[" x "]\n\t"  \
    "sxtb16 %[w2], %[w2]\n\t"                     \
    "smlad %[a0], %[w0], %[" x "], %[a0]\n\t"     \
    "smlad %[a2], %[w2], %[" x "], %[a2]\n\t"
#define ROWS4_STEP "ldrd %[x0], %[x1], [%[x]], #8\n\t" ROWS4_HALF("x0") ROWS4_HALF("x1")
#define ROWS4_REGISTERS                                                                   \
    [a0] "+&r"(a0), [a2] "+&r"(a2), [lo0] "+&r"(lo0), [hi0] "+&r"(hi0), [lo2] "+&r"(lo2), \
        [hi2] "+&r"(hi2), [w] "+&r"(w), [x] "+&r"(x), [x0] "=&r"(x0), [x1] "=&r"(x1),     \
        [w0] "=&r"(w0), [w2] "=&r"(w2)

/* Σb·x + bias from Σ(a + 256·b)·x and Σa·x, both begun with the bias of row a */
static inline int32_t second_row(uint32_t lo, uint32_t hi, int32_t a, int32_t bias)
{
    uint64_t h = (uint64_t)hi << 32 | lo;
    return nn_add((int32_t)(uint32_t)((h - (uint64_t)(int64_t)a) >> 8), bias);
}

/* Four rows; returns the weights of the next four. */
static inline __attribute__((always_inline)) const uint32_t *
four_rows(const frame *f, const output *o, const uint32_t *w, const int32_t *bias,
          const int32_t *mult, int16_t *y)
{
    int32_t a0 = bias[0], a2 = bias[2], b0, b2;
    uint32_t lo0 = (uint32_t)a0, hi0 = (uint32_t)((uint64_t)a0 >> 32);
    uint32_t lo2 = (uint32_t)a2, hi2 = (uint32_t)((uint64_t)a2 >> 32), x0, x1, w0, w2;
    const int16_t *x = f->start;
    if (f->end != x)
        __asm__(LOOPS(ROWS4_STEP, "x", "x0")
                : ROWS4_REGISTERS
                : [part] "m"(f->part), [end] "m"(f->end)
                : "cc", "memory");
    if (f->has_rest) {
        x = f->rest;
        __asm__(ROWS4_STEP : ROWS4_REGISTERS : : "memory");
    }
    b0 = second_row(lo0, hi0, a0, bias[1]);
    b2 = second_row(lo2, hi2, a2, bias[3]);
    store_rows(o, a0, b0, a2, b2, mult, y);
    return w;
}

/* --- several frames: two rows × two or three frames --- */

#define WIDEN(w, wide) "sxtb16 %[" wide "], %[" w "], ror #8\n\tsxtb16 %[" w "], %[" w "]\n\t"
#define MAC(w, wide, x, t)                                 \
    "smlad %[a" t "], %[" w "], %[" x "], %[a" t "]\n\t"   \
    "smlad %[b" t "], %[" wide "], %[" x "], %[b" t "]\n\t"

#define FRAMES3_HALF(w)                                             \
    WIDEN(w, "u")                                                   \
    "ldr %[v], [%[x], %[stride]]\n\t" MAC(w, "u", "v", "1")         \
    "ldr %[v], [%[x], %[stride], lsl #1]\n\t" MAC(w, "u", "v", "2") \
    "ldr %[v], [%[x]], #4\n\t" MAC(w, "u", "v", "0")
#define FRAMES3_STEP "ldrd %[w0], %[w1], [%[w]], #8\n\t" FRAMES3_HALF("w0") FRAMES3_HALF("w1")

#define FRAMES2_STEP                                                      \
    "ldrd %[w0], %[w1], [%[w]], #8\n\t"                                   \
    "ldrd %[v], %[v1], [%[x]], #8\n\t" WIDEN("w0", "u") WIDEN("w1", "u1") \
    MAC("w0", "u", "v", "0") MAC("w1", "u1", "v1", "0")                   \
    "ldrd %[v], %[v1], [%[next]], #8\n\t"                                 \
    MAC("w0", "u", "v", "1") MAC("w1", "u1", "v1", "1")

/* Three frames of two rows; returns x behind the first of them. */
static inline __attribute__((always_inline)) const int16_t *
three_frames(const two_rows *r, const output *o, const int16_t *x, uint32_t x_stride, int16_t *y,
             uint32_t y_stride)
{
    int32_t a0 = r->bias_a, a1 = a0, a2 = a0, b0 = r->bias_b, b1 = b0, b2 = b0;
    const uint32_t *w = r->start;
    uint32_t w0, w1, u, v;
    __asm__(LOOPS(FRAMES3_STEP, "w", "v")
            : [a0] "+&r"(a0), [b0] "+&r"(b0), [a1] "+&r"(a1), [b1] "+&r"(b1), [a2] "+&r"(a2),
              [b2] "+&r"(b2), [w] "+&r"(w), [x] "+&r"(x), [w0] "=&r"(w0), [w1] "=&r"(w1),
              [u] "=&r"(u), [v] "=&r"(v)
            : [stride] "r"(2 * x_stride), [part] "m"(r->part), [end] "m"(r->end)
            : "cc", "memory");
    store_frames(r, o, (int32_t[]){a0, a1, a2}, (int32_t[]){b0, b1, b2}, 3, y, y_stride);
    return x;
}

static inline __attribute__((always_inline)) const int16_t *
two_frames(const two_rows *r, const output *o, const int16_t *x, uint32_t x_stride, int16_t *y,
           uint32_t y_stride)
{
    int32_t a0 = r->bias_a, a1 = a0, b0 = r->bias_b, b1 = b0;
    const uint32_t *w = r->start;
    const int16_t *next = x + x_stride;
    uint32_t w0, w1, u, u1, v, v1;
    __asm__(LOOPS(FRAMES2_STEP, "w", "v")
            : [a0] "+&r"(a0), [b0] "+&r"(b0), [a1] "+&r"(a1), [b1] "+&r"(b1), [w] "+&r"(w),
              [x] "+&r"(x), [next] "+&r"(next), [w0] "=&r"(w0), [w1] "=&r"(w1), [u] "=&r"(u),
              [u1] "=&r"(u1), [v] "=&r"(v), [v1] "=&r"(v1)
            : [part] "m"(r->part), [end] "m"(r->end)
            : "cc", "memory");
    store_frames(r, o, (int32_t[]){a0, a1}, (int32_t[]){b0, b1}, 2, y, y_stride);
    return x;
}

/* Frames in threes, the last two or four in twos. */
static void several_frames(const nn_linear *op, const output *o, const int16_t *x, int16_t *y)
{
    const uint32_t *w = op->weights, words = op->in / 2u, part = op->in % (INPUTS * UNROLL) / 2u;
    const uint32_t x_stride = op->x_stride, y_stride = op->y_stride;
    const uint32_t threes = op->frames / 3u - (op->frames % 3u == 1),
                   twos = (op->frames - 3 * threes) / 2;
    const uint32_t skip3 = 3 * x_stride - op->in, skip2 = 2 * x_stride - op->in; /* modulo 2³² */
    for (uint32_t n = 0; n < op->out; n += 2, w += words) {
        const two_rows r = {w, w + part, w + words, op->bias[n], op->bias[n + 1],
                            op->mult[n], op->mult[n + 1]};
        const int16_t *from = x;
        int16_t *to = y + n, *end = to + 3 * threes * y_stride;
        for (; to != end; to += 3 * y_stride)
            from = three_frames(&r, o, from, x_stride, to, y_stride) + (int32_t)skip3;
        for (end = to + 2 * twos * y_stride; to != end; to += 2 * y_stride)
            from = two_frames(&r, o, from, x_stride, to, y_stride) + (int32_t)skip2;
    }
}

void nn_linear_s8_s16(const nn_linear *op, const int16_t *x, int16_t *y)
{
    const output o = {op->shift, nn_clamp_to(op->lo, op->hi)};
    if ((uintptr_t)x % 4u) {
        linear_portable(op, x, y);
    } else if (op->frames == 1) {
        const frame f = frame_of(x, op->in);
        one_frame(op, &o, &f, y, four_rows);
    } else if (op->in % INPUTS == 0 && op->x_stride % 2u == 0 && op->out % 2u == 0) {
        several_frames(op, &o, x, y);
    } else {
        linear_portable(op, x, y);
    }
}

#endif

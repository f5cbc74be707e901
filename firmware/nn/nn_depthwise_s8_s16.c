#include "nn.h"
#include "nn_intrinsics.h"

/* The definition, channel by channel */
static inline void every_channel(const nn_depthwise *op, const int16_t *x, int16_t *y)
{
    const uint32_t channels = op->channels;
    for (uint32_t c = 0; c < channels; c++) {
        const int16_t *w = op->weights + 2 * c;
        int32_t acc = op->bias[c];
        for (uint32_t i = 0; i < op->kernel; i++)
            acc = nn_add(acc, w[(i & ~1u) * channels + (i & 1u)] * x[i * channels + c]);
        y[c] = (int16_t)nn_clamp(nn_requant(acc, op->shift, op->mult[c]), op->lo, op->hi);
    }
}

#if NN_MVE

typedef struct {
    int32x4_t even, odd;
} eight_sums;

/* Adds w·x for eight channels. */
static inline void add_tap(eight_sums *sums, int16x8_t w, int16x8_t x)
{
    sums->even = vaddq_s32(sums->even, vmullbq_int_s16(w, x));
    sums->odd = vaddq_s32(sums->odd, vmulltq_int_s16(w, x));
}

static inline int32x4_t outputs_of(const nn_depthwise *op, int32x4_t sums, int32x4_t mult)
{
    const int32x4_t y = vrmulhq_s32(vshlq_r_s32(sums, op->shift), mult);
    return vminq_s32(vmaxq_s32(y, vdupq_n_s32(op->lo)), vdupq_n_s32(op->hi));
}

#define AT_ONCE 8u

/* Eight channels of a frame. Loads take the weights of two taps apart. */
static inline void several_channels(const nn_depthwise *op, uint32_t c, const int16_t *x,
                                    int16_t *y)
{
    const uint32_t channels = op->channels;
    const int16_t *w = op->weights + 2 * c;
    const int32x4x2_t bias = vld2q_s32(op->bias + c), mult = vld2q_s32(op->mult + c);
    eight_sums sums = {bias.val[0], bias.val[1]};
    x += c;
    for (uint32_t pair = op->kernel / 2; pair; pair--, x += 2 * channels, w += 2 * channels) {
        const int16x8x2_t two = vld2q_s16(w);
        __asm__("" : "+r"(w)); /* or gcc 12 moves w by a form of VLD2 that is none */
        add_tap(&sums, two.val[0], vld1q_s16(x));
        add_tap(&sums, two.val[1], vld1q_s16(x + channels));
    }
    if (op->kernel & 1u)
        add_tap(&sums, vld2q_s16(w).val[0], vld1q_s16(x));
    const int16x8_t low = vreinterpretq_s16_s32(outputs_of(op, sums.even, mult.val[0]));
    vst1q_s16(y + c, vmovntq_s32(low, outputs_of(op, sums.odd, mult.val[1])));
}

static inline uint32_t loadable(const nn_depthwise *op, const int16_t *x)
{
    (void)x;
    return op->channels >= AT_ONCE;
}

#elif NN_DSP

#define AT_ONCE 4u

/* Two channels of two taps, whose words are p and r: the pairs of taps, and two
 * multiply-accumulates for each channel. */
#define TWO_CHANNELS(p, r, a, b, at)                                                          \
    "pkhbt %[t], %[" p "], %[" r "], lsl #16\n\tpkhtb %[" r "], %[" r "], %[" p "], asr #16\n\t" \
    "ldrd %[" p "], %[v], [%[w], #" at "]\n\t"                                                \
    "smlad %[" a "], %[t], %[" p "], %[" a "]\n\t"                                            \
    "smlad %[" b "], %[" r "], %[v], %[" b "]\n\t"

/* Σ w·x over all taps of four channels */
static inline void sums_of(const nn_depthwise *op, const int16_t *x, const int16_t *w,
                           int32_t *sums)
{
    const uint32_t channels = op->channels, row = 2 * channels;
    const int16_t *const end = w + (op->kernel & ~1u) * channels;
    int32_t a = sums[0], b = sums[1], c = sums[2], d = sums[3];
    uint32_t p, q, r, s, t, v;
    while (w != end)
        __asm__("ldrd %[p], %[q], [%[x]]\n\tadd %[x], %[row]\n\t"
                "ldrd %[r], %[s], [%[x]]\n\tadd %[x], %[row]\n\t"
                TWO_CHANNELS("p", "r", "a", "b", "0") TWO_CHANNELS("q", "s", "c", "d", "8")
                "add %[w], %[w], %[row], lsl #1\n\t"
                : [x] "+&r"(x), [w] "+&r"(w), [a] "+&r"(a), [b] "+&r"(b), [c] "+&r"(c),
                  [d] "+&r"(d), [p] "=&r"(p), [q] "=&r"(q), [r] "=&r"(r), [s] "=&r"(s),
                  [t] "=&r"(t), [v] "=&r"(v)
                : [row] "r"(row)
                : "memory");
    if (op->kernel & 1u) {
        p = nn_load_pair(x), q = nn_load_pair(x + 2);
        a += nn_low(p) * w[0], b += nn_high(p) * w[2];
        c += nn_low(q) * w[4], d += nn_high(q) * w[6];
    }
    sums[0] = a, sums[1] = b, sums[2] = c, sums[3] = d;
}

static inline void several_channels(const nn_depthwise *op, uint32_t c, const int16_t *x,
                                    int16_t *y)
{
    const int32_t *bias = op->bias + c, *mult = op->mult + c;
    const nn_clamp_pair clamp = nn_clamp_to(op->lo, op->hi);
    int32_t sums[4], first, second;
    nn_next_words(&bias, sums, sums + 1);
    nn_next_words(&bias, sums + 2, sums + 3);
    sums_of(op, x + c, op->weights + 2 * c, sums);
    if (op->shift)
        for (uint32_t i = 0; i < 4; i++)
            sums[i] = nn_shift_left(sums[i], op->shift);
    nn_next_words(&mult, &first, &second);
    nn_store_pair(y + c, nn_clamp_requant(&clamp, sums[0], first, sums[1], second));
    nn_next_words(&mult, &first, &second);
    nn_store_pair(y + c + 2, nn_clamp_requant(&clamp, sums[2], first, sums[3], second));
}

static inline uint32_t loadable(const nn_depthwise *op, const int16_t *x)
{
    return op->channels >= AT_ONCE && op->channels % 2u == 0 && ((uintptr_t)x & 3u) == 0;
}

#endif

#ifdef AT_ONCE

/* Blocks of channels; the last one holds the last channels, some of them once more. */
static inline void one_frame(const nn_depthwise *op, const int16_t *x, int16_t *y)
{
    const uint32_t last = op->channels - AT_ONCE;
    for (uint32_t c = 0;; c = c + AT_ONCE < last ? c + AT_ONCE : last) {
        several_channels(op, c, x, y);
        if (c == last)
            break;
    }
}

#else

static inline uint32_t loadable(const nn_depthwise *op, const int16_t *x)
{
    (void)op, (void)x;
    return 0;
}

static inline void one_frame(const nn_depthwise *op, const int16_t *x, int16_t *y)
{
    every_channel(op, x, y);
}

#endif

void nn_depthwise_s8_s16(const nn_depthwise *op, const int16_t *x, int16_t *y)
{
    const nn_depthwise own = *op; /* which no store to y can change */
    const uint32_t fast = loadable(&own, x), step = (uint32_t)own.kernel * own.channels;
    for (uint32_t t = own.frames; t; t--, x += step, y += own.channels)
        if (fast)
            one_frame(&own, x, y);
        else
            every_channel(&own, x, y);
}

#include "nn.h"
#include "nn_assembly.h"
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

/* Adds w*x for eight channels. */
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

#elif NN_DSP

#define AT_ONCE 4u

/* Where the next block of a frame's channels is, and what all blocks share */
typedef struct {
    const int16_t *x, *weights;
    const int32_t *bias;
    uint32_t row;  /* bytes from a frame of x to the next */
    uint32_t span; /* bytes of the weights of all pairs of taps */
    uint32_t odd;  /* whether a last tap is by itself */
    uint32_t shift;
    nn_clamp_pair clamp;
    const int32_t *mult;
} blocks;
NN_LIES(blocks, row, 12);
NN_LIES(blocks, odd, 20);
NN_LIES(blocks, clamp, 28);
NN_LIES(blocks, mult, 40);

/* Blocks of four channels, of which there is one at least, up to the output `end`.
 * r0 x, r1 the weights and r2 their end, r3 the row, r4 to r7 the sums */
/* stack: 48 bytes */
static NN_NAKED void blocks_of(blocks *at, int16_t *y, const int16_t *end)
{
/* Two channels of two taps, whose words are first and second: the pairs of taps, and two
 * multiply-accumulates for each channel. */
#define TWO_CHANNELS(first, second, a, b, from)                                                    \
    "pkhbt r12, " first ", " second ", lsl #16\n\t"                                                \
    "pkhtb " second ", " second ", " first ", asr #16\n\tldrd r8, lr, [r1, #" from "]\n\t"         \
    "smlad " a ", r12, r8, " a "\n\tsmlad " b ", " second ", lr, " b "\n\t"
    __asm__("push {r0, r1, r2, r4, r5, r6, r7, r8, r9, r10, r11, lr}\n1:\n\t"
            "ldr r12, [sp]\n\tldm r12, {r0, r1, r2, r3, r8}\n\tadd r8, r1, r8\n\t"
            "add r9, r0, #8\n\tadd r10, r1, #16\n\tadd r11, r2, #16\n\t"
            "stm r12, {r9, r10, r11}\n\tldm r2, {r4, r5, r6, r7}\n\tmov r2, r8\n\t"
            "cmp r1, r2\n\tbeq 3f\n2:\n\t"
            "ldrd r8, r9, [r0]\n\tadd r0, r3\n\tldrd r10, r11, [r0]\n\tadd r0, r3\n\t"
            TWO_CHANNELS("r8", "r10", "r4", "r5", "0") TWO_CHANNELS("r9", "r11", "r6", "r7", "8")
            "add r1, r1, r3, lsl #1\n\tcmp r1, r2\n\tbne 2b\n3:\n\t"
            "ldr r12, [sp]\n\tadd r8, r12, #20\n\tldm r8, {r8, r9, r10, r11, r12}\n\t"
            "cmp r8, #0\n\tbeq 4f\n\tldrd r2, r3, [r0]\n\tldrd r8, lr, [r1]\n\t"
            "smlabb r4, r2, r8, r4\n\tsmlatb r5, r2, lr, r5\n\tldrd r8, lr, [r1, #8]\n\t"
            "smlabb r6, r3, r8, r6\n\tsmlatb r7, r3, lr, r7\n4:\n\t"
            "ldr r8, [sp]\n\tldr lr, [r8, #40]\n\tldmia lr!, {r0, r1, r2, r3}\n\t"
            "str lr, [r8, #40]\n\t"
            "lsls r4, r9\n\tlsls r5, r9\n\tlsls r6, r9\n\tlsls r7, r9\n\t"
            "smmlar r4, r4, r0, r10\n\tsmmlar r5, r5, r1, r10\n\t"
            "smmlar r6, r6, r2, r10\n\tsmmlar r7, r7, r3, r10\n\t"
            "usat r4, #16, r4\n\tusat r5, #16, r5\n\tusat r6, #16, r6\n\tusat r7, #16, r7\n\t"
            "pkhbt r4, r4, r5, lsl #16\n\tpkhbt r6, r6, r7, lsl #16\n\t"
            "uqadd16 r4, r4, r11\n\tuqadd16 r6, r6, r11\n\t"
            "uadd16 r4, r4, r12\n\tuadd16 r6, r6, r12\n\tldrd r0, r1, [sp, #4]\n\t"
            "str r4, [r0], #4\n\tstr r6, [r0], #4\n\tstr r0, [sp, #4]\n\t"
            "cmp r0, r1\n\tbne 1b\n\t"
            "add sp, sp, #12\n\tpop {r4, r5, r6, r7, r8, r9, r10, r11, pc}");
}

/* The blocks of channels c and following up to `end` */
static inline void several_channels(const nn_depthwise *op, uint32_t c, uint32_t end,
                                    const int16_t *x, int16_t *y)
{
    blocks at = {.x = x + c,
                 .weights = op->weights + 2 * c,
                 .bias = op->bias + c,
                 .row = 2u * op->channels,
                 .span = (op->kernel & ~1u) * 2u * op->channels,
                 .odd = op->kernel & 1u,
                 .shift = op->shift,
                 .clamp = nn_clamp_to(op->lo, op->hi),
                 .mult = op->mult + c};
    blocks_of(&at, y + c, y + end);
}

/* Blocks of channels; of two left over the last four are one by themselves. */
static inline void one_frame(const nn_depthwise *op, const int16_t *x, int16_t *y)
{
    const uint32_t channels = op->channels;
    several_channels(op, 0, channels & ~3u, x, y);
    if (channels & 3u)
        several_channels(op, channels - AT_ONCE, channels, x, y);
}

static inline uint32_t loadable(const nn_depthwise *op, const int16_t *x)
{
    return op->channels >= AT_ONCE && op->channels % 2u == 0 && ((uintptr_t)x & 3u) == 0;
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

#include "nn.h"
#include "nn_assembly.h"
#include "nn_intrinsics.h"

#define SEGMENT 7 /* bits of 2^-11 nats in one segment of the table, 1/16 nat */

/* round(2^15*exp(-j/16)) - 2^15, so that two of them are a pair of int16 */
static const int16_t exponentials[257] = {
    0, -1985, -3850, -5602, -7248, -8794, -10247, -11611, -12893, -14097, -15229, -16291, -17289,
    -18227, -19108, -19936, -20713, -21444, -22130, -22774, -23380, -23949, -24483, -24985, -25456,
    -25899, -26316, -26707, -27074, -27419, -27743, -28047, -28333, -28602, -28854, -29092, -29314,
    -29524, -29720, -29905, -30078, -30241, -30394, -30538, -30673, -30800, -30919, -31031, -31137,
    -31235, -31328, -31416, -31497, -31574, -31647, -31715, -31778, -31838, -31895, -31948, -31997,
    -32044, -32088, -32129, -32168, -32204, -32238, -32270, -32301, -32329, -32356, -32381, -32404,
    -32426, -32447, -32466, -32485, -32502, -32518, -32533, -32547, -32561, -32573, -32585, -32596,
    -32606, -32616, -32625, -32634, -32642, -32650, -32657, -32664, -32670, -32676, -32682, -32687,
    -32692, -32696, -32701, -32705, -32709, -32712, -32716, -32719, -32722, -32725, -32727, -32730,
    -32732, -32734, -32736, -32738, -32740, -32742, -32743, -32745, -32746, -32747, -32749, -32750,
    -32751, -32752, -32753, -32754, -32755, -32756, -32756, -32757, -32758, -32758, -32759, -32759,
    -32760, -32760, -32761, -32761, -32762, -32762, -32762, -32763, -32763, -32763, -32764, -32764,
    -32764, -32764, -32765, -32765, -32765, -32765, -32765, -32766, -32766, -32766, -32766, -32766,
    -32766, -32766, -32766, -32767, -32767, -32767, -32767, -32767, -32767, -32767, -32767, -32767,
    -32767, -32767, -32767, -32767, -32767, -32767, -32767, -32767, -32767, -32768, -32768, -32768,
    -32768, -32768, -32768, -32768, -32768, -32768, -32768, -32768, -32768, -32768, -32768, -32768,
    -32768, -32768, -32768, -32768, -32768, -32768, -32768, -32768, -32768, -32768, -32768, -32768,
    -32768, -32768, -32768, -32768, -32768, -32768, -32768, -32768, -32768, -32768, -32768, -32768,
    -32768, -32768, -32768, -32768, -32768, -32768, -32768, -32768, -32768, -32768, -32768, -32768,
    -32768, -32768, -32768, -32768, -32768, -32768, -32768, -32768, -32768, -32768, -32768, -32768,
    -32768, -32768, -32768, -32768, -32768, -32768, -32768, -32768, -32768, -32768, -32768, -32768,
    -32768, -32768, -32768, -32768,
};

/* How far below the largest x of a row a value lies, (max - x) << shift = base + x*scale, and the
 * factor from that to steps of 2^-11 nats */
typedef struct {
    int32_t base, scale, mult;
    const int16_t *table; /* exponentials */
} depth;

/* How an exponential becomes a probability: (e*factor + half) >> shift */
typedef struct {
    uint32_t factor, half, shift;
} share;

/* Of exponentials with this sum, which is 2^15 at least. Where it is just that, one value has all
 * of it, which 2^15*65534 makes 32767. */
static inline share share_of(uint32_t total)
{
    const uint32_t bits = 16u - (uint32_t)__builtin_clz(total);
    const uint32_t rounded = (total + ((1u << bits) >> 1)) >> bits;
    const uint32_t factor = total == 1u << 15 ? 65534u : (1u << 31) / rounded;
    const share s = {factor, 1u << (15u + bits), 16u + bits};
    return s;
}

#if NN_MVE

static inline int32_t maximum(const int16_t *x, uint32_t n)
{
    int16_t max = -32768;
    for (; n >= 8; n -= 8, x += 8)
        max = vmaxvq_s16(max, vld1q_s16(x));
    if (n)
        max = vmaxvq_p_s16(max, vldrhq_z_s16(x, vctp16q(n)), vctp16q(n));
    return max;
}

/* Eight exponentials. One segment is e0 - ((e0 - e1)*k + 64) >> 7: VQRDMULH, with k at the top. */
static inline uint16x8_t exponentials_of_eight(const depth *d, int16x8_t x)
{
    const int32x4_t scale = vdupq_n_s32(d->scale), mult = vdupq_n_s32(d->mult);
    const int32x4_t even = vrmulhq_s32(vmlasq_n_s32(vmovlbq_s16(x), scale, d->base), mult);
    const int32x4_t odd = vrmulhq_s32(vmlasq_n_s32(vmovltq_s16(x), scale, d->base), mult);
    const int16x8_t q = vqmovntq_s32(vqmovnbq_s32(vdupq_n_s16(0), even), odd);
    const uint16x8_t segment = vshrq_n_u16(vreinterpretq_u16_s16(q), SEGMENT);
    const int16x8_t left = vldrhq_gather_shifted_offset_s16(exponentials, segment);
    const int16x8_t right = vldrhq_gather_shifted_offset_s16(exponentials + 1, segment);
    const int16x8_t k = vandq_s16(vshlq_n_s16(q, 15 - SEGMENT), vdupq_n_s16(0x7F00));
    const int16x8_t e = vsubq_s16(left, vqrdmulhq_s16(vsubq_s16(left, right), k));
    return vreinterpretq_u16_s16(veorq_s16(e, vdupq_n_s16(-32768)));
}

static inline uint32_t exponentials_of(const depth *d, const int16_t *x, int16_t *y, uint32_t n)
{
    uint32_t total = 0;
    for (int32_t left = (int32_t)n; left > 0; left -= 8, x += 8, y += 8) {
        const mve_pred16_t there = vctp16q((uint32_t)left);
        const uint16x8_t e = exponentials_of_eight(d, vldrhq_z_s16(x, there));
        total = vaddvaq_p_u16(total, e, there);
        vstrhq_p_u16((uint16_t *)y, e, there);
    }
    return total;
}

static inline int32x4_t four_shares(const share *s, uint32x4_t e)
{
    const uint32x4_t y = vmlasq_n_u32(e, vdupq_n_u32(s->factor), s->half);
    return vreinterpretq_s32_u32(vshlq_r_u32(y, -(int32_t)s->shift));
}

static inline void shares_of(const share *s, int16_t *y, uint32_t n)
{
    for (int32_t left = (int32_t)n; left > 0; left -= 8, y += 8) {
        const mve_pred16_t there = vctp16q((uint32_t)left);
        const uint16x8_t e = vldrhq_z_u16((const uint16_t *)y, there);
        const int16x8_t low =
            vqmovnbq_s32(vdupq_n_s16(0), four_shares(s, vmovlbq_u16(e)));
        vstrhq_p_s16(y, vqmovntq_s32(low, four_shares(s, vmovltq_u16(e))), there);
    }
}

#else

static inline int32_t maximum(const int16_t *x, uint32_t n)
{
    int32_t max = x[0];
    uint32_t pair = nn_pair(max, max);
#if NN_DSP
    uint32_t p, t;
#define TWO "ldr %[p], [%[x]], #4\n\tssub16 %[t], %[p], %[m]\n\tsel %[m], %[p], %[m]\n\t"
    for (; n >= 8; n -= 8)
        __asm__(TWO TWO TWO TWO
                : [x] "+&r"(x), [m] "+&r"(pair), [p] "=&r"(p), [t] "=&r"(t)
                :
                : "cc", "memory");
#endif
    for (; n >= 2; n -= 2, x += 2)
        pair = nn_smax16(pair, nn_load_pair(x));
    max = n && x[0] > max ? x[0] : max;
    max = nn_low(pair) > max ? nn_low(pair) : max;
    return nn_high(pair) > max ? nn_high(pair) : max;
}

#define LINE ((32768 << SEGMENT) + (1 << SEGMENT) / 2 - 1)

/* 2^15*exp(-q) with q = requant(max - x), halves down */
static inline uint32_t exponential(const depth *d, int32_t x)
{
    const int32_t q = nn_ssat16(nn_smmulr(nn_mla(x, d->scale, d->base), d->mult));
    const uint32_t k = (uint32_t)q & ((1u << SEGMENT) - 1u);
    /* the pair (128 - k, k) */
    const uint32_t of = (uint32_t)nn_mla((int32_t)k, 65535, 1 << SEGMENT);
    const uint32_t ends = nn_load_pair(exponentials + (q >> SEGMENT));
    return (uint32_t)nn_smlad(ends, of, LINE) >> SEGMENT;
}

#if NN_DSP
NN_LIES(depth, table, 12);
_Static_assert(LINE == 0x40003F, "the assembly below says it in two halves");

/* Pairs of exponentials of x up to `end`, as uint16 to y; returns their sum.
 * r7 to r10 what `d` says, r11 = 65535, r12 = 128, lr = LINE */
/* stack: 36 bytes */
static NN_NAKED uint32_t sum_of_pairs(const depth *d, const int16_t *x, int16_t *y,
                                      const int16_t *end)
{
/* An exponential, seven bits too long, of how far below the largest its x lies */
#define EXPONENTIAL(q)                                                                             \
    "asr r4, " q ", #7\n\tldr r4, [r10, r4, lsl #1]\n\tand " q ", " q ", #127\n\t"                 \
    "mla " q ", " q ", r11, r12\n\tsmlad " q ", r4, " q ", lr\n\t"
    __asm__("push {r4, r5, r6, r7, r8, r9, r10, r11, lr}\n\tldm r0, {r7, r8, r9, r10}\n\t"
            "movw r11, #0xFFFF\n\tmov r12, #128\n\tmovw lr, #0x3F\n\tmovt lr, #0x40\n\t"
            "movs r0, #0\n\tcmp r1, r3\n\tbeq 2f\n1:\n\t"
            "ldr r4, [r1], #4\n\tsmlabb r5, r4, r8, r7\n\tsmlatb r6, r4, r8, r7\n\t"
            "smmulr r5, r5, r9\n\tsmmulr r6, r6, r9\n\t"
            "ssat r5, #16, r5\n\tssat r6, #16, r6\n\t" EXPONENTIAL("r5") EXPONENTIAL("r6")
            "lsrs r5, r5, #7\n\tpkhbt r5, r5, r6, lsl #9\n\tstr r5, [r2], #4\n\t"
            "uxtah r0, r0, r5\n\tadd r0, r0, r5, lsr #16\n\tcmp r1, r3\n\tbne 1b\n2:\n\t"
            "pop {r4, r5, r6, r7, r8, r9, r10, r11, pc}");
}

/* x and y move behind them. */
static inline uint32_t pairs_of(const depth *d, const int16_t **x, int16_t **y, uint32_t n)
{
    const uint32_t total = sum_of_pairs(d, *x, *y, *x + n);
    *x += n, *y += n;
    return total;
}
#else
static inline uint32_t pairs_of(const depth *d, const int16_t **x, int16_t **y, uint32_t n)
{
    uint32_t total = 0;
    for (; n; n--) {
        const uint32_t e = exponential(d, *(*x)++);
        total += e;
        *(*y)++ = (int16_t)e;
    }
    return total;
}
#endif

/* The exponentials of a row as uint16 in y, and their sum */
static inline uint32_t exponentials_of(const depth *d, const int16_t *x, int16_t *y, uint32_t n)
{
    uint32_t total = pairs_of(d, &x, &y, n & ~1u);
    if (n & 1u) {
        const uint32_t e = exponential(d, *x);
        total += e;
        *y = (int16_t)e;
    }
    return total;
}

static inline int32_t one_share(const share *s, uint32_t e)
{
    const int32_t product = nn_mla((int32_t)e, (int32_t)s->factor, (int32_t)s->half);
    return (int32_t)((uint32_t)product >> s->shift);
}

static inline void shares_of(const share *s, int16_t *y, uint32_t n)
{
    for (; n >= 2; n -= 2, y += 2) {
        const uint32_t pair = nn_load_pair(y);
        nn_store_pair(y, nn_pair(one_share(s, pair & 0xFFFFu), one_share(s, pair >> 16)));
    }
    if (n)
        *y = (int16_t)one_share(s, (uint16_t)*y);
}

#endif

void nn_softmax_s16(const nn_softmax *op, const int16_t *x, int16_t *y)
{
    const uint32_t n = op->n;
    const int32_t scale = -(1 << op->shift);
    for (uint32_t r = op->rows; r; r--, x += n, y += n) {
        const depth d = {-maximum(x, n) * scale, scale, op->mult, exponentials};
        const share s = share_of(exponentials_of(&d, x, y, n));
        shares_of(&s, y, n);
    }
}

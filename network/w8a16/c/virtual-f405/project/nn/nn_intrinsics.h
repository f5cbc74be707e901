/* The Armv7E-M instructions the kernels are written in. On a Cortex-M with __ARM_FEATURE_DSP they
 * are one instruction each; elsewhere, or with -DNN_PORTABLE, the same integers in portable C, free
 * of undefined behaviour.
 *
 * A "pair" is two int16 in a uint32, the first in the low half, as they lie in little-endian
 * memory. */
#ifndef NN_INTRINSICS_H
#define NN_INTRINSICS_H

#include <stdint.h>
#include <string.h>

/* The fast kernels are written for compilers that read GNU's assembly and attributes, and for a
 * core that may load a word from any address. */
#if defined(__ARM_FEATURE_DSP) && defined(__ARM_ARCH_PROFILE) && __ARM_ARCH_PROFILE == 'M' && \
    !defined(NN_PORTABLE)
#if defined(__GNUC__) && defined(__ARM_FEATURE_UNALIGNED)
#define NN_DSP 1
#else
#pragma message("nn: portable kernels, several times slower: no GNU assembly or no unaligned loads")
#endif
#endif
#ifndef NN_DSP
#define NN_DSP 0
#endif

#if NN_DSP
/* What fast paths leave out stays out of their registers. */
#define NN_APART __attribute__((noinline))
/* A function that is nothing but its assembly: no compiler puts a frame around it, runs out of
 * registers or moves it into another, whatever its options, link-time optimization included. It
 * takes its parameters as the procedure call standard has them, r0 to r3; a comment above it says
 * its stack. Nor may guards of the stack, profilers and coverage put code in front of it, which
 * `naked` alone does not forbid: that code would overwrite parameters and the caller's frame. */
#define NN_NAKED                                                                                   \
    __attribute__((naked, NN_UNMOVED NN_UNGUARDED NN_UNPROFILED NN_UNCOVERED NN_UNPATCHED          \
                       no_instrument_function))
#if defined(__clang__)
#define NN_UNMOVED noinline,
#define NN_UNCOVERED no_sanitize("coverage"),
#else
#define NN_UNMOVED noipa,
/* gcc does not see that assembly uses them; builds for computers look for others. */
#pragma GCC diagnostic ignored "-Wunused-parameter"
#if __has_attribute(no_sanitize_coverage)
#define NN_UNCOVERED no_sanitize_coverage,
#else
#define NN_UNCOVERED
#endif
#endif
#if __has_attribute(no_stack_protector)
#define NN_UNGUARDED no_stack_protector,
#else
#define NN_UNGUARDED optimize("no-stack-protector"),
#endif
#if __has_attribute(no_profile_instrument_function)
#define NN_UNPROFILED no_profile_instrument_function,
#else
#define NN_UNPROFILED
#endif
#if __has_attribute(patchable_function_entry)
#define NN_UNPATCHED patchable_function_entry(0),
#else
#define NN_UNPATCHED
#endif
#else
#define NN_APART
#endif

/* In a loop that counts in v: a compiler that knows nothing of v does not unroll it. */
#if NN_DSP
#define NN_ROLLED(v) __asm__("" : "+r"(v))
#else
#define NN_ROLLED(v) ((void)(v))
#endif

/* A computer rather than a microcontroller: stack is no question, speed without instructions of our
 * own is. */
#if defined(__x86_64__) || defined(__aarch64__)
#define NN_HOSTED 1
#else
#define NN_HOSTED 0
#endif

#if NN_DSP && defined(__ARM_FEATURE_MVE) && (__ARM_FEATURE_MVE & 1)
#define NN_MVE 1
#include <arm_mve.h>
#else
#define NN_MVE 0
#endif

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "the kernels read packed tables as little-endian words"
#endif

/* Two or four bytes from an address that need not be aligned for them: LDR and STR, which Armv7-M
 * allows unaligned. */
static inline uint32_t nn_load_pair(const int16_t *p)
{
    uint32_t v;
    memcpy(&v, p, sizeof v);
    return v;
}

static inline void nn_store_pair(int16_t *p, uint32_t v)
{
    memcpy(p, &v, sizeof v);
}

/* 16 int16 from *x to *y, on word boundaries; moves both behind them. */
static inline void nn_copy_sixteen(int16_t **y, const int16_t **x)
{
#if NN_MVE
    const int16x8_t first = vld1q_s16(*x), second = vld1q_s16(*x + 8);
    vst1q_s16(*y, first);
    vst1q_s16(*y + 8, second);
    *x += 16, *y += 16;
#elif NN_DSP
    __asm__ volatile("ldmia %0!, {r3, r4, r5, r6}\n\tstmia %1!, {r3, r4, r5, r6}\n\t"
                     "ldmia %0!, {r3, r4, r5, r6}\n\tstmia %1!, {r3, r4, r5, r6}"
                     : "+r"(*x), "+r"(*y)
                     :
                     : "r3", "r4", "r5", "r6", "memory");
#else
    memcpy(*y, *x, 16 * sizeof **x);
    *x += 16, *y += 16;
#endif
}

static inline uint32_t nn_on_words(const int16_t *x, const int16_t *y)
{
    return (((uintptr_t)x | (uintptr_t)y) & 3u) == 0;
}

/* n int16 from x to y, which must not overlap. In line, for short runs: a call of memcpy() takes
 * longer than 16 values. */
static inline void nn_copy(int16_t *y, const int16_t *x, uint32_t n)
{
    if (nn_on_words(x, y))
        for (; n >= 16; n -= 16)
            nn_copy_sixteen(&y, &x);
    for (; n >= 2; n -= 2, x += 2, y += 2) {
        nn_store_pair(y, nn_load_pair(x));
        NN_ROLLED(n); /* or gcc copies two pairs at a time, in five times the code */
    }
    if (n)
        memcpy(y, x, sizeof *x);
}

static inline int32_t nn_low(uint32_t pair)
{
    return (int16_t)(pair & 0xFFFFu);
}

static inline int32_t nn_high(uint32_t pair)
{
    return (int16_t)(pair >> 16);
}

static inline uint32_t nn_pair(int32_t low, int32_t high)
{
#if NN_DSP
    uint32_t r;
    __asm__("pkhbt %0, %1, %2, lsl #16" : "=r"(r) : "r"(low), "r"(high));
    return r;
#else
    return ((uint32_t)low & 0xFFFFu) | (uint32_t)high << 16;
#endif
}

/* Sums, products and shifts modulo 2^32: they never pass 2^31 where that matters, and are defined
 * where it does not. */
static inline int32_t nn_add(int32_t a, int32_t b)
{
    return (int32_t)((uint32_t)a + (uint32_t)b);
}

static inline int32_t nn_mul(int32_t a, int32_t b)
{
    return (int32_t)((uint32_t)a * (uint32_t)b);
}

static inline int32_t nn_shift_left(int32_t a, uint32_t shift)
{
    return (int32_t)((uint32_t)a << shift);
}

/* a*b + acc, modulo 2^32 */
static inline int32_t nn_mla(int32_t a, int32_t b, int32_t acc)
{
#if NN_DSP
    int32_t r;
    /* gcc would take two instructions */
    __asm__("mla %0, %1, %2, %3" : "=r"(r) : "r"(a), "r"(b), "r"(acc));
    return r;
#else
    return (int32_t)((uint32_t)a * (uint32_t)b + (uint32_t)acc);
#endif
}

/* (a*b + 2^31) >> 32 */
static inline int32_t nn_smmulr(int32_t a, int32_t b)
{
#if NN_DSP
    int32_t r;
    __asm__("smmulr %0, %1, %2" : "=r"(r) : "r"(a), "r"(b));
    return r;
#else
    return (int32_t)(((int64_t)a * b + 0x80000000LL) >> 32);
#endif
}

/* acc + ((a*b + 2^31) >> 32) */
static inline int32_t nn_smmlar(int32_t a, int32_t b, int32_t acc)
{
#if NN_DSP
    int32_t r;
    __asm__("smmlar %0, %1, %2, %3" : "=r"(r) : "r"(a), "r"(b), "r"(acc));
    return r;
#else
    return nn_add(acc, nn_smmulr(a, b));
#endif
}

/* acc + a.low*b.low + a.high*b.high */
static inline int32_t nn_smlad(uint32_t a, uint32_t b, int32_t acc)
{
#if NN_DSP
    int32_t r;
    __asm__("smlad %0, %1, %2, %3" : "=r"(r) : "r"(a), "r"(b), "r"(acc));
    return r;
#else
    return nn_add(nn_add(acc, nn_low(a) * nn_low(b)), nn_high(a) * nn_high(b));
#endif
}

/* acc + a.low*b.high + a.high*b.low */
static inline int32_t nn_smladx(uint32_t a, uint32_t b, int32_t acc)
{
#if NN_DSP
    int32_t r;
    __asm__("smladx %0, %1, %2, %3" : "=r"(r) : "r"(a), "r"(b), "r"(acc));
    return r;
#else
    return nn_add(nn_add(acc, nn_low(a) * nn_high(b)), nn_high(a) * nn_low(b));
#endif
}

/* acc + a.low*b.low - a.high*b.high */
static inline int32_t nn_smlsd(uint32_t a, uint32_t b, int32_t acc)
{
#if NN_DSP
    int32_t r;
    __asm__("smlsd %0, %1, %2, %3" : "=r"(r) : "r"(a), "r"(b), "r"(acc));
    return r;
#else
    return nn_add(nn_add(acc, nn_low(a) * nn_low(b)), -(nn_high(a) * nn_high(b)));
#endif
}

/* acc + a.low*b.low + a.high*b.high in 64 bits */
static inline int64_t nn_smlald(uint32_t a, uint32_t b, int64_t acc)
{
#if NN_DSP
    __asm__("smlald %Q0, %R0, %1, %2" : "+r"(acc) : "r"(a), "r"(b));
    return acc;
#else
    return acc + (int64_t)(nn_low(a) * nn_low(b)) + nn_high(a) * nn_high(b);
#endif
}

/* a + b held to 32 bits; clang knows the instruction, and its vectors. */
static inline int32_t nn_qadd(int32_t a, int32_t b)
{
#if NN_DSP && !defined(__clang__)
    int32_t r;
    __asm__("qadd %0, %1, %2" : "=r"(r) : "r"(a), "r"(b));
    return r;
#else
    const int64_t sum = (int64_t)a + b;
    return sum > INT32_MAX ? INT32_MAX : sum < INT32_MIN ? INT32_MIN : (int32_t)sum;
#endif
}

/* v held to -32768..32767 */
static inline int32_t nn_ssat16(int32_t v)
{
#if NN_DSP
    int32_t r;
    __asm__("ssat %0, #16, %1" : "=r"(r) : "r"(v));
    return r;
#else
    return v > 32767 ? 32767 : v < -32768 ? -32768 : v;
#endif
}

/* v >> 15 held to -32768..32767 */
static inline int32_t nn_ssat16_asr15(int32_t v)
{
#if NN_DSP
    int32_t r;
    __asm__("ssat %0, #16, %1, asr #15" : "=r"(r) : "r"(v));
    return r;
#else
    return nn_ssat16(v >> 15);
#endif
}

/* Saturating sum of both halves */
static inline uint32_t nn_qadd16(uint32_t a, uint32_t b)
{
#if NN_DSP
    uint32_t r;
    __asm__("qadd16 %0, %1, %2" : "=r"(r) : "r"(a), "r"(b));
    return r;
#else
    return nn_pair(nn_ssat16(nn_low(a) + nn_low(b)), nn_ssat16(nn_high(a) + nn_high(b)));
#endif
}

/* The larger of both halves */
static inline uint32_t nn_smax16(uint32_t a, uint32_t b)
{
#if NN_DSP
    uint32_t r;
    __asm__("ssub16 %0, %1, %2\n\tsel %0, %1, %2" : "=&r"(r) : "r"(a), "r"(b) : "cc");
    return r;
#else
    return nn_pair(nn_low(a) > nn_low(b) ? nn_low(a) : nn_low(b),
                   nn_high(a) > nn_high(b) ? nn_high(a) : nn_high(b));
#endif
}

/* Saturating unsigned sum of both halves */
static inline uint32_t nn_uqadd16(uint32_t a, uint32_t b)
{
#if NN_DSP
    uint32_t r;
    __asm__("uqadd16 %0, %1, %2" : "=r"(r) : "r"(a), "r"(b));
    return r;
#else
    uint32_t low = (a & 0xFFFFu) + (b & 0xFFFFu), high = (a >> 16) + (b >> 16);
    return (low > 0xFFFFu ? 0xFFFFu : low) | (high > 0xFFFFu ? 0xFFFFu : high) << 16;
#endif
}

/* Sum of both halves modulo 2^16 */
static inline uint32_t nn_uadd16(uint32_t a, uint32_t b)
{
#if NN_DSP
    uint32_t r;
    __asm__("uadd16 %0, %1, %2" : "=r"(r) : "r"(a), "r"(b));
    return r;
#else
    return ((a + b) & 0xFFFFu) | ((a >> 16) + (b >> 16)) << 16;
#endif
}

/* v held to 0..65535 */
static inline int32_t nn_usat16(int32_t v)
{
#if NN_DSP
    int32_t r;
    __asm__("usat %0, #16, %1" : "=r"(r) : "r"(v));
    return r;
#else
    return v > 65535 ? 65535 : v < 0 ? 0 : v;
#endif
}

static inline uint32_t nn_clz64(uint64_t v) /* v >= 1 */
{
    return v >> 32 ? (uint32_t)__builtin_clz((uint32_t)(v >> 32))
                   : 32u + (uint32_t)__builtin_clz((uint32_t)v);
}

static inline int32_t nn_clamp(int32_t v, int32_t lo, int32_t hi)
{
    return v < lo ? lo : v > hi ? hi : v;
}

/* requant(acc, shift, mult) of docs/spec/integers.md */
static inline int32_t nn_requant(int32_t acc, uint32_t shift, int32_t mult)
{
    return nn_smmulr(nn_shift_left(acc, shift), mult);
}

/* Two values held to lo..hi at once: with v - lo held to 0..65535 first, one saturating and one
 * plain sum of halves remain. */
typedef struct {
    int32_t minus_lo;
    uint32_t top, back; /* 65535 - (hi - lo) and hi + 1, in both halves */
} nn_clamp_pair;

static inline nn_clamp_pair nn_clamp_to(int32_t lo, int32_t hi)
{
    nn_clamp_pair c = {-lo, nn_pair(65535 - (hi - lo), 65535 - (hi - lo)), nn_pair(hi + 1, hi + 1)};
    return c;
}

/* low + lo and high + lo, clamped, as a pair */
static inline uint32_t nn_clamp_both(const nn_clamp_pair *c, int32_t low, int32_t high)
{
    return nn_uadd16(nn_uqadd16(nn_pair(nn_usat16(low), nn_usat16(high)), c->top), c->back);
}

/* clamp(smmulr(a, mult_a)), clamp(smmulr(b, mult_b)) as a pair */
static inline uint32_t nn_clamp_requant(const nn_clamp_pair *c, int32_t a, int32_t mult_a,
                                        int32_t b, int32_t mult_b)
{
    return nn_clamp_both(c, nn_smmlar(a, mult_a, c->minus_lo), nn_smmlar(b, mult_b, c->minus_lo));
}

/* Two points of a table and how far x lies between them, 0..255 of 256: (left*(256 - f) + right*f +
 * 128), eight bits too long */
static inline int32_t nn_between(const int16_t *left, int32_t f)
{
    /* the pair (256 - f, f) */
    return nn_smlad(nn_load_pair(left), (uint32_t)nn_mla(f, 65535, 256), 128);
}

/* lut(x) of docs/spec/operators-functions.md; middle is the table's entry 128 */
static inline int32_t nn_lut(const int16_t *middle, int32_t x)
{
    return nn_between(middle + (x >> 8), x & 255) >> 8;
}

/* The same for a pair */
static inline uint32_t nn_lut_pair(const int16_t *middle, uint32_t x)
{
    int32_t low = nn_between(middle + (nn_low(x) >> 8), (int32_t)(x & 255u));
    int32_t high = nn_between(middle + ((int32_t)x >> 24), (int32_t)(x >> 16 & 255u));
#if NN_DSP
    uint32_t r;
    __asm__("pkhbt %0, %1, %2, lsl #8" : "=r"(r) : "r"(low >> 8), "r"(high));
    return r;
#else
    return nn_pair(low >> 8, high >> 8);
#endif
}

/* Two values >> 15 as a pair; the halves wrap */
static inline uint32_t nn_pair_asr15(int32_t low, int32_t high)
{
#if NN_DSP
    uint32_t r;
    __asm__("pkhbt %0, %1, %2, lsl #1" : "=r"(r) : "r"(low >> 15), "r"(high));
    return r;
#else
    return nn_pair(low >> 15, high >> 15);
#endif
}

#if NN_MVE
/* nn_lut() of eight values. A gather wants offsets from 0 on: the segments of x + 32768. */
static inline int16x8_t nn_lut_eight(const int16_t table[257], int16x8_t x)
{
    const uint16x8_t segment =
        vshrq_n_u16(vreinterpretq_u16_s16(veorq_s16(x, vdupq_n_s16(-32768))), 8);
    const int16x8_t left = vldrhq_gather_shifted_offset_s16(table, segment);
    const int16x8_t right = vldrhq_gather_shifted_offset_s16(table + 1, segment);
    const int16x8_t f = vandq_s16(x, vdupq_n_s16(255)), g = vsubq_s16(vdupq_n_s16(256), f);
    const int32x4_t even = vaddq_s32(vmullbq_int_s16(left, g), vmullbq_int_s16(right, f));
    const int32x4_t odd = vaddq_s32(vmulltq_int_s16(left, g), vmulltq_int_s16(right, f));
    return vrshrntq_n_s32(vrshrnbq_n_s32(left, even, 8), odd, 8);
}
#endif

#endif

#include "nn.h"
#include "nn_intrinsics.h"

#define HALF (1 << 14)

/* One complex state: state' = a·state + inc, returned; adds the real part of c·state' to *acc. */
static inline uint32_t step(uint32_t a, uint32_t c, uint32_t state, int32_t inc, int32_t *acc)
{
    uint32_t next = nn_pair(nn_ssat16_asr15(nn_smlsd(a, state, inc)), nn_ssat16_asr15(nn_smladx(a, state, HALF)));
    *acc = nn_smlsd(c, next, *acc);
    return next;
}

#if NN_DSP
/* Eight instructions a state: the compiler would not pair the loads. */
#define STEP(s)                                \
    "ldrd %[a], %[c], [%[k]], #8\n\t"          \
    "smlsd %[re], %[a], %[" s "], %[inc]\n\t"  \
    "smladx %[a], %[a], %[" s "], %[half]\n\t" \
    "ssat %[re], #16, %[re], asr #15\n\t"      \
    "ssat %[a], #16, %[a], asr #15\n\t"        \
    "pkhbt %[" s "], %[re], %[a], lsl #16\n\t" \
    "smlsd %[acc], %[c], %[" s "], %[acc]\n\t"
#define TWO_STEPS "ldrd %[s0], %[s1], [%[s]]\n\t" STEP("s0") STEP("s1") "strd %[s0], %[s1], [%[s]], #8\n\t"

static inline uint32_t *four_steps(const uint32_t **k, uint32_t *s, const uint32_t *end, int32_t inc, int32_t *acc)
{
    uint32_t a, c, re, s0, s1;
    while (s != end)
        __asm__ volatile(TWO_STEPS TWO_STEPS
                         : [k] "+&r"(*k), [s] "+&r"(s), [acc] "+&r"(*acc), [a] "=&r"(a), [c] "=&r"(c), [re] "=&r"(re),
                           [s0] "=&r"(s0), [s1] "=&r"(s1)
                         : [inc] "r"(inc), [half] "r"(HALF)
                         : "memory");
    return s;
}
#else
static inline uint32_t *four_steps(const uint32_t **k, uint32_t *s, const uint32_t *end, int32_t inc, int32_t *acc)
{
    for (; s != end; s++, *k += 2)
        *s = step((*k)[0], (*k)[1], *s, inc, acc);
    return s;
}
#endif

void nn_s4d_s16(const nn_s4d *op, uint32_t *state, const int16_t *u, int16_t *y)
{
    const uint32_t fours = op->states & ~3u, rest = op->states & 3u, shift = op->shift;
    const int32_t lo = op->lo, hi = op->hi;
    for (uint32_t t = op->frames; t; t--) {
        const uint32_t *k = op->coefficients;
        const int32_t *channel = op->channel, *end = channel + 3 * op->channels;
        uint32_t *s = state;
        for (; channel != end; channel += 3) {
            int32_t inc = nn_mla(*u, channel[0], HALF), acc = *u * channel[1];
            u++;
            s = four_steps(&k, s, s + fours, inc, &acc);
            for (uint32_t i = rest; i; i--, s++, k += 2)
                *s = step(k[0], k[1], *s, inc, &acc);
            *y++ = (int16_t)nn_clamp(nn_requant(acc, shift, channel[2]), lo, hi);
        }
    }
}

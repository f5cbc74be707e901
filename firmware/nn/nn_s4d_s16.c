#include "nn.h"
#include "nn_intrinsics.h"

#define HALF (1 << 14)

/* One complex state: state' = a*state + inc, returned; adds the real part of c*state' to *acc. */
static inline uint32_t step(uint32_t a, uint32_t c, uint32_t state, int32_t inc, int32_t *acc)
{
    uint32_t next = nn_pair(nn_ssat16_asr15(nn_smlsd(a, state, inc)),
                            nn_ssat16_asr15(nn_smladx(a, state, HALF)));
    *acc = nn_smlsd(c, next, *acc);
    return next;
}

#if NN_MVE
/* Four states, q2, in eleven instructions: q0 = a, q1 = c. The real part of a*state keeps 32 bits
 * until inc is added to it; the imaginary part, rounded and saturated, is one instruction. VQRSHRNB
 * rounds, so inc comes without its half: with VQSHRNB, which does not, binutils 2.40 makes a
 * VQRSHRNB of it all the same. */
#define FOUR_STEPS                                                            \
    "vld20.32 {q0, q1}, [%[k]]\n\tvldrw.32 q2, [%[s]]\n\t"                    \
    "vld21.32 {q0, q1}, [%[k]]!\n\t"                                          \
    "vmullb.s16 q3, q0, q2\n\tvmullt.s16 %q[t], q0, q2\n\t"                   \
    "vqrdmladhx.s16 %q[next], q0, q2\n\tvsub.i32 q3, q3, %q[t]\n\t"           \
    "vadd.i32 q3, q3, %[inc]\n\tvqrshrnb.s32 %q[next], q3, #15\n\t"            \
    "vstrw.32 %q[next], [%[s]], #16\n\tvmlsdava.s16 %[acc], q1, %q[next]\n\t"

static inline uint32_t *four_steps(const uint32_t **k, uint32_t *s, const uint32_t *end,
                                   int32_t inc, int32_t *acc)
{
    const uint32_t turns = (uint32_t)(end - s) / 4u;
    int16x8_t next, t;
    __asm__ volatile(
        "wls lr, %[turns], 2f\n1:\n\t" FOUR_STEPS "le lr, 1b\n2:\n\t"
        : [k] "+&r"(*k), [s] "+&r"(s), [acc] "+&Te"(*acc), [next] "=&w"(next), [t] "=&w"(t)
        : [inc] "r"(inc - HALF), [turns] "r"(turns)
        : "q0", "q1", "q2", "q3", "lr", "memory");
    return s;
}
#elif NN_DSP
/* Eight instructions a state: the compiler would not pair the loads. */
#define STEP(s)                                \
    "ldrd %[a], %[c], [%[k]], #8\n\t"          \
    "smlsd %[re], %[a], %[" s "], %[inc]\n\t"  \
    "smladx %[a], %[a], %[" s "], %[half]\n\t" \
    "ssat %[re], #16, %[re], asr #15\n\t"      \
    "ssat %[a], #16, %[a], asr #15\n\t"        \
    "pkhbt %[" s "], %[re], %[a], lsl #16\n\t" \
    "smlsd %[acc], %[c], %[" s "], %[acc]\n\t"
#define TWO_STEPS \
    "ldrd %[s0], %[s1], [%[s]]\n\t" STEP("s0") STEP("s1") "strd %[s0], %[s1], [%[s]], #8\n\t"

static inline uint32_t *four_steps(const uint32_t **k, uint32_t *s, const uint32_t *end,
                                   int32_t inc, int32_t *acc)
{
    uint32_t a, c, re, s0, s1;
    while (s != end)
        __asm__ volatile(TWO_STEPS TWO_STEPS
                         : [k] "+&r"(*k), [s] "+&r"(s), [acc] "+&r"(*acc), [a] "=&r"(a),
                           [c] "=&r"(c), [re] "=&r"(re), [s0] "=&r"(s0), [s1] "=&r"(s1)
                         : [inc] "r"(inc), [half] "r"(HALF)
                         : "memory");
    return s;
}
#else
static inline uint32_t *four_steps(const uint32_t **k, uint32_t *s, const uint32_t *end,
                                   int32_t inc, int32_t *acc)
{
    for (; s != end; s++, *k += 2)
        *s = step((*k)[0], (*k)[1], *s, inc, acc);
    return s;
}
#endif

/* One frame of one channel; k and s end behind the channel's. */
static inline __attribute__((always_inline)) int16_t
next_output(const nn_s4d *op, const int32_t *channel, const uint32_t **k, uint32_t **s, int32_t u)
{
    int32_t inc = nn_mla(u, channel[0], HALF), acc = nn_mul(u, channel[1]);
    *s = four_steps(k, *s, *s + (op->states & ~3u), inc, &acc);
    for (uint32_t i = op->states & 3u; i; i--, ++*s, *k += 2)
        **s = step((*k)[0], (*k)[1], **s, inc, &acc);
    return (int16_t)nn_clamp(nn_requant(acc, op->shift, channel[2]), op->lo, op->hi);
}

/* All frames of a channel before the next: its coefficients and its state are then near, however
 * slow the memory they come from. */
static void several_frames(const nn_s4d *op, uint32_t *state, const int16_t *u, int16_t *y)
{
    const uint32_t *coefficients = op->coefficients;
    const int32_t *channel = op->channel, *const end = channel + 3 * op->channels;
    for (; channel != end;
         channel += 3, u++, y++, coefficients += 2 * op->states, state += op->states)
        for (uint32_t t = 0; t < op->frames; t++) {
            const uint32_t *k = coefficients;
            uint32_t *s = state;
            y[t * op->channels] = next_output(op, channel, &k, &s, u[t * op->channels]);
        }
}

void nn_s4d_s16(const nn_s4d *op, uint32_t *state, const int16_t *u, int16_t *y)
{
    const uint32_t *k = op->coefficients;
    const int32_t *channel = op->channel, *const end = channel + 3 * op->channels;
    if (op->frames > 1)
        several_frames(op, state, u, y);
    else
        for (; channel != end; channel += 3)
            *y++ = next_output(op, channel, &k, &state, *u++);
}

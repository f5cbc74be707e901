#if defined(__arm__) && defined(__GNUC__) && !defined(__clang__)
/* the inner loop needs 12 registers, in debug builds too */
#pragma GCC optimize("O3", "omit-frame-pointer")
#endif

#include "nn_linear_mve.h"

/* x = 256·h + l + 128 with bytes h, l in −128…127: VLD2 parts them, and VMLADAVA.S8 multiplies 16
 * of either by a row's weights, which are loaded once for both. The 128·Σw that remain are in the
 * bias (export/c/pack.py). */
#define ROWS 4u
#define ZERO 128

NN_COLD static void linear_portable(const nn_linear *op, const int16_t *x, int16_t *y)
{
    linear_of_lanes(op, ROWS, x, y, ZERO);
}

#if !NN_MVE

void nn_linear_s8_s16_mve(const nn_linear *op, const int16_t *x, int16_t *y)
{
    linear_portable(op, x, y);
}

#else

/* Four rows × 16 inputs: 64 multiply-accumulates in 15 instructions. Loads lie between
 * multiplications, with which a Cortex-M55 overlaps them. `mac` is VMLADAVA, or VMLADAV where the
 * sums begin. */
#define LOAD(w) "vldrb.8 " w ", [%[w]], #16\n\t"
#define MACS(mac, l, h, w) mac " %[" l "], q0, " w "\n\t" mac " %[" h "], q1, " w "\n\t"
#define STEP_OF(mac)                                                                               \
    "vld20.8 {q0, q1}, [%[x]]\n\t" LOAD("q2") "vld21.8 {q0, q1}, [%[x]]!\n\t"                      \
    "veor q0, q0, %q[sign]\n\t" MACS(mac, "s0", "s4", "q2") LOAD("q2") MACS(mac, "s1", "s5", "q2") \
    LOAD("q2") MACS(mac, "s2", "s6", "q2") LOAD("q2") MACS(mac, "s3", "s7", "q2")
#define STEP STEP_OF("vmladava.s8")
#define STEP_CODE 60u

/* l + 256·h of four rows, in q0 */
#define JOIN(l, h) "add %[" l "], %[" l "], %[" h "], lsl #8\n\t"
#define JOINED                                                          \
    JOIN("s0", "s4") JOIN("s1", "s5") JOIN("s2", "s6") JOIN("s3", "s7") \
    TO_VECTOR("q0", "s0", "s1", "s2", "s3")

static inline __attribute__((always_inline)) int32x4_t four_rows(const walk *s, const int16_t *x,
                                                                 const int8_t *w)
{
    EIGHT_SUMS;
    register int32x4_t sums __asm__("q0");
    uint32_t turns, skip;
    const uint8x16_t sign = vdupq_n_u8(0x80);
    __asm__("ldm %[w]!, {r0, r2, r4, r6}\n\tmov r8, #0\n\t"
            "mov r10, r8\n\tmov r12, r8\n\tmov r14, r8\n\t" WALK(STEP)
            : OPERANDS("=&r"), [turns] "=&r"(turns), [skip] "=&r"(skip)
            : [walk] "m"(*s), [sign] "w"(sign)
            : "q0", "q1", "q2", "cc", "memory");
    if (s->back) {
        x += s->back;
        __asm__(STEP : OPERANDS("+&r") : [sign] "w"(sign) : "q0", "q1", "q2", "memory");
    }
    __asm__(JOINED : SUMS("+r"), "=w"(sums));
    return sums;
}

/* The same, without the biases, where a frame has just 16 inputs */
static inline __attribute__((always_inline)) int32x4_t four_short_rows(const int16_t *x,
                                                                       const int8_t *w)
{
    EIGHT_SUMS;
    register int32x4_t sums __asm__("q0");
    const uint8x16_t sign = vdupq_n_u8(0x80);
    __asm__(STEP_OF("vmladav.s8") JOINED
            : OPERANDS("=&r"), "=&w"(sums)
            : [sign] "w"(sign)
            : "q1", "q2", "memory");
    return sums;
}

static inline void rows(const layer *l, const walk *s, const int16_t *x, const int8_t *w,
                        int16_t *y)
{
    const int32x4_t mult = four_words(w + l->mults);
    for (uint32_t t = l->frames; t; t--, x += l->x_stride, y += l->y_stride)
        store_sums(l, four_rows(s, x, w), mult, y);
}

static inline void short_rows(const layer *l, const walk *s, const int16_t *x, const int8_t *w,
                              int16_t *y)
{
    (void)s;
    const int8_t *const weights = w + ROWS * WORD;
    const int32x4_t bias = four_words(w), mult = four_words(weights + ROWS * LANES);
    for (uint32_t t = l->frames; t; t--, x += l->x_stride, y += l->y_stride)
        store_sums(l, vaddq_s32(bias, four_short_rows(x, weights)), mult, y);
}

void nn_linear_s8_s16_mve(const nn_linear *op, const int16_t *x, int16_t *y)
{
    if (!loadable(op, x))
        linear_portable(op, x, y);
    else if (op->in == LANES)
        all_blocks(op, ROWS, STEP_CODE, x, y, short_rows);
    else
        all_blocks(op, ROWS, STEP_CODE, x, y, rows);
}

#endif

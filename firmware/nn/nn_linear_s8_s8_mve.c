#if defined(__arm__) && defined(__GNUC__) && !defined(__clang__)
/* the inner loop needs 12 registers, in debug builds too */
#pragma GCC optimize("O3", "omit-frame-pointer")
#endif

#include "nn_linear_mve.h"

/* x is held to −128…127: VLD2 takes its low bytes out of memory, and VMLADAVA.S8 multiplies 16 of
 * them by a row's weights. */
#define ROWS 8u

NN_COLD static void linear_portable(const nn_linear *op, const int16_t *x, int16_t *y)
{
    linear_of_lanes(op, ROWS, x, y, 0);
}

#if !NN_MVE

void nn_linear_s8_s8_mve(const nn_linear *op, const int16_t *x, int16_t *y)
{
    linear_portable(op, x, y);
}

#else

/* Eight rows × 16 inputs: 128 multiply-accumulates in 18 instructions. Loads lie between
 * multiplications, with which a Cortex-M55 overlaps them. */
#define LOAD(w) "vldrb.8 " w ", [%[w]], #16\n\t"
#define MAC(row, w) "vmladava.s8 %[s" row "], q0, " w "\n\t"
#define STEP                                                                             \
    "vld20.8 {q0, q1}, [%[x]]\n\t" LOAD("q2") "vld21.8 {q0, q1}, [%[x]]!\n\t" LOAD("q3") \
    MAC("0", "q2") LOAD("q2") MAC("1", "q3") LOAD("q3")                                  \
    MAC("2", "q2") LOAD("q2") MAC("3", "q3") LOAD("q3")                                  \
    MAC("4", "q2") LOAD("q2") MAC("5", "q3") LOAD("q3") MAC("6", "q2") MAC("7", "q3")
#define STEP_CODE 72u

/* Eight rows over one frame */
static inline __attribute__((always_inline)) void eight_rows(const layer *l, const walk *s,
                                                             int32x4_t mult, int32x4_t next_mult,
                                                             const int16_t *x, const int8_t *w,
                                                             int16_t *y)
{
    EIGHT_SUMS;
    register int32x4_t sums __asm__("q0"), more __asm__("q1");
    uint32_t turns, skip;
    __asm__("ldm %[w]!, {r0, r2, r4, r6, r8, r10, r12, r14}\n\t" WALK(STEP)
            : OPERANDS("=&r"), [turns] "=&r"(turns), [skip] "=&r"(skip)
            : [walk] "m"(*s)
            : "q0", "q1", "q2", "q3", "cc", "memory");
    if (s->back) {
        x += s->back;
        __asm__(STEP : OPERANDS("+&r") : : "q0", "q1", "q2", "q3", "memory");
    }
    __asm__(TO_VECTOR("q0", "s0", "s1", "s2", "s3") TO_VECTOR("q1", "s4", "s5", "s6", "s7")
            : SUMS("+r"), "=w"(sums), "=w"(more));
    const int32x4_t first = sums, second = more;
    store_sums(l, first, mult, y);
    store_sums(l, second, next_mult, y + 4);
}

static inline void rows(const layer *l, const walk *s, const int16_t *x, const int8_t *w,
                        int16_t *y)
{
    const int32x4_t mult = four_words(w + l->mults),
                    next_mult = four_words(w + l->mults + 4 * WORD);
    for (uint32_t t = l->frames; t; t--, x += l->x_stride, y += l->y_stride)
        eight_rows(l, s, mult, next_mult, x, w, y);
}

void nn_linear_s8_s8_mve(const nn_linear *op, const int16_t *x, int16_t *y)
{
    if (!loadable(op, x))
        linear_portable(op, x, y);
    else
        all_blocks(op, ROWS, STEP_CODE, x, y, rows);
}

#endif

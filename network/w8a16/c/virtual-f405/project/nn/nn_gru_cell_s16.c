#include "nn.h"
#include "nn_intrinsics.h"

#define LIMIT (1 << 24) /* of the hidden state, in steps of 2^-24 */
#define NEW 9           /* bits from tanh, 2^-15, up to the hidden state's */
#define SHOWN 6         /* bits from the hidden state's up to 2^-30, which mult takes */

/* What tanh sees: a + sigmoid(r)*b in the steps of its table. */
static inline int32_t argument(int32_t reset, int32_t a, int32_t b, int32_t mult)
{
    return nn_ssat16(nn_smmlar(reset * b * 2, mult, a));
}

/* new + sigmoid(z)*(h - new); keep is sigmoid(z) in Q31, new in Q15. */
static inline int32_t next_hidden(int32_t h, int32_t keep, int32_t new)
{
    const int32_t to = nn_shift_left(new, NEW);
    const int32_t way = (int32_t)((uint32_t)h - (uint32_t)to); /* any h that a snapshot may hold */
    return nn_clamp(nn_smmlar(nn_shift_left(way, 1), keep, to), -LIMIT, LIMIT);
}

static inline int32_t output_of(int32_t h, int32_t mult)
{
    return nn_ssat16(nn_smmulr(nn_shift_left(h, SHOWN), mult));
}

static inline void one_value(const nn_gru_cell *op, int32_t *hidden, const int16_t *gates,
                             const int16_t *a, const int16_t *b, int16_t *y)
{
    const int16_t *sigmoid = op->sigmoid + 128, *tanh = op->tanh + 128;
    const int32_t reset = nn_lut(sigmoid, gates[0]), keep = nn_lut(sigmoid, gates[op->n]);
    const int32_t new = nn_lut(tanh, argument(reset, *a, *b, op->reset_mult));
    *hidden = next_hidden(*hidden, nn_shift_left(keep, 16), new);
    *y = (int16_t)output_of(*hidden, op->mult);
}

#if NN_MVE

#define AT_ONCE 8u

/* Four arguments of tanh: every other one of eight; product is sigmoid(r)*b. */
static inline int32x4_t four_arguments(int32x4_t product, int32x4_t a, int32_t mult)
{
    return vaddq_s32(vrmulhq_s32(vshlq_n_s32(product, 1), vdupq_n_s32(mult)), a);
}

static inline int32x4_t next_four(int32x4_t h, int32x4_t keep, int32x4_t new)
{
    const int32x4_t to = vshlq_n_s32(new, NEW);
    const int32x4_t way = vrmulhq_s32(vshlq_n_s32(vsubq_s32(h, to), 1), keep);
    const int32x4_t sum = vaddq_s32(to, way);
    return vminq_s32(vmaxq_s32(sum, vdupq_n_s32(-LIMIT)), vdupq_n_s32(LIMIT));
}

static inline int32x4_t four_outputs(int32x4_t h, int32_t mult)
{
    return vrmulhq_s32(vshlq_n_s32(h, SHOWN), vdupq_n_s32(mult));
}

static inline void several_values(const nn_gru_cell *op, int32_t *hidden, const int16_t *gates,
                                  const int16_t *a, const int16_t *b, int16_t *y)
{
    const int16x8_t reset = nn_lut_eight(op->sigmoid, vld1q_s16(gates));
    const int16x8_t keep = nn_lut_eight(op->sigmoid, vld1q_s16(gates + op->n));
    const int16x8_t share = vld1q_s16(b), value = vld1q_s16(a);
    const int32x4_t even =
        four_arguments(vmullbq_int_s16(reset, share), vmovlbq_s16(value), op->reset_mult);
    const int32x4_t odd =
        four_arguments(vmulltq_int_s16(reset, share), vmovltq_s16(value), op->reset_mult);
    const int16x8_t low = vqmovnbq_s32(vdupq_n_s16(0), even);
    const int16x8_t new = nn_lut_eight(op->tanh, vqmovntq_s32(low, odd));
    int32x4x2_t h = vld2q_s32(hidden);
    h.val[0] = next_four(h.val[0], vshllbq_n_s16(keep, 16), vmovlbq_s16(new));
    h.val[1] = next_four(h.val[1], vshlltq_n_s16(keep, 16), vmovltq_s16(new));
    vst2q_s32(hidden, h);
    const int16x8_t shown = vqmovnbq_s32(low, four_outputs(h.val[0], op->mult));
    vst1q_s16(y, vqmovntq_s32(shown, four_outputs(h.val[1], op->mult)));
}

#else

#define AT_ONCE 2u

static inline void several_values(const nn_gru_cell *op, int32_t *hidden, const int16_t *gates,
                                  const int16_t *a, const int16_t *b, int16_t *y)
{
    const int16_t *sigmoid = op->sigmoid + 128, *tanh = op->tanh + 128;
    const uint32_t reset = nn_lut_pair(sigmoid, nn_load_pair(gates));
    const uint32_t keep = nn_lut_pair(sigmoid, nn_load_pair(gates + op->n));
    const uint32_t value = nn_load_pair(a), share = nn_load_pair(b);
    const int32_t mult = op->reset_mult;
    const int32_t low = argument(nn_low(reset), nn_low(value), nn_low(share), mult);
    const int32_t high = argument(nn_high(reset), nn_high(value), nn_high(share), mult);
    hidden[0] = next_hidden(hidden[0], (int32_t)(keep << 16), nn_lut(tanh, low));
    hidden[1] = next_hidden(hidden[1], (int32_t)(keep & 0xFFFF0000u), nn_lut(tanh, high));
    nn_store_pair(y, nn_pair(output_of(hidden[0], op->mult), output_of(hidden[1], op->mult)));
}

#endif

void nn_gru_cell_s16(const nn_gru_cell *op, int32_t *hidden, const int16_t *gates,
                     const int16_t *a, const int16_t *b, int16_t *y)
{
    const nn_gru_cell own = *op; /* which no store to y or hidden can change */
    for (uint32_t t = own.frames; t; t--, gates += own.n) {
        uint32_t left = own.n;
        int32_t *h = hidden;
        for (; left >= AT_ONCE; left -= AT_ONCE) {
            several_values(&own, h, gates, a, b, y);
            h += AT_ONCE, gates += AT_ONCE, a += AT_ONCE, b += AT_ONCE, y += AT_ONCE;
        }
        for (; left; left--)
            one_value(&own, h++, gates++, a++, b++, y++);
    }
}

#include "nn.h"
#include "nn_intrinsics.h"

#define LIMIT ((1 << 30) - 1) /* of the cell, in steps of 2^-24 */
#define PRODUCT 6             /* bits from sigmoid(i)*tanh(g), 2^-30, down to the cell's */
#define SHOWN 12              /* bits from the cell's down to the table's, 2^-12 */

/* A new cell from the old one; forget is sigmoid(f) in Q31. */
static inline int32_t next_cell(int32_t c, int32_t forget, int32_t product)
{
    return nn_clamp(
        nn_smmlar(nn_shift_left(c, 1), forget, (product + (1 << (PRODUCT - 1))) >> PRODUCT), -LIMIT,
        LIMIT);
}

static inline int32_t shown(int32_t c)
{
    return nn_ssat16((c + (1 << (SHOWN - 1))) >> SHOWN);
}

static inline int32_t output_of(int32_t product, int32_t mult)
{
    return nn_ssat16(nn_smmulr(product * 2, mult));
}

static inline void one_value(const nn_lstm_cell *op, int32_t *cell, const int16_t *gates,
                             int16_t *y)
{
    const int16_t *sigmoid = op->sigmoid + 128, *tanh = op->tanh + 128;
    const uint32_t n = op->n;
    const int32_t i = nn_lut(sigmoid, gates[0]), f = nn_lut(sigmoid, gates[n]),
                  g = nn_lut(tanh, gates[2 * n]);
    const int32_t o = nn_lut(sigmoid, gates[3 * n]);
    *cell = next_cell(*cell, nn_shift_left(f, 16), i * g);
    *y = (int16_t)output_of(o * nn_lut(tanh, shown(*cell)), op->mult);
}

#if NN_MVE

#define AT_ONCE 8u

/* Four cells: every other one of eight */
static inline int32x4_t next_four(int32x4_t c, int32x4_t forget, int32x4_t product)
{
    const int32x4_t sum =
        vaddq_s32(vrmulhq_s32(vshlq_n_s32(c, 1), forget), vrshrq_n_s32(product, PRODUCT));
    return vminq_s32(vmaxq_s32(sum, vdupq_n_s32(-LIMIT)), vdupq_n_s32(LIMIT));
}

static inline int32x4_t four_outputs(int32x4_t product, int32_t mult)
{
    return vrmulhq_s32(vshlq_n_s32(product, 1), vdupq_n_s32(mult));
}

static inline void several_values(const nn_lstm_cell *op, int32_t *cell, const int16_t *gates,
                                  int16_t *y)
{
    const uint32_t n = op->n;
    const int16x8_t i = nn_lut_eight(op->sigmoid, vld1q_s16(gates)),
                    g = nn_lut_eight(op->tanh, vld1q_s16(gates + 2 * n));
    const int16x8_t f = nn_lut_eight(op->sigmoid, vld1q_s16(gates + n));
    int32x4x2_t c = vld2q_s32(cell);
    c.val[0] = next_four(c.val[0], vshllbq_n_s16(f, 16), vmullbq_int_s16(i, g));
    c.val[1] = next_four(c.val[1], vshlltq_n_s16(f, 16), vmulltq_int_s16(i, g));
    vst2q_s32(cell, c);
    const int16x8_t even = vqrshrnbq_n_s32(vdupq_n_s16(0), c.val[0], SHOWN);
    const int16x8_t t = nn_lut_eight(op->tanh, vqrshrntq_n_s32(even, c.val[1], SHOWN));
    const int16x8_t o = nn_lut_eight(op->sigmoid, vld1q_s16(gates + 3 * n));
    const int16x8_t low = vqmovnbq_s32(even, four_outputs(vmullbq_int_s16(o, t), op->mult));
    vst1q_s16(y, vqmovntq_s32(low, four_outputs(vmulltq_int_s16(o, t), op->mult)));
}

#else

#define AT_ONCE 2u

static inline void several_values(const nn_lstm_cell *op, int32_t *cell, const int16_t *gates,
                                  int16_t *y)
{
    const int16_t *sigmoid = op->sigmoid + 128, *tanh = op->tanh + 128;
    const uint32_t n = op->n;
    const uint32_t i = nn_lut_pair(sigmoid, nn_load_pair(gates)),
                   g = nn_lut_pair(tanh, nn_load_pair(gates + 2 * n));
    const uint32_t f = nn_lut_pair(sigmoid, nn_load_pair(gates + n)),
                   o = nn_lut_pair(sigmoid, nn_load_pair(gates + 3 * n));
    cell[0] = next_cell(cell[0], (int32_t)(f << 16), nn_low(i) * nn_low(g));
    cell[1] = next_cell(cell[1], (int32_t)(f & 0xFFFF0000u), nn_high(i) * nn_high(g));
    const int32_t low = nn_low(o) * nn_lut(tanh, shown(cell[0])),
                  high = nn_high(o) * nn_lut(tanh, shown(cell[1]));
    nn_store_pair(y, nn_pair(output_of(low, op->mult), output_of(high, op->mult)));
}

#endif

void nn_lstm_cell_s16(const nn_lstm_cell *op, int32_t *cell, const int16_t *gates, int16_t *y)
{
    const nn_lstm_cell own = *op; /* which no store to y or cell can change */
    for (uint32_t t = own.frames; t; t--, gates += 3 * own.n) {
        uint32_t left = own.n;
        int32_t *c = cell;
        for (; left >= AT_ONCE; left -= AT_ONCE, c += AT_ONCE, gates += AT_ONCE, y += AT_ONCE)
            several_values(&own, c, gates, y);
        for (; left; left--)
            one_value(&own, c++, gates++, y++);
    }
}

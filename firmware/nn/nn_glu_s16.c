#include "nn.h"
#include "nn_intrinsics.h"

#if NN_MVE

/* VQRDMULH is (a*b + 2^14) >> 15; it saturates only -1*-1, and no sigmoid is -1. */
static void glu_row(const int16_t *table, const int16_t *x, int16_t *y, uint32_t n)
{
    const int16_t *gate = x + n;
    for (; n >= 8; n -= 8, x += 8, gate += 8, y += 8)
        vst1q_s16(y, vqrdmulhq_s16(vld1q_s16(x), nn_lut_eight(table, vld1q_s16(gate))));
    const mve_pred16_t rest = vctp16q(n);
    vstrhq_p_s16(
        y, vqrdmulhq_s16(vldrhq_z_s16(x, rest), nn_lut_eight(table, vldrhq_z_s16(gate, rest))),
        rest);
}

void nn_glu_s16(const int16_t table[257], const int16_t *x, int16_t *y, uint32_t n, uint32_t rows)
{
    for (; rows; rows--, x += 2 * n, y += n)
        glu_row(table, x, y, n);
}

#else

#define HALF (1 << 14)

void nn_glu_s16(const int16_t table[257], const int16_t *x, int16_t *y, uint32_t n, uint32_t rows)
{
    const int16_t *middle = table + 128;
    for (; rows; rows--, x += n) {
        const int16_t *gate = x + n, *const end = x + (n & ~1u);
        for (; x != end; x += 2, gate += 2, y += 2) {
            uint32_t value = nn_load_pair(x), open = nn_lut_pair(middle, nn_load_pair(gate));
            nn_store_pair(y, nn_pair_asr15(nn_low(value) * nn_low(open) + HALF,
                                           nn_high(value) * nn_high(open) + HALF));
        }
        if (n & 1u)
            *y++ = (int16_t)((*x++ * nn_lut(middle, *gate) + HALF) >> 15);
    }
}

#endif

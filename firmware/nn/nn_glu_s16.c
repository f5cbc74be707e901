#include "nn.h"
#include "nn_intrinsics.h"

#define HALF (1 << 14)

void nn_glu_s16(const int16_t table[257], const int16_t *x, int16_t *y, uint32_t n, uint32_t rows)
{
    const int16_t *middle = table + 128;
    for (; rows; rows--, x += n) {
        const int16_t *gate = x + n, *const end = x + (n & ~1u);
        for (; x != end; x += 2, gate += 2, y += 2) {
            uint32_t value = nn_load_pair(x), open = nn_lut_pair(middle, nn_load_pair(gate));
            nn_store_pair(y, nn_pair_asr15(nn_low(value) * nn_low(open) + HALF, nn_high(value) * nn_high(open) + HALF));
        }
        if (n & 1u)
            *y++ = (int16_t)((*x++ * nn_lut(middle, *gate) + HALF) >> 15);
    }
}

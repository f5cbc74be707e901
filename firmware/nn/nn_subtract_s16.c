#include "nn.h"
#include "nn_intrinsics.h"

#if NN_MVE

void nn_subtract_s16(const int16_t *a, const int16_t *b, int16_t *y, uint32_t n)
{
    for (; n >= 8; n -= 8, a += 8, b += 8, y += 8)
        vst1q_s16(y, vqsubq_s16(vld1q_s16(a), vld1q_s16(b)));
    const mve_pred16_t rest = vctp16q(n);
    vstrhq_p_s16(y, vqsubq_s16(vldrhq_z_s16(a, rest), vldrhq_z_s16(b, rest)), rest);
}

#else

/* Saturating difference of both halves */
static inline uint32_t qsub16(uint32_t a, uint32_t b)
{
#if NN_DSP
    uint32_t r;
    __asm__("qsub16 %0, %1, %2" : "=r"(r) : "r"(a), "r"(b));
    return r;
#else
    return nn_pair(nn_ssat16(nn_low(a) - nn_low(b)), nn_ssat16(nn_high(a) - nn_high(b)));
#endif
}

void nn_subtract_s16(const int16_t *a, const int16_t *b, int16_t *y, uint32_t n)
{
    const int16_t *const end = a + (n & ~1u);
    for (; a != end; a += 2, b += 2, y += 2)
        nn_store_pair(y, qsub16(nn_load_pair(a), nn_load_pair(b)));
    if (n & 1u)
        *y = (int16_t)nn_ssat16(*a - *b);
}

#endif

#include "nn.h"
#include "nn_intrinsics.h"

#if NN_MVE

void nn_clamp_s16(const int16_t *x, int16_t *y, uint32_t n, int16_t lo, int16_t hi)
{
    for (int32_t left = (int32_t)n; left > 0; left -= 8, x += 8, y += 8) {
        const mve_pred16_t there = vctp16q((uint32_t)left);
        const int16x8_t eight = vmaxq_s16(vldrhq_z_s16(x, there), vdupq_n_s16(lo));
        vstrhq_p_s16(y, vminq_s16(eight, vdupq_n_s16(hi)), there);
    }
}

#else

/* The smaller of both halves */
static inline uint32_t smin16(uint32_t a, uint32_t b)
{
#if NN_DSP
    uint32_t r;
    __asm__("ssub16 %0, %1, %2\n\tsel %0, %2, %1" : "=&r"(r) : "r"(a), "r"(b) : "cc");
    return r;
#else
    return nn_pair(nn_low(a) < nn_low(b) ? nn_low(a) : nn_low(b),
                   nn_high(a) < nn_high(b) ? nn_high(a) : nn_high(b));
#endif
}

void nn_clamp_s16(const int16_t *x, int16_t *y, uint32_t n, int16_t lo, int16_t hi)
{
    const int16_t *const end = x + (n & ~1u);
    const uint32_t least = nn_pair(lo, lo), most = nn_pair(hi, hi);
    for (; x != end; x += 2, y += 2)
        nn_store_pair(y, smin16(nn_smax16(nn_load_pair(x), least), most));
    if (n & 1u)
        *y = (int16_t)nn_clamp(*x, lo, hi);
}

#endif

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

void nn_s4d_s16(const nn_s4d *op, uint32_t *state, const int16_t *u, int16_t *y)
{
    for (uint32_t t = 0; t < op->frames; t++) {
        const uint32_t *k = op->coefficients;
        const int32_t *channel = op->channel;
        uint32_t *s = state;
        for (uint32_t h = 0; h < op->channels; h++, channel += 3) {
            int32_t inc = *u * channel[0] + HALF, acc = *u * channel[1];
            u++;
            const uint32_t *end = s + op->states;
            while (s != end) {
                *s = step(k[0], k[1], *s, inc, &acc);
                s++;
                k += 2;
            }
            *y++ = (int16_t)nn_clamp(nn_requant(acc, op->shift, channel[2]), op->lo, op->hi);
        }
    }
}

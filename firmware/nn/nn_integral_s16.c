#include "nn_integrate.h"

#define FURTHEST (1 << 30) /* a sum this far from 0 is beyond any int16, whatever it began with */

/* The sums may be any words that a snapshot brought. */
void nn_integral_s16(const nn_integrate *op, const int16_t *initial, const int32_t *sum, int16_t *y)
{
    for (uint32_t j = 0; j < op->n; j++)
        y[j] = nn_integral(initial[j], nn_clamp(sum[j], -FURTHEST, FURTHEST), op->fraction);
}

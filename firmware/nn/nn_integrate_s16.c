#include "nn_integrate.h"

/* Sums that stand at given values */
static void take_position(const nn_integrate *op, const int16_t *initial, int32_t *sum,
                          const int16_t *position)
{
    for (uint32_t j = 0; j < op->n; j++)
        sum[j] = nn_shift_left(position[j] - initial[j], op->fraction);
}

/* No sum leaves what int16 holds, and none wraps on the way there. */
static void take_increment(const nn_integrate *op, const int16_t *initial, int32_t *sum,
                           const int16_t *increment)
{
    for (uint32_t j = 0; j < op->n; j++) {
        const int32_t least = nn_shift_left(INT16_MIN - initial[j], op->fraction);
        const int32_t most = nn_shift_left(INT16_MAX - initial[j], op->fraction);
        sum[j] = nn_clamp(nn_qadd(sum[j], increment[j]), least, most);
    }
}

void nn_integrate_s16(const nn_integrate *op, const int16_t *initial, int32_t *sum,
                      const int16_t *x, int16_t *y)
{
    const uint32_t n = op->n, features = op->positions ? 2 * n : n;
    int32_t *count = sum + n;
    for (uint32_t t = op->frames; t; t--, x += features, y += n) {
        if ((uint32_t)*count < op->positions) {
            take_position(op, initial, sum, x);
            *count = nn_add(*count, 1);
        } else {
            take_increment(op, initial, sum, x + features - n);
        }
        for (uint32_t j = 0; j < n; j++)
            y[j] = nn_integral(initial[j], sum[j], op->fraction);
    }
}

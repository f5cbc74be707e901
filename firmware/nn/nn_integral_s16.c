#include "nn_integrate.h"

void nn_integral_s16(const nn_integrate *op, const int16_t *initial, const int32_t *sum, int16_t *y)
{
    for (uint32_t j = 0; j < op->n; j++)
        y[j] = nn_integral(initial[j], sum[j], op->fraction);
}

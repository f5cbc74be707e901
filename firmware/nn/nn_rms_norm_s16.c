#include "nn_norm.h"

void nn_rms_norm_s16(const nn_layer_norm *op, const int16_t *x, int16_t *y)
{
    norm_rows(op, 0, x, y);
}

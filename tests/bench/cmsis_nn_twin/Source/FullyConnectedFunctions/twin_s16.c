/* The int16 operators in plain C, with the rounding of their definition. */
#include "arm_nnfunctions.h"

static int16_t output(int64_t acc, int32_t multiplier, int32_t shift)
{
    const int64_t y = ((acc * ((multiplier + (1 << 15)) >> 16) >> (14 - shift)) + 1) >> 1;
    return (int16_t)(y > 32767 ? 32767 : y < -32768 ? -32768 : y);
}

arm_cmsis_nn_status
arm_depthwise_conv_wrapper_s16(const cmsis_nn_context *context,
                               const cmsis_nn_dw_conv_params *params,
                               const cmsis_nn_per_channel_quant_params *quant,
                               const cmsis_nn_dims *in, const int16_t *x,
                               const cmsis_nn_dims *filter, const int8_t *weights,
                               const cmsis_nn_dims *bias_dims, const int64_t *bias,
                               const cmsis_nn_dims *out, int16_t *y)
{
    for (int32_t t = 0; t < out->w; t++)
        for (int32_t c = 0; c < in->c; c++) {
            int64_t acc = bias[c];
            for (int32_t k = 0; k < filter->w; k++)
                acc += x[(t + k) * in->c + c] * weights[k * in->c + c];
            *y++ = output(acc, quant->multiplier[c], quant->shift[c]);
        }
    return (void)context, (void)params, (void)bias_dims, ARM_CMSIS_NN_SUCCESS;
}

int32_t arm_depthwise_conv_wrapper_s16_get_buffer_size(const cmsis_nn_dw_conv_params *params,
                                                       const cmsis_nn_dims *in,
                                                       const cmsis_nn_dims *filter,
                                                       const cmsis_nn_dims *out)
{
    return (void)params, (void)in, (void)filter, (void)out, 0;
}

arm_cmsis_nn_status
arm_batch_matmul_s16(const cmsis_nn_context *context, const cmsis_nn_bmm_params *params,
                     const cmsis_nn_per_tensor_quant_params *quant, const cmsis_nn_dims *left,
                     const int16_t *x, const cmsis_nn_dims *right, const int16_t *second,
                     const cmsis_nn_dims *out, int16_t *y)
{
    for (int32_t b = 0; b < out->h; b++, second += right->w * right->c)
        for (int32_t i = 0; i < left->w; i++, x += left->c)
            for (int32_t j = 0; j < right->w; j++) {
                int64_t acc = 0;
                for (int32_t k = 0; k < left->c; k++)
                    acc += x[k] * second[j * right->c + k];
                *y++ = output(acc, quant->multiplier, quant->shift);
            }
    return (void)context, (void)params, ARM_CMSIS_NN_SUCCESS;
}

/* Exponentials on lines between the entries of their table; a division in place of the other table
 */
arm_cmsis_nn_status arm_softmax_s16(const int16_t *x, int32_t rows, int32_t n, int32_t multiplier,
                                    int32_t shift, const cmsis_nn_softmax_lut_s16 *tables,
                                    int16_t *y)
{
    for (; rows; rows--, x += n, y += n) {
        int32_t max = x[0], total = 0;
        for (int32_t i = 1; i < n; i++)
            max = x[i] > max ? x[i] : max;
        for (int32_t i = 0; i < n; i++) {
            const int64_t way = (int64_t)(max - x[i]) * multiplier >> (31 - shift);
            const int32_t at = way > 65535 ? 0 : 65535 - (int32_t)way, k = at & 127;
            const int16_t *e = tables->exp_lut + (at >> 7);
            y[i] = (int16_t)(e[0] + ((e[1] - e[0]) * k + 64) / 128);
            total += y[i];
        }
        for (int32_t i = 0; i < n; i++)
            y[i] = (int16_t)(((int64_t)y[i] << 15) / total);
    }
    return ARM_CMSIS_NN_SUCCESS;
}

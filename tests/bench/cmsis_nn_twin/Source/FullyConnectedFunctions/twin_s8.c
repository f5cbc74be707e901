/* The layers in plain C: TFLite's integers with one rounding, which differs from two by one step at
 * most. */
#include "arm_nnfunctions.h"

static int8_t output(int32_t acc, int32_t multiplier, int32_t shift, int32_t offset)
{
    const int32_t right = 31 - shift;
    const int64_t y = (((int64_t)acc * multiplier + ((int64_t)1 << (right - 1))) >> right) + offset;
    return (int8_t)(y > 127 ? 127 : y < -128 ? -128 : y);
}

arm_cmsis_nn_status arm_convolve_wrapper_s8(const cmsis_nn_context *context,
                                            const cmsis_nn_conv_params *params,
                                            const cmsis_nn_per_channel_quant_params *quant,
                                            const cmsis_nn_dims *in, const int8_t *x,
                                            const cmsis_nn_dims *filter, const int8_t *weights,
                                            const cmsis_nn_dims *bias_dims, const int32_t *bias,
                                            const cmsis_nn_dims *out, int8_t *y)
{
    const int32_t inputs = filter->w * in->c;
    for (int32_t t = 0; t < out->w; t++)
        for (int32_t n = 0; n < out->c; n++) {
            int32_t acc = bias[n];
            for (int32_t k = 0; k < inputs; k++)
                acc += (x[t * params->stride.w * in->c + k] + params->input_offset) *
                       weights[n * inputs + k];
            *y++ = output(acc, quant->multiplier[n], quant->shift[n], params->output_offset);
        }
    return (void)context, (void)bias_dims, ARM_CMSIS_NN_SUCCESS;
}

int32_t arm_convolve_wrapper_s8_get_buffer_size(const cmsis_nn_conv_params *params,
                                                const cmsis_nn_dims *in,
                                                const cmsis_nn_dims *filter,
                                                const cmsis_nn_dims *out)
{
    return (void)params, (void)in, (void)filter, (void)out, 0;
}

arm_cmsis_nn_status
arm_fully_connected_wrapper_s8(const cmsis_nn_context *context, const cmsis_nn_fc_params *params,
                               const cmsis_nn_quant_params *quant, const cmsis_nn_dims *in,
                               const int8_t *x, const cmsis_nn_dims *filter, const int8_t *weights,
                               const cmsis_nn_dims *bias_dims, const int32_t *bias,
                               const cmsis_nn_dims *out, int8_t *y)
{
    /* bias and offset, counted once: what cores with vectors are given */
    const int32_t *sums = context->buf;
    for (int32_t n = 0; n < out->c; n++) {
        int32_t acc = sums[n];
        for (int32_t k = 0; k < in->c; k++)
            acc += x[k] * weights[n * in->c + k];
        y[n] = output(acc, quant->multiplier[n], quant->shift[n], params->output_offset);
    }
    return (void)filter, (void)bias_dims, (void)bias, ARM_CMSIS_NN_SUCCESS;
}

int32_t arm_fully_connected_s8_get_buffer_size(const cmsis_nn_dims *filter)
{
    return 4 * filter->c;
}

arm_cmsis_nn_status arm_vector_sum_s8(int32_t *sums, int32_t columns, int32_t rows,
                                      const int8_t *weights, int32_t input_offset,
                                      int32_t weight_offset, const int32_t *bias)
{
    for (int32_t n = 0; n < rows; n++) {
        sums[n] = bias[n];
        for (int32_t k = 0; k < columns; k++)
            sums[n] += input_offset * (weights[n * columns + k] + weight_offset);
    }
    return ARM_CMSIS_NN_SUCCESS;
}

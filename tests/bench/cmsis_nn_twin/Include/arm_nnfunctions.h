/* The part of CMSIS-NN's interface that bench/speed/peers.c and peers16.c call, so that the tests
 * can go the whole way without CMSIS-NN. */
#ifndef ARM_NNFUNCTIONS_H
#define ARM_NNFUNCTIONS_H
#include <stdbool.h>
#include <stdint.h>

typedef enum { ARM_CMSIS_NN_SUCCESS = 0 } arm_cmsis_nn_status;
typedef struct { void *buf; int32_t size; } cmsis_nn_context;
typedef struct { int32_t n, h, w, c; } cmsis_nn_dims;
typedef struct { int32_t w, h; } cmsis_nn_tile;
typedef struct { int32_t min, max; } cmsis_nn_activation;
typedef struct { int32_t *multiplier, *shift; } cmsis_nn_per_channel_quant_params;
typedef struct { int32_t *multiplier, *shift, is_per_channel; } cmsis_nn_quant_params;
typedef struct { int32_t multiplier, shift; } cmsis_nn_per_tensor_quant_params;
typedef struct { const int16_t *exp_lut, *one_by_one_lut; } cmsis_nn_softmax_lut_s16;
typedef struct {
    int32_t input_offset, filter_offset, output_offset;
    cmsis_nn_activation activation;
} cmsis_nn_fc_params;
typedef struct {
    int32_t input_offset, output_offset;
    cmsis_nn_tile stride, padding, dilation;
    cmsis_nn_activation activation;
} cmsis_nn_conv_params;
typedef struct {
    int32_t input_offset, output_offset, ch_mult;
    cmsis_nn_tile stride, padding, dilation;
    cmsis_nn_activation activation;
} cmsis_nn_dw_conv_params;
typedef struct {
    bool adj_x, adj_y;
    cmsis_nn_fc_params fc_params;
} cmsis_nn_bmm_params;

arm_cmsis_nn_status
arm_fully_connected_wrapper_s8(const cmsis_nn_context *, const cmsis_nn_fc_params *,
                               const cmsis_nn_quant_params *, const cmsis_nn_dims *, const int8_t *,
                               const cmsis_nn_dims *, const int8_t *, const cmsis_nn_dims *,
                               const int32_t *, const cmsis_nn_dims *, int8_t *);
int32_t arm_fully_connected_s8_get_buffer_size(const cmsis_nn_dims *);
arm_cmsis_nn_status arm_vector_sum_s8(int32_t *, int32_t, int32_t, const int8_t *, int32_t, int32_t,
                                      const int32_t *);
arm_cmsis_nn_status arm_convolve_wrapper_s8(const cmsis_nn_context *, const cmsis_nn_conv_params *,
                                            const cmsis_nn_per_channel_quant_params *,
                                            const cmsis_nn_dims *, const int8_t *,
                                            const cmsis_nn_dims *, const int8_t *,
                                            const cmsis_nn_dims *, const int32_t *,
                                            const cmsis_nn_dims *, int8_t *);
int32_t arm_convolve_wrapper_s8_get_buffer_size(const cmsis_nn_conv_params *, const cmsis_nn_dims *,
                                                const cmsis_nn_dims *, const cmsis_nn_dims *);
arm_cmsis_nn_status
arm_depthwise_conv_wrapper_s16(const cmsis_nn_context *, const cmsis_nn_dw_conv_params *,
                               const cmsis_nn_per_channel_quant_params *, const cmsis_nn_dims *,
                               const int16_t *, const cmsis_nn_dims *, const int8_t *,
                               const cmsis_nn_dims *, const int64_t *, const cmsis_nn_dims *,
                               int16_t *);
int32_t arm_depthwise_conv_wrapper_s16_get_buffer_size(const cmsis_nn_dw_conv_params *,
                                                       const cmsis_nn_dims *, const cmsis_nn_dims *,
                                                       const cmsis_nn_dims *);
arm_cmsis_nn_status arm_batch_matmul_s16(const cmsis_nn_context *, const cmsis_nn_bmm_params *,
                                         const cmsis_nn_per_tensor_quant_params *,
                                         const cmsis_nn_dims *, const int16_t *,
                                         const cmsis_nn_dims *, const int16_t *,
                                         const cmsis_nn_dims *, int16_t *);
arm_cmsis_nn_status arm_softmax_s16(const int16_t *, int32_t, int32_t, int32_t, int32_t,
                                    const cmsis_nn_softmax_lut_s16 *, int16_t *);
#endif

/* Runs CMSIS-NN's int16 operators as TFLite-Micro calls them (depthwise_conv.cc, batch_matmul.cc
 * and softmax.cc of its kernels/cmsis_nn), on an emulated core, and counts them. cases.bin is a row
 * of (header, contents), results.bin of (ticks, outputs); peers16.py writes and reads them. */
#include "arm_nnfunctions.h"
#include "port.h"

enum { DEPTHWISE, MATMUL, SOFTMAX };
enum { MOST_VALUES = 1 << 14, MOST_CHANNELS = 256, LUT = 513 };

typedef struct {
    uint32_t kind, repeats;
    int32_t size[4]; /* depthwise: channels, kernel, frames; matmul: batches, rows, columns, terms;
                        softmax: rows, values, 0, 0 */
    int32_t multiplier, shift; /* of matmul and softmax */
} header;

static _Alignas(16) int16_t x[MOST_VALUES], second[MOST_VALUES], y[MOST_VALUES], scratch[1 << 14];
static _Alignas(16) int8_t weights[MOST_VALUES];
static int64_t bias[MOST_CHANNELS];
static int32_t multiplier[MOST_CHANNELS], shift[MOST_CHANNELS];
static int16_t exponentials[LUT], reciprocals[LUT];

static int read_values(void *into, uint32_t room, int32_t bytes)
{
    return bytes >= 0 && (uint32_t)bytes <= room && port_read(into, (uint32_t)bytes);
}

static int load(const header *h)
{
    const int32_t *n = h->size;
    switch (h->kind) {
    case DEPTHWISE:
        return read_values(weights, sizeof weights, n[0] * n[1]) &&
               read_values(bias, sizeof bias, 8 * n[0]) &&
               read_values(multiplier, sizeof multiplier, 4 * n[0]) &&
               read_values(shift, sizeof shift, 4 * n[0]) &&
               read_values(x, sizeof x, 2 * n[0] * (n[1] + n[2] - 1));
    case MATMUL:
        return read_values(x, sizeof x, 2 * n[0] * n[1] * n[3]) &&
               read_values(second, sizeof second, 2 * n[0] * n[2] * n[3]);
    default:
        return read_values(exponentials, sizeof exponentials, sizeof exponentials) &&
               read_values(reciprocals, sizeof reciprocals, sizeof reciprocals) &&
               read_values(x, sizeof x, 2 * n[0] * n[1]);
    }
}

static uint32_t outputs(const header *h)
{
    const int32_t *n = h->size;
    return (uint32_t)(h->kind == DEPTHWISE ? n[0] * n[2]
                      : h->kind == MATMUL  ? n[0] * n[1] * n[2]
                                           : n[0] * n[1]);
}

static int depthwise(const int32_t *n)
{
    const cmsis_nn_dims in = {1, 1, n[1] + n[2] - 1, n[0]}, filter = {1, 1, n[1], n[0]},
                        one = {1, 1, 1, n[0]}, out = {1, 1, n[2], n[0]};
    const cmsis_nn_dw_conv_params params = {.ch_mult = 1, .stride = {1, 1}, .dilation = {1, 1},
                                            .activation = {-32768, 32767}};
    const cmsis_nn_per_channel_quant_params quant = {multiplier, shift};
    const int32_t bytes =
        arm_depthwise_conv_wrapper_s16_get_buffer_size(&params, &in, &filter, &out);
    const cmsis_nn_context context = {scratch, bytes};
    return bytes > (int32_t)sizeof scratch ||
           arm_depthwise_conv_wrapper_s16(&context, &params, &quant, &in, x, &filter, weights, &one,
                                          bias, &out, y);
}

/* The second factor lies transposed, as TFLite-Micro brings it; that is not counted. */
static int matmul(const header *h)
{
    const int32_t *n = h->size;
    const cmsis_nn_dims left = {1, n[0], n[1], n[3]}, right = {1, n[0], n[2], n[3]},
                        out = {1, n[0], n[1], n[2]};
    const cmsis_nn_bmm_params params = {.fc_params = {.activation = {-32768, 32767}}};
    const cmsis_nn_per_tensor_quant_params quant = {h->multiplier, h->shift};
    const cmsis_nn_context context = {scratch, sizeof scratch};
    return arm_batch_matmul_s16(&context, &params, &quant, &left, x, &right, second, &out, y);
}

static int softmax(const header *h)
{
    const cmsis_nn_softmax_lut_s16 tables = {exponentials, reciprocals};
    return arm_softmax_s16(x, h->size[0], h->size[1], h->multiplier, h->shift, &tables, y);
}

int main(void)
{
    header h;
    if (!port_begin())
        return 1;
    while (port_read(&h, sizeof h)) {
        int status = outputs(&h) > MOST_VALUES || !load(&h);
        const uint32_t start = port_ticks();
        for (uint32_t i = h.repeats; i && !status; i--)
            status = h.kind == DEPTHWISE ? depthwise(h.size)
                     : h.kind == MATMUL  ? matmul(&h)
                                         : softmax(&h);
        const uint32_t ticks = (port_ticks() - start) & 0xFFFFFFu;
        if (status)
            return 1;
        port_write(&ticks, sizeof ticks);
        port_write(y, 2 * outputs(&h));
    }
    return port_end();
}

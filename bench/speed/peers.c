/* Runs CMSIS-NN's int8 layers as TFLite-Micro calls them (its kernels/cmsis_nn/fully_connected.cc
 * and conv.cc), on an emulated core, and counts them. cases.bin is a row of (header, weights, bias,
 * multipliers, shifts, inputs), results.bin of (ticks, outputs); peers.py writes and reads them. */
#include "arm_nnfunctions.h"
#include "port.h"

enum { FULLY_CONNECTED, CONVOLUTION };
enum { INPUT_OFFSET = 128, OUTPUT_OFFSET = -5 };
enum { MOST_WEIGHTS = 1 << 20, MOST_ROWS = 2048, MOST_VALUES = 1 << 15 };

typedef struct {
    uint32_t kind, repeats;
    int32_t width, channels, kernel, stride, out, windows; /* of a fully connected layer: width,
                                                              kernel, stride, windows 1 */
} header;

static _Alignas(16) int8_t weights[MOST_WEIGHTS], x[MOST_VALUES], y[MOST_VALUES];
static _Alignas(16) int8_t scratch[1 << 16];
static int32_t bias[MOST_ROWS], multiplier[MOST_ROWS], shift[MOST_ROWS];

static int read_values(void *into, uint32_t room, int32_t bytes)
{
    return bytes >= 0 && (uint32_t)bytes <= room && port_read(into, (uint32_t)bytes);
}

static int load(const header *h)
{
    const int32_t words = 4 * h->out;
    return h->windows * h->out <= MOST_VALUES &&
           read_values(weights, sizeof weights, h->out * h->kernel * h->channels) &&
           read_values(bias, sizeof bias, words) &&
           read_values(multiplier, sizeof multiplier, words) &&
           read_values(shift, sizeof shift, words) &&
           read_values(x, sizeof x, h->width * h->channels);
}

static int fully_connected(const header *h, const cmsis_nn_context *sums)
{
    const cmsis_nn_dims in = {1, 1, 1, h->channels}, filter = {h->channels, 1, 1, h->out},
                        one = {1, 1, 1, h->out};
    const cmsis_nn_fc_params params = {.input_offset = INPUT_OFFSET, .output_offset = OUTPUT_OFFSET,
                                       .activation = {-128, 127}};
    const cmsis_nn_quant_params quant = {multiplier, shift, 1};
    return arm_fully_connected_wrapper_s8(sums, &params, &quant, &in, x, &filter, weights, &one,
                                          bias, &one, y);
}

static int convolution(const header *h, const cmsis_nn_context *buffer)
{
    const cmsis_nn_dims in = {1, 1, h->width, h->channels},
                        filter = {h->out, 1, h->kernel, h->channels}, one = {1, 1, 1, h->out};
    const cmsis_nn_dims out = {1, 1, h->windows, h->out};
    const cmsis_nn_conv_params params = {.input_offset = INPUT_OFFSET,
                                         .output_offset = OUTPUT_OFFSET, .stride = {h->stride, 1},
                                         .dilation = {1, 1}, .activation = {-128, 127}};
    const cmsis_nn_per_channel_quant_params quant = {multiplier, shift};
    return arm_convolve_wrapper_s8(buffer, &params, &quant, &in, x, &filter, weights, &one, bias,
                                   &out, y);
}

/* What TFLite-Micro does once, before the first call: how much scratch, and on cores with vectors
 * the sums of a dense layer's rows. */
static int prepare(const header *h, cmsis_nn_context *c)
{
    const cmsis_nn_dims in = {1, 1, h->width, h->channels}, out = {1, 1, h->windows, h->out};
    const cmsis_nn_conv_params params = {.stride = {h->stride, 1}, .dilation = {1, 1}};
    const cmsis_nn_dims dense = {h->channels, 1, 1, h->out},
                        filter = {h->out, 1, h->kernel, h->channels};
    const int32_t bytes = h->kind == CONVOLUTION
                              ? arm_convolve_wrapper_s8_get_buffer_size(&params, &in, &filter, &out)
                              : arm_fully_connected_s8_get_buffer_size(&dense);
    *c = (cmsis_nn_context){bytes > 0 ? scratch : 0, bytes};
    if (bytes > (int32_t)sizeof scratch)
        return 0;
    if (h->kind == FULLY_CONNECTED && bytes > 0)
        return !arm_vector_sum_s8((int32_t *)(void *)scratch, h->channels, h->out, weights,
                                  INPUT_OFFSET, 0, bias);
    return 1;
}

int main(void)
{
    header h;
    if (!port_begin())
        return 1;
    while (port_read(&h, sizeof h)) {
        cmsis_nn_context context;
        int status = !load(&h) || !prepare(&h, &context);
        const uint32_t start = port_ticks();
        for (uint32_t i = h.repeats; i && !status; i--)
            status =
                h.kind == CONVOLUTION ? convolution(&h, &context) : fully_connected(&h, &context);
        const uint32_t ticks = (port_ticks() - start) & 0xFFFFFFu;
        if (status)
            return 1;
        port_write(&ticks, sizeof ticks);
        port_write(y, (uint32_t)(h.windows * h.out));
    }
    return port_end();
}

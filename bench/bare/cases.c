/* Runs kernels on cases from a file and writes what they left in memory: on a PC for the tests, on
 * an emulated Cortex-M for the tests and the instruction counts. cases.bin is a row of (header,
 * buffers), results.bin a row of (result, buffers); cases.py writes and reads them. */
#include <stddef.h>
#include <string.h>

#include "nn.h"
#include "port.h"

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(p, n) ((void)(p), (void)(n))
#define ASAN_UNPOISON_MEMORY_REGION(p, n) ((void)(p), (void)(n))
#endif

enum { TABLE, SECOND, THIRD, X, Y, STATE, BUFFERS };
enum { VALUES = 9, GUARD = 16, CANARY = 0xA5, ARENA = 2 * 1024 * 1024 };
/* cases.py reads this list. */
enum kernel {
    LINEAR, MEAN_POOL, LAYER_NORM, S4D, LUT, GLU, ADD, LOG_SOFTMAX, MAX_POOL, WINDOW, STEP,
    START_UP, LINEAR_S4, LINEAR_S16_MVE, LINEAR_S8_MVE, COPY, INTERPOLATE, LSTM_CELL, GRU_CELL,
    INTEGRAL, INTEGRATE, PATCHES, REPEAT, DEPTHWISE, ATTENTION_SCORES, ATTENTION_CONTEXT, SOFTMAX,
    RMS_NORM, RESCALE, GATHER, MULTIPLY, SUBTRACT, CLAMP, WINDOW_UNFOLD, CLEAR, NOTHING
};

typedef struct {
    uint32_t kernel, repeats;
    int32_t value[VALUES];
    uint32_t bytes[BUFFERS];  /* of each buffer that follows; an empty y stands for x: a kernel at
                                 work in place */
    uint32_t offset[BUFFERS]; /* its address modulo 8 */
} header;

typedef struct {
    uint32_t ticks;  /* over all repeats */
    uint32_t intact; /* 1 when no byte around the buffers changed */
} result;

static _Alignas(8) uint8_t arena[ARENA];
static uint8_t *at[BUFFERS], *used; /* the buffers, and the end of the last one's guard */

static int load(const header *c)
{
    uint8_t *p = arena;
    for (uint32_t i = 0; i < BUFFERS; i++) {
        at[i] = p + GUARD + c->offset[i];
        used = p + 2 * GUARD + ((c->offset[i] + c->bytes[i] + 7u) & ~7u);
        if (c->offset[i] > 7 || c->bytes[i] > ARENA || used > arena + sizeof arena)
            return 0;
        memset(p, CANARY, (size_t)(used - p));
        if (c->bytes[i] && !port_read(at[i], c->bytes[i]))
            return 0;
        p = used - GUARD;
    }
    return 1;
}

/* Bytes outside the buffers: poisoned while a kernel runs under AddressSanitizer, compared
 * afterwards everywhere. */
static uint32_t guards(const header *c, int poison)
{
    const uint8_t *p = arena;
    uint32_t whole = 1;
    for (uint32_t i = 0; i <= BUFFERS; i++) {
        const uint8_t *stop = i < BUFFERS ? at[i] : used;
        if (poison)
            ASAN_POISON_MEMORY_REGION(p, (size_t)(stop - p));
        else
            for (; p < stop; p++)
                whole &= *p == CANARY;
        if (i < BUFFERS)
            p = at[i] + c->bytes[i];
    }
    return whole;
}

static const int32_t *words(const uint8_t *p)
{
    return (const int32_t *)(const void *)p;
}

static uint32_t time_kernel(const header *c)
{
    const int32_t *v = c->value;
#define U16(i) ((uint16_t)v[i])
#define OUTPUT(i) .shift = (uint8_t)v[i], .lo = (int16_t)v[(i) + 1], .hi = (int16_t)v[(i) + 2]
    const nn_linear linear = {.weights = at[TABLE], .bias = words(at[SECOND]),
                              .mult = words(at[THIRD]), .in = U16(0), .out = U16(1),
                              .frames = U16(2), .x_stride = U16(3), .y_stride = U16(4), OUTPUT(5)};
    const nn_mean_pool pool = {.mult = v[0], .factor = U16(1), .frames = U16(2), .features = U16(3),
                               OUTPUT(4)};
    const nn_layer_norm norm = {.epsilon = (uint64_t)(uint32_t)v[1] << 32 | (uint32_t)v[0],
                                .gain = words(at[SECOND]), .bias = words(at[THIRD]), .n = U16(2),
                                .rows = U16(3), .stride = U16(4), .lo = (int16_t)v[5],
                                .hi = (int16_t)v[6]};
    const nn_s4d s4d = {.coefficients = (const uint32_t *)(const void *)at[TABLE],
                        .channel = words(at[SECOND]), .channels = U16(0), .states = U16(1),
                        .frames = U16(2), OUTPUT(3)};
    const nn_log_softmax logs = {.mult = v[0], .n = U16(1), .frames = U16(2),
                                 .shift = (uint8_t)v[3], .fraction = (uint8_t)v[4]};
    const nn_window window = {.windows = (uint32_t)v[0], .width = (uint32_t)v[1],
                              .stride = (uint32_t)v[2], .history = (uint32_t)v[3],
                              .skip = (uint32_t)v[4], .features = U16(5), .bands = U16(6),
                              .dilation = U16(7)};
    const nn_integrate integrate = {.n = U16(0), .frames = U16(1), .positions = (uint32_t)v[2],
                                    .fraction = (uint8_t)v[3]};
    const nn_patches patches = {.frames = U16(0), .width = U16(1), .n = U16(2),
                                .kernel_frames = (uint8_t)v[3], .kernel_columns = (uint8_t)v[4],
                                .before = (uint8_t)v[5], .after = (uint8_t)v[6],
                                .factor = (uint8_t)v[7], .copies = (uint8_t)v[8]};
    const nn_window_unfold unfold = {.frames = U16(0), .outputs = U16(1), .features = U16(2),
                                     .kernel = U16(3), .step = U16(4), .dilation = U16(5),
                                     .before = v[6], .bands = U16(7), .edge = (uint8_t)v[8]};
    const nn_attention attention = {.mult = v[0], .frames = U16(1), .keys = U16(2), .heads = U16(3),
                                    .depth = U16(4), .shared = (uint8_t)v[5],
                                    .bits = (uint8_t)v[6], .lo = (int16_t)v[7],
                                    .hi = (int16_t)v[8]};
    const nn_softmax softmax = {.mult = v[0], .n = U16(1), .rows = U16(2), .shift = (uint8_t)v[3]};
    const nn_rescale rescale = {.mult = v[0], .n = U16(1), .rows = U16(2), .stride = U16(3),
                                OUTPUT(4)};
    const nn_multiply product = {.mult = v[0], .n = (uint32_t)v[1], .lo = (int16_t)v[2],
                                 .hi = (int16_t)v[3]};
    const int16_t *table = (const int16_t *)(const void *)at[TABLE],
                  *x = (const int16_t *)(const void *)at[X];
    int16_t *y = (int16_t *)(void *)(c->bytes[Y] ? at[Y] : at[X]);
    const int16_t *second = (const int16_t *)(const void *)at[SECOND];
    const nn_lstm_cell cell = {.sigmoid = table, .tanh = second, .mult = v[0], .n = U16(1),
                               .frames = U16(2)};
    const nn_gru_cell gru = {.sigmoid = table, .tanh = second, .reset_mult = v[0], .mult = v[1],
                             .n = U16(2), .frames = U16(3)};
    const int16_t *a = x + 2 * v[2] * v[3]; /* behind the gates */
    const nn_depthwise filters = {.weights = table, .bias = words(at[SECOND]),
                                  .mult = words(at[THIRD]), .channels = U16(0), .kernel = U16(1),
                                  .frames = U16(2), OUTPUT(3)};
    uint32_t *state = (uint32_t *)(void *)at[STATE];
    int32_t *sum = (int32_t *)(void *)at[STATE];
    int16_t *past = (int16_t *)(void *)at[STATE];
    const uint32_t n = (uint32_t)v[0], rows = (uint32_t)v[1], start = port_ticks();
#define TIMED(call)                           \
    for (uint32_t i = c->repeats; i; i--)     \
        call;                                 \
    return (port_ticks() - start) & 0xFFFFFFu
    switch (c->kernel) {
    case LINEAR:
        TIMED(nn_linear_s8_s16(&linear, x, y));
    case LINEAR_S4:
        TIMED(nn_linear_s4_s16(&linear, x, y));
    case LINEAR_S16_MVE:
        TIMED(nn_linear_s8_s16_mve(&linear, x, y));
    case LINEAR_S8_MVE:
        TIMED(nn_linear_s8_s8_mve(&linear, x, y));
    case MEAN_POOL:
        TIMED(nn_mean_pool_s16(&pool, x, y));
    case LAYER_NORM:
        TIMED(nn_layer_norm_s16(&norm, x, y));
    case S4D:
        TIMED(nn_s4d_s16(&s4d, state, x, y));
    case LUT:
        TIMED(nn_lut_s16(table, x, y, n));
    case GLU:
        TIMED(nn_glu_s16(table, x, y, n, rows));
    case ADD:
        TIMED(nn_add_s16(x, second, y, n));
    case LOG_SOFTMAX:
        TIMED(nn_log_softmax_s16(&logs, x, y));
    case MAX_POOL:
        TIMED(nn_max_pool_s16(x, y, n, rows, (uint32_t)v[2]));
    case WINDOW:
        TIMED(nn_window_s16(&window, c->bytes[STATE] ? state : 0, x, y));
    case STEP:
        TIMED(nn_step_s16(x, y, n, (int16_t)v[1]));
    case START_UP:
        TIMED(nn_start_up(state, n, state + 1, rows * (uint32_t)sizeof *state));
    case COPY:
        TIMED(nn_copy_s16(x, y, n));
    case INTERPOLATE:
        TIMED(nn_interpolate_s16(x, past, y, n, rows, (uint32_t)v[2]));
    case LSTM_CELL:
        TIMED(nn_lstm_cell_s16(&cell, sum, x, y));
    case GRU_CELL:
        TIMED(nn_gru_cell_s16(&gru, sum, x, a, a + v[2] * v[3], y));
    case INTEGRAL:
        TIMED(nn_integral_s16(&integrate, second, sum, y));
    case INTEGRATE:
        TIMED(nn_integrate_s16(&integrate, second, sum, x, y));
    case PATCHES:
        TIMED(nn_patches_s16(&patches, x + v[5] / v[7] * (v[1] / v[8]) * v[2], y));
    case REPEAT:
        TIMED(nn_repeat_s16(x, y, n, rows, (uint32_t)v[2], (uint32_t)v[3], (uint32_t)v[4]));
    case DEPTHWISE:
        TIMED(nn_depthwise_s8_s16(&filters, x, y));
    case ATTENTION_SCORES:
        TIMED(nn_attention_scores_s16(&attention, x, second, y));
    case ATTENTION_CONTEXT:
        TIMED(nn_attention_context_s16(&attention, x, second, y));
    case SOFTMAX:
        TIMED(nn_softmax_s16(&softmax, x, y));
    case RMS_NORM:
        TIMED(nn_rms_norm_s16(&norm, x, y));
    case RESCALE:
        TIMED(nn_rescale_s16(&rescale, x, y));
    case GATHER:
        TIMED(nn_gather_s16((const uint16_t *)(const void *)table, x, y, n, rows, (uint32_t)v[2]));
    case MULTIPLY:
        TIMED(nn_multiply_s16(&product, x, second, y));
    case SUBTRACT:
        TIMED(nn_subtract_s16(x, second, y, n));
    case CLAMP:
        TIMED(nn_clamp_s16(x, y, n, (int16_t)v[1], (int16_t)v[2]));
    case WINDOW_UNFOLD:
        TIMED(nn_window_unfold_s16(&unfold, x, y));
    case CLEAR:
        TIMED(nn_clear(state, n * (uint32_t)sizeof *state));
    default:
        TIMED(__asm__ volatile(""));
    }
}

int main(void)
{
    header c = {0};
    if (!port_begin())
        return 1;
    while (port_read(&c, sizeof c)) {
        if (!load(&c))
            return 1;
        guards(&c, 1);
        result r = {.ticks = time_kernel(&c)};
        ASAN_UNPOISON_MEMORY_REGION(arena, sizeof arena);
        r.intact = guards(&c, 0);
        port_write(&r, sizeof r);
        for (uint32_t i = 0; i < BUFFERS; i++)
            if (c.bytes[i])
                port_write(at[i], c.bytes[i]);
    }
    return port_end();
}

/* Tendon 0.1.0: network w8a16, one step. Graph
 * 392a68dbb01c1901e24555bd428348a2d75c7692002634026a8e576f191670b6 */
#include "network.h"
#include "network_tables.h"
#include "nn.h"
#include <string.h>

#if NN_VERSION != 5
#error "network.c was generated for version 5 of the kernels, nn.h"
#endif

/* Behind each operator: which it is in the graph, where its output lies, how many values. */
#ifdef MODEL_TAP
#define TAP(op, data, count) network_tap(op, data, count)
#else
#define TAP(op, data, count) ((void)0)
#endif

_Static_assert(sizeof(network_state) == 24 &&
                   24 == NETWORK_STATE_BYTES,
               "network.h is from another export");
_Static_assert(sizeof(network_arena) == 88 &&
                   88 == NETWORK_ARENA_BYTES,
               "network.h is from another export");

static const nn_linear inward_2_layer = {
    .weights = network_inward_2_weights, .bias = network_inward_2_bias,
    .mult = network_inward_2_mult, .in = 15, .out = 6, .frames = 1, .x_stride = 15, .y_stride = 6,
    .shift = 0, .lo = 0, .hi = 32767,
};

static const nn_linear gates_layer = {
    .weights = network_gates_weights, .bias = network_gates_bias, .mult = network_gates_mult,
    .in = 10, .out = 8, .frames = 1, .x_stride = 10, .y_stride = 8, .shift = 0, .lo = -32768,
    .hi = 32767,
};

static const nn_linear input_layer = {
    .weights = network_input_weights, .bias = network_input_bias, .mult = network_input_mult,
    .in = 6, .out = 4, .frames = 1, .x_stride = 6, .y_stride = 4, .shift = 0, .lo = -32768,
    .hi = 32767,
};

static const nn_window hidden_layer = {
    .windows = 1, .width = 4, .stride = 10, .skip = 6, .bands = 1, .dilation = 1,
};

static const nn_linear l0_state_layer = {
    .weights = network_l0_state_weights, .bias = network_l0_state_bias,
    .mult = network_l0_state_mult, .in = 4, .out = 4, .frames = 1, .x_stride = 4, .y_stride = 4,
    .shift = 0, .lo = -32768, .hi = 32767,
};

static const nn_gru_cell l0_layer = {
    .sigmoid = network_sigmoid, .tanh = network_tanh, .reset_mult = 9427, .mult = 42752, .n = 4,
    .frames = 1,
};

static const nn_linear outward_layer = {
    .weights = network_outward_weights, .bias = network_outward_bias, .mult = network_outward_mult,
    .in = 4, .out = 2, .frames = 1, .x_stride = 4, .y_stride = 2, .shift = 0, .lo = -32768,
    .hi = 32767,
};

void network_reset(network *self)
{
    memset(self->state, 0, sizeof *self->state);
}

void network_step(network *self, const int16_t *samples, int16_t *out)
{
    network_state *const state = self->state;
    int16_t *const arena = self->arena->values;

    /* The buffers in the arena, each called after what is written to it first. They share its
     * bytes, one after the other. */
    int16_t *const inward_2 = arena + 12;                        /* (1, 6) */
    int16_t *const join = arena;                                 /* (1, 10) */
    int16_t *const gates = arena + 20;                           /* (1, 8) */
    int16_t *const input = arena + 28;                           /* (1, 4) */
    int16_t *const hidden = arena + 32;                          /* (1, 4) */
    int16_t *const l0_state = arena + 36;                        /* (1, 4) */
    int16_t *const l0 = arena + 40;                              /* (1, 4) */

    nn_linear_s8_s16(&inward_2_layer, samples, inward_2);
    TAP(0, inward_2, 6); /* (5, 3) -> (1, 6) inward.0 */
    nn_copy_s16(inward_2, join, 6);
    nn_copy_s16(state->l0_before, join + 6, 4);
    TAP(1, join, 10); /* (1, 6) -> (1, 10) gru.l0.join */
    nn_linear_s8_s16(&gates_layer, join, gates);
    TAP(2, gates, 8); /* (1, 10) -> (1, 8) gru.l0.gates */
    nn_linear_s8_s16(&input_layer, inward_2, input);
    TAP(3, input, 4); /* (1, 6) -> (1, 4) gru.l0.input */
    nn_window_s16(&hidden_layer, 0, join, hidden);
    TAP(4, hidden, 4); /* (1, 10) -> (1, 4) gru.l0.hidden */
    nn_linear_s8_s16(&l0_state_layer, hidden, l0_state);
    TAP(5, l0_state, 4); /* (1, 4) -> (1, 4) gru.l0.state */
    nn_gru_cell_s16(&l0_layer, state->l0, gates, input, l0_state, l0);
    TAP(6, l0, 4); /* (1, 8) -> (1, 4) gru.l0 */
    nn_copy_s16(l0, state->l0_before, 4);
    nn_linear_s8_s16(&outward_layer, l0, out);
    TAP(7, out, 2); /* (1, 4) -> (1, 2) outward */
}

/* Drives an exported model from Python: whole recordings in one call, and every operator's output
 * through a callback. */
#include "model.h"
#include <stddef.h>

void native_reset(void);
void *native_state(void);
void native_run(const int16_t *samples, uint32_t steps, int16_t *out);

void native_reset(void)
{
    model_reset();
}

/* MODEL_STATE_BYTES, to read and write between two calls */
void *native_state(void)
{
    return model_state();
}

/* samples (steps * MODEL_SAMPLES_PER_STEP, MODEL_INPUTS) -> out (steps * MODEL_FRAMES_PER_STEP,
 * MODEL_OUTPUTS); keeps the state between calls. */
void native_run(const int16_t *samples, uint32_t steps, int16_t *out)
{
    for (uint32_t i = 0; i < steps; i++) {
        model_step(samples, out);
        samples += (size_t)MODEL_SAMPLES_PER_STEP * MODEL_INPUTS;
        out += (size_t)MODEL_FRAMES_PER_STEP * MODEL_OUTPUTS;
    }
}

#ifdef MODEL_TAP
typedef void (*tap_callback)(unsigned op, const int16_t *data, uint32_t count);
void native_set_tap(tap_callback callback);
static tap_callback sink;

void native_set_tap(tap_callback callback)
{
    sink = callback;
}

void model_tap(unsigned op, const int16_t *data, uint32_t count)
{
    if (sink) {
        sink(op, data, count);
    }
}
#endif

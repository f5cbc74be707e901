/* Runs a model's step on samples from cases.bin, on an emulated Cortex-M: results.bin holds the
 * virtual time after each step, and what the steps answered. STATE_GIVEN: before the samples comes
 * the state, of a stream that begins with extra inputs. Linked with the very objects of a board's
 * image (model_steps.py), so the count is that image's. Steps follow each other without a pause:
 * differences of the times add up to the whole run, with one tick of error and not one per step. */
#include "model.h"
#include "port.h"

static int16_t samples[STEPS][MODEL_SAMPLES_PER_STEP * MODEL_INPUTS];
static int16_t out[STEPS][MODEL_FRAMES_PER_STEP * MODEL_OUTPUTS];
static uint32_t ticks[STEPS + 1];

int main(void)
{
    if (!port_begin())
        return 1;
    model_reset();
#ifdef STATE_GIVEN
    if (!port_read(model_state(), MODEL_STATE_BYTES))
        return 1;
#endif
    if (!port_read(samples, sizeof samples))
        return 1;
    ticks[0] = port_ticks();
    for (uint32_t i = 0; i < STEPS; i++) {
        model_step(samples[i], out[i]);
        ticks[i + 1] = port_ticks();
    }
    port_write(ticks, sizeof ticks);
    port_write(out, sizeof out);
    return port_end();
}

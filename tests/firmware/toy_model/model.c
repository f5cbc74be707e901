#include "model.h"
#include <string.h>

#ifdef MODEL_TAP
#define TAP(op, data, count) model_tap(op, data, count)
#else
#define TAP(op, data, count) ((void)0)
#endif

static const int16_t mix[128] = {
    -10608, -3771,  3065,   9902,   16738,  23575,  30411,  -28288, -21452, -14615, -7779,  -942,
    5894,   12731,  19567,  26404,  -32296, -25459, -18623, -11786, -4950,  1887,   8723,   15560,
    22396,  29233,  -29467, -22630, -15794, -8957,  -2121,  4716,   11552,  18389,  25225,  32062,
    -26638, -19801, -12965, -6128,  708,    7545,   14381,  21217,  28054,  -30646, -23809, -16973,
    -10136, -3300,  3537,   10373,  17210,  24046,  30883,  -27817, -20980, -14144, -7307,  -471,
    6366,   13202,  20039,  26875,  -31824, -24988, -18151, -11315, -4478,  2358,   9195,   16031,
    22868,  29704,  -28995, -22159, -15322, -8486,  -1649,  5187,   12024,  18860,  25697,  32533,
    -26166, -19330, -12493, -5657,  1180,   8016,   14853,  21689,  28526,  -30174, -23337, -16501,
    -9664,  -2828,  4009,   10845,  17682,  24518,  31355,  -27345, -20508, -13672, -6836,  1,
    6837,   13674,  20510,  27347,  -31353, -24516, -17680, -10843, -4007,  2830,   9666,   16503,
    23339,  30176,  -28524, -21687, -14851, -8014,  -1178,  5659,
};
const model_table model_tables[MODEL_TABLE_COUNT] = {{mix, sizeof mix}};

/* 99 running sums, 412 sums of past steps, the number of steps */
static uint32_t state[MODEL_STATE_BYTES / 4];

void model_reset(void)
{
    memset(state, 0, sizeof state);
}

void *model_state(void)
{
    return state;
}

static void next_frame(const int16_t *samples, int16_t *out)
{
    uint32_t all = 0;
    for (uint32_t o = 0; o < MODEL_OUTPUTS; o++) {
        uint32_t sum = state[o];
        for (uint32_t t = 0; t < MODEL_SAMPLES_PER_STEP / MODEL_FRAMES_PER_STEP; t++)
            sum = sum * 1664525u + (uint16_t)samples[t * MODEL_INPUTS + o % MODEL_INPUTS] +
                  (uint16_t)mix[(t + o) % 128u];
        state[o] = sum + state[99u + (state[511] + o) % 412u];
        out[o] = (int16_t)(state[o] >> 16);
        all += sum;
    }
    state[99u + state[511] % 412u] = all;
    state[511]++;
}

void model_step(const int16_t *samples, int16_t *out)
{
    TAP(0, samples, MODEL_SAMPLES_PER_STEP * MODEL_INPUTS);
    for (uint32_t i = 0; i < MODEL_FRAMES_PER_STEP; i++)
        next_frame(samples + i * MODEL_SAMPLES_PER_STEP / MODEL_FRAMES_PER_STEP * MODEL_INPUTS,
                   out + i * MODEL_OUTPUTS);
    TAP(1, out, MODEL_FRAMES_PER_STEP * MODEL_OUTPUTS);
}

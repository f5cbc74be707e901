/* Tendon 0.1.0: network w8a16, the application's names for it. Graph
 * 392a68dbb01c1901e24555bd428348a2d75c7692002634026a8e576f191670b6 */
/* The network that this application runs is network: its interface under the names that app/
 * uses, and the one stream of it that there is. */
#ifndef MODEL_H
#define MODEL_H
#include "network.h"

#define MODEL_GENERATOR NETWORK_GENERATOR
#define MODEL_NAME NETWORK_NAME
#define MODEL_HASH NETWORK_HASH
#define MODEL_HASH_BYTES NETWORK_HASH_BYTES
#define MODEL_INPUTS NETWORK_INPUTS
#define MODEL_SAMPLE_RATE NETWORK_SAMPLE_RATE
#define MODEL_INPUT_SCALE NETWORK_INPUT_SCALE
#define MODEL_SAMPLES_PER_STEP NETWORK_SAMPLES_PER_STEP
#define MODEL_FRAMES_PER_STEP NETWORK_FRAMES_PER_STEP
#define MODEL_OUTPUTS NETWORK_OUTPUTS
#define MODEL_OUTPUT_SCALE NETWORK_OUTPUT_SCALE
#define MODEL_STATE_BYTES NETWORK_STATE_BYTES
#define MODEL_ARENA_BYTES NETWORK_ARENA_BYTES
#define MODEL_TABLE_COUNT NETWORK_TABLE_COUNT
#define MODEL_TABLE_BYTES NETWORK_TABLE_BYTES
#define MODEL_TABLES_CRC NETWORK_TABLES_CRC
#ifdef MODEL_TAP
#define MODEL_OPERATORS NETWORK_OPERATORS
#define MODEL_LARGEST_OUTPUT NETWORK_LARGEST_OUTPUT
#define model_tap network_tap
#endif
#define model_tables network_tables

#ifdef __cplusplus
extern "C" {
#endif
extern network model_stream;
#ifdef __cplusplus
}
#endif

static inline void model_reset(void)
{
    network_reset(&model_stream);
}

static inline void model_step(const int16_t *samples, int16_t *out)
{
    network_step(&model_stream, samples, out);
}

static inline void *model_state(void)
{
    return model_stream.state;
}
#endif

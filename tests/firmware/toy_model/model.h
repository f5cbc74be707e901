/* The protocol's test model, in the interface of docs/spec/c-interface.md: every sample
 * changes every later output, so that a sample that is missing, doubled or out of order shows.
 * tests/toy.py computes the same with numpy. */
#ifndef MODEL_H
#define MODEL_H
#include <stdint.h>

#define MODEL_GENERATOR "by hand"
#define MODEL_NAME "toy"
#define MODEL_HASH "75b7e1e32a176ee224c5088bbc040b267c2e3e56bce7c4f8c16082ce92c7adeb"
#define MODEL_HASH_BYTES \
    {0x75, 0xb7, 0xe1, 0xe3, 0x2a, 0x17, 0x6e, 0xe2, 0x24, 0xc5, 0x08, \
     0x8b, 0xbc, 0x04, 0x0b, 0x26, 0x7c, 0x2e, 0x3e, 0x56, 0xbc, 0xe7, \
     0xc4, 0xf8, 0xc1, 0x60, 0x82, 0xce, 0x92, 0xc7, 0xad, 0xeb}
#define MODEL_INPUTS 32
#define MODEL_SAMPLE_RATE 2000
#define MODEL_INPUT_SCALE 1
#ifndef MODEL_FRAMES_PER_STEP
#define MODEL_FRAMES_PER_STEP 1 /* or what a test asks for */
#endif
#define MODEL_SAMPLES_PER_STEP (96 * MODEL_FRAMES_PER_STEP)
#define MODEL_OUTPUTS 99
#define MODEL_OUTPUT_SCALE 1
#define MODEL_STATE_BYTES 2048
#define MODEL_ARENA_BYTES 0
#define MODEL_TABLE_COUNT 1
#define MODEL_TABLE_BYTES 256
#define MODEL_TABLES_CRC 0xe2ef2760u

typedef struct {
    const void *data;
    uint32_t bytes;
} model_table;
extern const model_table model_tables[MODEL_TABLE_COUNT];

void model_reset(void);
void model_step(const int16_t *samples, int16_t *out);
void *model_state(void);
#ifdef MODEL_TAP
#define MODEL_OPERATORS 2u /* the samples as they came, and the outputs */
#define MODEL_LARGEST_OUTPUT 3072u
void model_tap(unsigned op, const int16_t *data, uint32_t count);
#endif
#endif

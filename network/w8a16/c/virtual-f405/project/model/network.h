/* network w8a16: one step of the network, in C.
 * Written by Tendon 0.1.0. Files network.*, kernels in nn/ (nn.h is their manual).
 *
 * Five lines:
 *      NETWORK_DEFINE(net);
 *      static int16_t samples[NETWORK_STEP_SAMPLES];
 *      static int16_t out[NETWORK_STEP_OUTPUTS];
 *      read_the_next(samples, NETWORK_STEP_SAMPLES); // yours
 *      network_step(&net, samples, out); // and so on, from step to step
 *
 * Samples     100 a second of 3 values, in the unit, and behind the filters, of the recordings that
 *             the network was calibrated with; Tendon changed nothing of them. As int16: the real
 *             value / 0.000154705899, rounded, held to -32768..32767.
 * Electrodes  in the order that those recordings have them.
 * Outputs     2 values a frame, 20 frames a second: scores of the classes: the largest is the one
 *             that is meant. Real value = int16 * 2.12013367e-05.
 * Latency     a step eats 5 samples, 50 ms, and gives 1 frame with the last of them, made of the
 *             newest 5 samples and what the state remembers.
 * Work        218 multiply-accumulates a step, 0.00436 million a second: one for each weight and
 *             frame, six for a complex state.
 *
 * Memory      24 bytes of state a stream, 88 of arena, 1508 of tables, which are const. No heap, no
 *             floating point.
 *             NETWORK_IN_STATE and _IN_ARENA below, and _IN_TABLES in network_tables.c choose the
 *             region of each.
 * Alignment   state and arena 8 bytes (IN_STATE and IN_ARENA say so), samples and out 2,
 *             better 4: kernels are faster where rows lie on words.
 * Threads     no function keeps anything outside of what it is given. Streams with a state each may
 *             run interleaved, and share an arena if no two of them step at the same time; a stream
 *             is stepped by one thread at a time, interrupts included.
 * Stack       560 bytes for a step or the self-test on any Cortex-M, as gcc and clang build them
 *             with -Os and kernels with -O3 (nn.h says it kernel by kernel). All at -O0: up to
 *             1536. Interrupts come on top: for each, 32 bytes and what its handler takes; 104
 *             instead of 32 where floating-point registers are stacked too.
 * Snapshot    NETWORK_STATE_BYTES from self->state are all that a stream knows; copy them between
 *             two steps to go on later. They may go on in any build of the same NETWORK_VERSION and
 *             _GENERATOR: other boards, cores and compilers keep the same bytes, as long as the
 *             byte order is the same.
 * Integrity   network_selftest() says whether tables and kernels compute what they must: the CRC of
 *             the tables, then the words of three steps, which carry recurrent state. What came
 *             before is zeros, so samples further back than three steps are not covered. It is one
 *             call, of the time of three steps and of about 45 instructions for each byte of the
 *             tables. Where a watchdog is shorter, check network_tables[] in parts, in your own
 *             code: NETWORK_TABLES_CRC is the CRC of all in order.
 */
#ifndef NETWORK_H
#define NETWORK_H
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define NETWORK_NAME "network"
#define NETWORK_GENERATOR "0.1.0" /* version of Tendon */
#define NETWORK_NN_VERSION 5 /* version of the kernels it calls, nn.h */
/* Version of the network: what it computes, as a hash, in three forms */
#define NETWORK_VERSION 0x392a68dbu
#define NETWORK_HASH \
    "392a68dbb01c1901e24555bd428348a2d75c7692002634026a8e576f191670b6"
#define NETWORK_HASH_BYTES \
    {0x39, 0x2a, 0x68, 0xdb, 0xb0, 0x1c, 0x19, 0x01, 0xe2, 0x45, 0x55, 0xbd, 0x42, 0x83, 0x48, \
     0xa2, 0xd7, 0x5c, 0x76, 0x92, 0x00, 0x26, 0x34, 0x02, 0x6a, 0x8e, 0x57, 0x6f, 0x19, 0x16, \
     0x70, 0xb6}
#define NETWORK_INPUTS 3 /* int16 values of a sample */
#define NETWORK_INPUT_LOW (-32768) /* smallest word of a sample */
#define NETWORK_INPUT_HIGH 32767 /* largest */
#define NETWORK_SAMPLE_RATE 100 /* samples a second */
#define NETWORK_INPUT_SCALE 0.000154705899 /* real value of one step of a sample */
#define NETWORK_SAMPLES_PER_STEP 5
#define NETWORK_STEP_SAMPLES 15 /* int16 that a step reads */
#define NETWORK_OUTPUTS 2 /* int16 values of an output frame */
#define NETWORK_OUTPUT_SCALE 2.12013367e-05 /* real value of one step of an output */
#define NETWORK_FRAMES_PER_STEP 1 /* output frames */
#define NETWORK_STEP_OUTPUTS 2 /* int16 that a step writes */
#define NETWORK_START_UP 0 /* first frames of a stream that mean nothing */
#define NETWORK_STATE_BYTES 24
#define NETWORK_STACK_BYTES 560 /* of a step or the self-test */
#define NETWORK_ARENA_BYTES 88
#define NETWORK_TABLE_COUNT 17
#define NETWORK_TABLE_BYTES 1508
#define NETWORK_TABLES_CRC 0xa3984a1eu /* CRC-32 (IEEE 802.3) of all tables in order */
/* Names of the outputs in order: static const char *const names[] = NETWORK_NAMES; */
#define NETWORK_NAMES \
    {"rest", "fist"}

/* What a stream keeps from one step to the next. */
typedef struct {
    int16_t l0_before[4];
    int32_t l0[4];
} network_state;

/* Where a step computes. What it holds between two steps means nothing. */
typedef struct {
    int16_t values[44];
} network_arena;

/* One stream of the network: its memory is its caller's. */
typedef struct {
    network_state *state;
    network_arena *arena;
} network;

/* A constant of the network; all of them, in the order of the CRC */
typedef struct {
    const void *data;
    uint32_t bytes;
} network_table;
extern const network_table network_tables[17];

/* Which memory is whose. On an Arm core each part has a section of its own, which a linker
 * script may place; define these before this header is included to choose otherwise, but keep
 * the alignment. A section of yours has a name that begins with .bss., for of another name it
 * takes its size in the image too, and the linker script has to name it. Where start-up code
 * does not clear it, call network_reset() before the first step. */
#ifndef NETWORK_IN_STATE
#ifdef __arm__
#define NETWORK_IN_STATE \
    __attribute__((aligned(8), section(".bss.model_state")))
#else
#define NETWORK_IN_STATE __attribute__((aligned(8)))
#endif
#endif
#ifndef NETWORK_IN_ARENA
#ifdef __arm__
#define NETWORK_IN_ARENA \
    __attribute__((aligned(8), section(".bss.model_arena")))
#else
#define NETWORK_IN_ARENA __attribute__((aligned(8)))
#endif
#endif

/* Static memory of one stream, and the stream itself, which the argument names. */
#define NETWORK_DEFINE(name) \
    static network_state name##_state NETWORK_IN_STATE; \
    static network_arena name##_arena NETWORK_IN_ARENA; \
    static network name = {&name##_state, &name##_arena}

/* All state to zero, as before the first sample. Memory that is zero needs none. */
void network_reset(network *self);

/* Eats samples (NETWORK_SAMPLES_PER_STEP, NETWORK_INPUTS) and writes out
 * (NETWORK_FRAMES_PER_STEP, NETWORK_OUTPUTS), which must not overlap. */
void network_step(network *self, const int16_t *samples, int16_t *out);

/* Three steps on samples that it makes itself (above, Integrity). 0: they gave the words that
 * the reference gave; 1: the tables are damaged; 2: other words, so a kernel computes wrongly.
 * samples and out are buffers of a step, which it overwrites. Whatever it finds, the stream is
 * as after network_reset(): test before the first sample, or a stream of its own. */
int network_selftest(network *self, int16_t *samples, int16_t *out);

#ifdef MODEL_TAP
#define NETWORK_OPERATORS 8u
/* values that one operator puts out in a step, at most */
#define NETWORK_LARGEST_OUTPUT 10u
/* Called after every operator with its output or the next piece of it; supplied by whoever
 * defines MODEL_TAP. */
void network_tap(unsigned op, const int16_t *data, uint32_t count);
#endif

#ifdef __cplusplus
}
#endif
#endif

#include "nn_linear_mve.h"

/* x is held to -128 to 127: VLD2 takes its low bytes out of memory, and VMLADAVA.S8 multiplies 16
 * of them by a row's weights. */
#define ROWS 8u

NN_APART static void linear_portable(const nn_linear *op, const int16_t *x, int16_t *y)
{
    linear_of_lanes(op, ROWS, x, y, 0);
}

#if !NN_MVE

void nn_linear_s8_s8_mve(const nn_linear *op, const int16_t *x, int16_t *y)
{
    linear_portable(op, x, y);
}

#else

/* Eight rows x 16 inputs: 128 multiply-accumulates in 18 instructions. Loads lie between
 * multiplications, with which a Cortex-M55 overlaps them. */
#define MAC(sum, w) "vmladava.s8 " sum ", q0, " w "\n"
#define STEP                                                                           \
    "vld20.8 {q0, q1}, [" X "]\n" LOAD("q2") "vld21.8 {q0, q1}, [" X "]!\n" LOAD("q3") \
    MAC(S0, "q2") LOAD("q2") MAC(S1, "q3") LOAD("q3") MAC(S2, "q2") LOAD("q2")         \
    MAC(S3, "q3") LOAD("q3") MAC(S4, "q2") LOAD("q2") MAC(S5, "q3") LOAD("q3")         \
    MAC(S6, "q2") MAC(S7, "q3")
#define STEP_CODE 72u

/* stack: 68 bytes */
static NN_NAKED void blocks_of_eight(lanes_job *job)
{
    __asm__(LANES_BEGIN
            "6:\n" LDR(FRAME, JOB, LANES_X)
            "7:\n" LDR(W, JOB, LANES_W) MOV(X, FRAME)
            "ldm " W "!, {r0, r2, r4, r6, r8, r10, r12, r14}\n"
            WALK(STEP) VECTOR("q0", S0, S1, S2, S3) LDR("r0", JOB, LANES_SHIFT)
            "vldrw.32 q2, [" W "], #16\n" VECTOR("q1", S4, S5, S6, S7)
            "vldrw.32 q3, [" W "], #16\n" SHIFT("q0", "r0") SHIFT("q1", "r0")
            LDRD("r5", "r7", JOB, LANES_Y)
            SCALE_AND_CLAMP("q0", "q2", "q4", "q5") SCALE_AND_CLAMP("q1", "q3", "q4", "q5")
            "vstrh.32 q0, [r5]\nvstrh.32 q1, [r5, #8]\n"
            NEXT_FRAME "bne 7b\n" NEXT_BLOCK("16", "8f") "b 6b\n"
            "8:\n" LANES_RETURN);
}

void nn_linear_s8_s8_mve(const nn_linear *op, const int16_t *x, int16_t *y)
{
    if (!loadable(op, x))
        linear_portable(op, x, y);
    else
        all_blocks(op, ROWS, STEP_CODE, x, y, blocks_of_eight);
}

#endif

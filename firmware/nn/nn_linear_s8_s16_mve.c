#include "nn_linear_mve.h"

/* x = 256*h + l + 128 with bytes h, l in -128 to 127: VLD2 parts them, and VMLADAVA.S8 multiplies
 * 16 of either by a row's weights, which are loaded once for both. The 128*sum(w) that remain are
 * in the bias (export/c/pack.py). */
#define ROWS 4u
#define ZERO 128

NN_APART static void linear_portable(const nn_linear *op, const int16_t *x, int16_t *y)
{
    linear_of_lanes(op, ROWS, x, y, ZERO);
}

#if !NN_MVE

void nn_linear_s8_s16_mve(const nn_linear *op, const int16_t *x, int16_t *y)
{
    linear_portable(op, x, y);
}

#else

/* Four rows x 16 inputs: 64 multiply-accumulates in 15 instructions. Loads lie between
 * multiplications, with which a Cortex-M55 overlaps them. `mac` is VMLADAVA, or VMLADAV where the
 * sums begin; q3 flips signs. */
#define MACS(mac, l, h) mac " " l ", q0, q2\n" mac " " h ", q1, q2\n"
#define STEP_OF(mac, on, load0, load1, load2, load3)                        \
    "vld20.8 {q0, q1}, [" X "]\n" load0 "vld21.8 {q0, q1}, [" X "]" on "\n" \
    "veor q0, q0, q3\n" MACS(mac, S0, S4) load1 MACS(mac, S1, S5) load2     \
    MACS(mac, S2, S6) load3 MACS(mac, S3, S7)
#define STEP STEP_OF("vmladava.s8", "!", LOAD("q2"), LOAD("q2"), LOAD("q2"), LOAD("q2"))
#define STEP_CODE 60u

#define SIGNS "movs r1, #0x80\nvdup.8 q3, r1\n"
/* l + 256*h of four rows, in q0 */
#define JOIN(l, h) "add " l ", " l ", " h ", lsl #8\n"
#define JOINED JOIN(S0, S4) JOIN(S1, S5) JOIN(S2, S6) JOIN(S3, S7) VECTOR("q0", S0, S1, S2, S3)

/* stack: 68 bytes */
static NN_NAKED void blocks_of_four(lanes_job *job)
{
    __asm__(LANES_BEGIN SIGNS
            "6:\n" LDR(FRAME, JOB, LANES_X)
            "7:\n" LDR(W, JOB, LANES_W) MOV(X, FRAME) "ldm " W "!, {r0, r2, r4, r6}\n"
            MOV(S4, "#0") MOV(S5, S4) MOV(S6, S4) MOV(S7, S4)
            WALK(STEP) JOINED LDR("r0", JOB, LANES_SHIFT)
            "vldrw.32 q1, [" W "], #16\n" SHIFT("q0", "r0") LDRD("r5", "r7", JOB, LANES_Y)
            SCALE_AND_CLAMP("q0", "q1", "q4", "q5") "vstrh.32 q0, [r5]\n"
            NEXT_FRAME "bne 7b\n" NEXT_BLOCK("8", "8f") "b 6b\n"
            "8:\n" LANES_RETURN);
}

/* --- frames of just 16 inputs: everything of a block stays in registers --- */

#define SHORT_STEP \
    STEP_OF("vmladav.s8", "", WEIGHTS("0"), WEIGHTS("16"), WEIGHTS("32"), WEIGHTS("48"))
#define WEIGHTS(at) "vldrb.8 q2, [" W ", #" at "]\n"

/* Registers besides X and W: strides, y and its end. Below the job on the stack lies the shift. */
#define X_STRIDE "r5"
#define Y "r7"
#define Y_STRIDE "r9"
#define Y_END "r11"

/* stack: 108 bytes */
static NN_NAKED void short_blocks_of_four(lanes_job *job)
{
    __asm__("vpush {d8-d15}\n" LDR("r1", "r0", LANES_SHIFT) "push {r0, r1, r4-r11, lr}\n"
            SIGNS LDRD("r1", "r3", "r0", LANES_LO) DUP("q6", "r1") DUP("q7", "r3")
            LDRD(Y, Y_STRIDE, "r0", LANES_Y) LDRD(X_STRIDE, Y_END, "r0", LANES_X_STRIDE)
            LDR(W, "r0", LANES_W)
            "6:\n" LDR(X, "r0", LANES_X) "vldrw.32 q5, [" W "], #16\n"
            "vldrw.32 q4, [" W ", #64]\n"
            "7:\n" SHORT_STEP JOINED "ldr r0, [sp, #4]\nvadd.i32 q0, q0, q5\n"
            ADD(X, X, X_STRIDE) SHIFT("q0", "r0") SCALE_AND_CLAMP("q0", "q4", "q6", "q7")
            "vstrh.32 q0, [" Y "]\n" ADD(Y, Y, Y_STRIDE) "cmp " Y ", " Y_END "\nbne 7b\n"
            "ldr r0, [sp]\n" LDRD("r2", "r4", "r0", LANES_SPAN) "add " W ", #80\n"
            "subs r4, " Y "\nbeq 8f\ncmp r4, #8\nit hi\nmovhi r4, #8\n"
            ADD(Y_END, Y_END, "r4") "sub " Y ", " Y_END ", r2\nb 6b\n"
            "8:\npop {r0, r1, r4-r11, lr}\nvpop {d8-d15}\nbx lr");
}

void nn_linear_s8_s16_mve(const nn_linear *op, const int16_t *x, int16_t *y)
{
    if (!loadable(op, x))
        linear_portable(op, x, y);
    else if (op->in == LANES)
        all_blocks(op, ROWS, STEP_CODE, x, y, short_blocks_of_four);
    else
        all_blocks(op, ROWS, STEP_CODE, x, y, blocks_of_four);
}

#endif

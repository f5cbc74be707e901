#include "fault.h"
#include "crc32.h"
#include "naked.h"
#include "port.h"
#include "registers.h"
#include "reset.h"
#include <stddef.h>
#include <string.h>

extern uint32_t stack_bottom[], stack_top[];
extern const uint8_t code_begin[], code_end[];

#define MAGIC 0x46415554u
#define NMI 2u
#define LINE 32u          /* bytes of the Cortex-M7's data cache */
#define DEEPEST 0x100000u /* below the stack: what lies farther off was no overflow */

/* In memory that nothing initializes. Its CRC tells it from what RAM holds at power-on and from
 * what another image left there. */
typedef struct {
    uint32_t magic;
    uint32_t code_crc; /* of the image that ran; 0: it had not yet been asked for */
    port_fault fault;
    uint32_t crc; /* of all before */
} record;
_Static_assert(sizeof(record) < 64u, "as export/c/placement.py allows for");

static record kept __attribute__((section(".noinit"), aligned(8)));
static reset_origin origin;
static bool warm;         /* the record was there already: RAM was not without power */
static uint32_t code_crc; /* of this image, once port_recall() was called */

static uint32_t crc_of(const record *from)
{
    return crc32(0, from, offsetof(record, crc));
}

/* Into the memory itself: the caches are empty after a reset, and an STM32H7 writes the last word
 * that does not fill its 64 or 32 bits of error correction only with the next such write to another
 * word of the same memory (RM0433 rev. 8, page 137): that is the second one of the magic word. */
static void seal(void)
{
    kept.magic = MAGIC;
    kept.crc = crc_of(&kept);
    __asm volatile("" ::: "memory");
    *(volatile uint32_t *)&kept.magic = MAGIC;
    if (SCB_CCR & SCB_CCR_DC) {
        __asm volatile("dsb" ::: "memory");
        for (uintptr_t at = (uintptr_t)&kept & ~(uintptr_t)(LINE - 1u);
             at < (uintptr_t)(&kept + 1); at += LINE)
            SCB_DCCMVAC = (uint32_t)at;
    }
    __asm volatile("dsb" ::: "memory");
}

/* Does a word lead back behind a call, BL or BLX (ARM DDI 0403 A7.7.18 and A7.7.19)? */
static bool is_return(uint32_t word)
{
    const uintptr_t at = word - 1u;
    if ((word & 1u) == 0 || at < (uintptr_t)code_begin + 4u || at >= (uintptr_t)code_end)
        return false;
    const uint16_t *next = (const uint16_t *)at;
    const bool branch = (next[-2] & 0xF800u) == 0xF000u && (next[-1] & 0xD000u) == 0xD000u;
    return branch || (next[-1] & 0xFF87u) == 0x4780u;
}

/* The first word from here to the top of the stack that is one; 0: there is none. */
static uint32_t return_above(const uint32_t *at)
{
    for (; at < stack_top; at++)
        if (is_return(*at))
            return *at;
    return 0;
}

/* An interrupt without a handler: its vector is 0, which is no code, and a fault before its first
 * instruction, in its own mode. */
static bool is_unhandled(const uint32_t *frame)
{
    return frame[6] == 0 && frame[5] >= 0xFFFFFF00u && (frame[7] & SCB_ICSR_VECTACTIVE) >= 16u;
}

/* A frame that could not be written says nothing; where the stack has overflowed, its deepest call
 * does. */
static void take_frame(const uint32_t *frame, uint32_t returns)
{
    port_fault *fault = &kept.fault;
    fault->pc = fault->lr = fault->caller = 0;
    fault->sp = (uint32_t)(uintptr_t)frame;
    if (fault->stack == PORT_STACK_INSIDE) {
        const uint32_t floating = (returns & 0x10u) ? 0u : 18u, aligned = frame[7] >> 9 & 1u,
                       words = 8u + floating + aligned;
        fault->lr = frame[5];
        fault->pc = frame[6];
        fault->sp += 4u * words;
        fault->caller = return_above(frame + words);
        if (is_unhandled(frame))
            fault->exception = (uint16_t)(frame[7] & SCB_ICSR_VECTACTIVE);
    } else if (fault->stack == PORT_STACK_OVERFLOWED) {
        fault->caller = return_above(stack_bottom);
    }
}

static uint32_t address_of_fault(uint32_t cfsr)
{
    if (cfsr & SCB_CFSR_MMARVALID)
        return SCB_MMFAR;
    return (cfsr & SCB_CFSR_BFARVALID) ? SCB_BFAR : 0u;
}

static uint16_t where_is(const uint32_t *frame)
{
    const uintptr_t at = (uintptr_t)frame, bottom = (uintptr_t)stack_bottom;
    if (at >= bottom && at + 32u <= (uintptr_t)stack_top)
        return PORT_STACK_INSIDE;
    return bottom - at < DEEPEST ? PORT_STACK_OVERFLOWED : PORT_STACK_LOST;
}

/* From Fault_Handler, on a stack that can be used. */
void fault_taken(const uint32_t *frame, uint32_t returns);
__attribute__((used, noreturn)) void fault_taken(const uint32_t *frame, uint32_t returns)
{
    kept.fault.exception = (uint16_t)(SCB_ICSR & SCB_ICSR_VECTACTIVE);
    kept.fault.stack = where_is(frame);
    take_frame(frame, returns);
    kept.fault.cfsr = SCB_CFSR;
    kept.fault.hfsr = SCB_HFSR;
    kept.fault.address = address_of_fault(kept.fault.cfsr);
    kept.code_crc = code_crc;
    kept.fault.starts = 0;
    kept.fault.faults++;
    seal();
    SCB_AIRCR = SCB_AIRCR_RESET;
    for (;;)
        __asm volatile("nop"); /* the reset takes a few cycles; the watchdog stands behind it */
}

/* r0: the frame that the core has pushed; r1: how it would return. A stack pointer outside the
 * stack, or with less than 256 bytes below it, begins anew at the top: nothing returns from
 * here. */
NAKED void Fault_Handler(void)
{
    __asm volatile("movw r0, #0xEDF0\n\t" /* DHCSR, ARM DDI 0403 C1.6.2: C_DEBUGEN */
                   "movt r0, #0xE000\n\t"
                   "ldr r0, [r0]\n\t"
                   "lsls r0, r0, #31\n\t"
                   "bpl 1f\n\t"
                   "bkpt #0\n"
                   "1:\n\t"
                   "tst lr, #4\n\t"
                   "ite eq\n\t"
                   "mrseq r0, msp\n\t"
                   "mrsne r0, psp\n\t"
                   "mov r1, lr\n\t"
                   "movw r2, #:lower16:stack_bottom\n\t"
                   "movt r2, #:upper16:stack_bottom\n\t"
                   "movw r3, #:lower16:stack_top\n\t"
                   "movt r3, #:upper16:stack_top\n\t"
                   "add r2, r2, #256\n\t"
                   "cmp r0, r2\n\t"
                   "blo 2f\n\t"
                   "cmp r0, r3\n\t"
                   "bls 3f\n"
                   "2:\n\t"
                   "mov sp, r3\n"
                   "3:\n\t"
                   "b fault_taken");
}

void fault_start(void)
{
    origin = reset_read();
    warm = !origin.ram_lost && kept.magic == MAGIC && kept.crc == crc_of(&kept);
    if (!warm)
        memset(&kept, 0, sizeof kept);
    else if (kept.fault.exception != 0)
        kept.fault.starts++;
    seal();
}

/* The last fault caused this start, and it was a fault of this image. */
static uint32_t cause(bool known)
{
    if (known && kept.fault.starts == 1u)
        return kept.fault.exception == NMI && reset_nmi_is_watchdog ? PORT_RESET_WATCHDOG
                                                                    : PORT_RESET_FAULT;
    /* chips whose flags do not tell one from the other */
    if (!warm && (origin.cause == PORT_RESET_BROWN_OUT || origin.cause == PORT_RESET_UNKNOWN))
        return PORT_RESET_POWER_ON;
    return origin.cause;
}

void port_recall(port_past *out)
{
    if (code_crc == 0)
        code_crc = crc32(0, code_begin, (uint32_t)((uintptr_t)code_end - (uintptr_t)code_begin));
    const bool ours = kept.code_crc == 0 || kept.code_crc == code_crc,
               known = ours && kept.fault.exception != 0;
    *out = (port_past){.cause = cause(known), .flags = origin.flags, .code_crc = code_crc};
    if (known)
        out->fault = kept.fault;
}

/* A Cortex-M under QEMU: files by semihosting, SysTick as the instruction counter (`-icount
 * shift=0`: one instruction is one nanosecond, so at 25 MHz forty instructions are a tick;
 * cores.py). Armv7-M ARM, B3.3 for SysTick; semihosting calls as in Arm's "Semihosting for AArch32
 * and AArch64". */
#include "port.h"

#include <stddef.h>
#include <string.h>

enum { SYS_OPEN = 1, SYS_CLOSE = 2, SYS_WRITE = 5, SYS_READ = 6, SYS_EXIT_EXTENDED = 0x20 };
enum { READ_BINARY = 1, WRITE_BINARY = 5, APPLICATION_EXIT = 0x20026 };

#define SYST_CSR (*(volatile uint32_t *)0xE000E010u)
#define SYST_RVR (*(volatile uint32_t *)0xE000E014u)
#define SYST_CVR (*(volatile uint32_t *)0xE000E018u)
#define CPACR (*(volatile uint32_t *)0xE000ED88u)

static uintptr_t cases, results;

static uintptr_t semihost(uintptr_t call, const void *block)
{
    register uintptr_t r0 __asm__("r0") = call;
    register const void *r1 __asm__("r1") = block;
    __asm__ volatile("bkpt 0xAB" : "+r"(r0) : "r"(r1) : "memory");
    return r0;
}

static uintptr_t open_file(const char *name, uintptr_t length, uintptr_t mode)
{
    const uintptr_t block[3] = {(uintptr_t)name, mode, length};
    return semihost(SYS_OPEN, block);
}

int port_begin(void)
{
    cases = open_file("cases.bin", 9, READ_BINARY);
    results = open_file("results.bin", 11, WRITE_BINARY);
    SYST_RVR = 0xFFFFFFu;
    SYST_CVR = 0;
    SYST_CSR = 5; /* on, processor clock, no interrupt */
    return cases != (uintptr_t)-1 && results != (uintptr_t)-1;
}

int port_read(void *data, uint32_t bytes)
{
    const uintptr_t block[3] = {cases, (uintptr_t)data, bytes};
    return semihost(SYS_READ, block) == 0;
}

void port_write(const void *data, uint32_t bytes)
{
    const uintptr_t block[3] = {results, (uintptr_t)data, bytes};
    semihost(SYS_WRITE, block);
}

uint32_t port_ticks(void)
{
    return ~SYST_CVR & 0xFFFFFFu;
}

int port_end(void)
{
    const uintptr_t close_block[1] = {results};
    return semihost(SYS_CLOSE, close_block) ? 1 : 0;
}

/* --- start-up --- */

extern uint32_t _stack_top[], _bss_start[], _bss_end[], _data_start[], _data_end[], _data_load[];
int main(void);

void reset(void);
void fault(void);

static void leave(uintptr_t status)
{
    const uintptr_t block[2] = {APPLICATION_EXIT, status};
    semihost(SYS_EXIT_EXTENDED, block);
    for (;;)
        ;
}

void reset(void)
{
    /* coprocessors 10 and 11, before the first vector instruction: memcpy may be made of them */
    CPACR |= 0xFu << 20;
    __asm__ volatile("dsb\n\tisb" : : : "memory");
    memcpy(_data_start, _data_load, (uintptr_t)_data_end - (uintptr_t)_data_start);
    memset(_bss_start, 0, (uintptr_t)_bss_end - (uintptr_t)_bss_start);
    leave((uintptr_t)main());
}

void fault(void)
{
    leave(2);
}

__attribute__((section(".vectors"), used)) static const void *const vectors[16] = {
    _stack_top, (void *)reset, (void *)fault, (void *)fault, (void *)fault, (void *)fault,
    (void *)fault, [11] = (void *)fault, [14] = (void *)fault, [15] = (void *)fault,
};

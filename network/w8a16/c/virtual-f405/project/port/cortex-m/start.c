/* Vector table and reset: the same on every Cortex-M. A board adds the vectors of its
 * peripherals (vectors.h). */
#include "fault.h"
#include "registers.h"
#include "stack.h"
#include "vectors.h"
#include <string.h>

extern uint32_t stack_bottom[], stack_top[];
extern uint8_t data_load[], data_begin[], data_end[], bss_begin[], bss_end[];
extern uint8_t arena_begin[], arena_end[], state_begin[], state_end[];
extern const vector constructors_begin[], constructors_end[];
extern int main(void);

void Reset_Handler(void);
void SysTick_Handler(void);

typedef struct {
    uint32_t *stack;
    vector system[15];
} core_vectors;

/* What nobody enabled has no handler: should it come, it is a fault. */
const core_vectors vectors __attribute__((section(".vectors.core"), used)) = {
    .stack = stack_top,
    .system = {Reset_Handler, Fault_Handler, Fault_Handler, Fault_Handler, Fault_Handler,
               Fault_Handler, 0, 0, 0, 0, Fault_Handler, Fault_Handler, 0, Fault_Handler,
               SysTick_Handler},
};

/* Bytes between two symbols of the linker script. */
static uint32_t distance(const void *from, const void *to)
{
    return (uint32_t)((uintptr_t)to - (uintptr_t)from);
}

/* Paints from below up to the stack pointer. In one piece of assembly: between two, a compiler may
 * put the saving of registers, which would be painted over. */
static void paint_stack(void)
{
    uint32_t *at = stack_bottom, *end;
    __asm volatile("    mov %1, sp\n"
                   "1:  cmp %0, %1\n"
                   "    it lo\n"
                   "    strlo %2, [%0], #4\n"
                   "    blo 1b\n"
                   : "+r"(at), "=&r"(end)
                   : "r"(STACK_PAINT)
                   : "cc", "memory");
}

uint32_t stack_bytes(void)
{
    return distance(stack_bottom, stack_top);
}

uint32_t stack_used(void)
{
    uint32_t untouched = 0;
    while (untouched < stack_bytes() / 4u && stack_bottom[untouched] == STACK_PAINT)
        untouched++;
    return stack_bytes() - 4u * untouched;
}

/* Before the first instruction that needs them, wherever the compiler puts it. An interrupt saves
 * their registers only if the code below used any, and then lazily, as FPCCR stands after a
 * reset. */
static inline void allow_vectors(void)
{
    SCB_CPACR |= SCB_CPACR_CP10_CP11;
    __asm volatile("dsb\n\tisb" ::: "memory");
}

/* Of an application in C++; mostly there are none. */
static void construct(void)
{
    const uint32_t count = distance(constructors_begin, constructors_end) / sizeof(vector);
    for (uint32_t i = 0; i < count; i++)
        constructors_begin[i]();
}

void Reset_Handler(void)
{
    allow_vectors();
    SCB_VTOR = (uint32_t)(uintptr_t)&vectors; /* where a boot loader may have left another's */
    paint_stack();
    memcpy(data_begin, data_load, distance(data_begin, data_end));
    memset(bss_begin, 0, distance(bss_begin, bss_end));
    memset(arena_begin, 0, distance(arena_begin, arena_end));
    memset(state_begin, 0, distance(state_begin, state_end));
    fault_start();
    construct();
    main();
    __builtin_trap(); /* which is a fault */
}

#include "line.h"
#include "port.h"
#include "stack.h"

ring received;
receive_counts receive_seen;
volatile uint32_t receive_ticks;

/* Sleeps until an interrupt, unless a byte is there already. Masked for MASKED_INSTRUCTIONS: WFI
 * wakes on an interrupt that waits, and the check cannot be overtaken by one. (WFE needs no
 * masking, but QEMU 7.2 spins on it and receives a third as fast.) */
#define MASKED_INSTRUCTIONS 16u
static void sleep_unless_received(void)
{
    __asm volatile("cpsid i" ::: "memory");
    if (ring_used(&received) == 0)
        __asm volatile("wfi");
    __asm volatile("cpsie i" ::: "memory");
}

uint32_t port_read(uint8_t *bytes, uint32_t room)
{
    line_rest_watchdog();
    sleep_unless_received();
    line_serve_watchdog();
    return ring_take(&received, bytes, room);
}

void port_alive(void)
{
    line_serve_watchdog();
}

uint32_t port_ticks(void)
{
    return counter_ticks();
}

void port_measure(port_health *out)
{
    *out = (port_health){
        .received =
            atomic_load_explicit(&received.head, memory_order_relaxed) + receive_seen.dropped,
        .overruns = receive_seen.overruns,
        .dropped = receive_seen.dropped,
        .line_errors = receive_seen.line_errors,
        .stack_used = stack_used(),
        .stack_bytes = stack_bytes(),
        .handler_ticks = receive_ticks,
        .masked_instructions = MASKED_INSTRUCTIONS,
    };
}

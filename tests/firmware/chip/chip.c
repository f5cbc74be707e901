/* A chip of registers alone: the port's start-up runs against them on the development machine.
 * Standard input says how they follow each other, one line each, numbers in hexadecimal:
 *     = address value                          out of reset
 *     > address bits address bits              while all of the first register's bits are set,
 *                                              those of the second are set too
 * Standard output is every write that changed a register, in order, and at the end what
 * port_start() returned. */
#include <core.h> /* the one that is found first, before the ports' */
#include "line.h"
#include "port.h"
#include <stdio.h>
#include <stdlib.h>

typedef struct {
    uint32_t address, seen;
    volatile uint32_t value;
} slot;

typedef struct {
    uint32_t cause, cause_bits, effect, effect_bits;
} rule;

ring received;
receive_counts receive_seen;
volatile uint32_t receive_ticks;
static slot slots[128];
static rule rules[32];
static unsigned slots_used, rules_used;

static slot *find(uint32_t address)
{
    for (unsigned i = 0; i < slots_used; i++)
        if (slots[i].address == address)
            return &slots[i];
    if (slots_used == sizeof slots / sizeof slots[0])
        exit(3);
    slots[slots_used].address = address;
    return &slots[slots_used++];
}

/* What was written since the last access, then what the hardware makes of it. */
static void settle(void)
{
    for (unsigned i = 0; i < slots_used; i++)
        if (slots[i].value != slots[i].seen) {
            slots[i].seen = slots[i].value;
            printf("%08x %08x\n", slots[i].address, slots[i].seen);
        }
    for (unsigned i = 0; i < rules_used; i++)
        if ((find(rules[i].cause)->value & rules[i].cause_bits) == rules[i].cause_bits) {
            slot *effect = find(rules[i].effect);
            effect->value |= rules[i].effect_bits;
            effect->seen = effect->value;
        }
}

volatile uint32_t *chip_register(uint32_t address)
{
    settle();
    return &find(address)->value;
}

bool counter_start(void)
{
    return true; /* silicon */
}

uint32_t counter_ticks(void)
{
    static uint32_t ticks;
    return ticks++;
}

int main(void)
{
    char kind;
    uint32_t a, b, c, d;
    while (scanf(" %c %x %x", &kind, &a, &b) == 3) {
        if (kind == '=') {
            find(a)->value = find(a)->seen = b;
        } else if (scanf("%x %x", &c, &d) == 2 && rules_used < sizeof rules / sizeof rules[0]) {
            rules[rules_used++] = (rule){a, b, c, d};
        } else {
            return 2;
        }
    }
    const port_info *info = port_start();
    settle();
    printf("%s %u\n", info->name, info->clock_hz);
    return 0;
}

/* A chip of registers alone: the port's start-up runs against them on the development machine. Time
 * is counted in accesses. Standard input says what the hardware does, one line each, numbers in
 * hexadecimal:
 *     = address value                            out of reset
 *     > address bits address bits delay          the second register's bits are set once all of the
 *                                                first's have been for so long, and fall with them
 *     ~ address mask address bits after lasting  when the first register's field changes, the
 *                                                second's bits turn over, a little later, and are
 *                                                back after so long; with no mask, out of reset
 *     s address bits delay refused               a clock's choice: the field behind the lowest bits
 *                                                follows them so late, and one value never
 *     ! address mask                             these bits take no other value
 * Standard output is what happened, in order: `w time address value` when the program changed a
 * register, `h time address value` when the hardware did; in the end, long after port_start(),
 * `= time address value` of every register and what port_start() returned. */
#include <core.h> /* the one that is found first, before the ports' */
#include "line.h"
#include "port.h"
#include <stdio.h>
#include <stdlib.h>

#define LONG_AFTER ((int64_t)1 << 40)
#define CYCLES_PER_ACCESS 8u
#define CYCLE_COUNTER 0xE0001004u

typedef struct {
    uint32_t address, seen;
    volatile uint32_t value;
} slot;

typedef struct {
    char kind;
    slot *cause, *effect;
    uint32_t cause_bits, effect_bits, delay, more;
    uint32_t before; /* what the cause's field was */
    int64_t since;   /* and since when */
    uint32_t rests;  /* what the effect's bits are when nothing goes on */
} rule;

ring received;
receive_counts receive_seen;
volatile uint32_t receive_ticks;
static slot slots[192];
static rule rules[40];
static unsigned slots_used, rules_used;
static int64_t now;

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

static bool turned_over(const rule *r)
{
    const int64_t passed = now - r->since;
    return r->kind == '~' && passed >= r->delay && passed - r->delay < r->more;
}

/* The bits that the hardware alone drives, as it drives them now. */
static uint32_t driven(const rule *r)
{
    const int64_t passed = now - r->since;
    if (r->kind == '>')
        return r->before == r->cause_bits && passed >= r->delay ? r->effect_bits : 0;
    if (r->kind == '~')
        return turned_over(r) ? r->effect_bits & ~r->rests : r->rests;
    if (r->kind == 's' && passed >= r->delay && r->before != r->more)
        return r->before * (r->cause_bits + 1u);
    return r->cause->seen & r->effect_bits;
}

static void drive(const rule *r)
{
    r->effect->value = (r->effect->value & ~r->effect_bits) | driven(r);
}

/* Of several causes that turn the same bits over one is enough. */
static void follow(void)
{
    for (rule *r = rules; r < rules + rules_used; r++) {
        const uint32_t field = r->cause->value & r->cause_bits;
        if (field != r->before) {
            r->before = field;
            r->since = now;
        }
        drive(r);
    }
    for (rule *r = rules; r < rules + rules_used; r++)
        if (turned_over(r))
            drive(r);
}

static void report(char who)
{
    for (unsigned i = 0; i < slots_used; i++)
        if (slots[i].value != slots[i].seen && slots[i].address != CYCLE_COUNTER)
            printf("%c %lld %08x %08x\n", who, (long long)now, slots[i].address,
                   slots[i].seen = slots[i].value);
}

/* What was written since the last access, then what the hardware makes of it. Bits that are not the
 * program's to write are put back first. */
static void settle(void)
{
    for (unsigned i = 0; i < rules_used; i++) {
        slot *of = rules[i].effect;
        of->value = (of->value & ~rules[i].effect_bits) | (of->seen & rules[i].effect_bits);
    }
    report('w');
    follow();
    report('h');
    now++;
    find(CYCLE_COUNTER)->value = (uint32_t)now * CYCLES_PER_ACCESS;
}

volatile uint32_t *chip_register(uint32_t address)
{
    settle();
    return &find(address)->value;
}

const volatile uint32_t *chip_again(const volatile uint32_t *at)
{
    settle();
    return at;
}

static void add_rule(char kind)
{
    uint32_t a, bits, b = 0, effect = 0, delay = 0, more = 0;
    int wanted = kind == '>' ? 5 : kind == '~' ? 6 : kind == 's' ? 4 : 2, got;
    if (kind == 's')
        got = scanf("%x %x %x %x", &a, &bits, &delay, &more);
    else if (kind == '!')
        got = scanf("%x %x", &a, &bits);
    else
        got = scanf("%x %x %x %x %x", &a, &bits, &b, &effect, &delay);
    if (kind == '~')
        got += scanf("%x", &more);
    if (got != wanted || rules_used == sizeof rules / sizeof rules[0])
        exit(2);
    if (kind == 's' || kind == '!') {
        b = a;
        effect = kind == 's' ? bits * (bits + 1u) : bits;
    }
    rules[rules_used++] = (rule){kind, find(a), find(b), bits, effect, delay, more, 0, 0, 0};
}

static void out_of_reset(void)
{
    for (unsigned i = 0; i < rules_used; i++) {
        rules[i].before = rules[i].cause->value & rules[i].cause_bits;
        rules[i].rests = rules[i].effect->value & rules[i].effect_bits;
        rules[i].since = rules[i].kind == '~' && rules[i].cause_bits == 0 ? 0 : -LONG_AFTER;
    }
}

int main(void)
{
    char kind;
    while (scanf(" %c", &kind) == 1) {
        uint32_t address, value;
        if (kind != '=')
            add_rule(kind);
        else if (scanf("%x %x", &address, &value) == 2)
            find(address)->value = find(address)->seen = value;
    }
    out_of_reset();
    const port_info *info = port_start();
    for (uint32_t turn = 0; turn < 1000u; turn++) {
        settle();
        now += 1000;
    }
    for (unsigned i = 0; i < slots_used; i++)
        printf("= %lld %08x %08x\n", (long long)now, slots[i].address, slots[i].value);
    printf("%s %u %s\n", info->name, info->clock_hz, info->memory ? info->memory : "");
    return 0;
}

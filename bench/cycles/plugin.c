/* A QEMU plugin (interface version 1, QEMU 7.2) that watches one function of an emulated Cortex-M
 * and counts what its cycles depend on: executions, jumps and mispredictions per instruction,
 * accesses and cache misses per region of memory, misses of the instruction cache. counting.py
 * builds it, gives its arguments and reads its counts; the models of modelling.py make cycles of
 * them.
 *
 * Arguments (addresses in hexadecimal, sizes in decimal):
 *   out=FILE steps=N        after N steps the counts are written to FILE and counting ends
 *   start=A stop=A..         a step goes from the execution of `start` to that of a `stop`
 *   code=A:BYTES            where the instructions lie
 *   region=A:BYTES:CACHED..  data memory; CACHED is 1 when its accesses go through the data cache.
 *                           The first region that has an address counts
 *   icache=SETS:WAYS:LINE   lines of LINE bytes; the least recently used of a set is replaced
 *   dcache=SETS:WAYS:LINE   the same, and what is written is allocated, and written back when it is
 *                           replaced
 *   cold=1                  every step begins with an empty data cache
 *   boundary=A..             where a segment of a step ends; what follows the last of them is a
 *                           segment of its own
 * Every count is kept per segment: a segment holds what was executed since the last boundary before
 * its own, whatever it was.
 *
 * Two predictors look on: one of two bits per instruction, shared with nobody, and one of two bits
 * per instruction and history of the last 12 conditional branches. A jump to another address than
 * last time counts as `elsewhere`, unless it returns to where the last call said.
 *
 * Counting is per instruction and not per block: where the emulator leaves a block in its middle,
 * the rest of it is not executed. The prototypes below are those of qemu-plugin.h; Debian does not
 * package that header. In QEMU 7.2 a memory callback asked for reads fires on stores only, one
 * asked for both on both. */
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXPORT __attribute__((visibility("default")))

typedef uint64_t qemu_plugin_id_t;
typedef uint32_t qemu_plugin_meminfo_t;
typedef struct qemu_info_t qemu_info_t;
struct qemu_plugin_tb;
struct qemu_plugin_insn;
enum { CB_NO_REGS = 0, MEM_RW = 3 };
void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t,
                                           void (*)(qemu_plugin_id_t, struct qemu_plugin_tb *));
void qemu_plugin_register_vcpu_insn_exec_cb(struct qemu_plugin_insn *, void (*)(unsigned, void *),
                                            int, void *);
void qemu_plugin_register_vcpu_mem_cb(struct qemu_plugin_insn *,
                                      void (*)(unsigned, qemu_plugin_meminfo_t, uint64_t, void *),
                                      int, int, void *);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *, size_t);
uint64_t qemu_plugin_insn_vaddr(const struct qemu_plugin_insn *);
size_t qemu_plugin_insn_size(const struct qemu_plugin_insn *);
const void *qemu_plugin_insn_data(const struct qemu_plugin_insn *);
bool qemu_plugin_mem_is_store(qemu_plugin_meminfo_t);
unsigned qemu_plugin_mem_size_shift(qemu_plugin_meminfo_t);

EXPORT int qemu_plugin_version = 1;

enum { MAX_STOPS = 16, MAX_SEGMENTS = 1024, MAX_REGIONS = 128, IN_LINE = 16, NOWHERE = -1 };
enum { HISTORY = 1 << 12, CALLS = 8 };

/* --- caches --- */

typedef struct {
    uint32_t tag, last_use;
    bool valid, dirty;
} line;

typedef struct {
    uint32_t sets, ways, bytes, now;
    line *lines;
} cache;

typedef struct {
    bool hit, written_back;
} outcome;

/* Is the line there? Afterwards it is, as the most recently used of its set. */
static outcome touch(cache *c, uint32_t address, bool store)
{
    const uint32_t tag = address / c->bytes;
    line *set = &c->lines[(tag % c->sets) * c->ways], *oldest = set;
    for (line *l = set; l < set + c->ways; l++) {
        if (l->valid && l->tag == tag) {
            l->last_use = ++c->now;
            l->dirty |= store;
            return (outcome){true, false};
        }
        if (!l->valid || (oldest->valid && l->last_use < oldest->last_use))
            oldest = l;
    }
    const outcome missed = {false, oldest->valid && oldest->dirty};
    *oldest = (line){tag, ++c->now, true, store};
    return missed;
}

/* --- what is counted --- */

typedef struct {
    uint64_t executed, taken, mispredicted;
    uint64_t surprised, elsewhere; /* surprised: the predictor with a history was */
} tally;

/* One instruction. `now` is of the segment under way, `in` of each segment. */
typedef struct {
    uint32_t address, end, target;
    int boundary; /* the segment that ends before it, or NOWHERE */
    bool starts, stops, touched, conditional, calls;
    uint8_t likely; /* 0, 1: not taken; 2, 3: taken */
    tally now, in[];
} place;

typedef struct {
    uint64_t reads, writes, read_misses, write_misses, writebacks;
} traffic;

typedef struct {
    uint64_t unaligned_reads, unaligned_writes, jumped_misses, next_line_misses[IN_LINE + 1];
    traffic region[MAX_REGIONS + 1]; /* the last one: everywhere else */
} totals;

typedef struct {
    uint32_t origin, bytes;
    bool cached;
} region;

static cache instructions, data;
static region regions[MAX_REGIONS];
static place **places; /* per halfword of code */
static place **touched;
static totals now, *segment;
static uint32_t code_origin, code_bytes, start_address, stop_address[MAX_STOPS],
    boundary[MAX_SEGMENTS];
static uint32_t region_count, stops, boundaries, touched_count, steps_wanted, steps, in_line,
    current_line = UINT32_MAX - 1;
static place *previous;
static uint8_t with_history[HISTORY];
static uint32_t history, call[CALLS], call_count;
static bool active, cold;
static const char *out_name;

static void add(uint64_t *to, uint64_t *from, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        to[i] += from[i];
        from[i] = 0;
    }
}

/* Everything since the last boundary belongs to segment k. */
static void end_segment(uint32_t k)
{
    add((uint64_t *)&segment[k], (uint64_t *)&now, sizeof now / sizeof(uint64_t));
    for (uint32_t i = 0; i < touched_count; i++) {
        place *p = touched[i];
        add((uint64_t *)&p->in[k], (uint64_t *)&p->now, sizeof p->now / sizeof(uint64_t));
        p->touched = false;
    }
    touched_count = 0;
}

static void write_segment(FILE *out, uint32_t k)
{
    const totals *t = &segment[k];
    fprintf(out,
            "segment %" PRIu32 "\nunaligned_reads %" PRIu64 "\nunaligned_writes %" PRIu64
            "\njumped_misses %" PRIu64 "\n",
            k, t->unaligned_reads, t->unaligned_writes, t->jumped_misses);
    for (uint32_t i = 0; i <= IN_LINE; i++)
        if (t->next_line_misses[i])
            fprintf(out, "next_line_misses %" PRIu32 " %" PRIu64 "\n", i, t->next_line_misses[i]);
    for (uint32_t i = 0; i <= region_count; i++) {
        const traffic *r = &t->region[i < region_count ? i : MAX_REGIONS];
        fprintf(out, "region %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 "\n",
                r->reads, r->writes, r->read_misses, r->write_misses, r->writebacks);
    }
    for (uint32_t i = 0; i < code_bytes / 2; i++) {
        const tally *n = places[i] ? &places[i]->in[k] : NULL;
        if (n && n->executed)
            fprintf(out,
                    "at %" PRIx32 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 "\n",
                    places[i]->address, n->executed, n->taken, n->mispredicted, n->surprised,
                    n->elsewhere);
    }
}

static void write_counts(void)
{
    FILE *out = fopen(out_name, "w");
    if (!out)
        return;
    fprintf(out, "steps %" PRIu32 "\n", steps);
    for (uint32_t k = 0; k <= boundaries; k++)
        write_segment(out, k);
    fprintf(out, "end\n");
    fclose(out);
}

/* --- while it runs --- */

/* What two bits say of the next time, and what they learn of this time. */
static bool predict(uint8_t *bits, bool jumped)
{
    const bool right = jumped == (*bits >= 2);
    *bits += jumped ? *bits < 3 : 0;
    *bits -= jumped ? 0 : *bits > 0;
    return right;
}

static bool returns(uint32_t to)
{
    if (!call_count || call[(call_count - 1) % CALLS] != to)
        return false;
    call_count--;
    return true;
}

static void follow(place *from, uint32_t to)
{
    const bool jumped = to != from->end;
    from->now.taken += jumped;
    from->now.mispredicted += !predict(&from->likely, jumped);
    if (from->conditional) {
        from->now.surprised +=
            !predict(&with_history[(from->address / 2 ^ history) % HISTORY], jumped);
        history = history << 1 | jumped;
    }
    if (!jumped)
        return;
    from->now.elsewhere += !returns(to) && from->target != to;
    from->target = to;
    if (from->calls)
        call[call_count++ % CALLS] = from->end;
}

static void fetch(uint32_t address)
{
    const uint32_t l = address / instructions.bytes;
    if (l == current_line) {
        in_line++;
        return;
    }
    if (!touch(&instructions, address, false).hit) {
        if (l == current_line + 1)
            now.next_line_misses[in_line < IN_LINE ? in_line : IN_LINE]++;
        else
            now.jumped_misses++;
    }
    current_line = l;
    in_line = 1;
}

static void on_instruction(unsigned cpu, void *user)
{
    (void)cpu;
    place *p = user;
    if (active && previous)
        follow(previous, p->address);
    previous = NULL;
    if (active && p->boundary != NOWHERE)
        end_segment((uint32_t)p->boundary);
    if (active && p->stops) {
        active = false;
        end_segment(boundaries);
        if (++steps == steps_wanted)
            write_counts();
    }
    if (p->starts && !active && steps < steps_wanted) {
        active = true;
        if (cold)
            memset(data.lines, 0, (size_t)data.sets * data.ways * sizeof *data.lines);
    }
    if (!active)
        return;
    if (!p->touched)
        touched[touched_count++] = p;
    p->touched = true;
    p->now.executed++;
    previous = p;
    fetch(p->address);
    if ((p->end - 2) / instructions.bytes != p->address / instructions.bytes)
        fetch(p->end - 2); /* its second half lies in the next line */
}

static uint32_t region_of(uint32_t address)
{
    for (uint32_t i = 0; i < region_count; i++)
        if (address - regions[i].origin < regions[i].bytes)
            return i;
    return MAX_REGIONS;
}

static void on_access(unsigned cpu, qemu_plugin_meminfo_t info, uint64_t wide, void *user)
{
    (void)cpu, (void)user;
    if (!active)
        return;
    const uint32_t address = (uint32_t)wide, bytes = 1u << qemu_plugin_mem_size_shift(info),
                   r = region_of(address);
    const bool store = qemu_plugin_mem_is_store(info);
    *(store ? &now.unaligned_writes : &now.unaligned_reads) +=
        (address & ((bytes > 4 ? 4 : bytes) - 1u)) != 0;
    *(store ? &now.region[r].writes : &now.region[r].reads) += 1;
    if (r == MAX_REGIONS || !regions[r].cached)
        return;
    for (uint32_t a = address; a < address + bytes; a = (a / data.bytes + 1) * data.bytes) {
        const outcome o = touch(&data, a, store);
        *(store ? &now.region[r].write_misses : &now.region[r].read_misses) += !o.hit;
        now.region[r].writebacks += o.written_back;
    }
}

/* --- when it is translated --- */

static bool among(uint32_t address, const uint32_t *list, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        if (list[i] == address)
            return true;
    return false;
}

static void *allocate(size_t count, size_t bytes)
{
    void *memory = calloc(count, bytes);
    if (!memory)
        abort();
    return memory;
}

/* B<cond> in 16 and 32 bits, CBZ, CBNZ (Armv7-M ARM, A7.7.12, A7.7.21). */
static bool is_conditional(uint16_t first, uint16_t second, uint32_t size)
{
    if (size == 2)
        return ((first & 0xF000) == 0xD000 && (first & 0x0E00) != 0x0E00) ||
               (first & 0xF500) == 0xB100;
    return (first & 0xF800) == 0xF000 && (second & 0xD000) == 0x8000 && (first & 0x0380) != 0x0380;
}

/* BL in 32 bits, BLX register (A7.7.18, A7.7.19). */
static bool is_call(uint16_t first, uint16_t second, uint32_t size)
{
    return size == 2 ? (first & 0xFF80) == 0x4780
                     : (first & 0xF800) == 0xF000 && (second & 0xD000) == 0xD000;
}

static place *place_of(uint32_t address, const uint16_t *code, uint32_t size)
{
    place **slot = &places[(address - code_origin) / 2];
    if (*slot)
        return *slot;
    place *p = *slot = allocate(1, sizeof *p + (boundaries + 1) * sizeof p->in[0]);
    *p = (place){.address = address, .end = address + size, .boundary = NOWHERE, .likely = 1};
    p->conditional = is_conditional(code[0], size == 4 ? code[1] : 0, size);
    p->calls = is_call(code[0], size == 4 ? code[1] : 0, size);
    p->starts = address == start_address;
    p->stops = among(address, stop_address, stops);
    for (uint32_t k = 0; k < boundaries; k++)
        if (boundary[k] == address)
            p->boundary = (int)k;
    return p;
}

static void on_translate(qemu_plugin_id_t id, struct qemu_plugin_tb *tb)
{
    (void)id;
    for (size_t i = 0; i < qemu_plugin_tb_n_insns(tb); i++) {
        struct qemu_plugin_insn *instruction = qemu_plugin_tb_get_insn(tb, i);
        const uint32_t address = (uint32_t)qemu_plugin_insn_vaddr(instruction);
        if (address - code_origin >= code_bytes)
            continue;
        uint16_t bytes[2] = {0};
        const uint32_t size = (uint32_t)qemu_plugin_insn_size(instruction);
        memcpy(bytes, qemu_plugin_insn_data(instruction), size);
        place *p = place_of(address, bytes, size);
        qemu_plugin_register_vcpu_insn_exec_cb(instruction, on_instruction, CB_NO_REGS, p);
        qemu_plugin_register_vcpu_mem_cb(instruction, on_access, CB_NO_REGS, MEM_RW, NULL);
    }
}

/* --- arguments --- */

static bool read_cache(const char *value, cache *c)
{
    if (sscanf(value, "%" SCNu32 ":%" SCNu32 ":%" SCNu32, &c->sets, &c->ways, &c->bytes) != 3 ||
        !c->sets || !c->ways || !c->bytes)
        return false;
    c->lines = allocate((size_t)c->sets * c->ways, sizeof *c->lines);
    return true;
}

static bool read_region(const char *value)
{
    unsigned cached;
    region *r = &regions[region_count];
    if (region_count == MAX_REGIONS ||
        sscanf(value, "%" SCNx32 ":%" SCNu32 ":%u", &r->origin, &r->bytes, &cached) != 3)
        return false;
    r->cached = cached != 0;
    region_count++;
    return true;
}

static bool read_address(const char *value, uint32_t *list, uint32_t *count, uint32_t most)
{
    return *count < most && sscanf(value, "%" SCNx32, &list[(*count)++]) == 1;
}

static bool read_argument(const char *name, const char *value)
{
    uint32_t starts = 0;
    if (!strcmp(name, "out"))
        return (out_name = strdup(value)) != NULL;
    if (!strcmp(name, "steps"))
        return sscanf(value, "%" SCNu32, &steps_wanted) == 1;
    if (!strcmp(name, "start"))
        return read_address(value, &start_address, &starts, 1);
    if (!strcmp(name, "stop"))
        return read_address(value, stop_address, &stops, MAX_STOPS);
    if (!strcmp(name, "boundary"))
        return read_address(value, boundary, &boundaries, MAX_SEGMENTS);
    if (!strcmp(name, "code"))
        return sscanf(value, "%" SCNx32 ":%" SCNu32, &code_origin, &code_bytes) == 2;
    if (!strcmp(name, "region"))
        return read_region(value);
    if (!strcmp(name, "cold"))
        return cold = !strcmp(value, "1");
    if (!strcmp(name, "icache"))
        return read_cache(value, &instructions);
    return !strcmp(name, "dcache") && read_cache(value, &data);
}

EXPORT int qemu_plugin_install(qemu_plugin_id_t id, const qemu_info_t *info, int argc, char **argv)
{
    (void)info;
    for (int i = 0; i < argc; i++) {
        char *value = strchr(argv[i], '=');
        if (!value)
            return 1;
        *value++ = 0;
        if (!read_argument(argv[i], value)) {
            fprintf(stderr, "plugin: cannot use %s=%s\n", argv[i], value);
            return 1;
        }
    }
    if (!out_name || !stops || !steps_wanted || !code_bytes || !instructions.lines || !data.lines)
        return 1;
    places = allocate(code_bytes / 2, sizeof *places);
    touched = allocate(code_bytes / 2, sizeof *touched);
    segment = allocate(boundaries + 1, sizeof *segment);
    qemu_plugin_register_vcpu_tb_trans_cb(id, on_translate);
    return 0;
}

/* A QEMU plugin (interface version 1, QEMU 7.2) that watches one function of an emulated STM32F4 and counts what its cycles depend
 * on: executions per instruction, branches taken, unaligned accesses, and the misses of the flash interface, whose two caches it
 * simulates. bench/cycles.py builds it, runs it and turns the counts into modelled cycles.
 *
 * Arguments: out=FILE start=ADDRESS stop=ADDRESS (repeatable) steps=N. Counting goes from the execution of `start` to that of a `stop`;
 * after N such steps the counts are written to FILE and counting ends.
 *
 * The flash interface (RM0090, section 3.5.2 "Adaptive real-time memory accelerator"): lines of 128 bits; 64 lines of instruction cache and
 * 8 of data cache, each replaced least recently used first; the next line of instructions is prefetched. A miss waits for the flash unless
 * it is the prefetched line, which has been under way for as long as the line before it took (one cycle per instruction is assumed).
 *
 * The prototypes below are those of qemu-plugin.h; Debian does not package that header. */
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
void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t, void (*)(qemu_plugin_id_t, struct qemu_plugin_tb *));
void qemu_plugin_register_vcpu_tb_exec_cb(struct qemu_plugin_tb *, void (*)(unsigned, void *), int, void *);
void qemu_plugin_register_vcpu_mem_cb(struct qemu_plugin_insn *, void (*)(unsigned, qemu_plugin_meminfo_t, uint64_t, void *), int, int,
                                      void *);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *, size_t);
uint64_t qemu_plugin_insn_vaddr(const struct qemu_plugin_insn *);
size_t qemu_plugin_insn_size(const struct qemu_plugin_insn *);
bool qemu_plugin_mem_is_store(qemu_plugin_meminfo_t);
unsigned qemu_plugin_mem_size_shift(qemu_plugin_meminfo_t);

EXPORT int qemu_plugin_version = 1;

enum { FLASH_BYTES = 1 << 20, LINES = FLASH_BYTES / 16, ICACHE = 64, DCACHE = 8, MAX_STOPS = 16 };

/* A block of instructions that QEMU runs as one. */
typedef struct {
    uint32_t first, end, count;
    uint32_t at[];
} block;

typedef struct {
    uint32_t capacity, used, now;
    uint32_t line[ICACHE], last_use[ICACHE];
} cache;

static cache instructions = {.capacity = ICACHE}, data = {.capacity = DCACHE};
static uint64_t executed[FLASH_BYTES / 2]; /* per halfword of flash */
static uint64_t taken, unaligned, jumped_misses, next_line_misses[17], data_reads, data_misses;
static uint32_t start_address, stop_address[MAX_STOPS], stops, steps_left, steps, previous_end, current_line, in_line;
static bool active;
static const char *out_name;

/* Is the line there? Afterwards it is, as the most recently used. */
static bool touch(cache *c, uint32_t line)
{
    uint32_t oldest = 0;
    for (uint32_t i = 0; i < c->used; i++) {
        if (c->line[i] == line) {
            c->last_use[i] = ++c->now;
            return true;
        }
        if (c->last_use[i] < c->last_use[oldest])
            oldest = i;
    }
    if (c->used < c->capacity)
        oldest = c->used++;
    c->line[oldest] = line;
    c->last_use[oldest] = ++c->now;
    return false;
}

static void fetch(uint32_t line)
{
    if (line == current_line) {
        in_line++;
        return;
    }
    const bool sequential = line == current_line + 1;
    if (!touch(&instructions, line)) {
        if (sequential)
            next_line_misses[in_line < 16 ? in_line : 16]++;
        else
            jumped_misses++;
    }
    current_line = line;
    in_line = 1;
}

static void write_counts(void)
{
    FILE *out = fopen(out_name, "w");
    if (!out)
        return;
    fprintf(out, "steps %" PRIu32 "\ntaken %" PRIu64 "\nunaligned %" PRIu64 "\n", steps, taken, unaligned);
    fprintf(out, "data_reads %" PRIu64 "\ndata_misses %" PRIu64 "\njumped_misses %" PRIu64 "\n", data_reads, data_misses, jumped_misses);
    for (int i = 0; i <= 16; i++)
        fprintf(out, "next_line_misses %d %" PRIu64 "\n", i, next_line_misses[i]);
    for (uint32_t i = 0; i < FLASH_BYTES / 2; i++)
        if (executed[i])
            fprintf(out, "at %" PRIx32 " %" PRIu64 "\n", i * 2, executed[i]);
    fprintf(out, "end\n");
    fclose(out);
}

static bool is_stop(uint32_t address)
{
    for (uint32_t i = 0; i < stops; i++)
        if (stop_address[i] == address)
            return true;
    return false;
}

static void on_block(unsigned cpu, void *user)
{
    (void)cpu;
    const block *b = user;
    if (active && is_stop(b->first)) {
        active = false;
        steps++;
        if (steps == steps_left)
            write_counts();
    }
    if (!active && b->first == start_address && steps < steps_left) {
        active = true;
        previous_end = b->first;
    }
    if (!active)
        return;
    taken += b->first != previous_end;
    previous_end = b->end;
    for (uint32_t i = 0; i < b->count; i++) {
        executed[b->at[i] % FLASH_BYTES / 2]++;
        fetch(b->at[i] / 16);
    }
}

static void on_access(unsigned cpu, qemu_plugin_meminfo_t info, uint64_t address, void *user)
{
    (void)cpu, (void)user;
    if (!active)
        return;
    unaligned += (address & ((1u << qemu_plugin_mem_size_shift(info)) - 1u)) != 0;
    if (qemu_plugin_mem_is_store(info) || (address & 0xF7F00000u)) /* flash is at 0x08000000, and again at 0 */
        return;
    data_reads++;
    data_misses += !touch(&data, (uint32_t)address % FLASH_BYTES / 16);
}

static void on_translate(qemu_plugin_id_t id, struct qemu_plugin_tb *tb)
{
    (void)id;
    const size_t n = qemu_plugin_tb_n_insns(tb);
    block *b = malloc(sizeof *b + n * sizeof b->at[0]);
    if (!b)
        abort();
    for (size_t i = 0; i < n; i++) {
        struct qemu_plugin_insn *instruction = qemu_plugin_tb_get_insn(tb, i);
        b->at[i] = (uint32_t)qemu_plugin_insn_vaddr(instruction);
        b->end = b->at[i] + (uint32_t)qemu_plugin_insn_size(instruction);
        qemu_plugin_register_vcpu_mem_cb(instruction, on_access, CB_NO_REGS, MEM_RW, NULL);
    }
    b->first = b->at[0];
    b->count = (uint32_t)n;
    qemu_plugin_register_vcpu_tb_exec_cb(tb, on_block, CB_NO_REGS, b);
}

EXPORT int qemu_plugin_install(qemu_plugin_id_t id, const qemu_info_t *info, int argc, char **argv)
{
    (void)info;
    for (int i = 0; i < argc; i++) {
        const char *value = strchr(argv[i], '=');
        if (!value)
            return 1;
        value++;
        if (!strncmp(argv[i], "out=", 4))
            out_name = strdup(value);
        else if (!strncmp(argv[i], "start=", 6))
            start_address = (uint32_t)strtoul(value, NULL, 16);
        else if (!strncmp(argv[i], "stop=", 5) && stops < MAX_STOPS)
            stop_address[stops++] = (uint32_t)strtoul(value, NULL, 16);
        else if (!strncmp(argv[i], "steps=", 6))
            steps_left = (uint32_t)strtoul(value, NULL, 10);
        else
            return 1;
    }
    if (!out_name || !start_address || !stops || !steps_left)
        return 1;
    qemu_plugin_register_vcpu_tb_trans_cb(id, on_translate);
    return 0;
}

"""The C of a model: `model.h`, `model.c` (one kernel call per line) and `model_tables.c`
(constants). No logic, no timestamps."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator

from compress import graph as g
from compress.errors import GraphError
from export.c import memory
from export.c.emitters_recurrent import keep
from export.c.ops import entries_of, entry_of
from export.c.pieces import Stretch, frames_at_once, stretches
from export.c.step import COUNTED, Call, Model, words_at
from export.version import GENERATOR, NN_VERSION

Array = g.Array
C_TYPES = {
    "int8": "int8_t",
    "int16": "int16_t",
    "int32": "int32_t",
    "uint8": "uint8_t",
    "uint16": "uint16_t",
    "uint32": "uint32_t",
}
START_UP, CLEAR = "nn_start_up", "nn_clear"


def build(graph: g.Graph, family: str = "dsp") -> Model:
    """Plan and collect an integer graph, for one family of kernels: a board's
    `Description.kernels`."""
    if not graph.is_integer():
        raise GraphError(
            f"{graph.name}: expected an integer graph to export as C, found float operators;"
            " quantize first"
        )
    _check_names(graph)
    model = Model(graph, memory.plan(graph), entries_of(graph), family)
    for group in model.plan.groups if begins_anew(graph) else ():
        _emit_clear(model, group)
    in_pieces = {stretch.ops.start: stretch for stretch in stretches(graph)}
    inside = {index for stretch in in_pieces.values() for index in stretch.ops}
    for is_loop, indices in graph.stretches():
        if is_loop:
            _emit_loop(model, indices)
        elif indices.start in in_pieces:
            _emit_stretch(model, in_pieces[indices.start])
        elif indices.start not in inside:
            _emit(model, indices.start)
    for group in model.plan.groups:
        _emit_start_up(model, group)
    return model


def _emit(model: Model, index: int) -> None:
    op = model.graph.ops[index]
    _check_sizes(model.graph, op)
    tables = len(model.tables)
    model.entry(op).emit(model, index, op)
    model.first_tables.setdefault(index, tuple(model.tables)[tables:])


def _emit_loop(model: Model, loop: range) -> None:
    """Every frame of the loop one after the other; what a DelayedConcat names is kept for its next
    frame when it is made."""
    for frame in range(model.graph.frames_per_step(model.graph.ops[loop.start].output)):
        model.frame = frame
        for index in loop:
            _emit(model, index)
            keep(model, index, loop)
    model.frame = None


def _emit_stretch(model: Model, stretch: Stretch) -> None:
    """Every piece of the stretch one after the other."""
    model.stretch = stretch
    for model.piece in range(stretch.pieces):
        for index in stretch.ops:
            _emit(model, index)
    model.stretch, model.piece = None, 0


def _emit_start_up(model: Model, group: memory.Group) -> None:
    """Recurrent state that begins with a later step is cleared at the end of every step before."""
    if group.counter is not None:
        counter, words = words_at(group.counter), words_at(group.offset)
        call = f"{START_UP}({counter}, {group.begin}, {words}, {group.size})"
        line = f"    {call}; /* recurrent state begins with step {group.begin} */"
        model.calls.append(Call(None, START_UP, line))


def begins_anew(graph: g.Graph) -> bool:
    """Whether recurrent state begins with every step: those of windows that overlap."""
    return any(op.makes_windows for op in graph.ops)


def _emit_clear(model: Model, group: memory.Group) -> None:
    """Recurrent state of the window before is cleared at the begin of a step."""
    if group.size:
        line = f"    {CLEAR}({words_at(group.offset)}, {group.size});"
        comment = "/* recurrent state begins anew with each window */"
        model.calls.append(Call(None, CLEAR, f"{line} {comment}"))


def kernels(graph: g.Graph, family: str = "dsp") -> list[str]:
    """Kernel names the graph calls, each the name of a file in firmware/nn."""
    found = {name for op in graph.ops for name in entry_of(op).called(graph, op, family)}
    found |= {START_UP} if any(graph.begins.values()) else set()
    cleared = begins_anew(graph) and any(group.size for group in memory.plan(graph).groups)
    return sorted(found | ({CLEAR} if cleared else set()))


def _check_sizes(graph: g.Graph, op: g.Op) -> None:
    """GraphError for an operator that counts further than the 16 bits of its description."""
    source = graph.source(op)
    rows = frames_at_once(graph, op) * entry_of(op).rows(op)
    widths = [graph.tensors[name].features for name in (*op.inputs, op.output)]
    window = graph.frames_per_step(op.inputs[0]) if op.whole_window else 0
    largest = max(rows, window, *widths, math.ceil(source.features * op.stride))
    if largest > COUNTED:
        raise GraphError(
            f"{op.module}: {type(op).__name__} counts to {largest} in one step; its C kernel counts"
            f" to {COUNTED}"
        )


def files(model: Model) -> dict[str, bytes]:
    """File name -> content; the same graph gives the same bytes."""
    return {
        name: "".join(f"{line}\n" for line in lines).encode()
        for name, lines in (
            ("model.h", _header(model)),
            ("model.c", _source(model)),
            ("model_tables.h", _tables_header(model)),
            ("model_tables.c", _tables_source(model)),
        )
    }


# --- the files ------------------------------------------------------------------------------------


def _banner(model: Model, what: str) -> str:
    precision = model.graph.provenance.get("precision", "")
    return (
        f"/* Tendon {GENERATOR}: {model.graph.name} {precision}, {what}. Graph"
        f" {model.graph.hash()} */"
    )


def _header(model: Model) -> Iterator[str]:
    graph, plan = model.graph, model.plan
    digest = bytes.fromhex(graph.hash())
    yield _banner(model, "the interface of the network")
    yield "#ifndef MODEL_H"
    yield "#define MODEL_H"
    yield "#include <stdint.h>"
    yield ""
    yield f'#define MODEL_GENERATOR "{GENERATOR}"'
    yield f'#define MODEL_NAME "{graph.name}"'
    yield f'#define MODEL_HASH "{graph.hash()}"'
    yield f"#define MODEL_HASH_BYTES {{{', '.join(f'0x{b:02x}' for b in digest)}}}"
    yield f"#define MODEL_INPUTS {graph.input.features} /* int16 values per sample */"
    yield f"#define MODEL_SAMPLE_RATE {graph.input.rate} /* samples per second */"
    yield (
        f"#define MODEL_INPUT_SCALE {graph.input.scale:.9g} /* real value of one step of a"
        " sample */"
    )
    yield f"#define MODEL_SAMPLES_PER_STEP {graph.samples_per_step}"
    yield f"#define MODEL_FRAMES_PER_STEP {graph.chunk} /* output frames */"
    yield f"#define MODEL_OUTPUTS {graph.output.features} /* int16 values per output frame */"
    yield (
        f"#define MODEL_OUTPUT_SCALE {graph.output.scale:.9g} /* real value of one step of an"
        " output */"
    )
    yield f"#define MODEL_STATE_BYTES {plan.state_bytes}"
    for name, tensor in graph.initial.items():
        yield (
            f"#define MODEL_INITIAL_{macro_of(name)} {plan.initial_offsets[name]} /* byte of the"
            f" state: {tensor.features} int16 that a stream begins with */"
        )
    yield f"#define MODEL_ARENA_BYTES {plan.arena_bytes}"
    yield f"#define MODEL_TABLE_COUNT {len(model.tables)}"
    yield f"#define MODEL_TABLE_BYTES {model.table_bytes}"
    yield (
        f"#define MODEL_TABLES_CRC 0x{model.crc():08x}u /* CRC-32 (IEEE 802.3) of all tables in"
        " order */"
    )
    yield ""
    yield "typedef struct {"
    yield "    const void *data;"
    yield "    uint32_t bytes;"
    yield "} model_table;"
    yield "extern const model_table model_tables[MODEL_TABLE_COUNT];"
    yield ""
    yield from interface()
    yield "#ifdef MODEL_TAP"
    yield f"#define MODEL_OPERATORS {len(graph.ops)}u"
    largest = max(
        frames * features for frames, features in (model.shape(op.output) for op in graph.ops)
    )
    yield (
        f"#define MODEL_LARGEST_OUTPUT {largest}u /* values that one operator puts out in a step,"
        " at most */"
    )
    yield (
        "/* Called after every operator with its output or the next piece of it; supplied by"
        " whoever defines MODEL_TAP. */"
    )
    yield "void model_tap(unsigned op, const int16_t *data, uint32_t count);"
    yield "#endif"
    yield "#endif"


def _check_names(graph: g.Graph) -> None:
    """GraphError for names that C cannot hold: they stand in a string, in comments and macros."""
    for module in (graph.name, *(op.module for op in graph.ops)):
        if not module.isprintable() or any(mark in module for mark in ('"', "\\", "*/", "/*")):
            raise GraphError(f"{module!r}: a name that C cannot hold in a string or comment")
    macros: dict[str, str] = {}
    for name in graph.initial:
        other = macros.setdefault(macro_of(name), name)
        if other != name:
            raise GraphError(f"{graph.name}: extra inputs {other!r} and {name!r} are one name in C")


def macro_of(name: str) -> str:
    """The name of an extra input as part of a C macro."""
    return re.sub(r"\W", "_", name, flags=re.ASCII).upper()


def interface() -> Iterator[str]:
    """What the application calls, whatever computes the step."""
    yield "/* All state to zero, as before the first sample. */"
    yield "void model_reset(void);"
    yield (
        "/* Eats samples (MODEL_SAMPLES_PER_STEP, MODEL_INPUTS), writes out (MODEL_FRAMES_PER_STEP,"
        " MODEL_OUTPUTS)."
    )
    yield "   Keeps its state between calls. */"
    yield "void model_step(const int16_t *samples, int16_t *out);"
    yield "/* The state, MODEL_STATE_BYTES long, to save and restore. */"
    yield "void *model_state(void);"


def _source(model: Model) -> Iterator[str]:
    plan = model.plan
    yield _banner(model, "one step of the network")
    yield '#include "model.h"'
    yield '#include "model_tables.h"'
    yield '#include "nn.h"'
    yield "#include <string.h>"
    yield ""
    yield f"#if NN_VERSION != {NN_VERSION}"
    yield f'#error "model.c was generated for version {NN_VERSION} of the kernels"'
    yield "#endif"
    yield ""
    yield "#ifdef MODEL_TAP"
    yield "#define TAP(op, data, count) model_tap(op, data, count)"
    yield "#else"
    yield "#define TAP(op, data, count) ((void)0)"
    yield "#endif"
    yield ""
    yield (
        "/* A board's linker script chooses the memory of each; elsewhere they are arrays like any"
        " other. */"
    )
    yield "#ifdef __arm__"
    yield '#define PLACED(section_name) __attribute__((section(".bss." section_name)))'
    yield "#else"
    yield "#define PLACED(section_name)"
    yield "#endif"
    yield '_Alignas(8) static int16_t arena[MODEL_ARENA_BYTES / 2] PLACED("model_arena");'
    yield '_Alignas(8) static uint32_t state[MODEL_STATE_BYTES / 4] PLACED("model_state");'
    sizes = f"sizeof arena == {plan.arena_bytes} && sizeof state == {plan.state_bytes}"
    yield f'_Static_assert({sizes}, "model.h is from another export");'
    yield ""
    yield from model.descriptors
    yield ""
    yield "void model_reset(void)"
    yield "{"
    yield "    memset(state, 0, sizeof state);"
    yield "}"
    yield ""
    yield "void *model_state(void)"
    yield "{"
    yield "    return state;"
    yield "}"
    yield ""
    yield "void model_step(const int16_t *samples, int16_t *out)"
    yield "{"
    yield from (call.line for call in model.calls)
    yield "}"


def _tables_header(model: Model) -> Iterator[str]:
    yield _banner(model, "its constant tables")
    yield "#ifndef MODEL_TABLES_H"
    yield "#define MODEL_TABLES_H"
    yield "#include <stdint.h>"
    yield ""
    for name, table in model.tables.items():
        yield f"extern const {C_TYPES[table.dtype.name]} {name}[{table.size}];"
    yield "#endif"


def placed_tables() -> Iterator[str]:
    """A section of its own for every table, whatever computes the step."""
    yield (
        "/* A board's linker script chooses the memory of the tables; elsewhere they are constants"
        " like any other. */"
    )
    yield "#ifdef __arm__"
    yield '#define TABLE(name) __attribute__((section(".rodata.model_tables." #name)))'
    yield "#else"
    yield "#define TABLE(name)"
    yield "#endif"


def _tables_source(model: Model) -> Iterator[str]:
    yield _banner(model, "its constant tables")
    yield '#include "model.h"'
    yield '#include "model_tables.h"'
    yield ""
    yield from placed_tables()
    for name, table in model.tables.items():
        yield ""
        yield (
            f"_Alignas(8) const {C_TYPES[table.dtype.name]} {name}[{table.size}] TABLE({name}) = {{"
        )
        yield from _values(table)
        yield "};"
    yield ""
    yield "const model_table model_tables[MODEL_TABLE_COUNT] = {"
    for name in model.tables:
        yield f"    {{{name}, sizeof {name}}},"
    yield "};"


def _values(table: Array, width: int = 120) -> Iterable[str]:
    """Comma-separated values, as many as fit a line."""
    line = "   "
    for value in table.reshape(-1).tolist():
        text = (
            f" {value}{'u' if table.dtype.kind == 'u' else ''},"
            if value != -(2**31)
            else " -2147483647 - 1,"
        )
        if len(line) + len(text) > width:
            yield line
            line = "   "
        line += text
    yield line

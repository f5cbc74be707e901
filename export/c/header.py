"""`<name>.h`: the interface of a network, behind its manual."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from compress import graph as g
from compress import tasks
from compress.errors import GraphError
from export.c import text
from export.c.manual import manual
from export.c.step import Member, Model, struct_name
from export.c.step_stack import stack_bytes
from export.version import GENERATOR, NN_VERSION


def header(model: Model) -> Iterator[str]:
    """All of it."""
    name, upper = model.identifier, model.identifier.upper()
    yield from text.manual(manual(model))
    yield f"#ifndef {upper}_H"
    yield f"#define {upper}_H"
    yield "#include <stdint.h>"
    yield ""
    yield "#ifdef __cplusplus"
    yield 'extern "C" {'
    yield "#endif"
    yield ""
    yield from _constants(model)
    yield ""
    yield from _types(model)
    yield ""
    yield from _placement(model)
    yield ""
    yield from functions(name, upper)
    yield ""
    yield from _tap(model)
    yield ""
    yield "#ifdef __cplusplus"
    yield "}"
    yield "#endif"
    yield "#endif"


# --- constants ------------------------------------------------------------------------------------


def _constants(model: Model) -> Iterator[str]:
    graph, plan, upper = model.graph, model.plan, model.identifier.upper()
    digest = graph.hash()
    yield from named(f"{upper}_NAME", graph.name)
    yield from text.define(f"{upper}_GENERATOR", f'"{GENERATOR}"', "version of Tendon")
    yield from text.define(
        f"{upper}_NN_VERSION", NN_VERSION, "version of the kernels it calls, nn.h"
    )
    yield from text.comment("Version of the network: what it computes, as a hash, in three forms")
    yield f"#define {upper}_VERSION 0x{digest[:8]}u"
    yield f"#define {upper}_HASH \\"
    yield f'    "{digest}"'
    yield f"#define {upper}_HASH_BYTES \\"
    yield from _bytes(bytes.fromhex(digest))
    for word, value, says in _numbers(model):
        yield from text.define(f"{upper}_{word}", value, says)
    for name, tensor in graph.initial.items():
        yield from text.comment(
            f"What a stream begins with: {tensor.features} int16 in steps of {tensor.scale:.9g},"
            f" member {model.members[plan.initial_offsets[name]].name} of the state, here its byte."
            " Zeros after a reset; write it behind the reset, before the first step. Which frame is"
            " the first that means something does not depend on it: that frame goes on from it."
        )
        yield f"#define {upper}_INITIAL_{macro_of(name)} {plan.initial_offsets[name]}"
    yield from _names(model)


def named(macro: str, name: str) -> Iterator[str]:
    """A name as a string, on as many lines as it needs."""
    whole = f"#define {macro} {text.string(name)}"
    if len(whole) <= text.WIDTH:
        yield whole
        return
    yield f"#define {macro} \\"
    parts = [f"    {part}" for part in text.strings(name, text.WIDTH - 6)]
    yield from (f"{part} \\" for part in parts[:-1])
    yield parts[-1]


def _numbers(model: Model) -> Iterator[tuple[str, object, str]]:
    graph, plan = model.graph, model.plan
    yield "INPUTS", graph.input.features, "int16 values of a sample"
    yield "INPUT_LOW", f"({graph.input.lo})", "smallest word of a sample"
    yield "INPUT_HIGH", graph.input.hi, "largest"
    yield "SAMPLE_RATE", _number(graph.input.rate), "samples a second"
    yield "INPUT_SCALE", f"{graph.input.scale:.9g}", "real value of one step of a sample"
    yield "SAMPLES_PER_STEP", graph.samples_per_step, ""
    yield "STEP_SAMPLES", graph.samples_per_step * graph.input.features, "int16 that a step reads"
    yield "OUTPUTS", graph.output.features, "int16 values of an output frame"
    yield "OUTPUT_SCALE", f"{graph.output.scale:.9g}", "real value of one step of an output"
    yield "FRAMES_PER_STEP", graph.chunk, "output frames"
    yield "STEP_OUTPUTS", graph.chunk * graph.output.features, "int16 that a step writes"
    yield "START_UP", graph.start_up, "first frames of a stream that mean nothing"
    yield "STATE_BYTES", plan.state_bytes, ""
    yield "STACK_BYTES", stack_bytes(model), "of a step or the self-test"
    yield "ARENA_BYTES", plan.arena_bytes, ""
    yield "TABLE_COUNT", len(model.tables), ""
    yield "TABLE_BYTES", model.table_bytes, ""
    yield "TABLES_CRC", f"0x{model.crc():08x}u", "CRC-32 (IEEE 802.3) of all tables in order"


def _number(rate: object) -> str:
    """A rate as C: whole, or a fraction in brackets."""
    return f"({rate}.0)" if "/" in str(rate) else str(rate)


def _bytes(content: bytes) -> Iterator[str]:
    yield from _macro(f"0x{byte:02x}" for byte in content)


def _names(model: Model) -> Iterator[str]:
    """The names of the outputs, as what an array of strings begins with; none where the task knows
    names of another network than this one."""
    names = tasks.of(model.graph).wiring(model.graph).names
    if len(names) != model.graph.output.features:
        return
    upper = model.identifier.upper()
    yield from text.comment(
        f"Names of the outputs in order: static const char *const names[] = {upper}_NAMES;"
    )
    yield f"#define {upper}_NAMES \\"
    yield from _macro(_element(name) for name in names)


def _element(name: str) -> str:
    """A string as an element of an array, as several in brackets where one would be too long."""
    parts = list(text.strings(name, text.WIDTH - 11))
    return parts[0] if len(parts) == 1 else f"({chr(10).join(parts)})"


def _macro(parts: Iterable[str]) -> Iterator[str]:
    """Parts in braces, over lines of a macro."""
    lines = list(text.filled(parts, 5, text.WIDTH - 2))
    lines[0] = "    {" + lines[0].lstrip()
    lines[-1] = lines[-1].removesuffix(",") + "}"
    yield from (f"{line} \\" for line in lines[:-1])
    yield lines[-1]


def check_names(graph: g.Graph) -> None:
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


# --- memory ---------------------------------------------------------------------------------------


def _types(model: Model) -> Iterator[str]:
    name = model.identifier
    yield "/* What a stream keeps from one step to the next. */"
    yield "typedef struct {"
    yield from _members(model) if model.plan.state_bytes else ["    uint32_t nothing;"]
    yield f"}} {name}_state;"
    yield ""
    yield "/* Where a step computes. What it holds between two steps means nothing. */"
    yield "typedef struct {"
    yield f"    int16_t values[{max(model.plan.arena_bytes // 2, 1)}];"
    yield f"}} {name}_arena;"
    yield ""
    yield "/* One stream of the network: its memory is its caller's. */"
    yield "typedef struct {"
    yield f"    {name}_state *state;"
    yield f"    {name}_arena *arena;"
    yield f"}} {name};"
    if not model.tables:
        return
    yield ""
    yield "/* A constant of the network; all of them, in the order of the CRC */"
    yield "typedef struct {"
    yield "    const void *data;"
    yield "    uint32_t bytes;"
    yield f"}} {name}_table;"
    yield f"extern const {name}_table {name}_tables[{len(model.tables)}];"


def _members(model: Model) -> Iterator[str]:
    """The state, member by member, without a gap."""
    at, group = 0, ""
    for member in _in_order(model):
        if member.offset > at:
            yield f"    uint32_t unused_{at}[{(member.offset - at) // 4}];"
        inside = model.group_of(member.offset)
        if inside != group:
            if group:
                yield f"    }} {group};"
            if inside:
                yield f"    struct {{ /* {_begins(model, inside)} */"
            group = inside
        count = member.size // (2 if member.ctype == "int16_t" else 4)
        yield f"    {'    ' if group else ''}{member.ctype} {member.name}[{count}];"
        at = member.offset + member.size
    if group:
        yield f"    }} {group};"
    if at < model.plan.state_bytes:
        yield f"    uint32_t unused_{at}[{(model.plan.state_bytes - at) // 4}];"


def _begins(model: Model, struct: str) -> str:
    for group in model.plan.groups:
        if struct_name(group) == struct and group.counter is not None:
            return f"begins with step {group.begin}"
    return "begins anew with each step"


def _in_order(model: Model) -> list[Member]:
    return [model.members[offset] for offset in sorted(model.members)]


def _placement(model: Model) -> Iterator[str]:
    name, upper = model.identifier, model.identifier.upper()
    yield from text.comment(
        "Which memory is whose. On an Arm core each part has a section of its own, which a linker"
        " script may place; define these before this header is included to choose otherwise, but"
        " keep the alignment. A section of yours has a name that begins with .bss., for of another"
        " name it takes its size in the image too, and the linker script has to name it. Where"
        f" start-up code does not clear it, call {name}_reset() before the first step."
    )
    for part in ("STATE", "ARENA"):
        yield f"#ifndef {upper}_IN_{part}"
        yield "#ifdef __arm__"
        section = f'section(".bss.model_{part.lower()}")'
        yield f"#define {upper}_IN_{part} \\"
        yield f"    __attribute__((aligned(8), {section}))"
        yield "#else"
        yield f"#define {upper}_IN_{part} __attribute__((aligned(8)))"
        yield "#endif"
        yield "#endif"
    yield ""
    yield "/* Static memory of one stream, and the stream itself, which the argument names. */"
    yield f"#define {upper}_DEFINE(name) \\"
    for part in ("state", "arena"):
        line = f"    static {name}_{part} name##_{part} {upper}_IN_{part.upper()}; \\"
        if len(line) <= text.WIDTH:
            yield line
        else:
            yield f"    static {name}_{part} name##_{part} \\"
            yield f"        {upper}_IN_{part.upper()}; \\"
    yield f"    static {name} name = {{&name##_state, &name##_arena}}"


# --- functions ------------------------------------------------------------------------------------


def functions(name: str, upper: str) -> Iterator[str]:
    """What the application calls."""
    yield "/* All state to zero, as before the first sample. Memory that is zero needs none. */"
    yield f"void {name}_reset({name} *self);"
    yield ""
    yield from text.comment(
        f"Eats samples ({upper}_SAMPLES_PER_STEP, {upper}_INPUTS) and writes out"
        f" ({upper}_FRAMES_PER_STEP, {upper}_OUTPUTS), which must not overlap."
    )
    yield from text.call(
        f"void {name}_step({name} *self, const int16_t *samples, int16_t *out);", 0
    )
    yield ""
    yield from text.comment(
        "Three steps on samples that it makes itself (above, Integrity). 0: they gave the words"
        " that the reference gave; 1: the tables are damaged; 2: other words, so a kernel computes"
        " wrongly. samples and out are buffers of a step, which it overwrites. Whatever it finds,"
        f" the stream is as after {name}_reset(): test before the first sample, or a stream of its"
        " own."
    )
    yield from text.call(f"int {name}_selftest({name} *self, int16_t *samples, int16_t *out);", 0)


def _tap(model: Model) -> Iterator[str]:
    upper = model.identifier.upper()
    largest = max(
        frames * features for frames, features in (model.shape(op.output) for op in model.graph.ops)
    )
    yield "#ifdef MODEL_TAP"
    yield f"#define {upper}_OPERATORS {len(model.graph.ops)}u"
    yield "/* values that one operator puts out in a step, at most */"
    yield f"#define {upper}_LARGEST_OUTPUT {largest}u"
    yield from text.comment(
        "Called after every operator with its output or the next piece of it; supplied by whoever"
        " defines MODEL_TAP."
    )
    yield from text.call(
        f"void {model.identifier}_tap(unsigned op, const int16_t *data, uint32_t count);", 0
    )
    yield "#endif"

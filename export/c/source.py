"""`<name>.c`: one step of a network, one kernel call after the other."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from export.c import text
from export.c.repeats import Loop, folded
from export.c.step import Call, Description, Model
from export.version import NN_VERSION


def source(model: Model) -> Iterator[str]:
    """Descriptions of the layers, reset and step."""
    name = model.identifier
    yield f'#include "{name}.h"'
    yield f'#include "{name}_tables.h"'
    yield '#include "nn.h"'
    yield "#include <string.h>"
    yield ""
    yield f"#if NN_VERSION != {NN_VERSION}"
    yield f'#error "{name}.c was generated for version {NN_VERSION} of the kernels, nn.h"'
    yield "#endif"
    yield ""
    yield from text.comment(
        "Behind each operator: which it is in the graph, where its output lies, how many values."
    )
    yield "#ifdef MODEL_TAP"
    yield f"#define TAP(op, data, count) {name}_tap(op, data, count)"
    yield "#else"
    yield "#define TAP(op, data, count) ((void)0)"
    yield "#endif"
    yield ""
    yield from _assertions(model)
    for description in model.descriptions.values():
        yield ""
        yield from described(description)
    yield ""
    yield f"void {name}_reset({name} *self)"
    yield "{"
    if model.plan.state_bytes:
        yield "    memset(self->state, 0, sizeof *self->state);"
    else:
        yield "    (void)self; /* this network keeps nothing from step to step */"
    yield "}"
    yield ""
    yield from text.call(f"void {name}_step({name} *self, const int16_t *samples, int16_t *out)", 0)
    yield "{"
    yield from _places(model)
    yield from _pass(model)
    yield "}"


def described(description: Description) -> Iterator[str]:
    """The constant that a kernel is given."""
    fields = (f".{field} = {value}" for field, value in description.fields.items())
    return text.listed(f"static const {description.kind} {description.name} = {{", fields, "};", 4)


def _assertions(model: Model) -> Iterator[str]:
    name, upper = model.identifier, model.identifier.upper()
    message = f'"{name}.h is from another export"'
    for part, size in (("state", model.plan.state_bytes), ("arena", model.plan.arena_bytes)):
        if size:
            yield f"_Static_assert(sizeof({name}_{part}) == {size} &&"
            yield f"                   {size} == {upper}_{part.upper()}_BYTES,"
            yield f"               {message});"


def _places(model: Model) -> Iterator[str]:
    """State, arena, and the buffers in the arena with what they hold first."""
    name, used = model.identifier, {word for call in model.calls for word in call.arguments}
    if any("state->" in word for word in used):
        yield f"    {name}_state *const state = self->state;"
    buffers = model.plan.buffers
    if buffers:
        yield "    int16_t *const arena = self->arena->values;"
        yield ""
        yield from text.comment(
            "The buffers in the arena, each called after what is written to it first. They share"
            " its bytes, one after the other.",
            4,
        )
    for buffer in buffers:
        first = next(iter(buffer.tensors))
        offset = buffer.offset // 2
        place = f"arena + {offset}" if offset else "arena"
        features = model.graph.tensors[first].features
        line = f"    int16_t *const {model.names[first]} = {place};"
        yield f"{line:<64} /* ({buffer.tensors[first].size // 2 // features}, {features}) */"
    if not (buffers or any("state->" in word for word in used)):
        yield "    (void)self; /* nothing is kept */"


def _pass(model: Model) -> Iterator[str]:
    """The calls, blocks of the network apart from each other."""
    blocks, before = _blocks(model), ""
    for number, part in enumerate(folded(model)):
        calls = part.calls if isinstance(part, Loop) else (part,)
        inside = [before if c.operator is None else blocks[c.operator] for c in calls]
        if number == 0 or inside[0] != before:
            yield ""
            if inside[0]:
                yield from _heading(inside[0])
        if isinstance(part, Loop):
            yield from _loop(model, part, inside)
        else:
            yield from _lines(model, part, inside[0], 4)
        before = inside[-1]


def _heading(block: str) -> Iterator[str]:
    label = f"    /* {text.ascii_of(block)} "
    yield label + "-" * max(0, text.WIDTH - len(label) - 3) + " */"


def _loop(model: Model, loop: Loop, blocks: list[str]) -> Iterator[str]:
    """What repeats, and behind it what came out of all turns."""
    variable = loop.variable
    yield f"    for (uint32_t {variable} = 0; {variable} < {loop.turns}; {variable}++) {{"
    for call, block in zip(loop.calls, blocks, strict=True):
        yield from _lines(model, call, block, 8)
    yield "    }"
    for call in loop.behind:
        yield from _tap(model, call, blocks[-1], 4)


def _lines(model: Model, call: Call, block: str, indent: int) -> Iterator[str]:
    """A call, and behind it what came out."""
    if call.operator is None:
        yield from text.comment(call.says, indent)
    yield from text.call(call.text, indent)
    yield from _tap(model, call, block, indent)


def _tap(model: Model, call: Call, block: str, indent: int) -> Iterator[str]:
    """What a tap is handed behind a call, and which layer that is."""
    if call.operator is None or call.tap is None:
        return
    buffer, count = call.tap
    module = model.graph.ops[call.operator].module
    label = module.removeprefix(f"{block}.") if block else module
    tap = f"{' ' * indent}TAP({call.operator}, {buffer}, {count});"
    said = f"/* {call.says} {text.ascii_of(label)} */"
    if len(tap) + 1 + len(said) <= text.WIDTH:
        yield f"{tap} {said}"
    else:
        yield tap
        yield from text.comment(said[3:-3], indent)


def _blocks(model: Model) -> list[str]:
    """Of each operator the innermost numbered module around it that holds others too: what a
    network repeats. "" where there is none."""
    paths = [op.module.split(".") for op in model.graph.ops]
    holding = Counter(
        ".".join(path[:size])
        for path in paths
        for size in range(1, len(path))
        if path[size - 1].isdigit()
    )
    return [
        next(
            (
                prefix
                for size in range(len(path) - 1, 0, -1)
                if holding[prefix := ".".join(path[:size])] > 1
            ),
            "",
        )
        for path in paths
    ]

"""The C of a network: a header that is its manual, its pass, its tables, its self-test, and the
names under which the serial application knows it. No logic, no timestamps."""

from __future__ import annotations

import math
from collections.abc import Iterable

from compress import graph as g
from compress.errors import GraphError
from export.c import binding, columns, memory, selftest, tables_file, text
from export.c import header as header_file
from export.c import source as source_file
from export.c.emitters_recurrent import keep
from export.c.ops import entries_of, entry_of
from export.c.pieces import Stretch, frames_at_once, stretches
from export.c.step import COUNTED, Call, Model, begins_anew, struct_name
from export.version import GENERATOR

Array = g.Array
START_UP, CLEAR = "nn_start_up", "nn_clear"


def build(graph: g.Graph, family: str = "dsp") -> Model:
    """Plan and collect an integer graph, for one family of kernels: a board's
    `Description.kernels`."""
    if not graph.is_integer():
        raise GraphError(
            f"{graph.name}: expected an integer graph to export as C, found float operators;"
            " quantize first"
        )
    header_file.check_names(graph)
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
        counter = model.keep(group.counter, "uint32_t", 1, f"steps_until_{group.begin}")
        struct = f"state->{struct_name(group)}"
        arguments = (counter, str(group.begin), f"&{struct}", f"sizeof {struct}")
        says = f"recurrent state begins with step {group.begin}"
        model.calls.append(Call(None, START_UP, arguments, says=says))


def _emit_clear(model: Model, group: memory.Group) -> None:
    """State of the window before is cleared at the begin of a step."""
    if group.size:
        struct = f"state->{struct_name(group)}"
        says = "state begins anew with each window"
        model.calls.append(Call(None, CLEAR, (f"&{struct}", f"sizeof {struct}"), says=says))


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
    """Path in a project -> content; the same graph gives the same bytes."""
    name = model.identifier
    written = {
        f"model/{name}.h": ("", header_file.header(model)),
        f"model/{name}.c": ("one step", source_file.source(model)),
        f"model/{name}_tables.h": ("its constants", tables_file.header(model)),
        f"model/{name}_tables.c": ("its constants", tables_file.source(model)),
        f"model/{name}_selftest.c": ("its self-test", selftest.source(model)),
        "app/model.h": ("the application's names for it", binding.header(model)),
        "app/model.c": ("the application's stream of it", binding.source(model)),
    }
    return {
        path: columns.within(
            "".join(f"{line}\n" for line in (*(banner(model.graph, what) if what else ()), *lines))
        ).encode()
        for path, (what, lines) in written.items()
    }


def banner(graph: g.Graph, what: str) -> Iterable[str]:
    """The first lines of a file: what wrote it, of which network."""
    precision = graph.provenance.get("precision", "")
    return text.comment(
        f"Tendon {GENERATOR}: {graph.name} {precision}, {what}. Graph {graph.hash()}"
    )

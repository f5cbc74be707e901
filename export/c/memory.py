"""Where every tensor of one step lives in the arena, known before anything is built.

Buffers live from the operator that writes them to the last that reads them and are packed by
lifetime (packing.py). Operators that may write over their input share its buffer when nothing else
reads it later; what they leave of it is free for others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import NamedTuple

from compress import graph as g
from compress.graph.samples import Initial, check_initial
from export.c.ops import entry_of
from export.c.packing import Span, pack
from export.c.pieces import held_frames, stretches
from export.c.step import begins_anew

ALIGNMENT = 8  # bytes; lets kernels load words and double words


@dataclass(frozen=True)
class Buffer:
    """Bytes at one offset of the arena that hold one tensor, or several, each computed over the one
    before."""

    tensors: dict[str, Span]  # size in bytes, alive from operator `first` to `last` inclusive
    offset: int

    @property
    def size(self) -> int:
        """Bytes of the largest tensor it holds."""
        return max(span.size for span in self.tensors.values())


class Group(NamedTuple):
    """State that begins with one step: bytes `offset` … `offset` + `size` of the whole state.
    Recurrent state, and over windows all that operators keep from frame to frame of a window.

    `counter`: byte offset of the count of steps before, a word in front of it; None where it begins
    with the first step.
    """

    begin: int
    counter: int | None
    offset: int
    size: int


@dataclass(frozen=True)
class Plan:
    """Byte offsets into the arena and into the state, and the sizes that follow.

    The arena is at least as long as all tensors alive at one time (`lower_bound_bytes`);
    `arena_minimal`: it cannot be shorter. The state holds what operators keep of the signal and the
    extra inputs that a stream begins with, then all recurrent state, group by group in the order of
    the steps they begin with. What is kept within a window lies in the window's group. Offsets by
    the output of the operator whose state it is; `initial_offsets` by the name of the extra input.
    """

    offsets: dict[str, int]
    arena_bytes: int
    lower_bound_bytes: int
    arena_minimal: bool
    kept_offsets: dict[str, int]
    initial_offsets: dict[str, int]
    state_offsets: dict[str, int]
    state_bytes: int
    groups: tuple[Group, ...]
    buffers: tuple[Buffer, ...]


def plan(graph: g.Graph) -> Plan:
    """Place the tensors of an integer graph; the input and the output belong to the caller and take
    no arena."""
    shared = _shared(graph)
    packing = pack([list(tensors.values()) for tensors in shared])
    buffers = tuple(
        Buffer(tensors, offset) for tensors, offset in zip(shared, packing.offsets, strict=True)
    )
    offsets = {name: b.offset for b in buffers for name in b.tensors}
    state = _state(graph)
    sizes = (packing.length, packing.bound, packing.minimal)
    return Plan(
        offsets,
        *sizes,
        state.kept,
        state.initial,
        state.recurrent,
        state.size,
        state.groups,
        buffers,
    )


class _State(NamedTuple):
    """Offsets of what each operator keeps, of extra inputs and of recurrent state with its groups;
    and its length."""

    kept: dict[str, int]
    initial: dict[str, int]
    recurrent: dict[str, int]
    groups: tuple[Group, ...]
    size: int


def _state(graph: g.Graph) -> _State:
    anew = begins_anew(graph)
    kept, size = _kept(graph, graph.ops[:1] if anew else graph.ops, 0)
    # an operator keeps the extra inputs that it names; one place is enough for all that name one
    initial: dict[str, int] = {}
    for op in graph.ops:
        at = kept.get(op.output, 0)
        for name in op.initial_names:
            initial.setdefault(name, at)
            at += _words(graph.initial[name].features)
    recurrent: dict[str, int] = {}
    groups = []
    for begin in sorted({0} if anew else set(graph.begins.values())):
        counter = size if begin else None
        offset = size + (4 if begin else 0)
        in_window, size = _kept(graph, graph.ops[1:] if anew else (), offset)
        kept |= in_window
        members = [op for op in graph.ops if graph.begins.get(op.output) == begin]
        found, size = _end_to_end(
            graph, members, size, lambda op, features: op.state_values(features)
        )
        recurrent |= found
        groups.append(Group(begin, counter, offset, size - offset))
    return _State(kept, initial, recurrent, tuple(groups), size)


def _kept(graph: g.Graph, ops: Iterable[g.Op], size: int) -> tuple[dict[str, int], int]:
    """The same as `_end_to_end`, of what operators keep of the signal."""
    return _end_to_end(graph, ops, size, lambda op, features: op.kept_values(features))


def _end_to_end(
    graph: g.Graph, ops: Iterable[g.Op], size: int, values_of: Callable[[g.Op, int], int]
) -> tuple[dict[str, int], int]:
    """Offsets from `size` on of so many 16-bit values of each operator, each on a word, and the
    end."""
    offsets = {}
    for op in ops:
        values = values_of(op, graph.source(op).features)
        if values:
            offsets[op.output] = size
            size += _words(values)
    return offsets, size


def _words(values: int) -> int:
    """Bytes of so many 16-bit values in whole words."""
    return (2 * values + 3) // 4 * 4


def initial_state(graph: g.Graph, initial: Initial) -> bytes:
    """The state of a model before the first sample of a stream that begins with these real values
    (features,) of its extra inputs: zeros but for them. GraphError where it has no such input."""
    check_initial(graph, initial)
    layout = _state(graph)
    state = bytearray(layout.size)
    for name, real in initial.items():
        words = graph.initial[name].integers(real).astype("<i2").tobytes()
        state[layout.initial[name] : layout.initial[name] + len(words)] = words
    return bytes(state)


def tensor_bytes(graph: g.Graph, name: str) -> int:
    """int16 values of one step, or of one piece of it (pieces.py), padded to the alignment."""
    size = 2 * graph.tensors[name].features * held_frames(graph)[name]
    return -(-size // ALIGNMENT) * ALIGNMENT


def lifetimes(graph: g.Graph) -> dict[str, tuple[int, int]]:
    """The first and the last operator of a step that need the memory of each tensor.

    A loop is computed once for each frame, so what it makes or reads is needed from its first
    operator to its last. So are what the pieces of a stretch read and what they put together.
    """
    last = {name: i for i, op in enumerate(graph.ops) for name in op.inputs}
    found = {}
    for i, op in enumerate(graph.ops):
        made_in, used = graph.loop_of(i), last.get(op.output, i)
        ends = [loop.stop - 1 for loop in (made_in, graph.loop_of(used)) if loop is not None]
        found[op.output] = (made_in.start if made_in else i, max([used, *ends]))
    for stretch in stretches(graph):
        first, final = stretch.ops.start, stretch.ops.stop - 1
        found[stretch.output] = (first, found[stretch.output][1])
        if stretch.input in found:
            begin, end = found[stretch.input]
            found[stretch.input] = (begin, max(end, final))
    return found


def _shared(graph: g.Graph) -> list[dict[str, Span]]:
    """The tensors of each buffer of the arena with their lifetimes, in the order in which they are
    written."""
    alive = lifetimes(graph)
    put_together = {stretch.output for stretch in stretches(graph)}
    holder: dict[str, dict[str, Span]] = {}
    outside = {graph.input.name, graph.output.name}
    for i, op in enumerate(graph.ops):
        if op.output in outside:
            continue
        in_loop = graph.loop_of(i) is not None
        may = entry_of(op).in_place and not in_loop and op.output not in put_together
        over = [n for n in op.inputs if may and n in holder and alive[n][1] == i]
        tensors = holder[over[0]] if over else {}
        tensors[op.output] = Span(tensor_bytes(graph, op.output), *alive[op.output])
        holder[op.output] = tensors
    return list({id(tensors): tensors for tensors in holder.values()}.values())

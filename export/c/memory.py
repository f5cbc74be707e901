"""Where every tensor of one step lives in the arena, known before anything is built.

Buffers live from the operator that writes them to the last that reads them and are packed by
lifetime (packing.py). Operators that may write over their input share its buffer when nothing else
reads it later; what they leave of it is free for others.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from compress import graph as g
from compress.errors import GraphError
from compress.graph import Array
from export.c.packing import Span, pack
from export.c.pieces import held_frames, stretches

ALIGNMENT = 8  # bytes; lets kernels load words and double words
IN_PLACE = (  # as nn.h allows
    g.IntMeanPool,
    g.IntGroupMean,
    g.IntMaxPool,
    g.IntGroupMax,
    g.IntStep,
    g.IntLut,
    g.IntLayerNorm,
    g.IntGlu,
    g.IntAdd,
    g.IntStateSpace,
)


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


@dataclass(frozen=True)
class Plan:
    """Byte offsets into the arena and into the state, and the sizes that follow.

    The arena is at least as long as all tensors alive at one time (`lower_bound_bytes`);
    `arena_minimal`: it cannot be shorter. The state holds what operators keep of the signal and the
    pose a stream begins with, then (with a start-up) the count of steps, then all recurrent state.
    Offsets by the output of the operator whose state it is.
    """

    offsets: dict[str, int]
    arena_bytes: int
    lower_bound_bytes: int
    arena_minimal: bool
    kept_offsets: dict[str, int]
    state_offsets: dict[str, int]
    state_bytes: int
    start_up_offset: int  # of the count of steps, a word; without a start-up where it would be
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
    return Plan(offsets, *sizes, state.kept, state.recurrent, state.bytes, state.start_up, buffers)


class _State(NamedTuple):
    """Offsets of what each operator keeps, of the count of steps and of recurrent state; and its
    length."""

    kept: dict[str, int]
    start_up: int
    recurrent: dict[str, int]
    bytes: int


def _state(graph: g.Graph) -> _State:
    kept, start_up = _end_to_end(graph, 0, lambda op, features: op.kept_values(features))
    begin = start_up + (4 if graph.start_up else 0)
    return _State(
        kept, start_up, *_end_to_end(graph, begin, lambda op, features: op.state_values(features))
    )


def _end_to_end(
    graph: g.Graph, size: int, values_of: Callable[[g.Op, int], int]
) -> tuple[dict[str, int], int]:
    """Offsets from `size` on of so many 16-bit values of each operator, each on a word, and the
    end."""
    offsets = {}
    for op in graph.ops:
        values = values_of(op, graph.tensors[op.inputs[0]].features)
        if values:
            offsets[op.output] = size
            size += (2 * values + 3) // 4 * 4
    return offsets, size


def initial_state(graph: g.Graph, pose: Array) -> bytes:
    """The state of a model before the first sample of a stream that begins with this pose (joints,)
    in rad: zeros but for it."""
    integrals = [op.output for op in graph.ops if isinstance(op, g.IntIntegrate)]
    if not integrals:
        raise GraphError(f"{graph.name}: this network begins with no pose")
    layout = _state(graph)
    words = (
        np.clip(np.round(np.asarray(pose) / float(graph.output.scale or 1.0)), *g.INT16)
        .astype("<i2")
        .tobytes()
    )
    state = bytearray(layout.bytes)
    for name in integrals:
        state[layout.kept[name] : layout.kept[name] + len(words)] = words
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
    loop = graph.loop
    last = {name: i for i, op in enumerate(graph.ops) for name in op.inputs}
    found = {}
    for i, op in enumerate(graph.ops):
        begin, end = (loop.start if i in loop else i), last.get(op.output, i)
        found[op.output] = (begin, max(end, loop.stop - 1) if i in loop or end in loop else end)
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
    alive, loop = lifetimes(graph), graph.loop
    put_together = {stretch.output for stretch in stretches(graph)}
    holder: dict[str, dict[str, Span]] = {}
    outside = {graph.input.name, graph.output.name}
    for i, op in enumerate(graph.ops):
        if op.output in outside:
            continue
        may = isinstance(op, IN_PLACE) and i not in loop and op.output not in put_together
        over = [n for n in op.inputs if may and n in holder and alive[n][1] == i]
        tensors = holder[over[0]] if over else {}
        tensors[op.output] = Span(tensor_bytes(graph, op.output), *alive[op.output])
        holder[op.output] = tensors
    return list({id(tensors): tensors for tensors in holder.values()}.values())

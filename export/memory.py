"""Where every tensor of one step lives in the arena, known before anything is built.

Buffers are placed by lifetime: largest first, each at the lowest offset that is free while it lives. Operators that may
write over their input share its buffer when nothing else reads it later.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from compress import graph as g

ALIGNMENT = 8  # bytes; lets kernels load words and double words
IN_PLACE = (g.IntLut, g.IntLayerNorm, g.IntAdd, g.IntStateSpace)


@dataclass
class Buffer:
    """Bytes that hold one tensor, or several one after the other; alive from operator `first` to `last` inclusive."""

    tensors: list[str]
    size: int
    first: int
    last: int
    offset: int = 0


@dataclass(frozen=True)
class Plan:
    """Byte offsets into the arena and into the state, and the sizes that follow.

    The state holds what windows keep, then (with a start-up) the count of steps, then all state spaces.
    """

    offsets: dict[str, int]
    arena_bytes: int
    lower_bound_bytes: int
    state_offsets: dict[str, int]
    state_bytes: int
    start_up_offset: int  # of the count of steps, a word; without a start-up where it would be
    buffers: list[Buffer] = field(default_factory=list)


def plan(graph: g.Graph) -> Plan:
    """Place the tensors of an integer graph; the input and the output belong to the caller and take no arena."""
    buffers = _buffers(graph)
    _place(buffers)
    arena = max((b.offset + b.size for b in buffers), default=0)
    live = [sum(b.size for b in buffers if b.first <= i <= b.last) for i in range(len(graph.ops))]
    offsets = {name: b.offset for b in buffers for name in b.tensors}
    states, size = _states(graph, 0, g.IntWindow)
    counted = size + (4 if graph.start_up else 0)
    spaces, end = _states(graph, counted, g.IntStateSpace)
    return Plan(offsets, arena, max(live, default=0), states | spaces, end, size, buffers)


def _states(graph: g.Graph, size: int, kind: type[g.Op]) -> tuple[dict[str, int], int]:
    """Offsets from `size` on of what operators of this kind keep, each on a word, and the end."""
    offsets = {}
    for op in graph.ops:
        values = op.state_values(graph.tensors[op.inputs[0]].features)
        if values and isinstance(op, kind):
            offsets[op.output] = size
            size += (2 * values + 3) // 4 * 4
    return offsets, size


def tensor_bytes(graph: g.Graph, name: str) -> int:
    """int16 values of one step, padded to the alignment."""
    size = 2 * graph.tensors[name].features * graph.frames_per_step(name)
    return -(-size // ALIGNMENT) * ALIGNMENT


def _buffers(graph: g.Graph) -> list[Buffer]:
    last_use = {name: i for i, op in enumerate(graph.ops) for name in op.inputs}
    holder: dict[str, Buffer] = {}
    outside = {graph.input.name, graph.output.name}
    for i, op in enumerate(graph.ops):
        if op.output in outside:
            continue
        reusable = [n for n in op.inputs if isinstance(op, IN_PLACE) and n in holder and last_use[n] == i]
        if reusable:
            buffer = holder[reusable[0]]
            buffer.tensors.append(op.output)
        else:
            buffer = Buffer([op.output], tensor_bytes(graph, op.output), i, i)
        buffer.last = last_use[op.output]
        holder[op.output] = buffer
    return list({id(b): b for b in holder.values()}.values())


def _place(buffers: list[Buffer]) -> None:
    placed: list[Buffer] = []
    for buffer in sorted(buffers, key=lambda b: (-b.size, b.first)):
        overlapping = sorted((p for p in placed if p.first <= buffer.last and buffer.first <= p.last), key=lambda p: p.offset)
        offset = 0
        for other in overlapping:
            if offset + buffer.size <= other.offset:
                break
            offset = max(offset, other.offset + other.size)
        buffer.offset = offset
        placed.append(buffer)

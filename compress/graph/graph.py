"""A graph: its tensors, its operators in execution order, and what follows from them."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, cast

from compress.errors import GraphError
from compress.ops import Dense, Op, Tensor


@dataclass(frozen=True)
class Graph:
    """Operators in execution order. The first tensor is the input, the last operator's output is
    the output.

    `initial`: named extra inputs, values that a stream begins with (zeros where none are given).
    `chunk`: output frames that are computed together, in one step; what is computed, and so the
    hash, does not depend on it. 0 stands for as few as there can be.
    """

    name: str
    tensors: dict[str, Tensor]
    ops: tuple[Op, ...]
    provenance: dict[str, Any] = field(default_factory=dict)
    chunk: int = 0
    initial: dict[str, Tensor] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.chunk and self.ops:
            object.__setattr__(self, "chunk", self.shortest_chunk)

    @property
    def input(self) -> Tensor:
        return next(iter(self.tensors.values()))

    @property
    def output(self) -> Tensor:
        return self.tensors[self.ops[-1].output]

    def is_integer(self) -> bool:
        return all(op.is_integer for op in self.ops)

    @cached_property
    def maker(self) -> dict[str, int]:
        """Name of a tensor -> index of the operator that makes it."""
        return {op.output: index for index, op in enumerate(self.ops)}

    @cached_property
    def users(self) -> dict[str, list[Op]]:
        """Name of a tensor -> the operators that read it in its own frame."""
        found: dict[str, list[Op]] = {name: [] for name in self.tensors}
        for op in self.ops:
            for name in op.inputs:
                found.setdefault(name, []).append(op)
        return found

    @property
    def matrices(self) -> list[Dense]:
        """The dense layers of a float graph, in execution order."""
        return [cast(Dense, op) for op in self.ops if op.multiplies and not op.is_integer]

    def source(self, op: Op) -> Tensor:
        """The tensor that an operator reads first."""
        return self.tensors[op.inputs[0]]

    def target(self, op: Op) -> Tensor:
        """The tensor that an operator makes."""
        return self.tensors[op.output]

    # --- time ----------------------------------------------------------------------------------

    @property
    def samples_per_step(self) -> int:
        """Input frames for the output frames of one step."""
        return self.chunk * int(self.input.rate / self.output.rate)

    @property
    def shortest_chunk(self) -> int:
        """Output frames for which every tensor has whole frames, and a network over windows one
        window."""
        per_output = [tensor.rate / self.output.rate for tensor in self.tensors.values()]
        windows = [
            int(op.frames * self.output.rate / self.source(op).rate)  # type: ignore[attr-defined]
            for op in self.ops
            if op.whole_window
        ]
        return math.lcm(*(rate.denominator for rate in per_output), *windows)

    @property
    def stretchable(self) -> bool:
        """Whether a step may hold more output frames than it must: not while a start-up is counted,
        and not over windows."""
        return not self.start_up and not any(self.begins.values()) and not self.windowed

    @property
    def windowed(self) -> bool:
        """Whether each step is a window of its own."""
        return any(op.whole_window or op.makes_windows for op in self.ops)

    @cached_property
    def loops(self) -> list[range]:
        """Operators that are computed frame by frame, since the first of them needs what the last
        makes: one range for each recurrence, in execution order. Those that overlap are one."""
        spans = []
        for index, op in enumerate(self.ops):
            made = [self.maker[name] for name in op.previous_names if name in self.maker]
            if made:
                spans.append((index, max(made) + 1))
        loops: list[range] = []
        for begin, end in spans:
            if loops and begin < loops[-1].stop:
                loops[-1] = range(loops[-1].start, max(loops[-1].stop, end))
            else:
                loops.append(range(begin, end))
        return loops

    def loop_of(self, index: int) -> range | None:
        """The loop that an operator lies in."""
        return next((loop for loop in self.loops if index in loop), None)

    def stretches(self) -> Iterator[tuple[bool, range]]:
        """All operators in order as (loop?, range): a loop is one range, an operator outside of
        them another."""
        index = 0
        while index < len(self.ops):
            loop = self.loop_of(index)
            yield loop is not None, loop or range(index, index + 1)
            index = loop.stop if loop else index + 1

    def frames_per_step(self, name: str) -> int:
        """Frames of this tensor in one step of the network."""
        return int(self.chunk * self.tensors[name].rate / self.output.rate)

    def frames_at_once(self, op: Op) -> int:
        """Output frames of an operator that are computed before the next operator: one in a loop,
        else those of a step."""
        return 1 if self.loop_of(self.maker[op.output]) else self.frames_per_step(op.output)

    # --- start-up ------------------------------------------------------------------------------

    @property
    def start_up(self) -> int:
        """Output frames of a stream before the first that a whole-sequence forward has: their
        windows reach before its start."""
        return first_valid_frames(self)[self.output.name]

    @property
    def start_up_steps(self) -> int:
        """The same in steps."""
        return -(-self.start_up // self.chunk)

    @cached_property
    def begins(self) -> dict[str, int]:
        """Output of a recurrent operator -> the step, counted from 0, with which its state begins:
        that of its first valid frame, in a loop of the latest in the loop, whose frames need each
        other. What it took in before is forgotten. Over windows it begins anew with every step."""
        if self.windowed:
            return {op.output: 0 for op in self.ops if op.recurrent}
        first = first_valid_frames(self)
        begins = {
            op.output: max(first[name] for name in op.inputs) // self.frames_per_step(op.inputs[0])
            for op in self.ops
            if op.recurrent
        }
        for loop in self.loops:
            names = [self.ops[index].output for index in loop if self.ops[index].recurrent]
            begins |= dict.fromkeys(names, max(begins[name] for name in names))
        return begins

    @property
    def left_context(self) -> int:
        """Samples before the newest one that an output of a whole-sequence forward is made of,
        recurrent state aside; 0 over windows, whose outputs belong to all of their samples."""
        if self.windowed:
            return 0
        context, jump = 0, 1
        for op in self.ops:
            context += op.context * jump
            jump = jump * int(op.stride) if op.stride >= 1 else jump
        return context

    def hash(self) -> str:
        """SHA-256 over everything that decides what the graph computes, and nothing else: not
        names, not module paths, not where it came from."""
        from compress.graph.file import digest

        return digest(self)


def in_chunks(graph: Graph, frames: int) -> Graph:
    """The same network, `frames` output frames a step. GraphError where it has a start-up, which is
    counted in shortest steps."""
    shortest = graph.shortest_chunk
    if frames < 1 or frames % shortest or (frames > shortest and not graph.stretchable):
        most = (
            "or a multiple of it"
            if graph.stretchable
            else "since it has a start-up or works over windows"
        )
        raise GraphError(
            f"{graph.name}: expected {shortest} output frames a step, {most}; found {frames}"
        )
    return dataclasses.replace(graph, chunk=frames)


def first_valid_frames(graph: Graph) -> dict[str, int]:
    """The first frame of each tensor that is made of frames of the stream alone."""
    first = {graph.input.name: 0}
    for op in graph.ops:
        first[op.output] = op.first_valid(max(first[name] for name in op.inputs))
    return first

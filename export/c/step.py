"""The step of a network in C while it is put together: kernel calls, descriptions, tables, and
where everything lies."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from compress import graph as g

if TYPE_CHECKING:
    from export.c.memory import Plan
    from export.c.pieces import Stretch

Array = g.Array
COUNTED = 65535  # of rows, features and strides


@dataclass(frozen=True)
class Call:
    """One kernel call of the step: the operator it is of (None: the end of a start-up), the kernel,
    the line of C."""

    operator: int | None
    kernel: str
    line: str


@dataclass(frozen=True)
class Entry:
    """What an operator is in C: a line of the table in ops.py.

    `emit`: (model, index, operator) -> adds its calls, descriptions and tables. `kernels`: files of
    firmware/nn that it may call; a call that names none is of the first. `chosen`: (graph,
    operator, family) -> those of them that this one calls; None: all. `in_place`: whether it may
    write over its input, as nn.h allows. `by_frame`: whether the pieces of a window may be computed
    one by one (pieces.py); `begins_pieces`: whether such pieces begin with it, which sees the whole
    window. `rows`: of its kernel for each frame. `sampled`: whether its work goes by what it reads
    and not by what it writes. `recall`: (model, index, operator, y) -> kernel and arguments that
    write to `y` what a DelayedConcat reads of it; None: its newest output, which is kept.
    """

    emit: Callable[[Model, int, Any], None]
    kernels: tuple[str, ...]
    chosen: Callable[[g.Graph, Any, str], tuple[str, ...]] | None = None
    in_place: bool = False
    by_frame: bool = False
    begins_pieces: bool = False
    rows: Callable[[Any], int] = lambda op: 1
    sampled: bool = False
    recall: Callable[[Model, int, Any, str], tuple[str, str]] | None = None

    def called(self, graph: g.Graph, op: g.Op, family: str) -> tuple[str, ...]:
        """The kernels that this operator calls."""
        return self.kernels if self.chosen is None else self.chosen(graph, op, family)


@dataclass
class Model:
    """What the emitted files are made of, collected operator by operator.

    `entries`: of every operator of the graph, by its class. `frame`: the frame of a loop that is
    being emitted; then tensors are spoken of one frame at a time. `stretch` and `piece`: the piece
    of a stretch that is being emitted; then they are spoken of in its frames.
    """

    graph: g.Graph
    plan: Plan
    entries: Mapping[type[g.Op], Entry]
    family: str = "dsp"  # of kernels (linear.py)
    first_tables: dict[int, tuple[str, ...]] = field(
        default_factory=dict
    )  # that each operator was the first to need
    tables: dict[str, Array] = field(default_factory=dict)
    descriptors: list[str] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    frame: int | None = None
    stretch: Stretch | None = None
    piece: int = 0

    def calls_of(self, operator: int) -> list[Call]:
        """All kernel calls of a step for one operator of the graph."""
        return [call for call in self.calls if call.operator == operator]

    def entry(self, op: g.Op) -> Entry:
        """What the table says of an operator."""
        return self.entries[type(op)]

    # --- what emitters add ---------------------------------------------------------------------

    def describe(self, line: str) -> None:
        """Add a kernel's description; the frames of a loop have the same, and most pieces of a
        stretch."""
        if line not in self.descriptors:
            self.descriptors.append(line)

    def table(self, name: str, values: Array) -> str:
        """The name of a table with these values; equal tables are stored once."""
        for known, other in self.tables.items():
            if other.dtype == values.dtype and np.array_equal(other, values):
                return known
        self.tables[name] = np.ascontiguousarray(values)
        return name

    def call(self, index: int, arguments: str, last: bool = True, kernel: str = "") -> None:
        """One kernel call. `last` of the operator's in this frame; the last of a step hands its
        whole output to a tap, the last of a piece that piece."""
        op = self.graph.ops[index]
        source, target = self.shape(op.inputs[0]), self.shape(op.output)
        kernel = kernel or self.entry(op).kernels[0]
        line = f"    {kernel}({arguments});"
        frames = target[0] if self.frame is None else self.graph.frames_per_step(op.output)
        if last and self.frame in (None, frames - 1):
            first = self.at(op.output, -(self.frame or 0) * target[1])
            line += f" TAP({index}, {first}, {frames * target[1]});"
        self.calls.append(Call(index, kernel, f"{line} /* {source} -> {target}  {op.module} */"))

    # --- where things lie ----------------------------------------------------------------------

    def at(self, name: str, offset: int = 0) -> str:
        """C expression for the first value of a tensor, in the frames that are being emitted."""
        offset += self.frames_before(name) * self.graph.tensors[name].features
        if name in (self.graph.input.name, self.graph.output.name):
            base = "samples" if name == self.graph.input.name else "out"
            return f"{base} + {offset}" if offset else base
        return f"arena + {self.plan.offsets[name] // 2 + offset}"

    def through(self, op: g.Op) -> str:
        """C expressions for what an operator reads first, and for what it writes."""
        return f"{self.at(op.inputs[0])}, {self.at(op.output)}"

    def frames_before(self, name: str) -> int:
        """Frames of a tensor, as it is held, before those that are being emitted."""
        if self.stretch is None:
            return self.frame or 0
        return 0 if name in self.stretch.between else self.piece * self.shape(name)[0]

    def shape(self, name: str) -> tuple[int, int]:
        """(frames, features) that a call works on."""
        pieces = self.stretch.pieces if self.stretch else 1
        frames = 1 if self.frame is not None else self.graph.frames_per_step(name) // pieces
        return frames, self.graph.tensors[name].features

    def clamp(self, op: g.Op) -> str:
        """The limits of an operator's output as fields of a description."""
        tensor = self.graph.target(op)
        return f".lo = {tensor.lo}, .hi = {tensor.hi}"

    # --- all tables ----------------------------------------------------------------------------

    @property
    def table_bytes(self) -> int:
        return sum(t.nbytes for t in self.tables.values())

    def crc(self) -> int:
        """CRC-32 of all tables in order, as the board computes it at boot."""
        crc = 0
        for table in self.tables.values():
            crc = zlib.crc32(little_endian(table), crc)
        return crc


def words_at(byte_offset: int) -> str:
    """C expression for 32-bit words of the state."""
    return f"state + {byte_offset // 4}"


def sums_at(byte_offset: int) -> str:
    """C expression for signed 32-bit values in the state."""
    return f"(int32_t *)({words_at(byte_offset)})"


def halves_at(byte_offset: int) -> str:
    """C expression for 16-bit values in the state."""
    return f"(int16_t *)({words_at(byte_offset)})"


def little_endian(table: Array) -> bytes:
    return table.astype(table.dtype.newbyteorder("<")).tobytes()

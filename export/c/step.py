"""The step of a network in C while it is put together: kernel calls, descriptions, tables, what is
kept, and where everything lies."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from compress import graph as g
from compress.errors import GraphError
from export.c import names

if TYPE_CHECKING:
    from export.c.memory import Group, Plan
    from export.c.pieces import Stretch

Array = g.Array
COUNTED = 65535  # of rows, features and strides


@dataclass(frozen=True)
class Call:
    """One kernel call of the step.

    `operator`: the one that it is of (None: the begin or the end of a step). `tap`: what a tap is
    handed behind it, buffer and values, where its operator's output is complete. `says`: a comment.
    `turn`: the first operator of the loop or stretch that it is of, and the frame or piece.
    """

    operator: int | None
    kernel: str
    arguments: tuple[str, ...]
    tap: tuple[str, int] | None = None
    says: str = ""
    turn: tuple[int, int] | None = None

    @property
    def text(self) -> str:
        """The call as C, without what is behind it."""
        return f"{self.kernel}({', '.join(self.arguments)});"


@dataclass(frozen=True)
class Description:
    """The constant that a kernel is given: `static const kind name = {.field = value, …};`"""

    kind: str
    name: str
    fields: Mapping[str, int | str]


@dataclass(frozen=True)
class Member:
    """What a stream keeps at `offset` bytes of its state: `count` values of a C type."""

    offset: int
    ctype: str
    count: int
    name: str

    @property
    def size(self) -> int:
        """Bytes, in whole words."""
        return -(-self.count * (2 if self.ctype == "int16_t" else 4) // 4) * 4


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
    recall: Callable[[Model, int, Any, str], tuple[str, tuple[object, ...]]] | None = None

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
    descriptions: dict[str, Description] = field(default_factory=dict)
    members: dict[int, Member] = field(default_factory=dict)  # of the state, by offset
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

    # --- names ---------------------------------------------------------------------------------

    @cached_property
    def identifier(self) -> str:
        """The prefix of everything the network defines."""
        return names.identifier(self.graph.name)

    @cached_property
    def names(self) -> dict[str, str]:
        """Tensor -> its short name, which is that of the operator that makes it."""
        outputs = [op.output for op in self.graph.ops]
        return dict(zip(outputs, names.short_names(outputs, [self.identifier]), strict=True))

    @cached_property
    def buffers(self) -> dict[str, str]:
        """Tensor in the arena -> the name of its buffer: that of the first tensor it holds, where
        others are written over it."""
        return {
            tensor: self.names[next(iter(buffer.tensors))]
            for buffer in self.plan.buffers
            for tensor in buffer.tensors
        }

    def name(self, index: int) -> str:
        """The short name of an operator."""
        return self.names[self.graph.ops[index].output]

    # --- what emitters add ---------------------------------------------------------------------

    def describe(self, kind: str, index: int, part: str = "", /, **fields: int | str) -> str:
        """Add a kernel's description, and give the C expression for it. The frames of a loop have
        the same, and most pieces of a stretch; `part` tells apart what an operator has several
        of."""
        name = f"{self.name(index)}{f'_{part}' if part else ''}_layer"
        made = Description(f"nn_{kind}", name, fields)
        if self.descriptions.setdefault(name, made) != made:
            raise GraphError(f"{self.graph.ops[index].module}: two descriptions called {name}")
        return f"&{name}"

    def table(self, name: str, values: Array) -> str:
        """The name of a table with these values; equal tables are stored once."""
        for known, other in self.tables.items():
            if other.dtype == values.dtype and np.array_equal(other, values):
                return known
        full = f"{self.identifier}_{name}"
        self.tables[full] = np.ascontiguousarray(values)
        return full

    def table_of(self, index: int, field: str, values: Array) -> str:
        """The same, of one operator."""
        return self.table(f"{self.name(index)}_{field}", values)

    def keep(self, offset: int, ctype: str, count: int, name: str) -> str:
        """Declare what lies at a byte of the state, and give the C expression for its first
        value."""
        known = self.members.get(offset)
        if known is None:
            used = {member.name for member in self.members.values()}
            name = name if name not in used else f"{name}_{offset}"
            known = self.members[offset] = Member(offset, ctype, count, name)
        if (known.ctype, known.count) != (ctype, count):
            raise GraphError(f"{self.graph.name}: byte {offset} of the state is two things at once")
        group = self.group_of(offset)
        return f"state->{group}.{known.name}" if group else f"state->{known.name}"

    def kept(self, op: g.Op, ctype: str, count: int) -> str:
        """What an operator keeps of the signal, or its recurrent state: all of it."""
        plan = self.plan
        offset = plan.state_offsets.get(op.output, plan.kept_offsets.get(op.output))
        assert offset is not None, f"{op.module} keeps something that has no place"
        return self.keep(offset, ctype, count, self.names[op.output])

    def call(self, index: int, *arguments: object, last: bool = True, kernel: str = "") -> None:
        """One kernel call. `last` of the operator's in this frame; the last of a step hands its
        whole output to a tap, the last of a piece that piece."""
        op = self.graph.ops[index]
        target = self.shape(op.output)
        kernel = kernel or self.entry(op).kernels[0]
        frames = target[0] if self.frame is None else self.graph.frames_per_step(op.output)
        tap = None
        if last and self.frame in (None, frames - 1):
            first = self.at(op.output, -(self.frame or 0) * target[1])
            tap = (first, frames * target[1])
        says = f"{self.shape(op.inputs[0])} -> {target}"
        call = Call(index, kernel, tuple(map(str, arguments)), tap, says, self._turn(index))
        self.calls.append(call)

    def _turn(self, index: int) -> tuple[int, int] | None:
        if self.stretch is not None:
            return self.stretch.ops.start, self.piece
        loop = self.graph.loop_of(index)
        return None if loop is None or self.frame is None else (loop.start, self.frame)

    # --- where things lie ----------------------------------------------------------------------

    def group_of(self, offset: int) -> str:
        """The struct in the state whose members begin anew together, "" outside of one."""
        for group in self.plan.groups:
            if group.offset <= offset < group.offset + group.size and self.has_struct(group):
                return struct_name(group)
        return ""

    def has_struct(self, group: Group) -> bool:
        """Whether a group is cleared as one: with each window, or with the step it begins with."""
        return group.size > 0 and (group.counter is not None or begins_anew(self.graph))

    def at(self, name: str, offset: int = 0) -> str:
        """C expression for the first value of a tensor, in the frames that are being emitted."""
        offset += self.frames_before(name) * self.graph.tensors[name].features
        if name in (self.graph.input.name, self.graph.output.name):
            base = "samples" if name == self.graph.input.name else "out"
        else:
            base = self.buffers[name]
        return f"{base} + {offset}" if offset else base

    def through(self, op: g.Op) -> tuple[str, str]:
        """C expressions for what an operator reads first, and for what it writes."""
        return self.at(op.inputs[0]), self.at(op.output)

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

    def limits(self, op: g.Op) -> dict[str, int | str]:
        """The limits of an operator's output as fields of a description."""
        tensor = self.graph.target(op)
        return {"lo": tensor.lo, "hi": tensor.hi}

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


def begins_anew(graph: g.Graph) -> bool:
    """Whether all state behind the first operator begins with every step: over windows that
    overlap."""
    return any(op.makes_windows for op in graph.ops)


def struct_name(group: Group) -> str:
    """What the struct of a group is called in the state."""
    return f"from_step_{group.begin}" if group.counter is not None else "of_window"


def little_endian(table: Array) -> bytes:
    return table.astype(table.dtype.newbyteorder("<")).tobytes()

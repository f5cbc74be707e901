"""The step being written, operator by operator: what the file holds of the graph's tensors, loops
frame by frame, and state."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from compress import graph as g
from compress.errors import GraphError
from export.tflite.builder import Builder
from export.tflite.model import Array, File, State, Value
from export.tflite.start import Start

Emitter = Callable[["Lowering", Any], None]
Table = Mapping[type[g.Op], Emitter | str]  # or a reason why there is none: a sentence


@dataclass(frozen=True)
class Part:
    """Features (ascending) of a tensor of the graph that share one scale, side by side as one
    tensor of the file, whose tensors have one scale each."""

    features: Array
    value: Value


@dataclass(frozen=True)
class Window:
    """Frames and columns that a convolution looks into itself.

    `kernel`: its frames and columns; `bands`: features of a window lie as (bands, frames, n);
    `shared`: into how many groups a layer may divide them; `padded`: it is a picture with zeros
    around it.
    """

    x: Value
    kernel: tuple[int, int]
    shared: tuple[int, ...]
    stride: int = 1
    bands: int = 1
    padded: bool = False


class Lowering(Builder):
    """Emits a graph into a file; `parts` maps tensors of the graph to those of the file."""

    def __init__(self, graph: g.Graph, file: File, table: Table) -> None:
        super().__init__(file)
        self.graph, self.table = graph, table
        self.parts: dict[str, tuple[Part, ...]] = {}
        self.windows: dict[str, Window] = {}  # instead of parts, what convolutions look into
        self.frame: int | None = None  # of a loop that is being unrolled
        self.in_window = False  # behind the operator that makes them: every step begins anew
        self.settled: set[str] = set()  # tensors of the graph that are within their range
        self.start = Start(self)
        self._rectified: set[str] = set()  # tensors of the graph that a ReLU is part of
        self._newest: dict[str, Value] = {}  # newest frame of what is read as the frame before
        self._states: dict[tuple[str, str], Value] = {}  # newest value of an operator's states
        self._initial: dict[str, Value] = {}  # the graph's extra inputs
        # states whose new value is known later, by name
        self._carried: dict[str, tuple[State, Callable[[], Value]]] = {}

    def run(self) -> None:
        """The whole step, input and output first in their lists; GraphError names an operator that
        has no form."""
        source = self.graph.input
        shape = (1, self.graph.samples_per_step, 1, source.features)
        self.put(source.name, self.step.tensor(source.name, shape, np.int16, source.scale))
        self.step.content.inputs.append(self.value(source.name).index)
        for in_loop, indices in self.graph.stretches():
            if in_loop:
                self._frame_by_frame(indices)
            else:
                self._emit(self.graph.ops[indices.start])
                self.in_window |= self.graph.ops[indices.start].makes_windows
        for name in list(self._carried):
            self._write(name)
        output = self.value(self.graph.output.name).index
        self.step.content.outputs = [output, *self.file.next_states()]

    def _emit(self, op: g.Op) -> None:
        answer = self.table.get(type(op), "it is not an operator of integer graphs that it knows")
        if isinstance(answer, str):
            raise GraphError(f"{op.module}: {type(op).__name__} has no TFLite form: {answer}")
        answer(self, op)
        if op.clamps and op.output not in self.settled:
            self._settle(op)

    def _settle(self, op: g.Op) -> None:
        """Hold what was made to the range of its tensor; a ReLU may be done (`relu`)."""
        tensor, held = self.graph.target(op), []
        for part in self.parts[op.output]:
            at = int(part.features[0])
            segment = next(
                s for s, of in zip(tensor.segments, tensor.parts(), strict=True) if at < of.stop
            )
            lo = g.INT16[0] if op.output in self._rectified and not segment.lo else segment.lo
            value = self.held(part.value, lo, segment.hi, f"{op.output}.held")
            held.append(Part(part.features, value))
        self.parts[op.output] = tuple(held)

    def _frame_by_frame(self, indices: range) -> None:
        """A loop unrolled: all its operators on one frame before the next frame."""
        ops = [self.graph.ops[index] for index in indices]
        made = {op.output for op in ops}
        given = list(dict.fromkeys(n for op in ops for n in op.inputs if n not in made))
        recalled = {name for op in ops for name in op.previous_names}
        outside = [op for index, op in enumerate(self.graph.ops) if index not in indices]
        used = {self.graph.output.name}.union(*(op.inputs for op in outside))
        frames: dict[str, list[tuple[Part, ...]]] = {op.output: [] for op in ops}
        rows = {name: self._frames_of(name) for name in given}
        whole = {name: self.parts[name] for name in given}
        for t in range(self.graph.frames_per_step(ops[0].output)):
            self.frame = t
            self.parts |= {name: rows[name][t] for name in given}
            for op in ops:
                self._emit(op)
            self._newest |= {name: self.value(name) for name in recalled}
            for name, parts in frames.items():
                parts.append(self.parts[name])
        self.frame = None
        joined = {name: self._joined(f, name) for name, f in frames.items() if name in used}
        self.parts |= whole | joined

    def _frames_of(self, name: str) -> list[tuple[Part, ...]]:
        """A tensor in single frames."""
        apart = [self.split(part.value, name) for part in self.parts[name]]
        features = [part.features for part in self.parts[name]]
        return [tuple(map(Part, features, frame)) for frame in zip(*apart, strict=True)]

    def _joined(self, frames: list[tuple[Part, ...]], name: str) -> tuple[Part, ...]:
        return tuple(
            Part(parts[0].features, self.join([part.value for part in parts], name))
            for parts in zip(*frames, strict=True)
        )

    # --- tensors of the graph ---------------------------------------------------------------------

    def put(self, name: str, value: Value) -> None:
        """The tensor of the file that holds this one, which has one scale."""
        self.parts[name] = (Part(np.arange(value.shape[3]), value),)

    def value(self, name: str) -> Value:
        """The same, to be read. GraphError where it has several scales, which only some operators
        can read."""
        if name not in self.parts:
            raise GraphError(
                f"{name}: has no TFLite form but in front of a convolution, which looks into it"
            )
        if len(self.parts[name]) != 1:
            readers = ", ".join(op.module for op in self.graph.users[name])
            raise GraphError(
                f"{readers}: no TFLite form for {name!r} as a whole, which has"
                f" {len(self.parts[name])} scales"
            )
        return self.parts[name][0].value

    def pick(self, name: str, features: Sequence[int] | Array) -> Value:
        """These features (ascending) of a tensor side by side. GraphError where they have several
        scales."""
        wanted = np.asarray(features)
        for part in self.parts[name]:
            if np.isin(wanted, part.features).all():
                at = np.searchsorted(part.features, wanted)
                runs = np.split(at, np.flatnonzero(np.diff(at) != 1) + 1)
                bounds = [(int(run[0]), int(run[-1]) + 1) for run in runs]
                pieces = [self.slice(part.value, *b, 1, f"{name}.piece", 3) for b in bounds]
                return self.join(pieces, name, axis=3)
        raise GraphError(f"{name}: expected one scale for {len(wanted)} features read together")

    def frames(self, name: str) -> tuple[int, int, int, int]:
        """Shape of a tensor of the graph in one step, in a loop of one frame."""
        count = 1 if self.frame is not None else self.graph.frames_per_step(name)
        return (1, count, 1, self.graph.tensors[name].features)

    def result(self, op: g.Op) -> Value:
        """The tensor that holds the output of an operator, which has one scale."""
        scale = self.graph.target(op).scale
        value = self.step.tensor(op.output, self.frames(op.output), np.int16, scale)
        self.put(op.output, value)
        return value

    def relu(self, op: g.Op) -> bool:
        """Whether the output of an operator is clamped at zero; who asks does it."""
        self._rectified.add(op.output)
        return self.graph.target(op).lo == 0

    # --- state ------------------------------------------------------------------------------------

    def carry(self, state: State, newest: Callable[[], Value]) -> None:
        """A state whose new value is known at the end of the step."""
        self._carried[state.name] = (state, newest)

    def _write(self, name: str) -> None:
        state, newest = self._carried.pop(name)
        self.file.write_state(state, newest())

    def state(self, op: g.Op, what: str, shape: tuple[int, ...], scale: float) -> Value:
        """A recurrent state of an operator as the frame before left it; float32 with scale 0. In a
        window it begins with zeros."""
        key = (op.output, what)
        if key not in self._states and self.in_window:
            self._states[key] = self.zeros(shape, scale)
        elif key not in self._states:
            self._states[key] = self.start.recurrent(
                f"{op.module}.{what}",
                shape,
                scale,
                lambda: self._states[key],
                self.graph.begins[op.output],
            )
        return self._states[key]

    def keep(self, op: g.Op, what: str, value: Value, settled: bool = False) -> None:
        """Its new value. `settled`: no frame of this step is left, so that it is written at once
        and its memory is free; in a loop that is not known."""
        self._states[op.output, what] = value
        if settled and self.frame is None and not self.in_window:
            self._write(f"{op.module}.{what}")

    def with_past(self, op: g.Op, history: int) -> Value:
        """The frames that an operator reads behind those of earlier steps that it still sees."""
        x = self.value(op.inputs[0])
        if not history:
            return x
        frames, shape = x.shape[1], (1, history, 1, x.shape[3])
        if op.recurrent or self.in_window:
            seen = self.join([self.state(op, "past", shape, x.scale), x], op.module)
            if not self.in_window:
                newest = self.slice(seen, frames, frames + history, 1, f"{op.module}.newest")
                self.keep(op, "past", newest, settled=True)
            return seen
        past = self.file.read_state(f"{op.module}.past", shape, x.scale)
        seen = self.join([past.value, x], op.module)
        newest = self.slice(seen, frames, frames + history, 1, f"{op.module}.newest")
        self.file.write_state(past, newest)
        return seen

    def newest(self, name: str) -> Value:
        """The newest frame of a tensor that a loop reads as the frame before (`Op.recalled`).

        Before its state begins it is zeros; for an operator that begins with extra inputs, the
        first of them.
        """
        if name not in self._newest:
            maker = self.graph.ops[self.graph.maker[name]]
            tensor, where = self.graph.tensors[name], f"{maker.module}.previous"
            shape = (1, 1, 1, tensor.features)

            def newest() -> Value:
                return self._newest[name]

            if self.in_window:
                self._newest[name] = self.zeros(shape, tensor.scale)
            elif maker.initial_names:
                initial = self.initial(maker.initial_names[0])
                self._newest[name] = self.start.given(
                    where, initial, newest, self.graph.begins[name]
                )
            else:
                readers = [op for op in self.graph.ops if name in op.previous_names]
                step = max(self.graph.begins[op.output] for op in readers)
                self._newest[name] = self.start.recurrent(where, shape, tensor.scale, newest, step)
        return self._newest[name]

    def advance(self, name: str, value: Value) -> None:
        """The next frame of such a tensor."""
        self._newest[name] = value

    def initial(self, name: str) -> Value:
        """An extra input of the graph (1, 1, 1, features), what a stream begins with: an input of
        every step, or state that a step hands on as it is."""
        if name not in self._initial:
            tensor, label = self.graph.initial[name], f"initial_{name}"
            shape, index = (1, 1, 1, tensor.features), len(self.step.content.inputs)
            if self.file.variables:
                self._initial[name] = self.file.input(label, shape, tensor.scale)
            else:
                state = self.file.read_state(label, shape, tensor.scale)
                self._initial[name] = state.value
                self.carry(state, lambda: self.copy(state.value, label))
            self.file.note(f"tendon.{label}", str(index))
        return self._initial[name]

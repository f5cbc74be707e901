"""What both forms do with a graph besides single operators: loops frame by frame, state that is
handed from step to step, and how a stream begins."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from compress import graph as g
from compress.errors import GraphError
from export.onnx import layers
from export.onnx.writer import Writer

Emit = Callable[[Any, Any], None]  # (stream, operator): appends its nodes, binds its output
Recall = Callable[[Any, Any], str]  # (stream, operator) -> handle of the frame before
Table = Mapping[type[g.Op], Emit | str]  # or the reason why there is no form


class Held(NamedTuple):
    """A tensor of the graph: the value by which it is moved (real, or integers where they are
    stored), and its real value."""

    handle: str
    real: str


class Stream(ABC):
    """The writer, and what holds each tensor of the graph: all frames of a step, in a loop one."""

    form: str  # as metadata and messages say it

    def __init__(self, graph: g.Graph) -> None:
        self.graph, self.w = graph, Writer()
        self.in_loop = False
        self.in_window = False  # behind the operator that makes them: every step begins anew
        self.before: dict[str, str] = {}  # handle of the frame before, of what is recalled
        self.kept: dict[str, Any] = {}  # what an operator keeps between frames, by its output
        self._held: dict[str, Held] = {}
        self._initial: dict[str, str] = {}
        self._after: list[Callable[[], None]] = []
        self._begun = layers.started(self.w, [step for step in graph.begins.values() if step])

    # --- values --------------------------------------------------------------------------------

    def handle(self, name: str) -> str:
        """The value by which a tensor is moved: real values, or the integers where they are
        stored."""
        return self._held[name].handle

    def real(self, name: str) -> str:
        """Its real values."""
        return self._held[name].real

    def bind(self, name: str, handle: str) -> None:
        """Let a tensor be what this handle holds."""
        self._held[name] = Held(handle, self.real_of(name, handle))

    @abstractmethod
    def put(self, name: str, value: str) -> None:
        """Let a tensor be these real values, as the form stores them."""

    @abstractmethod
    def real_of(self, name: str, handle: str) -> str:
        """Real values of a handle, however it was moved, that holds features of this tensor."""

    def rounded(self, value: str, scale: float) -> str:
        """What is left of a value where the integers hold it in 16 bits between two tables."""
        return value

    @abstractmethod
    def dtype(self, name: str) -> str:
        """The type of its handle."""

    @abstractmethod
    def cleared_handle(self, name: str, handle: str, op: g.Op) -> str:
        """A handle of this tensor as `op` keeps it: zeros before its state begins."""

    def size(self, name: str) -> tuple[int, int]:
        """(frames, features) of a tensor that is computed at once."""
        frames = 1 if self.in_loop else self.graph.frames_per_step(name)
        return frames, self.graph.tensors[name].features

    # --- operators -----------------------------------------------------------------------------

    def run(self, table: Table, recalls: Mapping[type[g.Op], Recall]) -> None:
        """Every operator in order, then what states hand to the next step."""
        self._recalls = recalls
        for in_loop, indices in self.graph.stretches():
            if in_loop:
                self._frame_by_frame(indices, table)
            else:
                self._emit(self.graph.ops[indices.start], table)
                self.in_window |= self.graph.ops[indices.start].makes_windows
        for write in self._after:
            write()

    def _emit(self, op: g.Op, table: Table) -> None:
        emit = table.get(type(op), "")
        if isinstance(emit, str):
            raise GraphError(
                f"{op.module}: {type(op).__name__} cannot be exported as {self.form} ONNX"
                + (f": {emit}" if emit else "")
            )
        with self.w.inside(op.module):
            emit(self, op)

    def _frame_by_frame(self, indices: range, table: Table) -> None:
        """A loop unrolled: all its operators on one frame before the next frame."""
        ops = [self.graph.ops[index] for index in indices]
        made, frames = {op.output for op in ops}, self.graph.frames_per_step(ops[0].output)
        given = list(dict.fromkeys(n for op in ops for n in op.inputs if n not in made))
        wanted: dict[str, list[str]] = {op.output: [] for op in ops if self._leaves(op, indices)}
        named = {name for op in ops for name in op.previous_names}
        whole = {name: self._held[name] for name in given}
        rows = {n: self.w.split(held.handle, frames, 1, axis=0) for n, held in whole.items()}
        self.in_loop = True
        for t in range(frames):
            for name in given:
                self.bind(name, rows[name][t])
            for op in ops:
                self._emit(op, table)
            self.before |= {name: self.handle(name) for name in named}
            for name, parts in wanted.items():
                parts.append(self.handle(name))
        self.in_loop = False
        self._held |= whole
        for name, parts in wanted.items():
            self.bind(name, self.w.concat(parts, axis=0))

    def _leaves(self, op: g.Op, loop: range) -> bool:
        """Whether what an operator of a loop makes is read outside of it."""
        readers = (self.graph.maker[user.output] for user in self.graph.users[op.output])
        return op.output == self.graph.output.name or any(i not in loop for i in readers)

    # --- state ---------------------------------------------------------------------------------

    def carry(
        self, what: str, shape: tuple[int, ...], dtype: str, last: Callable[[str], str]
    ) -> str:
        """A state of the current module from before the step; `last` makes its value after it. In
        a window it is zeros, and nothing is left of it."""
        if self.in_window:
            return self.w.constant("zeros", np.zeros(shape, dtype))
        state, module = self.w.state(what, shape, dtype), self.w.module

        def write() -> None:
            with self.w.inside(module):
                self.w.add("Identity", last(state.before), output=state.after)

        self._after.append(write)
        return state.before

    def begun(self, op: g.Op) -> str:
        """1, or 0 in the steps whose state `op` forgets; empty where it begins with the first."""
        return self._begun.get(self.graph.begins[op.output], "")

    def cleared(self, value: str, op: g.Op) -> str:
        """Real values as `op` keeps them: zeros before its state begins."""
        begun = self.begun(op)
        return self.w.add("Mul", value, begun) if begun else value

    def recur(self, op: g.Op, what: str, frame: Callable[..., tuple[str, str]]) -> list[str]:
        """The outputs of each frame, by `frame`: inputs and state (1, width) -> output and new
        state, which is float32 in both forms and as wide as the output."""
        (count, width), key = self.size(op.output), op.output
        if key not in self.kept:
            self.kept[key] = self.carry(
                what, (1, width), "float32", lambda _: self.cleared(self.kept[key], op)
            )
        outputs = []
        split = [self.w.split(self.real(name), count, 1, axis=0) for name in op.inputs]
        for inputs in zip(*split, strict=True):
            y, self.kept[key] = frame(*inputs, self.kept[key])
            outputs.append(y)
        return outputs

    def initial(self, name: str) -> str:
        """The extra input of this name, float32 (1, features): kept as it is, step after step."""
        if name not in self._initial:
            features = self.graph.initial[name].features
            before = self.carry("initial", (1, features), "float32", lambda before: before)
            self._initial[name] = self.w.initial[name] = before
        return self._initial[name]

    def previous(self, name: str, width: int) -> str:
        """Handle of the frame before of a tensor that is made later: what its operator recalls,
        or the newest frame, zeros at first."""
        maker = self.graph.ops[self.graph.maker[name]]
        with self.w.inside(maker.module):
            if type(maker) in self._recalls:
                return self._recalls[type(maker)](self, maker)
            if name not in self.before:
                users = [op for op in self.graph.ops if name in op.previous_names]
                latest = max(users, key=lambda op: self.graph.begins[op.output])
                self.before[name] = self.carry(
                    "previous",
                    (1, width),
                    self.dtype(name),
                    lambda _: self.cleared_handle(name, self.before[name], latest),
                )
            return self.before[name]

    def scalar(self, what: str, value: float) -> str:
        return self.w.constant(what, np.full(1, value, np.float32))

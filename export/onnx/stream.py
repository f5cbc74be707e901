"""What both forms do with a graph besides single operators: loops frame by frame, and state that
several frames share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable

from compress import graph as g
from export.onnx import layers
from export.onnx.writer import Writer

Emit = Callable[[g.Op], None]


class Stream(ABC):
    """The writer, and the value that holds each tensor of the graph: of all frames of a step, in a
    loop of one frame."""

    def __init__(self, graph: g.Graph) -> None:
        self.graph, self.w = graph, Writer()
        self.value: dict[str, str] = {}
        self.in_loop = False
        self.before: dict[
            str, str
        ] = {}  # what `handle` said of the frame before, of tensors that a Join names
        self.poses: dict[str, Pose] = {}
        self.cells: dict[str, str] = {}  # newest cell of each LSTM
        self._after: list[Callable[[], None]] = []
        self.started = layers.started(self.w, graph.start_up_steps) if graph.start_up else None

    @abstractmethod
    def handle(self, name: str) -> str:
        """The value by which a tensor is moved: real values, or the integers where they are
        stored."""

    @abstractmethod
    def bind(self, name: str, handle: str) -> None:
        """Let a tensor be what this handle holds."""

    @abstractmethod
    def previous(self, name: str, width: int) -> str:
        """Handle of the frame before of a tensor that is made later, zeros or the initial pose at
        first."""

    def size(self, name: str) -> tuple[int, int]:
        """(frames, features) of a tensor that is computed at once."""
        return 1 if self.in_loop else self.graph.frames_per_step(name), self.graph.tensors[
            name
        ].features

    def maker(self, name: str) -> g.Op:
        return next(op for op in self.graph.ops if op.output == name)

    def run(self, emit: Emit) -> None:
        """Every operator in order, then what states hand to the next step."""
        loop = self.graph.loop
        for index, op in enumerate(self.graph.ops):
            if index not in loop:
                self.w.module = op.module
                emit(op)
            elif index == loop.start:
                self._frame_by_frame(self.graph.ops[loop.start : loop.stop], emit)
        for write in self._after:
            write()

    def _frame_by_frame(self, ops: tuple[g.Op, ...], emit: Emit) -> None:
        """A loop unrolled: all its operators on one frame before the next frame."""
        made, frames = {op.output for op in ops}, self.graph.frames_per_step(ops[0].output)
        given = list(dict.fromkeys(name for op in ops for name in op.inputs if name not in made))
        named = {name for op in ops if isinstance(op, g.DelayedConcat) for name in op.previous}
        used = {name for op in self.graph.ops if op not in ops for name in op.inputs} | {
            self.graph.output.name
        }
        wanted: dict[str, list[str]] = {op.output: [] for op in ops if op.output in used}
        rows = {name: self.w.split(self.handle(name), frames, 1, axis=0) for name in given}
        self.in_loop = True
        for t in range(frames):
            for name in given:
                self.bind(name, rows[name][t])
            for op in ops:
                self.w.module = op.module
                emit(op)
            self.before = {name: self.handle(name) for name in named}
            for name, parts in wanted.items():
                parts.append(self.handle(name))
        self.in_loop = False
        for name, parts in wanted.items():
            self.bind(name, self.w.concat(parts, axis=0))

    def carry(
        self, what: str, shape: tuple[int, ...], dtype: str, last: Callable[[str], str]
    ) -> str:
        """A state of the current module from before the step; `last` makes its value after it,
        zeros while the stream starts."""
        state, module = self.w.state(what, shape, dtype), self.w.module

        def write() -> None:
            self.w.module = module
            self.w.add("Identity", last(state.before), output=state.after)

        self._after.append(write)
        return state.before

    def cleared(self, value: str) -> str:
        """Real values as a recurrent state keeps them: zeros while the stream starts."""
        return self.w.add("Mul", value, self.started) if self.started else value

    def lstm_cell(self, op: g.LstmCell, frame: Callable[[str, str], tuple[str, str]]) -> list[str]:
        """Hidden states of each frame, by `frame`: gates and cell -> hidden state and cell. Cells
        are float32 in both forms."""
        count, width = self.size(op.output)
        if op.output not in self.cells:
            self.cells[op.output] = self.carry(
                "cell", (1, width), "float32", lambda _: self.cleared(self.cells[op.output])
            )
        hidden = []
        for gates in self.w.split(self.value[op.inputs[0]], count, 1, axis=0):
            y, self.cells[op.output] = frame(gates, self.cells[op.output])
            hidden.append(y)
        return hidden


class Pose:
    """The pose (1, joints) of an `Integrate` from frame to frame: the one a stream begins with,
    what was added, frames counted.

    A subclass says how a sum is kept (`now`, `advance`).
    """

    def __init__(self, stream: Stream, op: g.Integrate) -> None:
        self.s, self.op, self.joints = stream, op, stream.graph.tensors[op.output].features
        stream.w.module = op.module
        self.initial = stream.carry("initial", (1, self.joints), "float32", lambda before: before)
        stream.w.initial_pose = self.initial
        self.total = ""
        self.counted = ""
        if op.position_steps:
            self.counted = stream.carry(
                "frames", (1,), "float32", lambda _: stream.cleared(self.counted)
            )

    def parts(self, frame: str) -> tuple[str, str]:
        """Position (empty without one) and velocity of a frame, each (1, joints)."""
        if not self.op.position_steps:
            return "", frame
        position, velocity = self.s.w.split(frame, 2, self.joints, axis=1)
        return position, velocity

    def chosen(self, position: str, moved: str) -> str:
        """`position` in the first valid frames, else `moved`; counts the frame."""
        if not self.op.position_steps:
            return moved
        w, most = self.s.w, layers.scalar(self.s.w, "most", float(self.op.position_steps))
        early = w.add("Less", self.counted, most)
        self.counted = w.add("Min", w.add("Add", self.counted, layers.scalar(w, "one", 1.0)), most)
        return w.add("Where", early, position, moved)

"""The step being written, operator by operator: values of the graph's tensors, single TFLite
operators, and how a stream starts.

Frames lie in a tensor as (1, frames, 1, features), so memory has the order of the C model.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from compress import graph as g
from compress.errors import GraphError
from export.tflite.model import OP, Array, File, State, Value

NONE, RELU = schema.ActivationFunctionType.NONE, schema.ActivationFunctionType.RELU
Q15 = 2.0**-15
ONE = 1.0 / 32767  # scale of a mask
START = "start_up"
UNIT = 64  # weight of a per-channel gain: the gain itself is in the channel's scale
MOST_JOINED = 8  # CONCATENATION takes ten inputs at most


@dataclass(frozen=True)
class Layer:
    """How a convolution moves over its input; `padded`: so that it gives as many frames and
    columns."""

    module: str
    stride: int
    padded: bool = False


@dataclass
class Pose:
    """Where an integration stands: int16 words of the pose, and what is left of it in steps of a
    velocity, (1, 1, 1, joints)."""

    word: Value
    rest: Value


class Lowering:
    """Emits a graph into a file; `values` maps tensors of the graph to those of the file."""

    def __init__(self, graph: g.Graph, file: File) -> None:
        self.graph, self.file, self.step = graph, file, file.step
        self.values: dict[str, Value] = {}
        self.windows: dict[
            str, tuple[Value, g.IntUnfold1d | g.IntIm2Col]
        ] = {}  # what a convolution looks into
        self.before: dict[str, Value] = {}  # frames before, of tensors that a Join names
        self.frame: int | None = None  # of a loop that is being unrolled
        self.carried: list[
            tuple[State, Callable[[], Value]]
        ] = []  # states whose new value is known at the end of the step
        self.cells: dict[str, Value] = {}  # newest cell of each LSTM
        self.poses: dict[str, Pose] = {}
        self.start = Start(self)
        self.users: dict[str, list[g.Op]] = {}
        for op in graph.ops:
            for name in op.inputs:
                self.users.setdefault(name, []).append(op)

    def run(self, emitters: dict[type[g.Op], Callable[..., None]]) -> None:
        """The whole step, input and output first in their lists; GraphError names an operator that
        `emitters` lacks."""
        source, loop = self.graph.input, self.graph.loop
        shape = (1, self.graph.samples_per_step, 1, source.features)
        self.values[source.name] = self.step.tensor(
            source.name, shape, np.int16, self.scale(source.name)
        )
        self.step.content.inputs.append(self.values[source.name].index)
        for index, op in enumerate(self.graph.ops):
            if type(op) not in emitters:
                raise GraphError(f"{op.module}: {type(op).__name__} has no TFLite form")
            if index not in loop:
                emitters[type(op)](self, op)
            elif index == loop.start:
                self._frame_by_frame(self.graph.ops[loop.start : loop.stop], emitters)
        for state, newest in self.carried:
            self.file.write_state(state, newest())
        self.step.content.outputs = [
            self.values[self.graph.output.name].index,
            *self.file.next_states(),
        ]

    def _frame_by_frame(
        self, ops: tuple[g.Op, ...], emitters: dict[type[g.Op], Callable[..., None]]
    ) -> None:
        """A loop unrolled: all its operators on one frame before the next frame."""
        made = {op.output for op in ops}
        given = list(dict.fromkeys(name for op in ops for name in op.inputs if name not in made))
        named = {name for op in ops if isinstance(op, g.DelayedConcat) for name in op.previous}
        used = {name for op in self.graph.ops if op not in ops for name in op.inputs} | {
            self.graph.output.name
        }
        frames: dict[str, list[Value]] = {op.output: [] for op in ops if op.output in used}
        rows = {name: self.split(self.values[name], name) for name in given}
        for t in range(self.graph.frames_per_step(ops[0].output)):
            self.frame = t
            self.values |= {name: rows[name][t] for name in given}
            for op in ops:
                if type(op) not in emitters:
                    raise GraphError(f"{op.module}: {type(op).__name__} has no TFLite form")
                emitters[type(op)](self, op)
            self.before |= {name: self.values[name] for name in named}
            for name, parts in frames.items():
                parts.append(self.values[name])
        self.frame = None
        self.values |= {name: self.join(parts, name) for name, parts in frames.items()}

    def scale(self, name: str) -> float:
        return float(self.graph.tensors[name].scale or 0.0)

    def frames(self, name: str) -> tuple[int, int, int, int]:
        """Shape of a tensor of the graph in one step, in a loop of one frame."""
        return (
            1,
            1 if self.frame is not None else self.graph.frames_per_step(name),
            1,
            self.graph.tensors[name].features,
        )

    def result(self, op: g.Op) -> Value:
        """The tensor that holds the output of an operator."""
        value = self.step.tensor(op.output, self.frames(op.output), np.int16, self.scale(op.output))
        self.values[op.output] = value
        return value

    def initial_pose(self, name: str, shape: tuple[int, ...], scale: float) -> Value:
        """What a stream begins with: an input of every step, or state that a step hands on as it
        is."""
        index = len(self.step.content.inputs)
        if self.file.variables:
            value = self.file.input(name, shape, scale)
        else:
            state = self.file.read_state(name, shape, scale)
            value = state.value
            self.carried.append((state, lambda: self.copy(value, name)))
        self.file.note("tendon.initial_pose", str(index))
        return value

    # --- single TFLite operators ------------------------------------------------------------------

    def reshape(self, x: Value, shape: tuple[int, ...], name: str) -> Value:
        return x if x.shape == shape else self.copy(x, name, shape)

    def copy(self, x: Value, name: str, shape: tuple[int, ...] = ()) -> Value:
        """RESHAPE, also where it changes no shape."""
        shape = shape or x.shape
        y = self.step.tensor(name, shape, x.dtype, x.scale)
        options = schema.ReshapeOptionsT()
        options.newShape = list(shape)
        self.step.op(OP.RESHAPE, [x], [y], options)
        return y

    def multiply(self, a: Value, b: Value, y: Value) -> Value:
        self.step.op(OP.MUL, [a, b], [y], schema.MulOptionsT())
        return y

    def add(self, a: Value, b: Value, y: Value, relu: bool = False) -> Value:
        options = schema.AddOptionsT()
        options.fusedActivationFunction = RELU if relu else NONE
        options.potScaleInt16 = False
        self.step.op(OP.ADD, [a, b], [y], options)
        return y

    def subtract(self, a: Value, b: Value, y: Value) -> Value:
        self.step.op(OP.SUB, [a, b], [y], schema.SubOptionsT())
        return y

    def convert(self, code: int, x: Value, y: Value) -> Value:
        """QUANTIZE or DEQUANTIZE."""
        self.step.op(
            code,
            [x],
            [y],
            schema.QuantizeOptionsT() if code == OP.QUANTIZE else schema.DequantizeOptionsT(),
        )
        return y

    def real(self, x: Value, name: str) -> Value:
        return self.convert(OP.DEQUANTIZE, x, self.step.tensor(name, x.shape, np.float32))

    def slice(self, x: Value, begin: int, end: int, stride: int, name: str) -> Value:
        """Every `stride`-th frame of begin…end − 1."""
        if (begin, end, stride) == (0, x.shape[1], 1):
            return x
        y = self.step.tensor(
            name, (x.shape[0], -(-(end - begin) // stride), *x.shape[2:]), x.dtype, x.scale
        )
        bounds = ((0, begin, 0, 0), (x.shape[0], end, *x.shape[2:]), (1, stride, 1, 1))
        constants = [self.step.constant("bounds", np.array(bound, np.int32)) for bound in bounds]
        self.step.op(OP.STRIDED_SLICE, [x, *constants], [y], schema.StridedSliceOptionsT())
        return y

    def split(self, u: Value, name: str, axis: int = 1, parts: int = 0) -> list[Value]:
        """Equal parts along an axis, frames if `parts` does not say how many."""
        parts = parts or u.shape[axis]
        if parts == 1:
            return [u]
        which = self.step.constant("frames" if axis == 1 else "axis", np.array(axis, np.int32))
        shape = tuple(n // parts if i == axis else n for i, n in enumerate(u.shape))
        outputs = [
            self.step.tensor(f"{name}.frame{t}", shape, u.dtype, u.scale) for t in range(parts)
        ]
        options = schema.SplitOptionsT()
        options.numSplits = parts
        self.step.op(OP.SPLIT, [which, u], outputs, options)
        return outputs

    def join(self, parts: list[Value], name: str, axis: int = 1) -> Value:
        """Parts one behind the other along an axis, eight at a time."""
        if len(parts) == 1:
            return parts[0]
        joined = []
        for group in (parts[i : i + MOST_JOINED] for i in range(0, len(parts), MOST_JOINED)):
            shape = tuple(
                sum(v.shape[axis] for v in group) if i == axis else n
                for i, n in enumerate(group[0].shape)
            )
            y = self.step.tensor(f"{name}.joined", shape, group[0].dtype, group[0].scale)
            options = schema.ConcatenationOptionsT()
            options.axis = axis
            self.step.op(OP.CONCATENATION, group, [y], options)
            joined.append(y)
        return self.join(joined, name, axis)

    def sigmoid(self, x: Value, name: str, code: int = OP.LOGISTIC) -> Value:
        """LOGISTIC, or TANH."""
        y = self.step.tensor(name, x.shape, np.int16, Q15)
        self.step.op(code, [x], [y])
        return y

    def dot(self, a: Value, b: Value, y: Value) -> Value:
        """(1, batch, i, k) · (1, batch, j, k)ᵀ -> (1, batch, i, j): sums of 16 × 16 bits, rounded
        once."""
        options = schema.BatchMatMulOptionsT()
        options.adjY = True
        self.step.op(OP.BATCH_MATMUL, [a, b], [y], options)
        return y

    def everywhere(self, value: float, shape: tuple[int, ...]) -> Value:
        """A constant of one value in every place: broadcasting one costs five times an element's
        work in TFLite-Micro."""
        return self.step.constant(
            f"constant.{value:g}", np.full(shape, 32767, np.int16), value / 32767
        )

    def per_channel(
        self,
        x: Value,
        gain: Array,
        bias: Array,
        y: Value,
        module: str,
        taps: int = 1,
        relu: bool = False,
    ) -> Value:
        """y[t][c] = gain[c]·Σ_{j<taps} x[t·taps + j][c] + bias[c] in real values, rounded once.

        A depthwise convolution whose weights are all ±UNIT: the gains are in the scales of its
        channels.
        """
        width = np.maximum(np.abs(gain), 1e-30) / UNIT
        weight = np.broadcast_to(np.where(gain < 0, -UNIT, UNIT), (1, taps, 1, len(gain))).astype(
            np.int8
        )
        total = np.round(bias / (x.scale * width)).astype(np.int64)
        return self.depthwise(x, weight, width, total, y, module, stride=taps, relu=relu)

    def depthwise(
        self,
        x: Value,
        weight: Array,
        width: Array,
        bias: Array,
        y: Value,
        module: str,
        stride: int = 1,
        relu: bool = False,
    ) -> Value:
        """weight (1, taps, 1, channels) int8 with the scales `width` (channels,), bias int64."""
        constants = [
            self.step.constant(f"{module}.gain", weight, width, axis=3),
            self.step.constant(f"{module}.bias", bias),
        ]
        options = schema.DepthwiseConv2DOptionsT()
        options.padding, options.depthMultiplier, options.strideH, options.strideW = (
            schema.Padding.VALID,
            1,
            stride,
            1,
        )
        options.dilationHFactor = options.dilationWFactor = 1
        options.fusedActivationFunction = RELU if relu else NONE
        self.step.op(OP.DEPTHWISE_CONV_2D, [x, *constants], [y], options)
        return y

    def convolve(
        self, x: Value, y: Value, weight: Array, bias: Array, ratio: Array, layer: Layer, relu: bool
    ) -> Value:
        """weight (out, kernel, columns, in) int8, bias (out,), ratio (out,): integer output per
        unit of the sum."""
        width = ratio * y.scale / x.scale
        constants = [
            self.step.constant(f"{layer.module}.weight", weight, width),
            self.step.constant(
                f"{layer.module}.bias", bias.astype(np.int32)
            ),  # its scale follows from the others: not stored
        ]
        options = schema.Conv2DOptionsT()
        options.quantizedBiasType = (
            schema.TensorType.INT32
        )  # what LiteRT goes by; TFLite-Micro goes by the bias itself
        options.padding = schema.Padding.SAME if layer.padded else schema.Padding.VALID
        options.strideH, options.strideW = layer.stride, 1
        options.dilationHFactor = options.dilationWFactor = 1
        options.fusedActivationFunction = RELU if relu else NONE
        self.step.op(OP.CONV_2D, [x, *constants], [y], options)
        return y


class Start:
    """What a stream begins with: counts the steps, and says with constants of one width where they
    stand.

    A mask is int16 (1, 1, 1, width), 0 or 32767 · 1/32767: a convolution with one input, whose sum
    saturates at 1.
    """

    def __init__(self, lowering: Lowering) -> None:
        self._b = lowering
        self._steps: Value | None = None
        self._masks: dict[tuple[int, int, int], Value] = {}

    def mask(self, sign: int, bias: int, width: int) -> Value:
        """1 where sign · (steps before this one) + bias ≥ 1, else 0."""
        key = (sign, bias, width)
        if key not in self._masks:
            step, name = self._b.step, f"{START}.mask"
            weight, total = np.full((width, 1, 1, 1), sign, np.int8), np.full(width, bias)
            y = step.tensor(name, (1, 1, 1, width), np.int16, ONE)
            self._masks[key] = self._b.convolve(
                self._count(), y, weight, total, np.full(width, 1 / ONE), Layer(name, 1), relu=True
            )
        return self._masks[key]

    def _count(self) -> Value:
        """The steps before this one, at most 32767."""
        if self._steps is None:
            b = self._b
            state = b.file.read_state(f"{START}.steps", (1, 1, 1, 1), 1.0)
            self._steps = state.value
            one = b.step.constant(f"{START}.one", np.ones((1, 1, 1, 1), np.int16), 1.0)
            b.carried.append(
                (
                    state,
                    lambda: b.add(
                        state.value,
                        one,
                        b.step.tensor(f"{START}.counted", (1, 1, 1, 1), np.int16, 1.0),
                    ),
                )
            )
        return self._steps

    def begun(self, width: int) -> Value:
        """1 once a step after the start-up is over: states are what it left."""
        return self.mask(1, -self._b.graph.start_up_steps, width)

    def fresh(self, width: int) -> Value:
        """1 until then."""
        return self.mask(-1, self._b.graph.start_up_steps + 1, width)

    def recurrent(
        self, name: str, shape: tuple[int, ...], scale: float, newest: Callable[[], Value]
    ) -> Value:
        """A state as its operator finds it; float32 with scale 0. `newest`: its value at the end of
        the step."""
        state = self._b.file.read_state(name, shape, scale)
        self._b.carried.append((state, newest))
        return self.cleared(state)

    def cleared(self, state: State) -> Value:
        """The value of a state before the step, zeros until the stream has started."""
        b, x, name = self._b, state.value, f"{state.name}.cleared"
        if not b.graph.start_up:
            return x
        mask = b.reshape(self.begun(int(np.prod(x.shape))), x.shape, f"{START}.mask")
        mask = mask if x.scale else b.real(mask, f"{START}.real")
        return b.multiply(x, mask, b.step.tensor(name, x.shape, x.dtype, x.scale))

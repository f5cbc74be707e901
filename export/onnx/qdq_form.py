"""`qdq.onnx`: the integer graph as QuantizeLinear/DequantizeLinear pairs around float operators,
with the graph's own scales.

Weights, biases, poles and read-outs are the stored integers; their scales follow from the stored
multipliers. What the integers do between two quantizations (tables, Newton steps, 32-bit sums) is
done in float32 here, so outputs are close and not equal.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto

from compress import graph as g
from compress.errors import GraphError
from compress.interpreter.float import ACTIVATIONS
from compress.interpreter.integer import CELL_LIMIT
from compress.ops.tables import fit_table
from compress.quantization.quantize import GATE_SCALE, TANH_SCALE, prove_no_overflow
from export.onnx import layers
from export.onnx.stream import Pose, Stream
from export.onnx.writer import SAMPLES, output_name

Array = g.Array
INT32 = TensorProto.INT32
Q15 = 2.0**-15
CELL_END = (CELL_LIMIT + 1) * 2.0**-24  # of a cell


class Model(Stream):
    """Keeps for each tensor of the graph its quantized value beside the dequantized one."""

    def __init__(self, graph: g.Graph) -> None:
        super().__init__(graph)
        self.quantized: dict[str, str] = {}
        self.unrounded = {
            op.inputs[0]
            for op in graph.ops
            if isinstance(op, g.IntGlu | g.IntLstmCell) or _has_positions(op)
        }

    def scale(self, name: str) -> float:
        return float(self.graph.tensors[name].scale or 0.0)

    def dtype(self, name: str) -> str:
        return "int8" if self.graph.tensors[name].hi == g.INT8[1] else "int16"

    def real(self, what: str, values: Array) -> str:
        return self.w.constant(what, np.asarray(values, np.float32))

    def stored(self, what: str, integers: Array, scale: Array | float, axis: int = 0) -> str:
        """Integers as the graph stores them, dequantized with one scale, or one for each index of
        an axis."""
        return self.dequantize(self.w.constant(what, integers), scale, axis)

    def quantize(
        self, value: str, scale: Array | float, dtype: type = np.int16, axis: int = 0
    ) -> str:
        """Integers with zero point 0."""
        zero = self.w.constant("zero", np.zeros(np.shape(scale), dtype))
        return self.w.add(
            "QuantizeLinear", value, self.real("scale", np.asarray(scale)), zero, axis=axis
        )

    def dequantize(self, integers: str, scale: Array | float, axis: int = 0) -> str:
        return self.w.add(
            "DequantizeLinear", integers, self.real("scale", np.asarray(scale)), axis=axis
        )

    def rounded(self, value: str, scale: float) -> str:
        """What is left of a value in int16."""
        return self.dequantize(self.quantize(value, scale), scale)

    def store(self, name: str, value: str) -> None:
        """Round and clamp a value to what this tensor of the graph can hold."""
        tensor, scale = self.graph.tensors[name], self.scale(name)
        narrow = tensor.hi == g.INT8[1]
        lowest, highest = g.INT8 if narrow else g.INT16
        if tensor.hi != highest or tensor.lo not in (0, lowest):
            raise GraphError(
                f"{name}: the range {tensor.lo}…{tensor.hi} cannot be exported as QDQ ONNX"
            )
        if tensor.lo == 0:
            value = self.w.add("Relu", value)
        self.quantized[name] = self.quantize(value, scale, np.int8 if narrow else np.int16)
        self.value[name] = self.dequantize(self.quantized[name], scale)

    def windows(self, name: str, kernel: int, groups: int) -> str:
        """Kernel frames side by side, or groups of features apart.

        Integers are moved, then dequantized: onnxruntime 1.31 cannot load int8 the other way.
        """
        if kernel == 1 and groups == 1:
            return self.value[name]
        frames, features = self.size(name)
        moved = layers.grouped(self.w, self.quantized[name], groups, frames, features)
        return self.dequantize(
            layers.windows(self.w, moved, kernel, frames, features), self.scale(name)
        )

    def handle(self, name: str) -> str:
        return self.quantized[name]

    def bind(self, name: str, handle: str) -> None:
        self.quantized[name] = handle
        self.value[name] = self.dequantize(handle, self.scale(name))

    def previous(self, name: str, width: int) -> str:
        maker = self.maker(name)
        if isinstance(maker, g.IntIntegrate):
            return self.pose(maker).now()
        if name not in self.before:
            self.w.module = maker.module
            self.before[name] = self.carry(
                "previous", (1, width), "int16", lambda _: self._kept(name)
            )
        return self.before[name]

    def _kept(self, name: str) -> str:
        if not self.started:
            return self.before[name]
        return self.quantize(
            self.cleared(self.dequantize(self.before[name], self.scale(name))), self.scale(name)
        )

    def pose(self, op: g.IntIntegrate) -> QuantizedPose:
        if op.output not in self.poses:
            self.poses[op.output] = QuantizedPose(self, op)
        pose = self.poses[op.output]
        assert isinstance(pose, QuantizedPose)
        return pose


def _has_positions(op: g.Op) -> bool:
    return isinstance(op, g.IntIntegrate) and op.position_steps > 0


class QuantizedPose(Pose):
    """The sum is int32 in steps of a velocity, as in the integer graph: it does not drift, however
    long the stream."""

    def __init__(self, model: Model, op: g.IntIntegrate) -> None:
        super().__init__(model, op)
        self.model, self.scale, self.step = model, model.scale(op.output), 2**op.fraction
        self.velocity_scale = self.scale / self.step
        self.begin = self.model.quantize(self.initial, self.scale)
        self.whole = model.w.add("Cast", self.begin, to=INT32)
        least, most = (
            self._scaled(model.w.add("Sub", self._integer("end", end), self.whole))
            for end in g.INT16
        )
        self.least, self.most = least, most
        self.total = model.carry("total", (1, self.joints), "int32", lambda _: self._kept())

    def _integer(self, what: str, value: int) -> str:
        return self.model.w.constant(what, np.full(1, value, np.int32))

    def _scaled(self, steps: str) -> str:
        """Steps of a pose as steps of a velocity."""
        return self.model.w.add("Mul", steps, self._integer("fraction", self.step))

    def _kept(self) -> str:
        w = self.model.w
        return (
            w.add("Mul", self.total, w.add("Cast", self.model.started, to=INT32))
            if self.model.started
            else self.total
        )

    def now(self) -> str:
        """int16."""
        m = self.model
        moved = m.dequantize(self.total, self.velocity_scale)
        return m.quantize(m.w.add("Add", m.dequantize(self.begin, self.scale), moved), self.scale)

    def advance(self, frame: str) -> str:
        """The pose (int16) after one frame of real values."""
        m, w = self.model, self.model.w
        position, velocity = self.parts(frame)
        away = ""
        if position:
            steps = w.add("Cast", m.quantize(position, self.scale), to=INT32)
            away = self._scaled(w.add("Sub", steps, self.whole))
        taken = w.add("Cast", m.quantize(velocity, self.velocity_scale), to=INT32)
        moved = w.add("Max", w.add("Min", w.add("Add", self.total, taken), self.most), self.least)
        self.total = self.chosen(away, moved)
        return self.now()


class QuantizedState:
    """int16 with one scale for each channel: what the step returns is fed back without a
    conversion."""

    def __init__(self, model: Model, what: str, shape: tuple[int, ...], scale: Array) -> None:
        self._model, self._scale = model, scale
        self._state = model.w.state(what, shape, "int16")
        self._last = self._state.before

    def read(self) -> str:
        return self._model.dequantize(self._state.before, self._scale, axis=1)

    def keep(self, value: str) -> str:
        self._last = self._model.quantize(value, self._scale, axis=1)
        return self._model.dequantize(self._last, self._scale, axis=1)

    def write(self) -> None:
        last = self._last
        if self._model.started:
            value = self._model.w.add(
                "Mul", self._model.dequantize(last, self._scale, axis=1), self._model.started
            )
            last = self._model.quantize(value, self._scale, axis=1)
        self._model.w.add("Identity", last, output=self._state.after)


def write(graph: g.Graph) -> onnx.ModelProto:
    """The step of an integer graph; GraphError names what could overflow, or has no form in
    ONNX."""
    model = Model(prove_no_overflow(graph))
    model.w.module = graph.input.name
    model.store(graph.input.name, SAMPLES)

    def emit(op: g.Op) -> None:
        if type(op) in _MOVERS:
            _MOVERS[type(op)](model, op)
            return
        if type(op) not in _WRITERS:
            raise GraphError(f"{op.module}: {type(op).__name__} cannot be exported as QDQ ONNX")
        value = _WRITERS[type(op)](model, op, [model.value[name] for name in op.inputs])
        if (
            op.output in model.unrounded
        ):  # its parts have scales of their own: who reads them rounds them
            model.value[op.output] = value
        else:
            model.store(op.output, value)

    model.run(emit)
    model.w.module = ""
    model.w.add("Identity", model.value[graph.output.name], output=output_name(graph))
    return model.w.finish(graph, "qdq")


def _pool(m: Model, op: g.IntMeanPool | g.IntMaxPool, x: list[str]) -> str:
    frames, features = m.size(op.output)
    return layers.pool(m.w, x[0], _REDUCE[type(op)], op.factor, frames, (frames, features))


def _over(m: Model, op: g.GroupReduce, x: list[str]) -> str:
    frames, features = m.size(op.output)
    return layers.pool(
        m.w, x[0], _REDUCE[type(op)], op.copies, frames * op.bands, (frames, features)
    )


def _window(m: Model, op: g.IntUnfold1d) -> None:
    name = op.inputs[0]
    m.bind(op.output, layers.window(m.w, m.quantized[name], op, m.dtype(name), *m.size(name)))


def _join(m: Model, op: g.IntDelayedConcat) -> None:
    parts = [m.previous(name, width) for name, width in zip(op.previous, op.widths, strict=True)]
    m.w.module = op.module
    m.bind(op.output, m.w.concat([m.quantized[op.inputs[0]], *parts], axis=1))


def _patches(m: Model, op: g.IntIm2Col) -> None:
    name = op.inputs[0]
    m.bind(op.output, layers.patches(m.w, m.quantized[name], op, m.dtype(name), *m.size(name)))


def _repeat(m: Model, op: g.IntTile) -> None:
    m.bind(op.output, layers.repeat(m.w, m.quantized[op.inputs[0]], op, *m.size(op.inputs[0])))


def _integrate(m: Model, op: g.IntIntegrate) -> None:
    """Its poses are int16 already."""
    pose, frames = m.pose(op), m.size(op.output)[0]
    m.w.module = op.module
    m.bind(
        op.output,
        m.w.concat(
            [pose.advance(x) for x in m.w.split(m.value[op.inputs[0]], frames, 1, axis=0)], axis=0
        ),
    )


def _step(m: Model, op: g.IntStep, x: list[str]) -> str:
    return layers.step(m.w, x[0], m.real("high", np.asarray(op.high * m.scale(op.output))))


def _linear(m: Model, op: g.IntDense, x: list[str]) -> str:
    bands, out, kernel, width = op.weight.shape
    s_in = m.scale(op.inputs[0])
    if kernel != op.frames_per_output or (kernel > 1 and bands > 1):
        raise GraphError(
            f"{op.module}: kernel {kernel} with stride {op.frames_per_output} and {bands} bands"
            " cannot be exported as QDQ ONNX"
        )
    s_out = _row_output_scales(m, op)

    def layer(band: int, part: str) -> str:
        s_row = ratio(op.mult[band], op.shift) * s_out / s_in
        weight = m.stored("weight", op.weight[band].reshape(out, -1), s_row)
        bias = m.stored("bias", op.bias[band], s_row * s_in)
        return layers.dense(m.w, part, weight, bias)

    y = layers.per_band(m.w, m.windows(op.inputs[0], kernel, op.shared), bands, width, layer)
    return layers.ungrouped(m.w, y, op.shared, *m.size(op.output))


def _row_output_scales(m: Model, op: g.IntDense) -> Array:
    """(out,): the output's scale, but for parts of a row of gates, and of poses beside velocities
    (see compress/quantization/quantize.py)."""
    out = op.weight.shape[1]
    scales = np.full(out, m.scale(op.output))
    for user in m.graph.ops:
        if op.output not in user.inputs:
            continue
        if isinstance(user, g.IntGlu):
            scales[out // 2 :] = GATE_SCALE
        elif isinstance(user, g.IntLstmCell):
            scales[out // 2 : out * 3 // 4] = TANH_SCALE
        elif _has_positions(user):
            scales[: out // 2] = m.scale(user.output)
    return scales


def ratio(mult: Array | int, shift: int) -> Array:
    """What requant(acc, shift, mult) multiplies with."""
    return np.asarray(mult, np.float64) * 2.0 ** (shift - 32)


def _layer_norm(m: Model, op: g.IntLayerNorm, x: list[str]) -> str:
    """The integers hold gain·√n·16/s_out, bias/s_out and n³·ε/s_in²."""
    n, s_in, s_out = op.gain.shape[1], m.scale(op.inputs[0]), m.scale(op.output)

    def layer(band: int, part: str) -> str:
        gain = m.stored("gain", op.gain[band], s_out / (16 * n**0.5))
        bias = m.stored("bias", op.bias[band], s_out)
        return layers.layer_norm(m.w, part, gain, bias, op.epsilon * s_in**2 / n**3)

    return layers.per_band(m.w, x[0], op.gain.shape[0], n, layer)


def _lut(m: Model, op: g.IntLut, x: list[str]) -> str:
    target = m.graph.tensors[op.output]
    for kind in layers.ACTIVATIONS:
        function = ACTIVATIONS[kind]
        if np.array_equal(
            fit_table(function, m.scale(op.inputs[0]), m.scale(op.output), target.lo, target.hi),
            op.table,
        ):
            return layers.activation(m.w, x[0], kind)
    raise GraphError(
        f"{op.module}: a table of none of {', '.join(layers.ACTIVATIONS)} cannot be exported as QDQ"
        " ONNX"
    )


def _state_space(m: Model, op: g.IntStateSpace, x: list[str]) -> str:
    """g says the state's scale, mult the output's: see compress/quantization/quantize.py."""
    (frames, channels), s_in = m.size(op.inputs[0]), m.scale(op.inputs[0])
    s_state = s_in * 2.0**15 / np.maximum(op.g, 1)
    s_acc = ratio(op.mult, op.shift) * m.scale(op.output)
    a = _parts(m, "a", op.a, Q15)
    c = _parts(m, "c", op.c, s_acc / s_state)
    shape = (1, *op.a.shape[:2])
    states = QuantizedState(m, "re", shape, s_state), QuantizedState(m, "im", shape, s_state)
    history = layers.recurrence(m.w, x[0], a, states, frames, channels)
    return layers.read_out(m.w, history, x[0], c, m.stored("d", op.d, s_acc / s_in))


def _parts(m: Model, what: str, integers: Array, scale: Array | float) -> tuple[str, str]:
    """(H, N, 2) -> real and imaginary values (1, H, N), a scale for each channel."""
    re, im = (
        m.stored(f"{what}.{name}", integers[None, :, :, i], scale, axis=1)
        for i, name in enumerate(("re", "im"))
    )
    return re, im


def _glu(m: Model, op: g.IntGlu, x: list[str]) -> str:
    if not np.array_equal(op.table, fit_table(ACTIVATIONS["sigmoid"], GATE_SCALE, Q15, 0, 32767)):
        raise GraphError(
            f"{op.module}: a gate that is not the sigmoid cannot be exported as QDQ ONNX"
        )
    half, gate = m.w.split(x[0], 2, m.size(op.output)[1], axis=1)
    half, gate = m.rounded(half, m.scale(op.inputs[0])), m.rounded(gate, GATE_SCALE)
    return layers.glu(m.w, half, m.rounded(m.w.add("Sigmoid", gate), Q15))


def _interpolate(m: Model, op: g.IntInterpolate, x: list[str]) -> str:
    (frames, features), scale = m.size(op.inputs[0]), m.scale(op.inputs[0])
    newest = m.w.split(m.quantized[op.inputs[0]], frames, 1, axis=0)[-1]
    past = m.dequantize(
        m.carry("past", (1, features), m.dtype(op.inputs[0]), lambda _: newest), scale
    )
    return layers.interpolate(m.w, x[0], past, op.factor, frames, features)


def _lstm_cell(m: Model, op: g.IntLstmCell, x: list[str]) -> str:
    """Gates and tables are rounded as the integers are; cells have no 32-bit form in QDQ, float32
    holds as many bits."""
    for table, kind, scale in ((op.sigmoid, "sigmoid", GATE_SCALE), (op.tanh, "tanh", TANH_SCALE)):
        if not np.array_equal(
            table,
            fit_table(ACTIVATIONS[kind], scale, Q15, 0 if kind == "sigmoid" else -32767, 32767),
        ):
            raise GraphError(
                f"{op.module}: a table that is not the {kind} cannot be exported as QDQ ONNX"
            )
    ends = [m.real("end", np.asarray(end * CELL_END)) for end in (-1, 1)]

    def gate(value: str, kind: str, scale: float) -> str:
        return m.rounded(m.w.add(kind, m.rounded(value, scale)), Q15)

    def frame(gates: str, cell: str) -> tuple[str, str]:
        i, f, value, o = m.w.split(gates, 4, m.size(op.output)[1], axis=1)
        i, f, o = (gate(part, "Sigmoid", GATE_SCALE) for part in (i, f, o))
        taken = m.w.add("Mul", i, gate(value, "Tanh", TANH_SCALE))
        cell = m.w.add("Clip", m.w.add("Add", m.w.add("Mul", f, cell), taken), *ends)
        return m.w.add("Mul", o, gate(cell, "Tanh", TANH_SCALE)), cell

    return m.w.concat(m.lstm_cell(op, frame), axis=0)


def _add(m: Model, op: g.IntAdd, x: list[str]) -> str:
    return m.w.add("Add", *x)


def _log_softmax(m: Model, op: g.IntLogSoftmax, x: list[str]) -> str:
    return m.w.add("LogSoftmax", x[0], axis=-1)


_REDUCE: dict[type[g.Op], str] = {
    g.IntMeanPool: "ReduceMean",
    g.IntGroupMean: "ReduceMean",
    g.IntMaxPool: "ReduceMax",
    g.IntGroupMax: "ReduceMax",
}
_WRITERS: dict[type[g.Op], Callable[[Model, Any, list[str]], str]] = {
    g.IntMeanPool: _pool,
    g.IntMaxPool: _pool,
    g.IntGroupMean: _over,
    g.IntGroupMax: _over,
    g.IntStep: _step,
    g.IntDense: _linear,
    g.IntLayerNorm: _layer_norm,
    g.IntLut: _lut,
    g.IntStateSpace: _state_space,
    g.IntGlu: _glu,
    g.IntAdd: _add,
    g.IntLogSoftmax: _log_softmax,
    g.IntInterpolate: _interpolate,
    g.IntLstmCell: _lstm_cell,
}
_MOVERS: dict[
    type[g.Op], Callable[[Model, Any], None]
] = {  # integers in, integers out: their output needs no rounding
    g.IntUnfold1d: _window,
    g.IntDelayedConcat: _join,
    g.IntIm2Col: _patches,
    g.IntTile: _repeat,
    g.IntIntegrate: _integrate,
}

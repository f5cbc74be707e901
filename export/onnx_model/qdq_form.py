"""`qdq.onnx`: the integer graph as QuantizeLinear/DequantizeLinear pairs around float operators, with the graph's own scales.

Weights, biases, poles and read-outs are the stored integers; their scales follow from the stored multipliers. What the integers
do between two quantizations (tables, Newton steps, 32-bit sums) is done in float32 here, so outputs are close and not equal.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx

from compress import graph as g
from compress.errors import GraphError
from compress.floating import ACTIVATIONS
from compress.quantize import GATE_SCALE, prove_no_overflow
from compress.tables import fit_table
from export.onnx_model import layers
from export.onnx_model.writer import OUTPUT, SAMPLES, Writer

Array = g.Array
Q15 = 2.0**-15


class Model:
    """The writer, and for each tensor of the graph its quantized and its dequantized value."""

    def __init__(self, graph: g.Graph) -> None:
        self.graph, self.w = graph, Writer()
        self.quantized: dict[str, str] = {}
        self.value: dict[str, str] = {}
        self.started = layers.started(self.w, graph.start_up) if graph.start_up else None
        self.gates = {op.inputs[0] for op in graph.ops if isinstance(op, g.IntGlu)}

    def scale(self, name: str) -> float:
        return float(self.graph.tensors[name].scale or 0.0)

    def size(self, name: str) -> tuple[int, int]:
        """(frames, features) of a tensor in one step."""
        return self.graph.frames_per_step(name), self.graph.tensors[name].features

    def real(self, what: str, values: Array) -> str:
        return self.w.constant(what, np.asarray(values, np.float32))

    def stored(self, what: str, integers: Array, scale: Array | float, axis: int = 0) -> str:
        """Integers as the graph stores them, dequantized with one scale, or one for each index of an axis."""
        return self.dequantize(self.w.constant(what, integers), scale, axis)

    def quantize(self, value: str, scale: Array | float, dtype: type = np.int16, axis: int = 0) -> str:
        """Integers with zero point 0."""
        zero = self.w.constant("zero", np.zeros(np.shape(scale), dtype))
        return self.w.add("QuantizeLinear", value, self.real("scale", np.asarray(scale)), zero, axis=axis)

    def dequantize(self, integers: str, scale: Array | float, axis: int = 0) -> str:
        return self.w.add("DequantizeLinear", integers, self.real("scale", np.asarray(scale)), axis=axis)

    def rounded(self, value: str, scale: float) -> str:
        """What is left of a value in int16."""
        return self.dequantize(self.quantize(value, scale), scale)

    def store(self, name: str, value: str) -> None:
        """Round and clamp a value to what this tensor of the graph can hold."""
        tensor, scale = self.graph.tensors[name], self.scale(name)
        narrow = tensor.hi == g.INT8[1]
        lowest, highest = g.INT8 if narrow else g.INT16
        if tensor.hi != highest or tensor.lo not in (0, lowest):
            raise GraphError(f"{name}: the range {tensor.lo}…{tensor.hi} cannot be exported as QDQ ONNX")
        if tensor.lo == 0:
            value = self.w.add("Relu", value)
        self.quantized[name] = self.quantize(value, scale, np.int8 if narrow else np.int16)
        self.value[name] = self.dequantize(self.quantized[name], scale)

    def windows(self, name: str, kernel: int) -> str:
        """Kernel frames side by side. Integers are moved, then dequantized: onnxruntime 1.31 cannot load int8 the other way."""
        if kernel == 1:
            return self.value[name]
        return self.dequantize(layers.windows(self.w, self.quantized[name], kernel, *self.size(name)), self.scale(name))


class QuantizedState:
    """int16 with one scale for each channel: what the step returns is fed back without a conversion."""

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
            value = self._model.w.add("Mul", self._model.dequantize(last, self._scale, axis=1), self._model.started)
            last = self._model.quantize(value, self._scale, axis=1)
        self._model.w.add("Identity", last, output=self._state.after)


def write(graph: g.Graph) -> onnx.ModelProto:
    """The step of an integer graph; GraphError names what could overflow, or has no form in ONNX."""
    model = Model(prove_no_overflow(graph))
    model.w.module = graph.input.name
    model.store(graph.input.name, SAMPLES)
    for op in graph.ops:
        model.w.module = op.module
        if isinstance(op, g.IntWindow):
            _window(model, op)
            continue
        if type(op) not in _WRITERS:
            raise GraphError(f"{op.module}: {type(op).__name__} cannot be exported as QDQ ONNX")
        value = _WRITERS[type(op)](model, op, [model.value[name] for name in op.inputs])
        if op.output in model.gates:  # its two halves have scales of their own: _glu rounds them
            model.value[op.output] = value
        else:
            model.store(op.output, value)
    model.w.module = ""
    model.w.add("Identity", model.value[graph.output.name], output=OUTPUT)
    return model.w.finish(graph, "qdq")


def _pool(m: Model, op: g.IntMeanPool | g.IntMaxPool, x: list[str]) -> str:
    frames, features = m.size(op.output)
    return layers.pool(m.w, x[0], _REDUCE[type(op)], op.factor, frames, (frames, features))


def _over(m: Model, op: g.OverCopies, x: list[str]) -> str:
    frames, features = m.size(op.output)
    return layers.pool(m.w, x[0], _REDUCE[type(op)], op.copies, frames * op.bands, (frames, features))


def _window(m: Model, op: g.IntWindow) -> None:
    """Moves integers: input and output have one scale."""
    name, dtype = op.inputs[0], "int8" if m.graph.tensors[op.inputs[0]].hi == g.INT8[1] else "int16"
    m.quantized[op.output] = layers.window(m.w, m.quantized[name], op, dtype, *m.size(name))
    m.value[op.output] = m.dequantize(m.quantized[op.output], m.scale(name))


def _step(m: Model, op: g.IntStep, x: list[str]) -> str:
    return layers.step(m.w, x[0], m.real("high", np.asarray(op.high * m.scale(op.output))))


def _linear(m: Model, op: g.IntLinear, x: list[str]) -> str:
    bands, out, kernel, width = op.weight.shape
    s_in = m.scale(op.inputs[0])
    if kernel != op.frames_per_output or (kernel > 1 and bands > 1):
        raise GraphError(
            f"{op.module}: kernel {kernel} with stride {op.frames_per_output} and {bands} bands cannot be exported as QDQ ONNX"
        )
    s_out = np.full(out, m.scale(op.output))
    if op.output in m.gates:
        s_out[out // 2 :] = GATE_SCALE

    def layer(band: int, part: str) -> str:
        s_row = ratio(op.mult[band], op.shift) * s_out / s_in
        weight = m.stored("weight", op.weight[band].reshape(out, -1), s_row)
        bias = m.stored("bias", op.bias[band], s_row * s_in)
        return layers.dense(m.w, part, weight, bias)

    return layers.per_band(m.w, m.windows(op.inputs[0], kernel), bands, width, layer)


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
        if np.array_equal(fit_table(function, m.scale(op.inputs[0]), m.scale(op.output), target.lo, target.hi), op.table):
            return layers.activation(m.w, x[0], kind)
    raise GraphError(f"{op.module}: a table of none of {', '.join(layers.ACTIVATIONS)} cannot be exported as QDQ ONNX")


def _state_space(m: Model, op: g.IntStateSpace, x: list[str]) -> str:
    """g says the state's scale, mult the output's: see compress/quantize.py."""
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
    re, im = (m.stored(f"{what}.{name}", integers[None, :, :, i], scale, axis=1) for i, name in enumerate(("re", "im")))
    return re, im


def _glu(m: Model, op: g.IntGlu, x: list[str]) -> str:
    if not np.array_equal(op.table, fit_table(ACTIVATIONS["sigmoid"], GATE_SCALE, Q15, 0, 32767)):
        raise GraphError(f"{op.module}: a gate that is not the sigmoid cannot be exported as QDQ ONNX")
    half, gate = m.w.split(x[0], 2, m.size(op.output)[1], axis=1)
    half, gate = m.rounded(half, m.scale(op.inputs[0])), m.rounded(gate, GATE_SCALE)
    return layers.glu(m.w, half, m.rounded(m.w.add("Sigmoid", gate), Q15))


def _add(m: Model, op: g.IntAdd, x: list[str]) -> str:
    return m.w.add("Add", *x)


def _log_softmax(m: Model, op: g.IntLogSoftmax, x: list[str]) -> str:
    return m.w.add("LogSoftmax", x[0], axis=-1)


_REDUCE: dict[type[g.Op], str] = {
    g.IntMeanPool: "ReduceMean",
    g.IntMeanOver: "ReduceMean",
    g.IntMaxPool: "ReduceMax",
    g.IntMaxOver: "ReduceMax",
}
_WRITERS: dict[type[g.Op], Callable[[Model, Any, list[str]], str]] = {
    g.IntMeanPool: _pool,
    g.IntMaxPool: _pool,
    g.IntMeanOver: _over,
    g.IntMaxOver: _over,
    g.IntStep: _step,
    g.IntLinear: _linear,
    g.IntLayerNorm: _layer_norm,
    g.IntLut: _lut,
    g.IntStateSpace: _state_space,
    g.IntGlu: _glu,
    g.IntAdd: _add,
    g.IntLogSoftmax: _log_softmax,
}

"""`float.onnx`: the float graph in float32, each operator as ONNX defines it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx

from compress import graph as g
from compress.errors import GraphError
from export.onnx_model import layers
from export.onnx_model.writer import OUTPUT, SAMPLES, Writer

Array = g.Array


class Model:
    """The writer, and the value that holds each tensor of the graph."""

    def __init__(self, graph: g.Graph) -> None:
        self.graph, self.w = graph, Writer()
        self.value = {graph.input.name: SAMPLES}
        self.started = layers.started(self.w, graph.start_up) if graph.start_up else None

    def constant(self, what: str, values: Array) -> str:
        return self.w.constant(what, np.asarray(values, np.float32))

    def pair(self, what: str, values: Array) -> tuple[str, str]:
        """Real and imaginary part of complex values."""
        return self.constant(f"{what}.re", values.real), self.constant(f"{what}.im", values.imag)

    def size(self, name: str) -> tuple[int, int]:
        """(frames, features) of a tensor in one step."""
        return self.graph.frames_per_step(name), self.graph.tensors[name].features


class FloatState:
    """float32, kept as it is."""

    def __init__(self, model: Model, what: str, shape: tuple[int, ...]) -> None:
        self._model, self._state = model, model.w.state(what, shape, "float32")
        self._last = self._state.before

    def read(self) -> str:
        return self._state.before

    def keep(self, value: str) -> str:
        self._last = value
        return value

    def write(self) -> None:
        if self._model.started:
            self._model.w.add("Mul", self._last, self._model.started, output=self._state.after)
        else:
            self._model.w.add("Identity", self._last, output=self._state.after)


def write(graph: g.Graph) -> onnx.ModelProto:
    """The step of a float graph; GraphError names the operator that has no ONNX form."""
    model = Model(graph)
    for op in graph.ops:
        if type(op) not in _WRITERS:
            raise GraphError(f"{op.module}: {type(op).__name__} cannot be exported as float ONNX")
        model.w.module = op.module
        model.value[op.output] = _WRITERS[type(op)](model, op, [model.value[name] for name in op.inputs])
    model.w.module = ""
    model.w.add("Identity", model.value[graph.output.name], output=OUTPUT)
    return model.w.finish(graph, "float")


def _pool(m: Model, op: g.MeanPool | g.MaxPool, x: list[str]) -> str:
    frames, features = m.size(op.output)
    return layers.pool(m.w, x[0], _REDUCE[type(op)], op.factor, frames, (frames, features))


def _over(m: Model, op: g.OverCopies, x: list[str]) -> str:
    frames, features = m.size(op.output)
    return layers.pool(m.w, x[0], _REDUCE[type(op)], op.copies, frames * op.bands, (frames, features))


def _window(m: Model, op: g.Window, x: list[str]) -> str:
    return layers.window(m.w, x[0], op, "float32", *m.size(op.inputs[0]))


def _conv(m: Model, op: g.Conv, x: list[str]) -> str:
    bands, out, kernel, width = op.weight.shape
    frames = m.size(op.inputs[0])[0]
    if kernel != op.frames_per_output:
        raise GraphError(f"{op.module}: kernel {kernel} with stride {op.frames_per_output} cannot be exported as float ONNX")

    def layer(band: int, part: str) -> str:
        weight = m.constant("weight", op.weight[band].reshape(out, -1))
        part = layers.windows(m.w, part, kernel, frames, width)
        return layers.dense(m.w, part, weight, m.constant("bias", op.bias[band]))

    return layers.per_band(m.w, x[0], bands, width, layer)


def _layer_norm(m: Model, op: g.LayerNorm, x: list[str]) -> str:
    def layer(band: int, part: str) -> str:
        gain, bias = m.constant("gain", op.gain[band]), m.constant("bias", op.bias[band])
        return layers.layer_norm(m.w, part, gain, bias, op.epsilon)

    bands, n = op.gain.shape
    return layers.per_band(m.w, x[0], bands, n, layer)


def _activation(m: Model, op: g.Activation, x: list[str]) -> str:
    if op.kind == "step":
        return layers.step(m.w, x[0], m.constant("one", np.ones(())))
    return layers.activation(m.w, x[0], op.kind)


def _state_space(m: Model, op: g.StateSpace, x: list[str]) -> str:
    frames, channels = m.size(op.inputs[0])
    shape = (1, *op.a.shape)
    a, c = m.pair("a", op.a[None]), m.pair("c", 2.0 * op.c[None])
    states = FloatState(m, "re", shape), FloatState(m, "im", shape)
    history = layers.recurrence(m.w, x[0], a, states, frames, channels)
    return layers.read_out(m.w, history, x[0], c, m.constant("d", op.d))


def _glu(m: Model, op: g.Glu, x: list[str]) -> str:
    half, gate = m.w.split(x[0], 2, m.size(op.output)[1], axis=1)
    return layers.glu(m.w, half, m.w.add("Sigmoid", gate))


def _add(m: Model, op: g.Add, x: list[str]) -> str:
    return m.w.add("Add", *x)


def _log_softmax(m: Model, op: g.LogSoftmax, x: list[str]) -> str:
    return m.w.add("LogSoftmax", x[0], axis=-1)


_REDUCE: dict[type[g.Op], str] = {
    g.MeanPool: "ReduceMean",
    g.MeanOver: "ReduceMean",
    g.MaxPool: "ReduceMax",
    g.MaxOver: "ReduceMax",
}
_WRITERS: dict[type[g.Op], Callable[[Model, Any, list[str]], str]] = {
    g.MeanPool: _pool,
    g.MaxPool: _pool,
    g.MeanOver: _over,
    g.MaxOver: _over,
    g.Window: _window,
    g.Conv: _conv,
    g.LayerNorm: _layer_norm,
    g.Activation: _activation,
    g.StateSpace: _state_space,
    g.Glu: _glu,
    g.Add: _add,
    g.LogSoftmax: _log_softmax,
}

"""`float.onnx`: the float graph in float32, each operator as ONNX defines it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx

from compress import graph as g
from compress.errors import GraphError
from export.onnx import layers
from export.onnx.stream import Pose, Stream
from export.onnx.writer import SAMPLES, output_name

Array = g.Array


class Model(Stream):
    """Values are float32 throughout."""

    def __init__(self, graph: g.Graph) -> None:
        super().__init__(graph)
        self.value[graph.input.name] = SAMPLES

    def constant(self, what: str, values: Array) -> str:
        return self.w.constant(what, np.asarray(values, np.float32))

    def pair(self, what: str, values: Array) -> tuple[str, str]:
        """Real and imaginary part of complex values."""
        return self.constant(f"{what}.re", values.real), self.constant(f"{what}.im", values.imag)

    def handle(self, name: str) -> str:
        return self.value[name]

    def bind(self, name: str, handle: str) -> None:
        self.value[name] = handle

    def previous(self, name: str, width: int) -> str:
        maker = self.maker(name)
        if isinstance(maker, g.Integrate):
            return self.pose(maker).now()
        if name not in self.before:
            self.w.module = maker.module
            self.before[name] = self.carry(
                "previous", (1, width), "float32", lambda _: self.cleared(self.before[name])
            )
        return self.before[name]

    def pose(self, op: g.Integrate) -> FloatPose:
        if op.output not in self.poses:
            self.poses[op.output] = FloatPose(self, op)
        pose = self.poses[op.output]
        assert isinstance(pose, FloatPose)
        return pose


class FloatPose(Pose):
    def __init__(self, model: Model, op: g.Integrate) -> None:
        super().__init__(model, op)
        self.total = model.carry(
            "total", (1, self.joints), "float32", lambda _: model.cleared(self.total)
        )

    def now(self) -> str:
        return self.s.w.add("Add", self.initial, self.total)

    def advance(self, frame: str) -> str:
        """The pose after one frame."""
        position, velocity = self.parts(frame)
        away = self.s.w.add("Sub", position, self.initial) if position else ""
        self.total = self.chosen(away, self.s.w.add("Add", self.total, velocity))
        return self.now()


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

    def emit(op: g.Op) -> None:
        if type(op) not in _WRITERS:
            raise GraphError(f"{op.module}: {type(op).__name__} cannot be exported as float ONNX")
        model.value[op.output] = _WRITERS[type(op)](
            model, op, [model.value[name] for name in op.inputs]
        )

    model.run(emit)
    model.w.module = ""
    model.w.add("Identity", model.value[graph.output.name], output=output_name(graph))
    return model.w.finish(graph, "float")


def _pool(m: Model, op: g.MeanPool | g.MaxPool, x: list[str]) -> str:
    frames, features = m.size(op.output)
    return layers.pool(m.w, x[0], _REDUCE[type(op)], op.factor, frames, (frames, features))


def _over(m: Model, op: g.GroupReduce, x: list[str]) -> str:
    frames, features = m.size(op.output)
    return layers.pool(
        m.w, x[0], _REDUCE[type(op)], op.copies, frames * op.bands, (frames, features)
    )


def _window(m: Model, op: g.Unfold1d, x: list[str]) -> str:
    return layers.window(m.w, x[0], op, "float32", *m.size(op.inputs[0]))


def _conv(m: Model, op: g.Dense, x: list[str]) -> str:
    bands, out, kernel, width = op.weight.shape
    frames, features = m.size(op.inputs[0])
    if kernel != op.frames_per_output:
        raise GraphError(
            f"{op.module}: kernel {kernel} with stride {op.frames_per_output} cannot be exported as"
            " float ONNX"
        )

    def layer(band: int, part: str) -> str:
        weight = m.constant("weight", op.weight[band].reshape(out, -1))
        part = layers.windows(m.w, part, kernel, frames, width)
        return layers.dense(m.w, part, weight, m.constant("bias", op.bias[band]))

    groups = layers.grouped(m.w, x[0], op.shared, frames, features)
    return layers.ungrouped(
        m.w, layers.per_band(m.w, groups, bands, width, layer), op.shared, *m.size(op.output)
    )


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


def _interpolate(m: Model, op: g.Interpolate, x: list[str]) -> str:
    frames, features = m.size(op.inputs[0])
    newest = m.w.split(x[0], frames, 1, axis=0)[-1]
    past = m.carry("past", (1, features), "float32", lambda _: newest)
    return layers.interpolate(m.w, x[0], past, op.factor, frames, features)


def _join(m: Model, op: g.DelayedConcat, x: list[str]) -> str:
    parts = [m.previous(name, width) for name, width in zip(op.previous, op.widths, strict=True)]
    m.w.module = op.module
    return m.w.concat([x[0], *parts], axis=1)


def _lstm_cell(m: Model, op: g.LstmCell, x: list[str]) -> str:
    def frame(gates: str, cell: str) -> tuple[str, str]:
        i, f, value, o = m.w.split(gates, 4, m.size(op.output)[1], axis=1)
        i, f, o = (m.w.add("Sigmoid", gate) for gate in (i, f, o))
        cell = m.w.add("Add", m.w.add("Mul", f, cell), m.w.add("Mul", i, m.w.add("Tanh", value)))
        return m.w.add("Mul", o, m.w.add("Tanh", cell)), cell

    return m.w.concat(m.lstm_cell(op, frame), axis=0)


def _integrate(m: Model, op: g.Integrate, x: list[str]) -> str:
    pose, frames = m.pose(op), m.size(op.output)[0]
    m.w.module = op.module
    return m.w.concat([pose.advance(frame) for frame in m.w.split(x[0], frames, 1, axis=0)], axis=0)


def _patches(m: Model, op: g.Im2Col, x: list[str]) -> str:
    return layers.patches(m.w, x[0], op, "float32", *m.size(op.inputs[0]))


def _repeat(m: Model, op: g.Tile, x: list[str]) -> str:
    return layers.repeat(m.w, x[0], op, *m.size(op.inputs[0]))


def _log_softmax(m: Model, op: g.LogSoftmax, x: list[str]) -> str:
    return m.w.add("LogSoftmax", x[0], axis=-1)


_REDUCE: dict[type[g.Op], str] = {
    g.MeanPool: "ReduceMean",
    g.GroupMean: "ReduceMean",
    g.MaxPool: "ReduceMax",
    g.GroupMax: "ReduceMax",
}
_WRITERS: dict[type[g.Op], Callable[[Model, Any, list[str]], str]] = {
    g.MeanPool: _pool,
    g.MaxPool: _pool,
    g.GroupMean: _over,
    g.GroupMax: _over,
    g.Unfold1d: _window,
    g.Dense: _conv,
    g.LayerNorm: _layer_norm,
    g.Activation: _activation,
    g.StateSpace: _state_space,
    g.Glu: _glu,
    g.Add: _add,
    g.LogSoftmax: _log_softmax,
    g.Interpolate: _interpolate,
    g.DelayedConcat: _join,
    g.LstmCell: _lstm_cell,
    g.Integrate: _integrate,
    g.Im2Col: _patches,
    g.Tile: _repeat,
}

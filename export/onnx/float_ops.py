"""Operators of `float.onnx` that differ from those of `qdq.onnx`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from compress import graph as g
from export.onnx import both, functions, layers

if TYPE_CHECKING:
    from export.onnx.float_form import Model


def dense(m: Model, op: g.Dense) -> None:
    def parameters(band: int) -> tuple[str, str]:
        rows = op.weight[band].reshape(op.weight.shape[1], -1)
        return m.constant("weight", rows), m.constant("bias", op.bias[band])

    both.dense(m, op, parameters)


def layer_norm(m: Model, op: g.LayerNorm) -> None:
    def parameters(band: int) -> tuple[str, str]:
        return m.constant("gain", op.gain[band]), m.constant("bias", op.bias[band])

    both.layer_norm(m, op, op.epsilon, parameters)


def rms_norm(m: Model, op: g.RmsNorm) -> None:
    gain, bias = m.constant("gain", op.gain[None]), m.constant("bias", op.bias[None])
    both.rms_norm(m, op, op.epsilon, gain, bias)


def depthwise(m: Model, op: g.Depthwise) -> None:
    weight = m.constant("weight", op.weight.T[None])
    both.depthwise(m, op, weight, m.constant("bias", op.bias))


def constant(m: Model, op: g.Constant) -> None:
    frames = m.size(op.output)[0]
    m.bind(op.output, m.constant("values", np.tile(op.values, (frames // op.frames, 1))))


def clamp(m: Model, op: g.Clamp) -> None:
    m.put(op.output, functions.clamp(m.w, m.real(op.inputs[0]), op.lo, op.hi))


def activation(m: Model, op: g.Activation) -> None:
    m.put(op.output, functions.function(m.w, m.real(op.inputs[0]), op.kind))


def glu(m: Model, op: g.Glu) -> None:
    half, gate = m.w.split(m.real(op.inputs[0]), 2, m.size(op.output)[1], axis=1)
    m.put(op.output, m.w.add("Mul", half, m.w.add("Sigmoid", gate)))


def state_space(m: Model, op: g.StateSpace) -> None:
    if op.output not in m.kept:
        m.kept[op.output] = m.states(op, (1, *op.shape))
    a, c = m.pair("a", op.a[None]), m.pair("c", 2.0 * op.c[None])
    u, (frames, channels) = m.real(op.inputs[0]), m.size(op.inputs[0])
    columns = m.w.split(m.w.reshape(u, frames, channels, 1), frames, 1, axis=0)
    history = layers.recurrence(m.w, columns, a, m.kept[op.output])
    m.put(op.output, layers.read_out(m.w, history, u, c, m.constant("d", op.d)))


def lstm_cell(m: Model, op: g.LstmCell) -> None:
    def frame(gates: str, cell: str) -> tuple[str, str]:
        i, f, value, o = m.w.split(gates, 4, m.size(op.output)[1], axis=1)
        i, f, o = (m.w.add("Sigmoid", gate) for gate in (i, f, o))
        cell = m.w.add("Add", m.w.add("Mul", f, cell), m.w.add("Mul", i, m.w.add("Tanh", value)))
        return m.w.add("Mul", o, m.w.add("Tanh", cell)), cell

    m.put(op.output, m.w.concat(m.recur(op, "cell", frame), axis=0))

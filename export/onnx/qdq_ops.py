"""Operators of `qdq.onnx` that differ from those of `float.onnx`: stored integers with their
scales, and what the integers round on the way."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from compress import graph as g
from compress.ops.lstm import CELL_LIMIT
from compress.ops.tables import Q15
from export.onnx import both, functions, layers

if TYPE_CHECKING:
    from export.onnx.qdq_form import Model

Array = g.Array
CELL_END = (CELL_LIMIT + 1) * 2.0**-24  # of a cell


def dense(m: Model, op: g.IntDense) -> None:
    s_in = m.graph.source(op).scale

    def parameters(band: int) -> tuple[str, str]:
        rows, scale = op.weight[band].reshape(op.weight.shape[1], -1), op.weight_scale[band]
        return m.stored("weight", rows, scale), m.stored("bias", op.bias[band], scale * s_in)

    both.dense(m, op, parameters)


def layer_norm(m: Model, op: g.IntLayerNorm) -> None:
    def parameters(band: int) -> tuple[str, str]:
        gain = m.stored("gain", op.gain[band], op.gain_scale)
        return gain, m.stored("bias", op.bias[band], op.bias_scale)

    both.layer_norm(m, op, op.variance_epsilon, parameters)


def rms_norm(m: Model, op: g.IntRmsNorm) -> None:
    gain = m.stored("gain", op.gain[None], op.gain_scale)
    bias = m.stored("bias", op.bias[None], op.bias_scale)
    both.rms_norm(m, op, op.variance_epsilon, gain, bias)


def depthwise(m: Model, op: g.IntDepthwise) -> None:
    weight = m.stored("weight", op.weight.T[None], op.weight_scale, axis=2)
    scale = op.weight_scale * m.graph.source(op).scale
    both.depthwise(m, op, weight, m.stored("bias", op.bias, scale))


def constant(m: Model, op: g.IntConstant) -> None:
    """As it is stored."""
    frames = m.size(op.output)[0]
    values = np.tile(op.values, (frames // op.frames, 1))
    m.bind(op.output, m.w.constant("values", values.astype(m.dtype(op.output))))


def clamp(m: Model, op: g.IntClamp) -> None:
    scale = m.graph.target(op).scale
    limits = op.least * scale, op.most * scale
    m.put(op.output, functions.clamp(m.w, m.real(op.inputs[0]), *limits))


def lut(m: Model, op: g.IntLut) -> None:
    m.put(op.output, functions.function(m.w, m.real(op.inputs[0]), op.function))


def step(m: Model, op: g.IntStep) -> None:
    high = m.constant("high", op.high * m.graph.target(op).scale)
    m.put(op.output, functions.step(m.w, m.real(op.inputs[0]), high))


def glu(m: Model, op: g.IntGlu) -> None:
    half, gate = m.w.split(m.real(op.inputs[0]), 2, m.size(op.output)[1], axis=1)
    m.put(op.output, m.w.add("Mul", half, m.rounded(m.w.add("Sigmoid", gate), Q15)))


def state_space(m: Model, op: g.IntStateSpace) -> None:
    """All stored integers, each in its scale: poles in Q15, gains of the input in Q15 of a step of
    the state for a step of the input."""
    if op.output not in m.kept:
        m.kept[op.output] = m.states(op, (1, *op.shape), op.state_scale)
    s_in, per_state = m.graph.source(op).scale, op.sum_scale / op.state_scale
    a, c = _parts(m, "a", op.a, Q15), _parts(m, "c", op.c, per_state)
    gain = m.stored("g", op.g[None, :, None], op.state_scale * Q15 / s_in, axis=1)
    u, (frames, channels) = m.real(op.inputs[0]), m.size(op.inputs[0])
    columns = [
        m.w.add("Mul", gain, column)
        for column in m.w.split(m.w.reshape(u, frames, channels, 1), frames, 1, axis=0)
    ]
    history = layers.recurrence(m.w, columns, a, m.kept[op.output])
    skip = m.stored("d", op.d, op.sum_scale / s_in)
    m.put(op.output, layers.read_out(m.w, history, u, c, skip))


def _parts(m: Model, what: str, integers: Array, scale: Array | float) -> tuple[str, str]:
    """(H, N, 2) -> real and imaginary values (1, H, N), a scale for each channel."""
    re, im = (
        m.stored(f"{what}.{name}", integers[None, :, :, i], scale, axis=1)
        for i, name in enumerate(("re", "im"))
    )
    return re, im


def lstm_cell(m: Model, op: g.IntLstmCell) -> None:
    """Tables are rounded as the integers are; cells have no 32-bit form in QDQ, float32 holds as
    many bits. The tanh sees a cell in the scale of its other input, gate g."""
    n = m.size(op.output)[1]
    seen = float(m.graph.source(op).scales()[2 * n])
    ends = [m.constant("end", np.asarray(end * CELL_END)) for end in (-1, 1)]

    def frame(gates: str, cell: str) -> tuple[str, str]:
        i, f, value, o = m.w.split(gates, 4, n, axis=1)
        i, f, o = (m.rounded(m.w.add("Sigmoid", gate), Q15) for gate in (i, f, o))
        taken = m.w.add("Mul", i, m.rounded(m.w.add("Tanh", value), Q15))
        cell = m.w.add("Clip", m.w.add("Add", m.w.add("Mul", f, cell), taken), *ends)
        shown = m.w.add("Tanh", m.rounded(cell, seen))
        return m.w.add("Mul", o, m.rounded(shown, Q15)), cell

    m.put(op.output, m.w.concat(m.recur(op, "cell", frame), axis=0))

"""The integer graph as TFLite operators that the reference and the CMSIS-NN kernels of TFLite-Micro
both run.

Scales, weights and biases are the graph's own: nothing is quantized a second time except the
coefficients of the state space, from 16 bits per channel to 16 bits per tensor. DESIGN.md says why
these operators; every function emits one graph operator.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from compress import graph as g
from compress.errors import GraphError
from compress.interpreter.float import ACTIVATIONS
from compress.ops.tables import fit_table
from compress.quantization.quantize import GATE_SCALE
from export.tflite import frames, linear, rollout
from export.tflite.linear import ratio_of
from export.tflite.lowering import Q15, Lowering
from export.tflite.model import OP, Array, Value

GELU = (
    1.59946357,
    0.06979977,
)  # x·Φ(x) ≈ x·σ(x·(GELU[0] + GELU[1]·min(x², 16))), at most 3.1e-4 away
GELU_SQUARES = 16.0 / 32767
LEAK = 0.01
LUT_KINDS = ("gelu", "relu", "sigmoid", "leaky_relu")


def _mean_pool(b: Lowering, op: g.IntMeanPool) -> None:
    x, y = b.values[op.inputs[0]], b.result(op)
    gain = np.full(x.shape[3], ratio_of(op.mult, op.shift) * y.scale / x.scale)
    relu = b.graph.tensors[op.output].lo == 0
    b.per_channel(x, gain, np.zeros(x.shape[3]), y, op.module, taps=op.factor, relu=relu)


def _mean_over(b: Lowering, op: g.IntGroupMean) -> None:
    """The copies of a band lie behind each other like the frames of a pool."""
    x, n = b.values[op.inputs[0]], b.values[op.inputs[0]].shape[3] // (op.bands * op.copies)
    groups, target = x.shape[1] * op.bands, b.graph.tensors[op.output]
    copies = b.reshape(x, (1, groups * op.copies, 1, n), f"{op.module}.copies")
    y = b.step.tensor(f"{op.module}.means", (1, groups, 1, n), np.int16, b.scale(op.output))
    gain = np.full(n, ratio_of(op.mult, op.shift) * y.scale / x.scale)
    b.per_channel(copies, gain, np.zeros(n), y, op.module, taps=op.copies, relu=target.lo == 0)
    b.values[op.output] = b.reshape(y, b.frames(op.output), op.output)


def _layer_norm(b: Lowering, op: g.IntLayerNorm) -> None:
    """In float32: there is no 16-bit RSQRT. Many rows become 16-bit integers before gain and
    bias."""
    x, y, n = b.values[op.inputs[0]], b.result(op), op.gain.shape[1]
    rows, relu = x.shape[1] * op.gain.shape[0], b.graph.tensors[op.output].lo == 0
    gain, bias = op.gain.reshape(-1) * y.scale / (16 * np.sqrt(n)), op.bias.reshape(-1) * y.scale
    normal = _normalize(
        b,
        b.reshape(x, (rows, n, 1, 1), f"{op.module}.rows"),
        op.epsilon * x.scale**2 / n**3,
        op.module,
    )
    if rows == 1:
        b.convert(
            OP.QUANTIZE,
            _affine(
                b, b.reshape(normal, x.shape, f"{op.module}.frame"), gain, bias, op.module, relu
            ),
            y,
        )
        return
    integers = b.step.tensor(f"{op.module}.normalized", normal.shape, np.int16, np.sqrt(n) / 32767)
    framed = b.reshape(b.convert(OP.QUANTIZE, normal, integers), x.shape, f"{op.module}.frames")
    b.per_channel(framed, gain, bias, y, op.module, relu=relu)


def _affine(b: Lowering, x: Value, gain: Array, bias: Array, module: str, relu: bool) -> Value:
    """x·gain + bias in float32, shape for shape."""
    gains, biases = (
        b.step.constant(f"{module}.{k}", v.astype(np.float32).reshape(x.shape))
        for k, v in (("gain", gain), ("bias", bias))
    )
    scaled, y = (
        b.step.tensor(f"{module}.scaled", x.shape, np.float32),
        b.step.tensor(f"{module}.sum", x.shape, np.float32),
    )
    return b.add(b.multiply(x, gains, scaled), biases, y, relu)


def _normalize(b: Lowering, x: Value, epsilon: float, module: str) -> Value:
    """(rows, n, 1, 1) -> float32 of mean 0 and variance 1 in each row."""
    rows, n = x.shape[:2]
    axes = b.step.constant("axes", np.array([1, 2], np.int32))

    def real(name: str, width: int) -> Value:
        return b.step.tensor(f"{module}.{name}", (rows, width, 1, 1), np.float32)

    def mean(source: Value, name: str) -> Value:
        options, y = schema.ReducerOptionsT(), real(name, 1)
        options.keepDims = True
        b.step.op(OP.MEAN, [source, axes], [y], options)
        return y

    values, centred, scale = (
        b.convert(OP.DEQUANTIZE, x, real("real", n)),
        real("centred", n),
        real("scale", 1),
    )
    b.step.op(OP.SUB, [values, mean(values, "mean")], [centred], schema.SubOptionsT())
    variance = mean(b.multiply(centred, centred, real("squares", n)), "variance")
    floor = b.step.constant(f"{module}.epsilon", np.full((1, 1, 1, 1), epsilon, np.float32))
    b.step.op(OP.RSQRT, [b.add(variance, floor, real("regular", 1))], [scale])
    return b.multiply(centred, scale, real("normal", n))


def _lut(b: Lowering, op: g.IntLut) -> None:
    x, source, target = (
        b.values[op.inputs[0]],
        b.graph.tensors[op.inputs[0]],
        b.graph.tensors[op.output],
    )
    kind = _kind(op, b.scale(source.name), target)
    y = b.result(op)
    if kind == "gelu":
        _gelu(b, x, y, op.module)
    elif kind == "sigmoid":
        b.convert(OP.QUANTIZE, b.sigmoid(x, f"{op.module}.q15"), y)
    elif kind == "leaky_relu":
        options = schema.LeakyReluOptionsT()
        options.alpha = LEAK
        b.step.op(OP.LEAKY_RELU, [x], [y], options)
    else:
        b.per_channel(x, np.ones(x.shape[3]), np.zeros(x.shape[3]), y, op.module, relu=True)


def _kind(op: g.IntLut, s_in: float, target: g.Tensor) -> str:
    """Which function a table holds: the graph keeps the table alone, TFLite needs the function."""
    for kind in LUT_KINDS:
        table = fit_table(ACTIVATIONS[kind], s_in, float(target.scale or 0.0), target.lo, target.hi)
        if np.abs(table.astype(int) - op.table).max() <= 1:
            return kind
    raise GraphError(
        f"{op.module}: IntLut holds none of {', '.join(LUT_KINDS)}; TFLite has no operator for"
        " other tables"
    )


def _gelu(b: Lowering, x: Value, y: Value, module: str) -> None:
    """x·σ(x·(k₀ + k₁·min(x², 16))): the squares saturate at 16, the gate's argument at ±12."""

    def part(name: str, scale: float) -> Value:
        return b.step.tensor(f"{module}.{name}", x.shape, np.int16, scale)

    squares = b.multiply(x, x, part("squares", GELU_SQUARES))
    curved = b.multiply(
        squares, b.everywhere(GELU[1], x.shape), part("curved", 16 * GELU[1] / 32767)
    )
    slope = b.add(
        curved, b.everywhere(GELU[0], x.shape), part("slope", (GELU[0] + 16 * GELU[1]) / 32767)
    )
    b.multiply(
        x, b.sigmoid(b.multiply(x, slope, part("argument", GATE_SCALE)), f"{module}.gate"), y
    )


def _glu(b: Lowering, op: g.IntGlu) -> None:
    value, gate = (b.values[f"{op.inputs[0]}.{part}"] for part in ("value", "gate"))
    b.multiply(value, b.sigmoid(gate, f"{op.module}.gate"), b.result(op))


def _add(b: Lowering, op: g.IntAdd) -> None:
    b.add(b.values[op.inputs[0]], b.values[op.inputs[1]], b.result(op))


def _log_softmax(b: Lowering, op: g.IntLogSoftmax) -> None:
    """In float32: TFLite-Micro has LOG_SOFTMAX for float32 and int8 only."""
    x, y = b.values[op.inputs[0]], b.result(op)
    logits = b.convert(OP.DEQUANTIZE, x, b.step.tensor(f"{op.module}.logits", x.shape, np.float32))
    real = b.step.tensor(f"{op.module}.real", x.shape, np.float32)
    b.step.op(OP.LOG_SOFTMAX, [logits], [real], schema.LogSoftmaxOptionsT())
    b.convert(OP.QUANTIZE, real, y)


def _state_space(b: Lowering, op: g.IntStateSpace) -> None:
    """Frame after frame: X' = A·X + G·u by two batched products and a sum, y = C·X' by one over all
    states of a channel."""
    u, y = b.values[op.inputs[0]], b.result(op)
    channels, states = op.a.shape[:2]
    a, gains, c, c_scale, gain_scale = coefficients(op)
    width = 2 * states
    constants = (
        b.step.constant(f"{op.module}.a", a.reshape(1, channels * states, 2, 2), Q15),
        b.step.constant(
            f"{op.module}.gain", gains.reshape(1, channels, width, 1), gain_scale * Q15 / u.scale
        ),
        b.step.constant(
            f"{op.module}.c", c.reshape(1, channels, 1, width), c_scale * y.scale / Q15
        ),
    )
    d = op.d * ratio_of(op.mult, op.shift) * y.scale / u.scale
    part = (
        y.scale + float(np.abs(d).max()) * u.scale
    )  # of both terms of y: they may be large and cancel
    state = b.file.read_state(f"{op.module}.state", (1, channels, 1, width), Q15)
    x, outputs = b.start.cleared(state), []
    for t, frame in enumerate(b.split(u, op.module)):
        x = _advance(
            b,
            x,
            b.reshape(frame, (1, channels, 1, 1), f"{op.module}.u{t}"),
            constants[0],
            constants[1],
            f"{op.module}.{t}",
        )
        sums = b.step.tensor(f"{op.module}.y{t}", (1, channels, 1, 1), np.int16, part)
        outputs.append(
            b.reshape(b.dot(x, constants[2], sums), (1, 1, 1, channels), f"{op.module}.row{t}")
        )
    b.file.write_state(state, x)
    skip = b.step.tensor(f"{op.module}.skip", u.shape, np.int16, part)
    d_scale = max(float(np.abs(d).max()) / 32767, 2.0**-30)
    d_every = np.broadcast_to(np.round(d / d_scale), u.shape).astype(np.int16)
    b.multiply(u, b.step.constant(f"{op.module}.d", d_every, d_scale), skip)
    b.add(b.join(outputs, op.module), skip, y, relu=b.graph.tensors[op.output].lo == 0)


def _advance(b: Lowering, x: Value, u: Value, a: Value, gain: Value, name: str) -> Value:
    """One frame of the recurrence; x (1, channels, 1, 2·states)."""
    pairs = (1, a.shape[1], 1, 2)
    turned = b.dot(
        b.reshape(x, pairs, f"{name}.pairs"),
        a,
        b.step.tensor(f"{name}.turned", pairs, np.int16, Q15),
    )
    driven = b.dot(u, gain, b.step.tensor(f"{name}.driven", x.shape, np.int16, Q15))
    return b.add(
        b.reshape(turned, x.shape, f"{name}.rows"),
        driven,
        b.step.tensor(f"{name}.state", x.shape, np.int16, Q15),
    )


def coefficients(op: g.IntStateSpace) -> tuple[Array, Array, Array, float, float]:
    """int16 constants of the state space, one scale per tensor: a (H, N, 2, 2), gain and c (H, N,
    2), scales of c and gain.

    Gains of the input are rounded to steps of the largest one; what that changes in the size of a
    state, c takes back.
    """
    re, im = op.a[..., 0], op.a[..., 1]
    a = np.stack([np.stack([re, -im], -1), np.stack([im, re], -1)], -2).astype(np.int16)
    wanted = op.g / 32768.0
    gain_scale = float(wanted.max()) / 32767
    gain = np.maximum(np.floor(wanted / gain_scale + 1e-9), 1)
    c = (
        op.c
        * (ratio_of(op.mult, op.shift) * wanted / (gain * gain_scale))[:, None, None]
        * np.array([1.0, -1.0])
    )
    c_scale = max(float(np.abs(c).max()) / 32767, 2.0**-30)
    gains = np.stack([np.broadcast_to(gain[:, None], re.shape), np.zeros(re.shape)], -1)
    return a, gains.astype(np.int16), np.round(c / c_scale).astype(np.int16), c_scale, gain_scale


EMITTERS: dict[type[g.Op], Callable[..., None]] = {
    g.IntMeanPool: _mean_pool,
    g.IntGroupMean: _mean_over,
    g.IntDense: linear.linear,
    g.IntLayerNorm: _layer_norm,
    g.IntLut: _lut,
    g.IntStateSpace: _state_space,
    g.IntGlu: _glu,
    g.IntAdd: _add,
    g.IntLogSoftmax: _log_softmax,
    g.IntMaxPool: frames.max_pool,
    g.IntGroupMax: frames.max_over,
    g.IntUnfold1d: frames.window,
    g.IntInterpolate: frames.interpolate,
    g.IntIm2Col: frames.patches,
    g.IntTile: frames.repeat,
    g.IntDelayedConcat: rollout.join,
    g.IntLstmCell: rollout.lstm_cell,
    g.IntIntegrate: rollout.integrate,
}

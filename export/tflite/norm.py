"""What has no 16-bit kernel: LayerNorm and LogSoftmax, in float32."""

from __future__ import annotations

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from compress import graph as g
from export.tflite.lowering import Lowering
from export.tflite.model import OP, Array, Value


def rms_norm(b: Lowering, op: g.IntRmsNorm) -> None:
    layer_norm(b, op, centred=False)


def layer_norm(b: Lowering, op: g.IntLayerNorm, centred: bool = True) -> None:
    """In float32: there is no 16-bit RSQRT."""
    x, y, n = b.value(op.inputs[0]), b.result(op), op.gain.shape[1]
    rows = x.shape[1] * op.gain.shape[0]
    apart = b.reshape(x, (rows, n, 1, 1), f"{op.module}.rows")
    normal = _normalize(b, apart, op.variance_epsilon, op.module, centred)
    framed = b.reshape(normal, x.shape, f"{op.module}.frame")
    gain, bias = op.gain * op.gain_scale, op.bias * op.bias_scale
    b.convert(OP.QUANTIZE, _affine(b, framed, gain, bias, op.module, b.relu(op)), y)


def _affine(b: Lowering, x: Value, gain: Array, bias: Array, module: str, relu: bool) -> Value:
    """x·gain + bias in float32, the same for each frame."""
    gains, biases = (
        b.step.constant(f"{module}.{k}", v.astype(np.float32).reshape(1, 1, 1, -1))
        for k, v in (("gain", gain), ("bias", bias))
    )
    scaled, y = (
        b.step.tensor(f"{module}.scaled", x.shape, np.float32),
        b.step.tensor(f"{module}.sum", x.shape, np.float32),
    )
    return b.add(b.multiply(x, gains, scaled), biases, y, relu)


def _normalize(b: Lowering, x: Value, epsilon: float, module: str, centring: bool) -> Value:
    """(rows, n, 1, 1) -> float32 of mean 0 and variance 1 in each row; as it is less no mean, of
    mean square 1."""
    rows, n = x.shape[:2]
    axes = b.step.constant("axes", np.array([1, 2], np.int32))

    def real(name: str, width: int) -> Value:
        return b.step.tensor(f"{module}.{name}", (rows, width, 1, 1), np.float32)

    def mean(source: Value, name: str) -> Value:
        options, y = schema.ReducerOptionsT(), real(name, 1)
        options.keepDims = True
        b.step.op(OP.MEAN, [source, axes], [y], options)
        return y

    centred, scale = b.convert(OP.DEQUANTIZE, x, real("real", n)), real("scale", 1)
    if centring:
        centred = b.subtract(centred, mean(centred, "mean"), real("centred", n))
    variance = mean(b.multiply(centred, centred, real("squares", n)), "variance")
    floor = b.step.constant(f"{module}.epsilon", np.full((1, 1, 1, 1), epsilon, np.float32))
    b.step.op(OP.RSQRT, [b.add(variance, floor, real("regular", 1))], [scale])
    return b.multiply(centred, scale, real("normal", n))


def log_softmax(b: Lowering, op: g.IntLogSoftmax) -> None:
    """In float32: TFLite-Micro has LOG_SOFTMAX for float32 and int8 only."""
    x, y = b.value(op.inputs[0]), b.result(op)
    logits = b.convert(OP.DEQUANTIZE, x, b.step.tensor(f"{op.module}.logits", x.shape, np.float32))
    real = b.step.tensor(f"{op.module}.real", x.shape, np.float32)
    b.step.op(OP.LOG_SOFTMAX, [logits], [real], schema.LogSoftmaxOptionsT())
    b.convert(OP.QUANTIZE, real, y)

"""Dense layers and convolutions: every one a CONV_2D, over frames that need not be gathered first,
or over pictures."""

from __future__ import annotations

from typing import cast

import numpy as np

from compress import graph as g
from export.tflite.builder import Layer
from export.tflite.lowering import Lowering, Part, Window
from export.tflite.model import Array, Value


def linear(b: Lowering, op: g.IntDense) -> None:
    """One convolution for all rows of one scale: a tensor of the file has one."""
    x, weight, layer = _source(b, op)
    b.relu(op)  # it is part of each convolution
    bias, width = op.bias.reshape(-1), op.weight_scale.reshape(-1)
    groups = _rows_by_scale(b.graph.target(op), len(bias))
    parts = []
    for k, (rows, segment) in enumerate(groups):
        name = op.output if len(groups) == 1 else f"{op.output}.part{k}"
        shape = (x.shape[0], b.frames(op.output)[1] // x.shape[0], op.shared, len(rows))
        label = name if op.shared == 1 else f"{name}.groups"
        y = b.step.tensor(label, shape, np.int16, segment.scale)
        b.convolve(x, y, weight[rows], bias[rows], width[rows], layer, relu=segment.lo == 0)
        # groups that share the weights lie one behind the other
        features = np.arange(op.shared)[:, None] * len(bias) + rows
        frames = (*b.frames(op.output)[:3], features.size)
        parts.append(Part(features.reshape(-1), b.reshape(y, frames, name)))
    b.parts[op.output] = tuple(parts)


def depthwise(b: Lowering, op: g.IntDepthwise) -> None:
    """The frames that a filter sees lie side by side: kernel and stride of a convolution."""
    x, y = b.value(op.inputs[0]), b.result(op)
    channels, kernel = op.weight.shape
    apart = b.reshape(x, (1, x.shape[1] * kernel, 1, channels), f"{op.module}.apart")
    weight = np.ascontiguousarray(op.weight.T)[None, :, None]
    bias, relu = op.bias.astype(np.int64), b.relu(op)
    b.depthwise(apart, weight, op.weight_scale, bias, y, op.module, stride=kernel, relu=relu)


def _rows_by_scale(tensor: g.Tensor, rows: int) -> list[tuple[Array, g.Segment]]:
    """Rows of a layer (the same in every group that shares its weights) that have scale and range
    in common, in the order of the first of each."""
    found: dict[tuple[float, int, int], tuple[list[int], g.Segment]] = {}
    for segment, part in zip(tensor.segments, tensor.parts(), strict=True):
        known, _ = found.setdefault((segment.scale, segment.lo, segment.hi), ([], segment))
        known += range(part.start, min(part.stop, rows))
    return [(np.array(known), segment) for known, segment in found.values() if known]


def _source(b: Lowering, op: g.IntDense) -> tuple[Value, Array, Layer]:
    """What the convolution looks at, its weights (out, kernel, columns, in), and how it moves."""
    if op.inputs[0] in b.windows:
        return _over_windows(b, op, b.windows[op.inputs[0]])
    x, weight = b.value(op.inputs[0]), _one_band(op.weight)[:, :, None]
    return _columns(b, x, op), weight, Layer(op.module, op.frames_per_output)


def _columns(b: Lowering, x: Value, op: g.IntDense) -> Value:
    """Groups that share the weights as columns of a picture."""
    shape = (1, x.shape[1], op.shared, x.shape[3] // op.shared)
    return x if op.shared == 1 else b.reshape(x, shape, f"{op.module}.columns")


def _over_windows(b: Lowering, op: g.IntDense, window: Window) -> tuple[Value, Array, Layer]:
    """The frames of a window are the kernel of a convolution."""
    full = _one_band(op.weight)[:, 0]
    x = window.x if window.padded else _columns(b, window.x, op)
    bands = window.bands if op.shared == 1 else 1
    # (out, bands, kernel frames, kernel columns, n) -> (out, frames, columns, bands·n)
    apart = full.reshape(len(full), bands, *window.kernel, -1).transpose(0, 2, 3, 1, 4)
    weight = apart.reshape(len(full), *window.kernel, -1)
    return x, weight, Layer(op.module, window.stride, window.padded)


def looked_into(b: Lowering, name: str, window: Window) -> bool:
    """Whether all readers of a tensor are convolutions that can look into its windows
    themselves."""
    users = b.graph.users[name]
    return bool(users) and all(_fits(b, user, window) for user in users)


def _fits(b: Lowering, op: g.Op, window: Window) -> bool:
    if b.table.get(type(op)) is not linear or b.graph.loop_of(b.graph.maker[op.output]):
        return False
    layer = cast(g.IntDense, op)
    return layer.weight.shape[2] == 1 and layer.shared in window.shared


def _one_band(weight: Array) -> Array:
    """(bands, out, kernel, in) -> (bands·out, kernel, bands·in), zeros between bands: CMSIS-NN
    groups no 16-bit convolution."""
    bands, out, kernel, width = weight.shape
    full = np.zeros((bands, out, kernel, bands, width), np.int8)
    for band in range(bands):
        full[band, :, :, band] = weight[band]
    return full.reshape(bands * out, kernel, bands * width)

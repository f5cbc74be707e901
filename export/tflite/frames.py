"""What moves frames or looks at several of them: windows, pools, interpolation, pictures of a
window."""

from __future__ import annotations

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from compress import graph as g
from compress.errors import GraphError
from export.tflite.linear import looked_into
from export.tflite.lowering import Lowering, Window
from export.tflite.model import OP, Value

FINEST = 64  # frames for each that weights of a line have eight bits for


def window(b: Lowering, op: g.IntUnfold1d) -> None:
    """The frames that are seen, in a row; a convolution looks into them itself, anything else gets
    them side by side."""
    count = b.value(op.inputs[0]).shape[1] // op.frames_per_output
    x = b.with_past(op, op.history)
    first = op.history + op.frames_per_output - op.lag - op.span
    end = first + (count - 1) * op.frames_per_output + op.span
    if op.frames == 1:
        b.put(op.output, b.slice(x, first, end, op.frames_per_output, op.output))
        return
    seen = b.slice(x, first, end, 1, f"{op.module}.seen")
    looked = Window(seen, (op.frames, 1), (1, op.bands), op.frames_per_output, op.bands)
    if op.dilation == 1 and looked_into(b, op.output, looked):
        b.windows[op.output] = looked
    else:
        b.put(op.output, _side_by_side(b, op, seen, count))


def _side_by_side(b: Lowering, op: g.IntUnfold1d, x: Value, count: int) -> Value:
    """(1, frames, 1, features) -> (1, count, 1, frames of a window · features), those of each band
    together."""
    width, reach = x.shape[3] // op.bands, (count - 1) * op.frames_per_output + 1
    taps = [
        b.slice(x, at, at + reach, op.frames_per_output, f"{op.module}.tap{at}")
        for at in range(0, op.span, op.dilation)
    ]
    apart = [b.reshape(tap, (1, count, op.bands, width), f"{op.module}.bands") for tap in taps]
    return b.reshape(b.join(apart, op.module, axis=3), b.frames(op.output), op.output)


def interpolate(b: Lowering, op: g.IntInterpolate) -> None:
    """Points on the line between two frames: a depthwise convolution over both for each."""
    x, k = b.value(op.inputs[0]), op.factor
    if k > FINEST:
        raise GraphError(
            f"{op.module}: IntInterpolate of {k} frames for each has no TFLite form; {FINEST} at"
            " most"
        )
    frames = x.shape[1]
    both = b.with_past(op, 1)
    points = [
        b.slice(both, 0, frames, 1, f"{op.module}.begin"),
        *(_point(b, op, both, j) for j in range(1, k)),
    ]
    joined = b.join(points, op.module, axis=3)
    b.put(op.output, b.reshape(joined, b.frames(op.output), op.output))


def _point(b: Lowering, op: g.IntInterpolate, x: Value, j: int) -> Value:
    """(x[t]·(k − j) + x[t + 1]·j) / k, rounded once."""
    features = x.shape[3]
    weight = np.broadcast_to(
        np.array([op.factor - j, j], np.int8)[None, :, None, None], (1, 2, 1, features)
    )
    y = b.step.tensor(f"{op.module}.point{j}", (1, x.shape[1] - 1, 1, features), np.int16, x.scale)
    return b.depthwise(
        x,
        weight,
        np.full(features, 1 / op.factor),
        np.zeros(features, np.int64),
        y,
        f"{op.module}.point{j}",
    )


def mean_pool(b: Lowering, op: g.IntMeanPool) -> None:
    x, y = b.value(op.inputs[0]), b.result(op)
    gain = np.full(x.shape[3], 1 / op.factor)
    b.per_channel(x, gain, np.zeros(x.shape[3]), y, op.module, taps=op.factor, relu=b.relu(op))


def mean_over(b: Lowering, op: g.IntGroupMean) -> None:
    """The copies of a band lie behind each other like the frames of a pool."""
    x = b.value(op.inputs[0])
    n, groups = x.shape[3] // (op.bands * op.copies), x.shape[1] * op.bands
    copies = b.reshape(x, (1, groups * op.copies, 1, n), f"{op.module}.copies")
    scale = b.graph.target(op).scale
    y = b.step.tensor(f"{op.module}.means", (1, groups, 1, n), np.int16, scale)
    gain = np.full(n, 1 / op.copies)
    b.per_channel(copies, gain, np.zeros(n), y, op.module, taps=op.copies, relu=b.relu(op))
    b.put(op.output, b.reshape(y, b.frames(op.output), op.output))


def max_pool(b: Lowering, op: g.IntMaxPool) -> None:
    _largest(b, b.value(op.inputs[0]), b.result(op), (op.factor, 1))


def max_over(b: Lowering, op: g.IntGroupMax) -> None:
    x = b.value(op.inputs[0])
    n = x.shape[3] // (op.bands * op.copies)
    copies = b.reshape(x, (1, x.shape[1] * op.bands, op.copies, n), f"{op.module}.copies")
    largest = b.step.tensor(
        f"{op.module}.largest", (1, x.shape[1] * op.bands, 1, n), np.int16, x.scale
    )
    _largest(b, copies, largest, (1, op.copies))
    b.put(op.output, b.reshape(largest, b.frames(op.output), op.output))


def _largest(b: Lowering, x: Value, y: Value, size: tuple[int, int]) -> Value:
    options = schema.Pool2DOptionsT()
    options.padding = schema.Padding.VALID
    options.filterHeight, options.filterWidth = options.strideH, options.strideW = size
    b.step.op(OP.MAX_POOL_2D, [x], [y], options)
    return y


def patches(b: Lowering, op: g.IntIm2Col) -> None:
    """Pictures of each window (windows, frames, width, channels), which padded convolutions look
    into themselves."""
    repeated = _repeated(b, b.value(op.inputs[0]), op, op.frames)
    kernel, columns = (op.kernel_frames, op.kernel_columns), op.width * op.copies
    b.windows[op.output] = Window(repeated, kernel, (columns,), padded=True)
    if not looked_into(b, op.output, b.windows[op.output]):
        raise GraphError(
            f"{op.module}: IntIm2Col has no TFLite form but in front of a convolution over all its"
            " columns"
        )


def repeat(b: Lowering, op: g.IntTile) -> None:
    x = b.value(op.inputs[0])
    repeated = _repeated(b, x, op, x.shape[1])
    b.put(op.output, b.reshape(repeated, b.frames(op.output), op.output))


def _repeated(b: Lowering, x: Value, op: g.IntIm2Col | g.IntTile, frames: int) -> Value:
    """Pictures of so many frames, each of their places `factor` by `copies` times."""
    picture = b.reshape(
        x, (x.shape[1] // frames, frames, op.width, x.shape[3] // op.width), f"{op.module}.picture"
    )
    if op.factor == op.copies == 1:
        return picture
    size = (frames * op.factor, op.width * op.copies)
    y = b.step.tensor(
        f"{op.module}.repeated", (picture.shape[0], *size, picture.shape[3]), np.int16, x.scale
    )
    target = b.step.constant(f"{op.module}.size", np.array(size, np.int32))
    b.step.op(
        OP.RESIZE_NEAREST_NEIGHBOR, [picture, target], [y], schema.ResizeNearestNeighborOptionsT()
    )
    return y

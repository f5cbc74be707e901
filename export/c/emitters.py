"""Operators without recurrent state as kernel calls, one small function per operator."""

from __future__ import annotations

import numpy as np

from compress import graph as g
from compress.errors import GraphError
from export.c import linear
from export.c.step import Model

# --- pools ----------------------------------------------------------------------------------------


def mean_pool(model: Model, index: int, op: g.IntMeanPool) -> None:
    frames, features = model.shape(op.output)
    _mean(model, index, op, (op.factor, frames, features))


def group_mean(model: Model, index: int, op: g.IntGroupMean) -> None:
    _mean(model, index, op, _copies(model, op))


def _mean(
    model: Model, index: int, op: g.IntMeanPool | g.IntGroupMean, groups: tuple[int, int, int]
) -> None:
    factor, rows, features = groups
    layer = model.describe(
        "mean_pool",
        index,
        mult=op.mult,
        factor=factor,
        frames=rows,
        features=features,
        shift=op.shift,
        **model.limits(op),
    )
    model.call(index, layer, *model.through(op))


def max_pool(model: Model, index: int, op: g.IntMaxPool) -> None:
    frames, features = model.shape(op.output)
    model.call(index, *model.through(op), op.factor, frames, features)


def group_max(model: Model, index: int, op: g.IntGroupMax) -> None:
    copies, rows, features = _copies(model, op)
    model.call(index, *model.through(op), copies, rows, features)


def _copies(model: Model, op: g.IntGroupMean | g.IntGroupMax) -> tuple[int, int, int]:
    """(copies, rows, features): copies of a band lie in memory like frames of its features."""
    frames, features = model.shape(op.output)
    return op.copies, frames * op.bands, features // op.bands


# --- frames moved ---------------------------------------------------------------------------------


def window(model: Model, index: int, op: g.IntUnfold1d) -> None:
    frames, width = model.shape(op.output)
    features = model.graph.source(op).features
    skip = op.history + op.frames_per_output - op.lag - op.span
    layer = model.describe(
        "window",
        index,
        windows=frames,
        width=width,
        stride=int(op.stride) * features,
        history=op.history * features,
        skip=skip * features,
        features=features,
        bands=op.bands,
        dilation=op.dilation,
    )
    history = model.kept(op, "int16_t", op.history * features) if op.history else 0
    model.call(index, layer, history, *model.through(op))


def features(model: Model, index: int, op: g.IntSlice) -> None:
    """A window of one frame that begins behind the first features."""
    frames, width = model.shape(op.output)
    layer = model.describe(
        "window",
        index,
        windows=frames,
        width=width,
        stride=model.graph.source(op).features,
        skip=op.begin,
        bands=1,
        dilation=1,
    )
    model.call(index, layer, 0, *model.through(op))


def interpolate(model: Model, index: int, op: g.IntInterpolate) -> None:
    frames, features = model.shape(op.inputs[0])
    past, shift = model.kept(op, "int16_t", features), op.factor.bit_length() - 1
    x, y = model.through(op)
    model.call(index, x, past, y, frames, features, shift)


def patches(model: Model, index: int, op: g.IntIm2Col) -> None:
    features = model.graph.source(op).features
    frames, begin = model.shape(op.output)[0], op.factor * model.frames_before(op.inputs[0])
    above, below = (op.kernel_frames - 1) // 2, op.kernel_frames // 2
    before, after = min(above, begin), min(below, op.factor * op.frames - begin - frames)
    layer = model.describe(
        "patches",
        index,
        "" if (before, after) == (0, 0) else f"{before}_{after}",
        frames=frames,
        width=op.width * op.copies,
        n=features // op.width,
        kernel_frames=op.kernel_frames,
        kernel_columns=op.kernel_columns,
        before=before,
        after=after,
        factor=op.factor,
        copies=op.copies,
    )
    model.call(index, layer, *model.through(op))


def repeat(model: Model, index: int, op: g.IntTile) -> None:
    frames, features = model.shape(op.inputs[0])
    counts = (frames, op.width, features // op.width, op.factor, op.copies)
    model.call(index, *model.through(op), *counts)


# --- layers ---------------------------------------------------------------------------------------


def dense(model: Model, index: int, op: g.IntDense) -> None:
    bands, out, kernel, width = op.weight.shape
    if bands > 1 and kernel > 1:
        raise GraphError(
            f"{op.module}: a convolution over several frames with separate bands has no C kernel"
        )
    called = linear.kernel_of(model.graph, op, model.family)
    frames, calls = linear.frames_and_calls(
        model.graph, op, called, model.shape(op.output)[0] * op.shared
    )
    for band in range(bands):
        part = _band(bands, band)
        tables = {
            field: model.table_of(index, f"{part}_{field}" if part else field, values)
            for field, values in linear.tables_of(op, band, called, frames).items()
        }
        size: dict[str, int | str] = {"in": kernel * width, "out": out, "frames": frames}
        layer = model.describe(
            "linear",
            index,
            part,
            **tables,
            **size,
            x_stride=bands * kernel * width,
            y_stride=bands * out,
            shift=op.shift,
            **model.limits(op),
        )
        for call in range(calls):
            x = model.at(op.inputs[0], (call * bands * kernel + band) * width)
            y = model.at(op.output, (call * bands + band) * out)
            last = (band, call) == (bands - 1, calls - 1)
            model.call(index, layer, x, y, last=last, kernel=called)


def _band(bands: int, band: int) -> str:
    """How the parts of a layer with several bands are told apart."""
    return "" if bands == 1 else f"band{band}"


def layer_norm(model: Model, index: int, op: g.IntLayerNorm | g.IntRmsNorm) -> None:
    bands, n = op.gain.shape
    rows = model.shape(op.output)[0]
    for band in range(bands):
        part = _band(bands, band)
        tables = {
            field: model.table_of(index, f"{part}_{field}" if part else field, values)
            for field, values in (
                ("gain", op.gain[band].astype(np.int32)),
                ("bias", op.bias[band].astype(np.int32)),
            )
        }
        layer = model.describe(
            "layer_norm",
            index,
            part,
            epsilon=f"{op.epsilon}u",
            **tables,
            n=n,
            rows=rows,
            stride=bands * n,
            **model.limits(op),
        )
        x, y = model.at(op.inputs[0], band * n), model.at(op.output, band * n)
        model.call(index, layer, x, y, last=band == bands - 1)


# --- value by value -------------------------------------------------------------------------------


def lut(model: Model, index: int, op: g.IntLut) -> None:
    table = model.table_of(index, "table", op.table.astype(np.int16))
    frames, features = model.shape(op.output)
    model.call(index, table, *model.through(op), frames * features)


def step(model: Model, index: int, op: g.IntStep) -> None:
    frames, features = model.shape(op.output)
    model.call(index, *model.through(op), frames * features, op.high)


def glu(model: Model, index: int, op: g.IntGlu) -> None:
    table = model.table("sigmoid", op.table.astype(np.int16))
    frames, features = model.shape(op.output)
    model.call(index, table, *model.through(op), features, frames)


def add(model: Model, index: int, op: g.IntAdd | g.IntSubtract) -> None:
    frames, features = model.shape(op.output)
    a, b = (model.at(name) for name in op.inputs)
    model.call(index, a, b, model.at(op.output), frames * features)


def log_softmax(model: Model, index: int, op: g.IntLogSoftmax) -> None:
    frames, features = model.shape(op.output)
    layer = model.describe(
        "log_softmax",
        index,
        mult=op.mult,
        n=features,
        frames=frames,
        shift=op.shift,
        fraction=op.fraction,
    )
    model.call(index, layer, *model.through(op))

"""Operators without recurrent state as kernel calls, one small function per operator."""

from __future__ import annotations

import numpy as np

from compress import graph as g
from compress.errors import GraphError
from export.c import linear
from export.c.step import Model, halves_at, words_at

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
    model.describe(
        f"static const nn_mean_pool op{index} = {{.mult = {op.mult}, .factor = {factor}, .frames ="
        f" {rows}, .features = {features}, .shift = {op.shift}, {model.clamp(op)}}};"
    )
    model.call(index, f"&op{index}, {model.through(op)}")


def max_pool(model: Model, index: int, op: g.IntMaxPool) -> None:
    frames, features = model.shape(op.output)
    model.call(index, f"{model.through(op)}, {op.factor}, {frames}, {features}")


def group_max(model: Model, index: int, op: g.IntGroupMax) -> None:
    copies, rows, features = _copies(model, op)
    model.call(index, f"{model.through(op)}, {copies}, {rows}, {features}")


def _copies(model: Model, op: g.IntGroupMean | g.IntGroupMax) -> tuple[int, int, int]:
    """(copies, rows, features): copies of a band lie in memory like frames of its features."""
    frames, features = model.shape(op.output)
    return op.copies, frames * op.bands, features // op.bands


# --- frames moved ---------------------------------------------------------------------------------


def window(model: Model, index: int, op: g.IntUnfold1d) -> None:
    frames, width = model.shape(op.output)
    features = model.graph.source(op).features
    skip = op.history + op.frames_per_output - op.lag - op.span
    model.describe(
        f"static const nn_window op{index} = {{.windows = {frames}, .width = {width}, .stride ="
        f" {op.stride * features}, .history = {op.history * features}, .skip = {skip * features},"
        f" .features = {features}, .bands = {op.bands}, .dilation = {op.dilation}}};"
    )
    places = model.plan.state_offsets if op.recurrent else model.plan.kept_offsets
    history = words_at(places[op.output]) if op.history else "0"
    model.call(index, f"&op{index}, {history}, {model.through(op)}")


def features(model: Model, index: int, op: g.IntSlice) -> None:
    """A window of one frame that begins behind the first features."""
    frames, width = model.shape(op.output)
    model.describe(
        f"static const nn_window op{index} = {{.windows = {frames}, .width = {width}, .stride ="
        f" {model.graph.source(op).features}, .skip = {op.begin}, .bands = 1, .dilation = 1}};"
    )
    model.call(index, f"&op{index}, 0, {model.through(op)}")


def interpolate(model: Model, index: int, op: g.IntInterpolate) -> None:
    frames, features = model.shape(op.inputs[0])
    past, shift = halves_at(model.plan.kept_offsets[op.output]), op.factor.bit_length() - 1
    x, y = model.at(op.inputs[0]), model.at(op.output)
    model.call(index, f"{x}, {past}, {y}, {frames}, {features}, {shift}")


def patches(model: Model, index: int, op: g.IntIm2Col) -> None:
    features = model.graph.source(op).features
    frames, begin = model.shape(op.output)[0], op.factor * model.frames_before(op.inputs[0])
    above, below = (op.kernel_frames - 1) // 2, op.kernel_frames // 2
    before, after = min(above, begin), min(below, op.factor * op.frames - begin - frames)
    name = f"op{index}" if (before, after) == (0, 0) else f"op{index}_{before}_{after}"
    model.describe(
        f"static const nn_patches {name} = {{.frames = {frames}, .width = {op.width * op.copies},"
        f" .n = {features // op.width}, .kernel_frames = {op.kernel_frames}, .kernel_columns ="
        f" {op.kernel_columns}, .before = {before}, .after = {after}, .factor = {op.factor},"
        f" .copies = {op.copies}}};"
    )
    model.call(index, f"&{name}, {model.through(op)}")


def repeat(model: Model, index: int, op: g.IntTile) -> None:
    frames, features = model.shape(op.inputs[0])
    counts = f"{frames}, {op.width}, {features // op.width}, {op.factor}, {op.copies}"
    model.call(index, f"{model.through(op)}, {counts}")


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
        name = f"op{index}" if bands == 1 else f"op{index}_band{band}"
        tables = linear.tables_of(op, band, called, frames)
        fields = ", ".join(
            f".{field} = {model.table(f'{name}_{field}', values)}"
            for field, values in tables.items()
        )
        model.describe(
            f"static const nn_linear {name} = {{{fields}, .in = {kernel * width}, .out = {out},"
            f" .frames = {frames}, .x_stride = {bands * kernel * width}, .y_stride = {bands * out},"
            f" .shift = {op.shift}, {model.clamp(op)}}};"
        )
        for call in range(calls):
            x = model.at(op.inputs[0], (call * bands * kernel + band) * width)
            y = model.at(op.output, (call * bands + band) * out)
            last = (band, call) == (bands - 1, calls - 1)
            model.call(index, f"&{name}, {x}, {y}", last, called)


def layer_norm(model: Model, index: int, op: g.IntLayerNorm | g.IntRmsNorm) -> None:
    bands, n = op.gain.shape
    rows = model.shape(op.output)[0]
    for band in range(bands):
        name = f"op{index}" if bands == 1 else f"op{index}_band{band}"
        gain = model.table(f"{name}_gain", op.gain[band].astype(np.int32))
        bias = model.table(f"{name}_bias", op.bias[band].astype(np.int32))
        model.describe(
            f"static const nn_layer_norm {name} = {{.epsilon = {op.epsilon}u, .gain = {gain}, .bias"
            f" = {bias}, .n = {n}, .rows = {rows}, .stride = {bands * n}, {model.clamp(op)}}};"
        )
        x, y = model.at(op.inputs[0], band * n), model.at(op.output, band * n)
        model.call(index, f"&{name}, {x}, {y}", last=band == bands - 1)


# --- value by value -------------------------------------------------------------------------------


def lut(model: Model, index: int, op: g.IntLut) -> None:
    table = model.table(f"op{index}_table", op.table.astype(np.int16))
    frames, features = model.shape(op.output)
    model.call(index, f"{table}, {model.through(op)}, {frames * features}")


def step(model: Model, index: int, op: g.IntStep) -> None:
    frames, features = model.shape(op.output)
    model.call(index, f"{model.through(op)}, {frames * features}, {op.high}")


def glu(model: Model, index: int, op: g.IntGlu) -> None:
    table = model.table("sigmoid_table", op.table.astype(np.int16))
    frames, features = model.shape(op.output)
    model.call(index, f"{table}, {model.through(op)}, {features}, {frames}")


def add(model: Model, index: int, op: g.IntAdd | g.IntSubtract) -> None:
    frames, features = model.shape(op.output)
    a, b = (model.at(name) for name in op.inputs)
    model.call(index, f"{a}, {b}, {model.at(op.output)}, {frames * features}")


def log_softmax(model: Model, index: int, op: g.IntLogSoftmax) -> None:
    frames, features = model.shape(op.output)
    model.describe(
        f"static const nn_log_softmax op{index} = {{.mult = {op.mult}, .n = {features}, .frames ="
        f" {frames}, .shift = {op.shift}, .fraction = {op.fraction}}};"
    )
    model.call(index, f"&op{index}, {model.through(op)}")

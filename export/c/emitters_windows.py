"""Operators of windows, attention and joins as kernel calls, one small function per operator."""

from __future__ import annotations

import numpy as np

from compress import graph as g
from export.c import pack
from export.c.step import Model

# --- windows --------------------------------------------------------------------------------------


def sliding_window(model: Model, index: int, op: g.IntSlidingWindow) -> None:
    """One window a step, which the last frames of the stream are."""
    features = model.graph.source(op).features
    skip = max(0, op.hop - op.frames)
    layer = model.describe(
        "window",
        index,
        windows=1,
        width=op.frames * features,
        stride=op.hop * features,
        history=op.history * features,
        skip=skip * features,
        bands=1,
        dilation=1,
    )
    history = model.kept(op, "int16_t", op.history * features) if op.history else 0
    model.call(index, layer, history, *model.through(op))


def window_unfold(model: Model, index: int, op: g.IntWindowUnfold) -> None:
    """Of a step in pieces, every piece sees the whole window."""
    outputs, features = model.shape(op.output)[0], model.graph.source(op).features
    piece = model.piece if model.stretch else 0
    layer = model.describe(
        "window_unfold",
        index,
        f"piece{piece}" if model.stretch else "",
        before=op.before - piece * outputs * op.step,
        frames=op.frames,
        outputs=outputs,
        features=features,
        kernel=op.kernel,
        step=op.step,
        dilation=op.dilation,
        bands=op.bands,
        edge=int(op.edge),
    )
    x = model.at(op.inputs[0], -model.frames_before(op.inputs[0]) * features)
    model.call(index, layer, x, model.at(op.output))


def reframe(model: Model, index: int, op: g.IntReframe) -> None:
    """Nothing moves where both lie in one place."""
    frames, features = model.shape(op.output)
    model.call(index, *model.through(op), frames * features)


def constant(model: Model, index: int, op: g.IntConstant) -> None:
    """Its frames as one, as often as a step has room for them."""
    table = model.table_of(index, "values", op.values.astype(np.int16))
    frames, y = model.shape(op.output)[0], model.at(op.output)
    model.call(index, table, y, 1, 1, op.values.size, frames // op.frames, 1)


# --- attention ------------------------------------------------------------------------------------


def attention(model: Model, index: int, op: g.IntAttentionScores | g.IntAttentionContext) -> None:
    layer = model.describe(
        "attention",
        index,
        mult=op.mult,
        frames=model.shape(op.output)[0],
        keys=op.frames,
        heads=op.heads,
        depth=op.depth,
        shared=int(op.shared),
        bits=op.bits,
        **model.limits(op),
    )
    model.call(index, layer, *(model.at(name) for name in (*op.inputs, op.output)))


def softmax(model: Model, index: int, op: g.IntSoftmax) -> None:
    frames, features = model.shape(op.output)
    layer = model.describe(
        "softmax",
        index,
        mult=op.mult,
        n=features // op.groups,
        rows=frames * op.groups,
        shift=op.shift,
    )
    model.call(index, layer, *model.through(op))


# --- filters --------------------------------------------------------------------------------------


def depthwise(model: Model, index: int, op: g.IntDepthwise) -> None:
    channels, kernel = op.weight.shape
    layer = model.describe(
        "depthwise",
        index,
        weights=model.table_of(index, "weights", pack.pack_taps(op.weight)),
        bias=model.table_of(index, "bias", op.bias.astype(np.int32)),
        mult=model.table_of(index, "mult", op.mult.astype(np.int32)),
        channels=channels,
        kernel=kernel,
        frames=model.shape(op.output)[0],
        shift=op.shift,
        **model.limits(op),
    )
    model.call(index, layer, *model.through(op))


# --- values joined, multiplied, moved -------------------------------------------------------------


def concat(model: Model, index: int, op: g.IntConcat) -> None:
    frames, features = model.shape(op.output)
    at = 0
    for part, (name, size) in enumerate(zip(op.inputs, op.sizes, strict=True)):
        layer = model.describe(
            "rescale",
            index,
            f"part{part}",
            mult=op.mult[part],
            n=size,
            rows=frames,
            stride=features,
            shift=op.shift[part],
            **model.limits(op),
        )
        last = part == len(op.sizes) - 1
        model.call(index, layer, model.at(name), model.at(op.output, at), last=last)
        at += size


def multiply(model: Model, index: int, op: g.IntMultiply) -> None:
    frames, features = model.shape(op.output)
    layer = model.describe("multiply", index, mult=op.mult, n=frames * features, **model.limits(op))
    model.call(index, layer, *(model.at(name) for name in (*op.inputs, op.output)))


def gather(model: Model, index: int, op: g.IntGather) -> None:
    table = model.table_of(index, "index", op.index.astype(np.uint16))
    frames, features = model.shape(op.output)
    counts = (frames, model.graph.source(op).features, features)
    model.call(index, table, *model.through(op), *counts)


def clamp(model: Model, index: int, op: g.IntClamp) -> None:
    frames, features = model.shape(op.output)
    model.call(index, *model.through(op), frames * features, op.least, op.most)

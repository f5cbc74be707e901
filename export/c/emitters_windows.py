"""Operators of windows, attention and joins as kernel calls, one small function per operator."""

from __future__ import annotations

import numpy as np

from compress import graph as g
from export.c import pack
from export.c.step import Model, words_at

# --- windows --------------------------------------------------------------------------------------


def sliding_window(model: Model, index: int, op: g.IntSlidingWindow) -> None:
    """One window a step, which the last frames of the stream are."""
    features = model.graph.source(op).features
    skip = max(0, op.hop - op.frames)
    model.describe(
        f"static const nn_window op{index} = {{.windows = 1, .width = {op.frames * features},"
        f" .stride = {op.hop * features}, .history = {op.history * features}, .skip ="
        f" {skip * features}, .bands = 1, .dilation = 1}};"
    )
    history = words_at(model.plan.kept_offsets[op.output]) if op.history else "0"
    model.call(index, f"&op{index}, {history}, {model.through(op)}")


def window_unfold(model: Model, index: int, op: g.IntWindowUnfold) -> None:
    """Of a step in pieces, every piece sees the whole window."""
    outputs, features = model.shape(op.output)[0], model.graph.source(op).features
    piece = model.piece if model.stretch else 0
    before, name = op.before - piece * outputs * op.step, f"op{index}"
    if model.stretch:
        name += f"_{piece}"
    model.describe(
        f"static const nn_window_unfold {name} = {{.before = {before}, .frames = {op.frames},"
        f" .outputs = {outputs}, .features = {features}, .kernel = {op.kernel}, .step ="
        f" {op.step}, .dilation = {op.dilation}, .bands = {op.bands}, .edge = {int(op.edge)}}};"
    )
    x = model.at(op.inputs[0], -model.frames_before(op.inputs[0]) * features)
    model.call(index, f"&{name}, {x}, {model.at(op.output)}")


def reframe(model: Model, index: int, op: g.IntReframe) -> None:
    """Nothing moves where both lie in one place."""
    frames, features = model.shape(op.output)
    model.call(index, f"{model.through(op)}, {frames * features}")


def constant(model: Model, index: int, op: g.IntConstant) -> None:
    """Its frames as one, as often as a step has room for them."""
    table = model.table(f"op{index}_values", op.values.astype(np.int16))
    frames, y = model.shape(op.output)[0], model.at(op.output)
    model.call(index, f"{table}, {y}, 1, 1, {op.values.size}, {frames // op.frames}, 1")


# --- attention ------------------------------------------------------------------------------------


def attention(model: Model, index: int, op: g.IntAttentionScores | g.IntAttentionContext) -> None:
    model.describe(
        f"static const nn_attention op{index} = {{.mult = {op.mult}, .frames ="
        f" {model.shape(op.output)[0]}, .keys = {op.frames}, .heads = {op.heads}, .depth ="
        f" {op.depth}, .shared = {int(op.shared)}, .bits = {op.bits}, {model.clamp(op)}}};"
    )
    places = ", ".join(model.at(name) for name in (*op.inputs, op.output))
    model.call(index, f"&op{index}, {places}")


def softmax(model: Model, index: int, op: g.IntSoftmax) -> None:
    frames, features = model.shape(op.output)
    model.describe(
        f"static const nn_softmax op{index} = {{.mult = {op.mult}, .n = {features // op.groups},"
        f" .rows = {frames * op.groups}, .shift = {op.shift}}};"
    )
    model.call(index, f"&op{index}, {model.through(op)}")


# --- filters --------------------------------------------------------------------------------------


def depthwise(model: Model, index: int, op: g.IntDepthwise) -> None:
    channels, kernel = op.weight.shape
    weights = model.table(f"op{index}_weights", pack.pack_taps(op.weight))
    bias = model.table(f"op{index}_bias", op.bias.astype(np.int32))
    mult = model.table(f"op{index}_mult", op.mult.astype(np.int32))
    model.describe(
        f"static const nn_depthwise op{index} = {{.weights = {weights}, .bias = {bias}, .mult ="
        f" {mult}, .channels = {channels}, .kernel = {kernel}, .frames ="
        f" {model.shape(op.output)[0]}, .shift = {op.shift}, {model.clamp(op)}}};"
    )
    model.call(index, f"&op{index}, {model.through(op)}")


# --- values joined, multiplied, moved -------------------------------------------------------------


def concat(model: Model, index: int, op: g.IntConcat) -> None:
    frames, features = model.shape(op.output)
    at = 0
    for part, (name, size) in enumerate(zip(op.inputs, op.sizes, strict=True)):
        model.describe(
            f"static const nn_rescale op{index}_{part} = {{.mult = {op.mult[part]}, .n = {size},"
            f" .rows = {frames}, .stride = {features}, .shift = {op.shift[part]},"
            f" {model.clamp(op)}}};"
        )
        last = part == len(op.sizes) - 1
        model.call(index, f"&op{index}_{part}, {model.at(name)}, {model.at(op.output, at)}", last)
        at += size


def multiply(model: Model, index: int, op: g.IntMultiply) -> None:
    frames, features = model.shape(op.output)
    model.describe(
        f"static const nn_multiply op{index} = {{.mult = {op.mult}, .n = {frames * features},"
        f" {model.clamp(op)}}};"
    )
    places = ", ".join(model.at(name) for name in (*op.inputs, op.output))
    model.call(index, f"&op{index}, {places}")


def gather(model: Model, index: int, op: g.IntGather) -> None:
    table = model.table(f"op{index}_index", op.index.astype(np.uint16))
    frames, features = model.shape(op.output)
    counts = f"{frames}, {model.graph.source(op).features}, {features}"
    model.call(index, f"{table}, {model.through(op)}, {counts}")


def clamp(model: Model, index: int, op: g.IntClamp) -> None:
    frames, features = model.shape(op.output)
    model.call(index, f"{model.through(op)}, {frames * features}, {op.least}, {op.most}")

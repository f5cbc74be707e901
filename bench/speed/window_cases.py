"""Calls of the kernels of windows, attention, filters and joins, as kernel_cases.py makes them."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import numpy as np

from bench.bare.cases import Case
from bench.speed.kernel_cases import (
    INT16,
    INT32_MAX,
    Array,
    Check,
    Contents,
    blank,
    ends,
    finish,
    layer_norm,
    run_alone,
)
from compress import graph as g
from compress.ops.attention import shortening
from compress.ops.base import Memory
from compress.ops.softmax import softmax as softmax_of
from export.c import pack

NAMES = (("x",), "y", "")  # of an operator that stands alone
BOTH = (("x", "second"), "y", "")


def run_both(
    op: g.Op, inputs: Sequence[Array], features: int, lo: int = INT16[0], hi: int = INT16[1]
) -> Array:
    """What an operator makes of inputs (time, features), held to lo…hi: int16."""
    target = g.Tensor(op.output, features, Fraction(1)).scaled(1.0, lo, hi)
    wide = [x.astype(np.int64)[None] for x in inputs]
    return op.run(wide, Memory(1, target))[0].astype(np.int16)


def _mult(contents: Contents) -> int:
    return int(contents.rng.integers(0, INT32_MAX, endpoint=True)) >> int(
        contents.rng.integers(0, 20)
    )


# --- filters --------------------------------------------------------------------------------------


def depthwise(
    contents: Contents, channels: int, kernel: int, frames: int, x: Array | None = None
) -> Check:
    limit = max(1, min(127, INT32_MAX // (-INT16[0] * kernel)))
    weight = contents.integers(-limit, limit, (channels, kernel), np.int8)
    room = INT32_MAX - np.abs(weight.astype(np.int64)).sum(1) * -INT16[0]
    bias = np.array([int(contents.integers(-int(r), int(r), 1, np.int64)[0]) for r in room])
    largest = int((INT32_MAX - room + np.abs(bias)).max())
    shift = int(contents.rng.integers(0, max(0, 31 - largest.bit_length()), endpoint=True))
    mult = contents.integers(0, INT32_MAX, channels, np.int64) >> int(contents.rng.integers(0, 24))
    lo, hi = contents.clamp()
    x = contents.integers(*INT16, (frames, kernel * channels)) if x is None else x
    ones = np.ones(channels)
    op = g.IntDepthwise(*NAMES, weight, bias.astype(np.int32), mult, shift, ones)
    y = run_alone(op, x, channels, lo, hi)
    tables = {
        "table": pack.pack_taps(weight),
        "second": bias.astype(np.int32),
        "third": mult.astype(np.int32),
    }
    offsets = ends(contents) | {name: contents.offset(4) for name in tables}
    values = (channels, kernel, frames, shift, lo, hi)
    return Check(
        Case("depthwise", values, tables | {"x": x, "y": blank(y.shape)}, offsets), {"y": y}
    )


# --- attention ------------------------------------------------------------------------------------


def attention_scores(
    contents: Contents, frames: int, keys: int, heads: int, depth: int, shared: bool = True
) -> Check:
    queries = contents.integers(*INT16, (frames, heads * depth))
    bits, mult = shortening(2**30 * depth), _mult(contents)
    op = g.IntAttentionScores(*BOTH, keys, heads, depth, False, bits, mult, 0, 1.0)
    return _attention(contents, op, queries, heads * keys, shared)


def attention_context(
    contents: Contents, frames: int, keys: int, heads: int, depth: int, shared: bool = True
) -> Check:
    """The weights are what a softmax makes of anything."""
    weights = softmax(contents, keys, frames * heads).expected["y"].reshape(frames, -1)
    bits, mult = shortening((2**15 + 1 + keys // 2) * 2**15), _mult(contents)
    op = g.IntAttentionContext(*BOTH, keys, heads, depth, False, bits, mult, 0)
    return _attention(contents, op, weights, heads * depth, shared)


def _attention(
    contents: Contents,
    op: g.IntAttentionScores | g.IntAttentionContext,
    x: Array,
    features: int,
    shared: bool,
) -> Check:
    """`op`: of frames with keys of their own, which may all have the same."""
    frames, (lo, hi) = len(x), contents.clamp()
    own = contents.integers(*INT16, (1 if shared else frames, op.frames * op.heads * op.depth))
    keys = np.repeat(own, frames // len(own), axis=0)
    y = run_both(op, (x, keys), features, lo, hi)
    values = (op.mult, frames, op.frames, op.heads, op.depth, int(shared), op.bits, lo, hi)
    offsets = ends(contents) | {"second": contents.offset(2)}
    buffers = {"second": own, "x": x, "y": blank(y.shape)}
    return Check(Case(op.code.removeprefix("int."), values, buffers, offsets), {"y": y})


def softmax(contents: Contents, n: int, rows: int, in_place: bool = False) -> Check:
    shift, mult = int(contents.rng.integers(0, 15)), _mult(contents)  # 65535 << shift < 2³¹
    x = contents.integers(*INT16, (rows, n))
    y = softmax_of(x.astype(np.int64), g.IntSoftmax(*NAMES, 1, mult, shift)).astype(np.int16)
    buffers = {"x": x, "y": blank(y.shape)}
    return finish(Case("softmax", (mult, n, rows, shift), buffers, ends(contents)), y, in_place)


def rms_norm(contents: Contents, n: int, rows: int, gap: int = 0, in_place: bool = False) -> Check:
    return layer_norm(contents, n, rows, gap, in_place, centred=False)


# --- windows --------------------------------------------------------------------------------------


def window_unfold(
    contents: Contents,
    frames: int,
    outputs: int,
    kernel: int,
    step: int,
    dilation: int,
    before: int,
    features: int,
    bands: int = 1,
    edge: bool = False,
) -> Check:
    """`features` of one band; `before` may be negative."""
    features *= bands
    x = contents.integers(*INT16, (frames, features))
    sizes = (frames, outputs, kernel, step, dilation)
    y = run_alone(g.IntWindowUnfold(*NAMES, *sizes, before, bands, edge=edge), x, kernel * features)
    values = (frames, outputs, features, kernel, step, dilation, before, bands, int(edge))
    buffers = {"x": x, "y": blank(y.shape)}
    return Check(Case("window_unfold", values, buffers, ends(contents)), {"y": y})


def clear(contents: Contents, words: int) -> Check:
    state = contents.rng.integers(1, 2**32, words, np.uint32)
    case = Case("clear", (words,), {"state": state}, {"state": contents.offset(4)})
    return Check(case, {"state": np.zeros_like(state)})


# --- values joined, multiplied, moved -------------------------------------------------------------


def rescale(contents: Contents, n: int, rows: int, gap: int = 0, same: bool = False) -> Check:
    """A part of a join; `same`: it has the scale of the whole."""
    shift, mult = (2, 2**30) if same else (int(contents.rng.integers(0, 15)), _mult(contents))
    lo, hi = contents.clamp()
    x = contents.integers(*INT16, (rows, n))
    factor = np.array([mult], np.int32), np.array([shift], np.int32)
    y = blank((rows * (n + gap),)).reshape(rows, n + gap)
    y[:, :n] = run_alone(g.IntConcat(*NAMES, (n,), *factor), x, n, lo, hi)
    y = y.reshape(-1)[: rows * (n + gap) - gap]
    values = (mult, n, rows, n + gap, shift, lo, hi)
    buffers = {"x": x, "y": blank(y.shape)}
    return Check(Case("rescale", values, buffers, ends(contents)), {"y": y})


def gather(contents: Contents, rows: int, features: int, n: int) -> Check:
    index = contents.rng.integers(0, features, n)
    x = contents.integers(*INT16, (rows, features))
    y = run_alone(g.IntGather(*NAMES, index), x, n)
    buffers = {"table": index.astype(np.uint16), "x": x, "y": blank(y.shape)}
    offsets = ends(contents) | {"table": contents.offset(2)}
    return Check(Case("gather", (rows, features, n), buffers, offsets), {"y": y})


def multiply(contents: Contents, n: int, in_place: bool = False) -> Check:
    mult, (lo, hi) = _mult(contents), contents.clamp()
    a, b = contents.integers(*INT16, (1, n)), contents.integers(*INT16, (1, n))
    y = run_both(g.IntMultiply(*BOTH, mult, 0), (a, b), n, lo, hi)
    buffers = {"second": b, "x": a, "y": blank(y.shape)}
    offsets = ends(contents) | {"second": contents.offset(2)}
    return finish(Case("multiply", (mult, n, lo, hi), buffers, offsets), y, in_place)


def subtract(contents: Contents, n: int, in_place: bool = False) -> Check:
    a, b = contents.integers(*INT16, (1, n)), contents.integers(*INT16, (1, n))
    y = run_both(g.IntSubtract(*BOTH), (a, b), n)
    buffers = {"second": b, "x": a, "y": blank(y.shape)}
    offsets = ends(contents) | {"second": contents.offset(2)}
    return finish(Case("subtract", (n,), buffers, offsets), y, in_place)


def clamp(contents: Contents, n: int, in_place: bool = False) -> Check:
    least, most = contents.clamp()
    x = contents.integers(*INT16, (1, n))
    y = run_alone(g.IntClamp(*NAMES, least, most), x, n)
    buffers = {"x": x, "y": blank(y.shape)}
    return finish(Case("clamp", (n, least, most), buffers, ends(contents)), y, in_place)

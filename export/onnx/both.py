"""Operators that are written alike in both forms: the stream knows how a value is stored, and that
what is only moved moves as it is stored."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from compress import graph as g
from compress.ops.tables import Q15, TANH_SCALE
from export.onnx import integral, layers
from export.onnx.stream import Stream

Pool = g.MeanPool | g.MaxPool | g.IntMeanPool | g.IntMaxPool
DelayedConcat = g.DelayedConcat | g.IntDelayedConcat
Interpolate = g.Interpolate | g.IntInterpolate
SlidingWindow = g.SlidingWindow | g.IntSlidingWindow
Scores = g.AttentionScores | g.IntAttentionScores
Context = g.AttentionContext | g.IntAttentionContext


# --- sums and reductions -------------------------------------------------------------------------


def add(m: Stream, op: g.Add | g.IntAdd) -> None:
    m.put(op.output, m.w.add("Add", *(m.real(name) for name in op.inputs)))


def multiply(m: Stream, op: g.Multiply | g.IntMultiply) -> None:
    m.put(op.output, m.w.add("Mul", *(m.real(name) for name in op.inputs)))


def subtract(m: Stream, op: g.Subtract | g.IntSubtract) -> None:
    m.put(op.output, m.w.add("Sub", *(m.real(name) for name in op.inputs)))


def concat(m: Stream, op: g.Concat | g.IntConcat) -> None:
    """Each brought to the scale of the whole."""
    m.put(op.output, m.w.concat([m.real(name) for name in op.inputs], axis=1))


def softmax(m: Stream, op: g.Softmax | g.IntSoftmax) -> None:
    frames, features = m.size(op.output)
    groups = m.w.reshape(m.real(op.inputs[0]), frames * op.groups, features // op.groups)
    y = m.w.add("Softmax", groups, axis=-1)
    m.put(op.output, m.w.reshape(y, frames, features))


def log_softmax(m: Stream, op: g.LogSoftmax | g.IntLogSoftmax) -> None:
    m.put(op.output, m.w.add("LogSoftmax", m.real(op.inputs[0]), axis=-1))


def mean_pool(m: Stream, op: Pool) -> None:
    _pool(m, op, "ReduceMean")


def max_pool(m: Stream, op: Pool) -> None:
    _pool(m, op, "ReduceMax")


def _pool(m: Stream, op: Pool, how: str) -> None:
    shape = m.size(op.output)
    m.put(op.output, layers.pool(m.w, m.real(op.inputs[0]), how, op.factor, shape[0], shape))


def group_mean(m: Stream, op: g.GroupReduce) -> None:
    _groups(m, op, "ReduceMean")


def group_max(m: Stream, op: g.GroupReduce) -> None:
    _groups(m, op, "ReduceMax")


def _groups(m: Stream, op: g.GroupReduce, how: str) -> None:
    shape = m.size(op.output)
    rows = shape[0] * op.bands
    m.put(op.output, layers.pool(m.w, m.real(op.inputs[0]), how, op.copies, rows, shape))


# --- values moved --------------------------------------------------------------------------------


def unfold1d(m: Stream, op: layers.Unfold) -> None:
    m.bind(op.output, layers.window(m.w, _with_past(m, op), op, *m.size(op.inputs[0])))


def sliding_window(m: Stream, op: SlidingWindow) -> None:
    """The newest frames of the stream."""
    first = op.history + m.size(op.inputs[0])[0] - op.frames
    newest = m.w.constant("frames", first + np.arange(op.frames))
    m.bind(op.output, m.w.add("Gather", _with_past(m, op), newest, axis=0))


def _with_past(m: Stream, op: layers.Unfold | SlidingWindow) -> str:
    """Handle of the frames of this step behind those of earlier ones that the operator still sees,
    which are kept as they are stored."""
    name, history = op.inputs[0], op.history
    frames, features = m.size(name)

    def newest(_: str) -> str:
        some = m.w.constant("last", np.arange(frames, frames + history))
        last = m.w.add("Gather", seen, some, axis=0)
        return m.cleared_handle(name, last, op) if op.recurrent else last

    if not history:
        return m.handle(name)
    past = m.carry("past", (history, features), m.dtype(name), newest)
    seen = m.w.add("Concat", past, m.handle(name), axis=0)
    return seen


def window_unfold(m: Stream, op: layers.WindowUnfold) -> None:
    _move(
        m,
        op,
        lambda x, name: layers.frames_of_window(m.w, x, op, m.dtype(name), m.size(name)[1]),
    )


def reframe(m: Stream, op: g.Reframe | g.IntReframe) -> None:
    _move(m, op, lambda x, _: m.w.reshape(x, *m.size(op.output)))


def gather(m: Stream, op: g.Gather | g.IntGather) -> None:
    some = m.w.constant("features", op.index.astype(np.int64))
    _move(m, op, lambda x, _: m.w.add("Gather", x, some, axis=1))


def im2col(m: Stream, op: layers.Im2Col) -> None:
    _move(m, op, lambda x, name: layers.patches(m.w, x, op, m.dtype(name), *m.size(name)))


def tile(m: Stream, op: layers.Tile) -> None:
    _move(m, op, lambda x, name: layers.repeat(m.w, x, op, *m.size(name)))


def _move(m: Stream, op: g.Op, moved: Callable[[str, str], str]) -> None:
    name = op.inputs[0]
    m.bind(op.output, moved(m.handle(name), name))


def slice_features(m: Stream, op: g.Slice | g.IntSlice) -> None:
    def moved(x: str, name: str) -> str:
        some = m.w.constant("features", np.arange(op.begin, op.end))
        return m.w.add("Gather", x, some, axis=1)

    _move(m, op, moved)


def delayed_concat(m: Stream, op: DelayedConcat) -> None:
    before = [m.previous(name, n) for name, n in zip(op.previous, op.widths, strict=True)]
    m.bind(op.output, m.w.concat([m.handle(op.inputs[0]), *before], axis=1))


# --- state ---------------------------------------------------------------------------------------


def interpolate(m: Stream, op: Interpolate) -> None:
    name = op.inputs[0]
    frames, features = m.size(name)
    newest = m.w.split(m.handle(name), frames, 1, axis=0)[-1]
    past = m.carry("past", (1, features), m.dtype(name), lambda _: newest)
    before = m.real_of(name, past)
    x = m.real(name)
    m.put(op.output, layers.interpolate(m.w, x, before, op.factor, frames, features))


def integrate(m: Stream, op: g.Integrate | g.IntIntegrate) -> None:
    """Its sums are rounded already."""
    sums, frames = integral.of(m, op), m.size(op.output)[0]
    rows = m.w.split(m.handle(op.inputs[0]), frames, 1, axis=0)
    m.bind(op.output, m.w.concat([sums.advance(row) for row in rows], axis=0))


# --- matrices ------------------------------------------------------------------------------------


def dense(
    m: Stream, op: g.Dense | g.IntDense, parameters: Callable[[int], tuple[str, str]]
) -> None:
    """`parameters`: weight (out, kernel·in) and bias (out,) of a band, as real values.

    A convolution whose stride is its kernel is a dense layer over windows. Where values have to be
    moved for it, they are moved as they are stored: onnxruntime 1.31 cannot load int8 that is
    dequantized first.
    """
    outputs = [
        m.w.add("Gemm", x, *parameters(band), transB=1) for band, x in enumerate(_seen(m, op))
    ]
    y = layers.ungrouped(m.w, m.w.concat(outputs, axis=1), op.shared, *m.size(op.output))
    m.put(op.output, y)


def _seen(m: Stream, op: g.Dense | g.IntDense) -> list[str]:
    """What the matrix of each band multiplies, (windows, kernel·in)."""
    name, (bands, _, kernel, width) = op.inputs[0], op.weight.shape
    frames, features = m.size(name)
    if kernel == 1 and op.shared == 1:
        return m.w.split(m.real(name), bands, width, axis=1)
    apart = layers.grouped(m.w, m.handle(name), op.shared, frames, features)
    parts = m.w.split(apart, bands, width, axis=1)
    return [m.real_of(name, layers.windows(m.w, x, kernel, frames, width)) for x in parts]


def depthwise(m: Stream, op: g.Depthwise | g.IntDepthwise, weight: str, bias: str) -> None:
    """weight (1, kernel, channels), bias (channels,), as real values."""
    channels, kernel = op.weight.shape
    x = m.w.reshape(m.real(op.inputs[0]), m.size(op.output)[0], kernel, channels)
    axes = m.w.constant("axes", np.array([1]))
    total = m.w.add("ReduceSum", m.w.add("Mul", x, weight), axes, keepdims=0)
    m.put(op.output, m.w.add("Add", total, bias))


def attention_scores(m: Stream, op: Scores) -> None:
    queries, keys = (_heads(m, op, name) for name in op.inputs)
    turned = m.w.add("Transpose", keys, perm=[0, 1, 3, 2])
    product = m.w.add("MatMul", queries, turned)
    scaled = m.w.add("Mul", product, m.scalar("factor", op.factor))
    m.put(op.output, _beside(m, scaled, op))


def attention_context(m: Stream, op: Context) -> None:
    weights, values = (_heads(m, op, name) for name in op.inputs)
    m.put(op.output, _beside(m, m.w.add("MatMul", weights, values), op))


def _heads(m: Stream, op: Scores | Context, name: str) -> str:
    """An input as (rows, heads, frames, values), where a row is what shares its keys."""
    frames, features = m.size(name)
    rows = 1 if op.shared else frames
    apart = m.w.reshape(m.real(name), rows, -1, op.heads, _of_head(op, name, features))
    return m.w.add("Transpose", apart, perm=[0, 2, 1, 3])


def _of_head(op: Scores | Context, name: str, features: int) -> int:
    """Values of one head in one row: of the keys, depth; of what meets them, its share."""
    return op.depth if name == op.inputs[1] else features // op.heads


def _beside(m: Stream, x: str, op: Scores | Context) -> str:
    """(rows, heads, frames, values) with heads side by side: (frames, features)."""
    return m.w.reshape(m.w.add("Transpose", x, perm=[0, 2, 1, 3]), *m.size(op.output))


def layer_norm(
    m: Stream,
    op: g.LayerNorm | g.IntLayerNorm,
    epsilon: float,
    parameters: Callable[[int], tuple[str, str]],
) -> None:
    """`parameters`: gain and bias (n,) of a band, as real values."""
    bands, n = op.gain.shape
    parts = m.w.split(m.real(op.inputs[0]), bands, n, axis=1)
    outputs = [
        m.w.add("LayerNormalization", x, *parameters(band), axis=-1, epsilon=epsilon)
        for band, x in enumerate(parts)
    ]
    m.put(op.output, m.w.concat(outputs, axis=1))


def rms_norm(m: Stream, op: g.RmsNorm | g.IntRmsNorm, epsilon: float, gain: str, bias: str) -> None:
    """gain, bias (1, bands, n), as real values."""
    frames, features = m.size(op.output)
    x = m.w.reshape(m.real(op.inputs[0]), frames, *op.gain.shape)
    axes = m.w.constant("axes", np.array([2]))
    mean = m.w.add("ReduceMean", m.w.add("Mul", x, x), axes, keepdims=1)
    size = m.w.add("Sqrt", m.w.add("Add", mean, m.scalar("epsilon", epsilon)))
    scaled = m.w.add("Mul", m.w.add("Div", x, size), gain)
    m.put(op.output, m.w.reshape(m.w.add("Add", scaled, bias), frames, features))


# --- recurrence -----------------------------------------------------------------------------------


def gru_cell(m: Stream, op: g.GruCell | g.IntGruCell) -> None:
    """A hidden state has no 32-bit form in QDQ; float32 holds as many bits. It lies in −1…1, which
    the clip says for those who prove that nothing overflows."""
    n = m.size(op.output)[1]
    ends = [m.w.constant("end", np.asarray(end, np.float32)) for end in (-1.0, 1.0)]

    def frame(gates: str, a: str, b: str, hidden: str) -> tuple[str, str]:
        reset, keep = m.w.split(m.rounded(m.w.add("Sigmoid", gates), Q15), 2, n, axis=1)
        seen = m.rounded(m.w.add("Add", a, m.w.add("Mul", reset, b)), TANH_SCALE)
        new = m.rounded(m.w.add("Tanh", seen), Q15)
        way = m.w.add("Mul", keep, m.w.add("Sub", hidden, new))
        hidden = m.w.add("Clip", m.w.add("Add", new, way), *ends)
        return hidden, hidden

    m.put(op.output, m.w.concat(m.recur(op, "hidden", frame), axis=0))

"""Attention: products of 16 × 16 bits over heads, and the softmax of the integers."""

from __future__ import annotations

import numpy as np

from compress import graph as g
from compress.ops.log_softmax import EXP
from compress.ops.softmax import FRACTION, STEP
from export.tflite.lowering import Lowering
from export.tflite.model import Value
from export.tflite.reals import Reals

Product = g.IntAttentionScores | g.IntAttentionContext
WIDTH = 2.0 ** (FRACTION - 4)  # places of q in one segment of the exponential
LARGEST = 32767


def scores(b: Lowering, op: g.IntAttentionScores) -> None:
    """Queries with keys. A product with the factor leaves the integers of the queries as they are
    and changes their scale."""
    queries, keys = (_heads(b, op, name, (0, 2, 1, 3)) for name in op.inputs)
    scale = queries.scale * op.factor
    scaled = b.times(queries, op.factor, scale, f"{op.module}.scaled")
    _product(b, op, scaled, keys)


def context(b: Lowering, op: g.IntAttentionContext) -> None:
    """Weights with values, which lie as (values, keys)."""
    weights = _heads(b, op, op.inputs[0], (0, 2, 1, 3))
    _product(b, op, weights, _heads(b, op, op.inputs[1], (0, 2, 3, 1)))


def _heads(b: Lowering, op: Product, name: str, order: tuple[int, ...]) -> Value:
    """(rows, frames, heads, values) in this order, as a batch of matrices; a row is what shares its
    keys."""
    x, keys = b.value(name), name == op.inputs[1]
    rows = 1 if op.shared else x.shape[1]
    depth = op.depth if keys else x.shape[3] // op.heads
    frames = x.shape[1] * x.shape[3] // (rows * op.heads * depth)
    apart = b.reshape(x, (rows, frames, op.heads, depth), f"{op.module}.heads")
    turned = b.transpose(apart, order, f"{op.module}.turned")
    return b.reshape(turned, (1, rows * op.heads, *turned.shape[2:]), f"{op.module}.batch")


def _product(b: Lowering, op: Product, a: Value, x: Value) -> None:
    """a·xᵀ of each row and head, with the heads of a frame side by side."""
    target = b.graph.target(op)
    frames = b.frames(op.output)
    rows = a.shape[1] // op.heads
    shape = (1, a.shape[1], a.shape[2], x.shape[2])
    y = b.dot(a, x, b.step.tensor(f"{op.module}.product", shape, np.int16, target.scale))
    apart = b.reshape(y, (rows, op.heads, *shape[2:]), f"{op.module}.apart")
    b.put(op.output, b.reshape(b.transpose(apart, (0, 2, 1, 3), op.output), frames, op.output))


# --- softmax --------------------------------------------------------------------------------------


def softmax(b: Lowering, op: g.IntSoftmax) -> None:
    """The integers' own steps, in float32."""
    x, y, r = b.value(op.inputs[0]), b.result(op), Reals(b, op.module)
    shape = (1, x.shape[1], op.groups, x.shape[3] // op.groups)
    e = _exponentials(r, r.of(b.reshape(x, shape, f"{op.module}.groups")), x.scale)
    share, unit = _shares(r, r.total(e), shape[3])
    found = r.rounded(r.divide(r.multiply(e, share), unit))
    words = b.step.tensor(f"{op.module}.words", shape, np.int16, y.scale)
    b.put(op.output, b.reshape(r.words(r.least(found, LARGEST), words), y.shape, op.output))


def _exponentials(r: Reals, x: Value, scale: float) -> Value:
    """e^(x − m) in Q15, on lines between its values at 1/16 nat; 0 from 16 nats on."""
    below = r.multiply(r.subtract(r.largest(x), x), scale / STEP)
    q = r.least(r.rounded(below), LARGEST)
    place = r.multiply(q, 1 / WIDTH)
    begin = r.floor(place)
    index = r.whole(begin)
    ends = np.append(EXP[1:], 0)
    fall = r.multiply(r.at(EXP - ends, index), r.subtract(place, begin))
    line = r.subtract(r.at(EXP, index), r.rounded(fall))
    # the last of all is 0 itself
    return r.multiply(line, r.least(r.subtract(LARGEST, q), 1.0))


def _shares(r: Reals, total: Value, n: int) -> tuple[Value, Value]:
    """⌊2³¹ / d⌋ where d is the total in 16 bits, shortened by b bits; and 2^(16 + b)."""
    lengths = np.maximum(np.frexp(np.arange(n + 1))[1] - 1, 0)
    shortened = r.at(2.0**lengths, r.whole(r.multiply(total, 2.0**-15)))
    d = r.rounded(r.divide(total, shortened))
    return r.floor(r.divide(2.0**31, d)), r.multiply(shortened, 2.0**16)

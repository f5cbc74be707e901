"""Values: functions of one, sums and products of two, constants, joins."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from compress import graph as g
from compress.frontend.trace.errors import Refused
from compress.frontend.trace.layout import ZERO, Laid
from compress.frontend.trace.writer import Rows, Writer
from compress.ops import FloatOp
from compress.ops.tables import function

Array = g.Array

# --- functions of one value -----------------------------------------------------------------------


def pointwise(w: Writer, x: Laid, operator: type[g.Op], at_zero: float, **fields: Any) -> Laid:
    """A function of each value. On all features of the base its place in the traced tensor does not
    matter; on some of them they are read first."""
    if x.padded and at_zero != 0.0:
        raise Refused(
            "a function of padded zeros that is not zero there", "pad after the function instead"
        )
    if not x.covers_features or (x.padded and w.window is None):
        x = settled(w, x)
    name = w.op(operator, x.name, **fields)
    return Laid(name, x.frames, x.features, x.index)


def settled(w: Writer, x: Laid) -> Laid:
    """The same as frames of its own."""
    rows = w.rows(x, (), x.by_place())
    return w.laid(w.frames(rows), rows)


def activation(w: Writer, x: Laid, kind: str) -> Laid:
    found = function(kind)
    assert found is not None, kind
    return pointwise(w, x, g.Activation, float(found(np.zeros(1))[0]), kind=kind)


def clamp(w: Writer, x: Laid, lo: float | None, hi: float | None) -> Laid:
    low, high = -np.inf if lo is None else float(lo), np.inf if hi is None else float(hi)
    if not low < high:
        raise Refused(f"a clamp to {low:g}…{high:g}", "limits with the lower one first")
    if (low, high) == (0.0, np.inf):
        return activation(w, x, "relu")
    at_zero = float(np.clip(0.0, low, high))
    return pointwise(w, x, g.Clamp, at_zero, lo=low, hi=high)


def prelu(w: Writer, x: Laid, slope: torch.Tensor) -> Laid:
    """One slope is a table; a slope for each channel is slope·x + (1 − slope)·relu(x)."""
    if slope.numel() == 1:
        return activation(w, x, g.named("leaky_relu", float(slope.detach())))
    shape = [1, -1, *[1] * (x.index.ndim - 2)]
    gain = slope.detach().double().reshape(shape)
    x = settled(w, x)
    straight = affine(w, x, gain, None)
    bent = affine(w, activation(w, x, "relu"), 1.0 - gain, None)
    return binary(w, straight, bent, g.Add)


# --- constants -----------------------------------------------------------------------------------


def affine(w: Writer, x: Laid, gain: torch.Tensor | None, bias: torch.Tensor | None) -> Laid:
    """gain·x + bias with constants that broadcast to x; those that differ from frame to frame of a
    window are tensors of their own."""
    shape = x.shape
    wide = [
        torch.full((), d).double() if c is None else c.detach().double()
        for c, d in ((gain, 1.0), (bias, 0.0))
    ]
    out = torch.broadcast_shapes(shape, *(c.shape for c in wide))
    if tuple(out) != shape:
        x = x.seen_as(x.index.expand(out))
    gain_of, bias_of = (c.expand(out) for c in wide)
    _finite(gain_of, bias_of)
    if bool((gain_of == 1).all()) and bool((bias_of == 0).all()):
        return x
    rows = w.rows(x, (), x.by_place())
    name = w.frames(rows)
    gains, biases = (_by_row(c, rows) for c in (gain_of, bias_of))
    if _constant(gains) and _constant(biases):
        name = w.op(g.Depthwise, name, weight=gains[0][:, None], bias=biases[0])
        return w.laid(name, rows)
    return _over_frames(w, name, rows, gains, biases)


def _finite(*constants: torch.Tensor) -> None:
    if not all(bool(torch.isfinite(c).all()) for c in constants):
        raise Refused(
            "a constant that is infinite or not a number (a mask?)",
            "no mask: attention here sees the whole window",
        )


def _by_row(constant: torch.Tensor, rows: Rows) -> Array:
    """A constant of the tensor's shape as (frames, features) of its rows."""
    frames = int(np.prod(rows.sizes, dtype=np.int64)) // (rows.groups * rows.columns)
    found: Array = constant.permute(rows.dims).reshape(frames, -1).numpy()
    return found


def _constant(values: Array) -> bool:
    return bool((values == values[0]).all())


def _over_frames(w: Writer, name: str, rows: Rows, gains: Array, biases: Array) -> Laid:
    """Constants of each frame of a window."""
    if w.window is None:
        raise Refused(
            "a constant that differs from frame to frame of a stream",
            "one constant for all frames, or WINDOW and STRIDE",
        )
    if not (gains == 1).all():
        other = w.op(g.Constant, name, part="gains", values=gains)
        name = w.op(g.Multiply, name, other)
    if not (biases == 0).all():
        other = w.op(g.Constant, name, part="offsets", values=biases)
        name = w.op(g.Add, scaled(w, name), other)
    return w.laid(name, rows)


def scaled(w: Writer, name: str) -> str:
    """The same tensor in a scale that it can share with others: what a sum adds has one scale, and
    some operators decide theirs."""
    maker = next((op for op in w.b.ops if op.output == name), None)
    while maker is not None and maker.copies_values:
        source = maker.inputs[0]
        maker = next((op for op in w.b.ops if op.output == source), None)
    if not isinstance(maker, FloatOp) or maker.keeps_scale:
        return name
    if type(maker).offers is FloatOp.offers:
        return name
    return w.op(g.Concat, name, part="scale", sizes=(w.b.tensors[name].features,))


# --- two tensors ---------------------------------------------------------------------------------


def binary(w: Writer, a: Laid, b: Laid, kind: type[g.Op]) -> Laid:
    """a + b, a − b or a·b of tensors that broadcast to one shape."""
    shape = torch.broadcast_shapes(a.shape, b.shape)
    a, b = (x.seen_as(x.index.expand(shape)) for x in (a, b))
    alike = (a.frames, a.features) == (b.frames, b.features)
    if alike and torch.equal(a.index, b.index) and a.covers_features and not a.padded:
        names = matched(w, a.name, b.name, kind)
        return Laid(w.op(kind, *names), a.frames, a.features, a.index)
    times = sorted({*a.time_dims(), *b.time_dims()})
    order = (a if a.covers_features else b).by_place()
    rows = [_over(w, x, times, order) for x in (a, b)]
    first, second = (w.frames(r) for r in rows)
    names = matched(w, first, second, kind)
    return w.laid(w.op(kind, *names), rows[0])


def _over(w: Writer, x: Laid, times: Sequence[int], order: Sequence[int] = ()) -> Rows:
    """Rows over these dimensions, whether or not time passes along them in this tensor."""
    own = set(x.time_dims())
    if own == set(times):
        return w.rows(x, (), order)
    return w.repeated(x, times, order)


def matched(w: Writer, a: str, b: str, kind: type[g.Op]) -> list[str]:
    """Two tensors of one rate that begin together, in scales that the operator can take."""
    rates = [w.b.tensors[name].rate for name in (a, b)]
    if rates[0] != rates[1]:
        raise Refused(
            f"tensors of {rates[0]} and {rates[1]} frames a second in one sum or product",
            "tensors of one rate",
        )
    a, b = w.together(a, b) if w.window is None else (a, b)
    return [scaled(w, a), scaled(w, b)] if kind.sums else [a, b]


# --- joins ---------------------------------------------------------------------------------------


def cat(w: Writer, parts: Sequence[Any], dim: int) -> Laid:
    """Tensors side by side along a dimension: features of one frame, or frames of a window."""
    first = next(p for p in parts if isinstance(p, Laid))
    dim %= first.index.ndim
    if dim in first.time_dims():
        parts = [_zeros(first, p) for p in parts]
    laid = [p for p in parts if isinstance(p, Laid)]
    if len(laid) == len(parts) and len({p.name for p in laid}) == 1:
        return w.padded(first, torch.cat([p.index for p in laid], dim))
    times = sorted({d for p in laid for d in p.time_dims()})
    if dim in times:
        return _along_time(w, parts, dim)
    rows = [_over(w, p, times) if isinstance(p, Laid) else None for p in parts]
    names = [None if r is None else w.frames(r) for r in rows]
    known = iter(
        w.together(*(n for n in names if n is not None))
        if w.window is None
        else [n for n in names if n is not None]
    )
    names = [None if n is None else next(known) for n in names]
    some = next(n for n in names if n is not None)
    shape = next(r for r in rows if r is not None)
    blocks, joined = [], []
    for part, name in zip(parts, names, strict=True):
        if name is None:
            name = w.op(
                g.Constant, some, part="constant", values=_frames_of(part, shape.dims, len(times))
            )
        joined.append(name)
    begin, total = 0, sum(w.b.tensors[n].features for n in joined)
    for part, name in zip(parts, joined, strict=True):
        size = w.b.tensors[name].features
        frames = _count(part, shape.dims, len(times))
        index = torch.arange(frames)[:, None] * total + begin + torch.arange(size)
        own = [_shape(part)[d] for d in shape.dims]
        blocks.append(index.reshape(own).permute(*np.argsort(shape.dims).tolist()))
        begin += size
    sizes = tuple(w.b.tensors[n].features for n in joined)
    _same_rates(w, joined)
    made = w.op(g.Concat, *joined, sizes=sizes)
    index = torch.cat(blocks, dim)
    return Laid(made, _count(first, shape.dims, len(times)), total, index)


def _zeros(like: Laid, part: Any) -> Any:
    """A constant of nothing but zeros is padding."""
    if isinstance(part, Laid) or bool((part != 0).any()):
        return part
    return like.seen_as(torch.full(tuple(part.shape), ZERO))


def _same_rates(w: Writer, names: Sequence[str]) -> None:
    rates = {w.b.tensors[n].rate for n in names}
    if len(rates) > 1:
        found = " and ".join(map(str, sorted(rates)))
        raise Refused(f"tensors of {found} frames a second side by side", "tensors of one rate")


def _shape(part: Any) -> tuple[int, ...]:
    return tuple(part.shape)


def _count(part: Any, dims: Sequence[int], times: int) -> int:
    """Frames of a part."""
    return int(np.prod([_shape(part)[d] for d in dims[:times]], dtype=np.int64))


def _frames_of(part: torch.Tensor, dims: Sequence[int], times: int) -> Array:
    """A constant as frames (frames, features); one where all are the same."""
    frames = _count(part, dims, times)
    values: Array = part.detach().double().permute(*dims).reshape(frames, -1).numpy()
    return values[:1] if _constant(values) else values


def _along_time(w: Writer, parts: Sequence[Any], dim: int) -> Laid:
    """Frames of a window one after the other: all of them as one frame, and apart again."""
    if w.window is None:
        raise Refused(
            "tensors one after the other in time, in a stream", "F.pad, or WINDOW and STRIDE"
        )
    ndim = len(_shape(parts[0]))
    order = [dim, *(d for d in range(ndim) if d != dim)]
    some = None
    joined: list[str | None] = []
    for part in parts:
        if isinstance(part, Laid):
            some = w.frames(w.rows(part.seen_as(part.index.permute(order)), range(ndim)))
            joined.append(some)
        else:
            joined.append(None)
    assert some is not None
    for i, part in enumerate(parts):
        if joined[i] is None:
            values = part.detach().double().permute(order).reshape(1, -1).numpy()
            joined[i] = w.op(g.Constant, some, part="constant", values=values)
    names = [n for n in joined if n is not None]
    sizes = tuple(w.b.tensors[n].features for n in names)
    made = w.op(g.Concat, *names, part="joined", sizes=sizes)
    frames = sum(_shape(p)[dim] for p in parts)
    made = w.op(g.Reframe, made, frames=1, outputs=frames)
    shape = list(_shape(parts[0]))
    shape[dim] = frames
    index = torch.arange(sum(sizes)).reshape([shape[d] for d in order])
    back = np.argsort(order).tolist()
    return Laid(made, frames, sum(sizes) // frames, index.permute(*back))

"""Layers that multiply, pool or normalise: each reads rows of a laid-out tensor."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from compress import graph as g
from compress.frontend.trace.errors import Refused
from compress.frontend.trace.layout import ZERO, Laid
from compress.frontend.trace.writer import Rows, Writer

Array = g.Array


def numbers(t: torch.Tensor | None, size: int, default: float = 0.0) -> Array:
    """A parameter as float64, or `size` times a number where there is none."""
    if t is None:
        return np.full(size, default)
    found: Array = t.detach().double().numpy()
    return found


# --- matrices ------------------------------------------------------------------------------------


def linear(w: Writer, x: Laid, weight: torch.Tensor, bias: torch.Tensor | None) -> Laid:
    """Over the last dimension; all others but time are groups that share the weights."""
    rows = w.rows(x, [-1])
    matrix = numbers(weight, 0)
    return _dense(w, rows, matrix[None, :, None], numbers(bias, len(matrix))[None], [len(matrix)])


def _dense(w: Writer, rows: Rows, weight: Array, bias: Array, columns: Sequence[int]) -> Laid:
    """weight (bands, out, 1, in) over the columns of each group."""
    bands = len(weight)
    shared = rows.groups if bands == 1 else 1
    if bands > 1 and rows.groups > 1:
        weight, bias = (np.tile(v, (rows.groups, *[1] * (v.ndim - 1))) for v in (weight, bias))
    at = rows.layout
    met = at.taps == at.step > 1 and at.first == 0 and at.dilation == 1 and w.window is None
    if met and shared == 1 and len(weight) == 1 and at.bands([]) == 1:
        name = rows.laid.name
        if w.first_valid(name) % at.step == 0:  # frames that meet their stride need no unfold
            split = weight.reshape(1, weight.shape[1], at.step, -1)
            made = w.op(g.Dense, name, weight=split, bias=bias, frames_per_output=at.step)
            return w.laid(made, rows, columns)
    name = w.frames(rows, hints=(len(weight),))
    return w.laid(w.op(g.Dense, name, weight=weight, bias=bias, shared=shared), rows, columns)


def convolution(
    w: Writer,
    x: Laid,
    weight: torch.Tensor,
    bias: torch.Tensor | None,
    stride: Sequence[int],
    padding: Sequence[int] | str,
    dilation: Sequence[int],
    groups: int,
) -> Laid:
    """Over one or two dimensions behind the channels: what it sees of each place, and a matrix or a
    filter for each channel."""
    kernel = tuple(weight.shape[2:])
    n = len(kernel)
    stride, dilation = (_each(v, n) for v in (stride, dilation))
    unbatched = x.index.ndim == n + 1
    index = x.index[None] if unbatched else x.index
    index = w.padded(x.seen_as(index), _padded(index, kernel, padding, dilation)).index
    out, channels = weight.shape[0], index.shape[1]
    seen = patches(index, kernel, stride, dilation)  # (B, C, places…, kernel…)
    values, offset = numbers(weight, 0), numbers(bias, out)
    if groups == channels > 1:
        many = out // channels
        seen = seen.repeat_interleave(many, dim=1)
        made = _filters(w, x.seen_as(seen), values.reshape(out, -1), offset, n)
    else:
        made = _matrix(w, x.seen_as(seen), values, offset, n, groups)
    return made.seen_as(made.index[0]) if unbatched else made


def _matrix(w: Writer, seen: Laid, weight: Array, bias: Array, n: int, groups: int) -> Laid:
    """seen (B, C, places…, kernel…) with weight (out, C / groups, kernel…)."""
    out, width = weight.shape[:2]
    index = seen.index
    index = index.reshape(index.shape[0], groups, width, *index.shape[2:])
    kernel = range(3 + n, 3 + 2 * n)
    rows = w.rows(seen.seen_as(index), [1, *kernel, 2])  # (groups, kernel…, C / groups)
    matrix = np.moveaxis(weight, 1, -1).reshape(groups, out // groups, 1, -1)
    made = _dense(w, rows, matrix, bias.reshape(groups, -1), [groups, *[1] * n, out // groups])
    found = made.index  # (B, groups, out / groups, places…, 1…)
    return made.seen_as(found.reshape(found.shape[0], out, *index.shape[3 : 3 + n]))


def _filters(w: Writer, seen: Laid, weight: Array, bias: Array, n: int) -> Laid:
    """seen (B, C, places…, kernel…) with a filter for each channel, weight (C, taps)."""
    index = seen.index
    kernel = list(range(2 + n, 2 + 2 * n))
    # taps first, then every channel at every place that is not time
    times = [d for d in seen.time_dims() if d not in kernel]
    others = [d for d in range(2, 2 + n) if d not in times]
    rows = w.rows(seen, [*kernel, *others, 1])
    places = int(np.prod([index.shape[d] for d in others], dtype=np.int64))
    name = w.frames(rows)
    tiled = np.tile(weight, (places, 1))
    made = w.op(g.Depthwise, name, weight=tiled, bias=np.tile(bias, places))
    shape = [*[1] * n, *(index.shape[d] for d in others), index.shape[1]]
    found = w.laid(made, rows, shape)
    return found.seen_as(found.index.reshape(index.shape[: 2 + n]))


def _each(value: Sequence[int] | int, n: int) -> list[int]:
    values = [value] if isinstance(value, int) else list(value)
    return values * n if len(values) == 1 else values


def _padded(
    index: torch.Tensor,
    kernel: Sequence[int],
    padding: Sequence[int] | int | str,
    dilation: Sequence[int],
) -> torch.Tensor:
    """The index with padded zeros on both sides of its last dimensions; "same" as PyTorch has it,
    the larger half last."""
    if padding == "valid":
        return index
    if padding == "same":
        total = [d * (k - 1) for k, d in zip(kernel, dilation, strict=True)]
        sides = [(t // 2, t - t // 2) for t in total]
    else:
        assert not isinstance(padding, str)
        sides = [(p, p) for p in _each(padding, len(kernel))]
    return functional.pad(index, [p for side in reversed(sides) for p in side], value=ZERO)


def patches(
    index: torch.Tensor, kernel: Sequence[int], stride: Sequence[int], dilation: Sequence[int]
) -> torch.Tensor:
    """(…, places…) -> (…, places…, kernel…): what a kernel sees at each place."""
    n = len(kernel)
    for i, (size, step, apart) in enumerate(zip(kernel, stride, dilation, strict=True)):
        dim = index.ndim - n - i + i  # the place dimensions stay where they are
        span = (size - 1) * apart + 1
        index = index.unfold(dim, span, step)[..., ::apart]
    return index


# --- pools ---------------------------------------------------------------------------------------


def pool(
    w: Writer,
    x: Laid,
    largest: bool,
    kernel: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int] = (1,),
    ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> Laid:
    """Mean or largest value over one or two dimensions."""
    n = len(kernel)
    stride = _each(stride or kernel, n)
    padding, dilation = _each(padding, n), _each(dilation, n)
    if ceil_mode and w.window is not None:
        raise Refused("a pool with ceil_mode over a window", "ceil_mode=False")
    if any(padding) and not largest and not count_include_pad:
        raise Refused("a mean that does not count padded zeros", "count_include_pad=True")
    index = x.index
    if any(padding) and largest and not _never_negative(w, x.name):
        if w.window is None:
            raise Refused(
                "a maximum with padding, which is −∞ there, of values that may be negative",
                "the pool behind a ReLU, or without padding",
            )
        if any(d > 1 for d in dilation):  # the first value stands for −∞, which it is beside
            raise Refused("a maximum with padding and dilation", "the pool behind a ReLU")
        sides = [p for side in reversed(padding) for p in (side, side)]
        index = functional.pad(index.double(), sides, mode="replicate").long()
    else:
        index = w.padded(x, _padded(index, kernel, padding, dilation)).index
    seen = patches(index, kernel, stride, dilation)
    return reduce(w, x.seen_as(seen), range(seen.ndim - n, seen.ndim), largest)


def _never_negative(w: Writer, name: str) -> bool:
    """Whether a tensor of the graph cannot be below zero."""
    maker = next((op for op in w.b.ops if op.output == name), None)
    if maker is None:
        return False
    if isinstance(maker, g.Activation):
        return maker.kind in ("relu", "sigmoid", "abs", "hardsigmoid", "step")
    if isinstance(maker, g.Clamp):
        return maker.lo >= 0.0
    moved = maker.copies_values or isinstance(maker, g.MeanPool | g.GroupMean)
    return isinstance(maker, g.Softmax) or (moved and _never_negative(w, maker.inputs[0]))


def reduce(w: Writer, x: Laid, dims: Sequence[int], largest: bool, keep: bool = False) -> Laid:
    """Mean or largest value over dimensions: of frames, of features, or of both."""
    dims = sorted(d % x.index.ndim for d in dims)
    others = [d for d in range(x.index.ndim) if d not in dims]
    times = [d for d in x.seen_as(x.index).time_dims() if d not in dims]
    kept = [d for d in others if d not in times]
    rows = w.rows(x, [*dims, *kept])
    copies = int(np.prod([x.index.shape[d] for d in dims], dtype=np.int64))
    made = _over_frames(w, rows, copies, largest)
    if made is None:
        kind = g.GroupMax if largest else g.GroupMean
        made = w.op(kind, w.frames(rows), bands=1, copies=copies) if copies > 1 else w.frames(rows)
    found = w.laid(made, rows, [*[1] * len(dims), *(x.index.shape[d] for d in kept)])
    return found if keep else found.seen_as(found.index.squeeze(dims))


def _over_frames(w: Writer, rows: Rows, copies: int, largest: bool) -> str | None:
    """A pool over whole groups of frames, as which they lie already."""
    at, name = rows.layout, rows.laid.name
    groups = at.taps == at.step == copies and at.first == 0 and at.dilation == 1
    if not groups or at.bands([]) != 1 or at.edge:
        return None
    if w.window is not None and at.rows * at.step != at.frames:
        return None
    if w.window is None and w.first_valid(name) % at.step:
        return None
    return w.op(g.MaxPool if largest else g.MeanPool, name, factor=copies)


# --- norms ---------------------------------------------------------------------------------------


def norm(
    w: Writer,
    x: Laid,
    columns: Sequence[int],
    gain: torch.Tensor | None,
    bias: torch.Tensor | None,
    epsilon: float,
    kind: type[g.Op] = g.LayerNorm,
) -> Laid:
    """Over `columns` of each group of a frame; gain and bias broadcast to the tensor."""
    if w.window is None and set(columns) & set(x.time_dims()):
        raise Refused(
            "a norm over time in a stream",
            "a norm over the features of a frame (nn.LayerNorm after transpose(1, 2)), or batch"
            " norm",
        )
    rows = w.rows(x, columns)
    wide = [
        torch.full(x.shape, d).double() if c is None else c.detach().double().expand(x.shape)
        for c, d in ((gain, 1.0), (bias, 0.0))
    ]
    by_row = [c.permute(rows.dims).reshape(-1, rows.groups, rows.columns).numpy() for c in wide]
    if any((c != c[:1]).any() for c in by_row):
        raise Refused("gain or bias of a norm that differ from frame to frame", "one for all")
    name = w.op(kind, w.frames(rows), gain=by_row[0][0], bias=by_row[1][0], epsilon=epsilon)
    return w.in_time(w.laid(name, rows), x.time_dims())


def softmax(w: Writer, x: Laid, dim: int, log: bool) -> Laid:
    """Over one dimension, all others but time are groups."""
    dim %= x.index.ndim
    if w.window is None and dim in x.time_dims():
        raise Refused("a softmax over time in a stream", "a softmax over features, or WINDOW")
    rows = w.rows(x, [dim])
    name = w.frames(rows)
    if not log:
        return w.laid(w.op(g.Softmax, name, groups=rows.groups), rows)
    if rows.groups > 1:
        raise Refused("a log-softmax of several groups in one frame", "one group, or softmax")
    return w.laid(w.op(g.LogSoftmax, name), rows)


Arguments = dict[str, Any]

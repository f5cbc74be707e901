"""Appends operators for laid-out tensors: what a layout needs to become frames of the graph.

In a stream a row that reads earlier frames is history, one that reads later ones comes later; in a
window both are places within it. How many stream frames come before row 0 of a traced tensor
(`first_valid` of the builder) and how far an output looks ahead is kept exact on the way.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
import torch

from compress import graph as g
from compress.frontend.builder import Builder
from compress.frontend.trace.errors import Refused
from compress.frontend.trace.layout import ZERO, Laid, Layout, layout_of

Array = g.Array
GATHERED = 65535  # most elements that one frame gathers


@dataclass(frozen=True)
class Rows:
    """A matrix of rows read from a tensor, and its layout in the base. `dims`: the dimensions of
    the tensor that are rows, then groups within a row, then columns of a group; `sizes`: their
    lengths in the same order; `groups`, `columns`: how many there are of each."""

    laid: Laid
    layout: Layout
    dims: tuple[int, ...]
    sizes: tuple[int, ...]
    groups: int
    columns: int


class Writer:
    """A builder with the times of its tensors. `window`: samples of a window, None for a stream;
    `period`: samples that one step of the stream takes, where a first pass has found that out;
    `longest`: whether no longer signal can be traced."""

    def __init__(
        self, b: Builder, window: int | None, period: Fraction | None, longest: bool = True
    ) -> None:
        self.b, self.window, self.period, self.longest = b, window, period, longest
        self.lookahead: dict[str, Fraction] = {b.here: Fraction(0)}  # in samples
        self.path = ""
        self.waits = False  # whether anything has to wait for the begin of a step
        self.short = False  # whether the traced signal ends before what something reaches back to

    # --- operators -----------------------------------------------------------------------------

    def op(
        self, operator: type[g.Op], source: str, *others: str, part: str = "", **fields: Any
    ) -> str:
        """Append an operator on these tensors, under the path of the module that is traced, or as a
        `part` of it that only moves values for its layer."""
        kind = operator.__name__.lower()
        path = ".".join(filter(None, (self.path, part))) or kind
        if path in self.b.tensors:
            path = self.fresh(path if part else f"{path}.{kind}")
        self.b.here = source
        name = self.b.add(operator, path, *others, **fields)
        self.note()
        return name

    def fresh(self, path: str) -> str:
        """The path, or with a number where tensors of this name are there already."""
        taken = (f"{path}{n or ''}" for n in range(len(self.b.tensors) + 1))
        begins = {name for op in self.b.ops for name in (op.output, *op.previous_names)}
        return next(p for p in taken if p not in begins and p not in self.b.tensors)

    def note(self) -> None:
        """How far ahead the newest tensors look: as far as what they are made of."""
        for op in self.b.ops[len(self.lookahead) - 1 :]:
            self.lookahead[op.output] = max(self.lookahead[n] for n in op.inputs)

    def uses(self, name: str) -> int:
        """How many operators read a tensor so far."""
        return sum(name in op.inputs for op in self.b.ops)

    def samples(self, name: str) -> Fraction:
        """Samples for each frame of a tensor."""
        return self.b.tensors["samples"].rate / self.b.tensors[name].rate

    def first_valid(self, name: str) -> int:
        """Frames of the stream before the first one that a whole-sequence forward has."""
        return self.b.first_valid_of(name)

    def delayed(self, name: str, lag: int) -> str:
        """The same stream `lag` frames later."""
        if not lag:
            return name
        made = self.op(g.Unfold1d, name, part="delay", frames=1, frames_per_output=1, lag=lag)
        self.lookahead[made] += lag * self.samples(name)
        return made

    def begun(self, name: str) -> str:
        """The stream, later if need be, so that its first valid frame begins a step: what keeps
        state begins with one."""
        if self.window is not None or not self.first_valid(name):
            return name
        self.waits = True
        if self.period is None:
            return name
        frames = self.period / self.samples(name)
        return self.delayed(name, int(-self.first_valid(name) % frames))

    def together(self, *names: str) -> list[str]:
        """Streams of one rate delayed so that they begin together."""
        latest = max(self.first_valid(name) for name in names)
        return [self.delayed(name, latest - self.first_valid(name)) for name in names]

    # --- rows ----------------------------------------------------------------------------------

    def padded(self, x: Laid, index: torch.Tensor) -> Laid:
        """The tensor with zeros around it. What reads frames of a stream from so far away that the
        traced signal has none of them there would seem to read nothing: it is too short then."""
        made = x.seen_as(index)
        if self.window is not None:
            return made
        for dim in x.time_dims():
            known = int((index >= 0).transpose(0, dim).flatten(1).any(1).sum())
            zeros = index.shape[dim] - known
            self.short |= 2 * zeros > known
            if 2 * zeros > known and self.longest:
                raise Refused(f"{zeros} frames of padding", f"at most {known // 2}")
        return made

    def rows(self, laid: Laid, columns: Sequence[int], order: Sequence[int] = ()) -> Rows:
        """A tensor as rows: dimensions in which time passes are rows, `columns` columns, all others
        groups of a row (in the `order` given, if any). Refused where a stream has no even rows."""
        ndim = laid.index.ndim
        columns = [c % ndim for c in columns]
        times = [d for d in laid.time_dims() if d not in columns]
        groups = [d for d in order or range(ndim) if d not in times and d not in columns]
        dims = (*times, *groups, *columns)
        sizes = tuple(laid.index.shape[d] for d in dims)
        of_rows = int(np.prod(sizes[: len(times)], dtype=np.int64))
        matrix = laid.index.permute(dims).reshape(of_rows, -1).numpy()
        self._look(matrix)
        layout = layout_of(matrix, laid.frames, laid.features, self.window is None)
        count = int(np.prod([laid.index.shape[d] for d in groups], dtype=np.int64))
        if layout is None or (self.window is None and (of_rows == 1 or layout.edge)):
            layout = self._odd(laid, matrix, layout)
            laid = self._whole(laid)
        return Rows(laid, layout, dims, sizes, count, matrix.shape[1] // count)

    def repeated(self, laid: Laid, times: Sequence[int], order: Sequence[int] = ()) -> Rows:
        """Rows over given dimensions of a tensor along some of which nothing changes: frames that a
        window repeats."""
        groups = [d for d in order or range(laid.index.ndim) if d not in times]
        dims = (*times, *groups)
        sizes = tuple(laid.index.shape[d] for d in dims)
        count = int(np.prod(sizes[: len(times)], dtype=np.int64))
        matrix = laid.index.permute(dims).reshape(count, -1).numpy()
        self._look(matrix)
        layout = layout_of(matrix, laid.frames, laid.features, self.window is None)
        if layout is None or self.window is None:
            layout = self._odd(laid, matrix, layout)
            laid = self._whole(laid)
        return Rows(laid, layout, dims, sizes, matrix.shape[1], 1)

    def _look(self, matrix: Array) -> None:
        """Note where a column of a stream has no frame, or too few to tell which."""
        if self.window is None and len(matrix) > 1:
            self.short |= bool(((matrix >= 0).sum(0) < 2).any())

    def _odd(self, laid: Laid, matrix: Array, layout: Layout | None) -> Layout:
        """Rows that are in no even steps: in a window any choice of its elements."""
        if self.window is None:
            raise Refused(
                "something over all of time in a stream"
                if len(matrix) == 1
                else "frames of a stream in another order, or of its end",
                "a stream computes each frame from the frames before it: pool or pad over a fixed"
                " number of frames, or give the network WINDOW and STRIDE",
            )
        if (matrix < 0).all() or matrix.size > GATHERED:
            raise Refused(
                f"{matrix.size} elements of a window in an order of their own",
                "keep frames in their order until they are pooled",
            )
        size = laid.frames * laid.features
        return Layout(1, 1, size, 1, 0, 1, 1, matrix.reshape(-1), False)

    def _whole(self, laid: Laid) -> Laid:
        """A window as one frame."""
        if laid.frames == 1:
            return laid
        name = self.op(g.Reframe, laid.name, part="flat", frames=laid.frames, outputs=1)
        return Laid(name, 1, laid.frames * laid.features, laid.index)

    def frames(self, rows: Rows, hints: Sequence[int] = ()) -> str:
        """The rows as a tensor of the graph: as many frames, columns as features."""
        layout, bands = rows.layout, rows.layout.bands(hints)
        name = self._unfolded(rows.laid.name, layout, bands or 1)
        if not bands:
            name = self._chosen(name, layout)
        count = int(np.prod(rows.sizes, dtype=np.int64)) // (rows.groups * rows.columns)
        if layout.rows != count:  # any choice of a window's elements
            name = self.op(g.Reframe, name, part="frames", frames=1, outputs=count)
        return name

    def _unfolded(self, name: str, at: Layout, bands: int) -> str:
        """The taps of every row side by side."""
        same = (at.step, at.first, at.taps) == (1, 0, 1)
        if same and (at.rows == at.frames or (self.window is None and at.rows < at.frames)):
            return name
        if self.window is not None:
            sizes = {"frames": at.frames, "outputs": at.rows, "kernel": at.taps, "step": at.step}
            places = {"dilation": at.dilation, "before": -at.first, "bands": bands}
            return self.op(g.WindowUnfold, name, part="window", **sizes, **places, edge=at.edge)
        if at.first < 0:
            name = self.begun(name)
        return self._history(name, at, bands)

    def _history(self, name: str, at: Layout, bands: int) -> str:
        """Taps of a stream: the last frames, so much later that a group of `step` ends with the
        newest of them."""
        begin = self.first_valid(name) + at.last + 1
        lag = -begin % at.step
        if begin + lag < at.step:
            lag += at.step * -(-(at.step - begin - lag) // at.step)
        made = self.op(
            g.Unfold1d,
            name,
            part="window",
            frames=at.taps,
            frames_per_output=at.step,
            lag=lag,
            bands=bands,
            dilation=at.dilation,
            padding=-at.first,
        )
        # a padded row belongs to the frame of its own number, any other one to its newest
        ahead = max(0, at.last + lag) if at.first < 0 else lag
        self.lookahead[made] += ahead * self.samples(name)
        return made

    def _chosen(self, name: str, at: Layout) -> str:
        """Some of the features, in the order of the columns; a padded zero is a feature more."""
        order, width = at.order, self.b.tensors[name].features
        if (order == ZERO).any():
            zeros = self.op(g.Constant, name, part="zero", values=np.zeros((1, 1)))
            name = self.op(g.Concat, name, zeros, part="padded", sizes=(width, 1))
            order = np.where(order == ZERO, width, order)
        if np.array_equal(order, np.arange(order[0], order[0] + len(order))):
            if len(order) == self.b.tensors[name].features:
                return name
            begin = int(order[0])
            return self.op(g.Slice, name, part="slice", begin=begin, end=begin + len(order))
        return self.op(g.Gather, name, part="order", index=order.astype(np.int32))

    def laid(self, name: str, rows: Rows, columns: Sequence[int] | None = None) -> Laid:
        """A tensor of the graph whose frames are these rows, as a tensor of the traced forward with
        the dimensions that the rows were read from; `columns`: new lengths of the last of them."""
        kept = rows.sizes if columns is None else (*rows.sizes[: -len(columns)], *columns)
        total = int(np.prod(kept, dtype=np.int64))
        index = torch.arange(total).reshape(kept)
        back = np.argsort(rows.dims)
        features = self.b.tensors[name].features
        return Laid(name, total // features, features, index.permute(*back.tolist()))

    def in_time(self, found: Laid, times: Sequence[int]) -> Laid:
        """What an operator made of a whole window in one frame, as the frames that it had along
        these dimensions."""
        if self.window is None or found.frames != 1 or not times:
            return found
        others = [d for d in found.by_place() if d not in times]
        dims = (*times, *others)
        index = found.index.permute(dims)
        count = int(np.prod([index.shape[i] for i in range(len(times))], dtype=np.int64))
        order = index.reshape(-1).numpy()
        if count == 1 or len(order) > GATHERED or (order < 0).any():
            return found
        name = found.name
        if not np.array_equal(order, np.arange(found.features)):
            name = self.op(g.Gather, name, part="order", index=order.astype(np.int32))
        name = self.op(g.Reframe, name, part="frames", frames=1, outputs=count)
        index = torch.arange(len(order)).reshape(index.shape).permute(*np.argsort(dims).tolist())
        return Laid(name, count, len(order) // count, index)

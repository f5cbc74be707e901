"""How the elements of a PyTorch tensor lie in the frames of a stream.

A traced tensor is a base tensor of the graph, frames of features, and an index array of the
tensor's own shape: which element of the base each of its elements is. Views, transposes, slices,
pads and joins are then nothing but the same PyTorch function on the index, whatever a network
writes. Only where something is computed the index is read: which dimension is time, how far apart
rows are, which taps one row is made of.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from compress.ops.tensor import Array

ZERO = -1  # in an index: no element of the base, but a padded zero
SEEN = 16  # places of a dimension that are looked at to see whether time passes along it


@dataclass(frozen=True)
class Laid:
    """A tensor of the traced forward: element i of it is element `index[i]` of the base tensor
    `name`, (frames, features) flattened, or zero."""

    name: str
    frames: int
    features: int
    index: torch.Tensor  # int64, of the tensor's shape; the batch of one is dimension 0 as a rule

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.index.shape)

    def seen_as(self, index: torch.Tensor) -> Laid:
        """Another view of the same base."""
        return Laid(self.name, self.frames, self.features, index)

    def time_dims(self) -> list[int]:
        """Dimensions along which the frame of the base changes."""
        found = []
        for dim, size in enumerate(self.shape):
            places = torch.linspace(0, size - 1, min(size, SEEN)).long()
            part = self.index.index_select(dim, places)
            frame = torch.div(part, self.features, rounding_mode="floor")  # zeros stay below 0
            first = frame.select(dim, len(places) // 2).unsqueeze(dim)
            if bool(((frame != first) & (frame >= 0) & (first >= 0)).any()):
                found.append(dim)
        return found

    def by_place(self) -> list[int]:
        """Dimensions in the order in which their elements lie in the base, the closest last."""
        middle = [n // 2 for n in self.shape]

        def apart(dim: int) -> int:
            if self.shape[dim] == 1:
                return -1
            at = list(middle)
            at[dim] = max(middle[dim], 1)
            here = int(self.index[tuple(at)])
            at[dim] -= 1
            return abs(here - int(self.index[tuple(at)]))

        return sorted(range(len(self.shape)), key=apart, reverse=True)

    @property
    def covers_features(self) -> bool:
        """Whether every feature of the base is in it."""
        kept = self.index[self.index >= 0] % self.features
        return len(torch.unique(kept)) == self.features

    @property
    def padded(self) -> bool:
        """Whether some of it is padded zeros."""
        return bool((self.index < 0).any())


@dataclass(frozen=True)
class Layout:
    """Rows of a matrix in the frames of a base: row j, column m is feature `order[m] % features` of
    frame step·j + first + dilation·(order[m] // features), or zero where order[m] is −1.

    `taps`: frames that one row reads; `edge`: frames beyond the ends are the first and the last,
    else zeros.
    """

    rows: int
    frames: int
    features: int
    step: int
    first: int
    taps: int
    dilation: int
    order: Array  # (columns,)
    edge: bool

    @property
    def last(self) -> int:
        """The newest frame of row 0."""
        return self.first + self.dilation * (self.taps - 1)

    def bands(self, hints: Sequence[int]) -> int:
        """Bands for which an unfold gives the columns in their order; 0 where none does."""
        if (self.order < 0).any() or len(self.order) != self.taps * self.features:
            return 0
        for bands in dict.fromkeys((1, *hints, self.features)):
            if bands < 1 or self.features % bands:
                continue
            codes: Array = np.arange(self.taps * self.features)
            codes = codes.reshape(self.taps, bands, -1).swapaxes(0, 1).reshape(-1)
            if np.array_equal(codes, self.order):
                return bands
        return 0

    @property
    def identity(self) -> bool:
        """Whether rows are the frames themselves, from the first on."""
        same = (self.step, self.first, self.taps) == (1, 0, 1)
        return same and np.array_equal(self.order, np.arange(self.features))


def layout_of(index: Array, frames: int, features: int, endless: bool = False) -> Layout | None:
    """The layout of a matrix (rows, columns) of elements of a base; None where its rows do not
    follow each other in even steps. `endless`: of a stream, whose last rows have later frames where
    the traced signal ends in padded zeros."""
    rows = len(index)
    known = index >= 0
    frame, feature = np.where(known, index // features, 0), np.where(known, index % features, -1)
    zero = np.asarray(~known.any(0))
    step = _step(frame, known, frames)
    if step is None:
        return None
    at = np.argmax(known, axis=0)  # the first known row of each column
    inside = known & (frame > 0) & (frame < frames - 1)
    at = np.where(inside.any(0), np.argmax(inside, axis=0), at)
    columns = np.arange(index.shape[1])
    offset = frame[at, columns] - step * at
    expected = step * np.arange(rows)[:, None] + offset
    if (np.where(known, feature, feature.max(0)) != feature.max(0)).any():
        return None
    in_range = (expected >= 0) & (expected < frames)
    if endless:
        last = rows - 1 - np.argmax(known[::-1], axis=0)
        in_range &= np.arange(rows)[:, None] <= last
    plain = ((in_range & ~zero) == known).all() and (~known | (frame == expected)).all()
    edge = not plain and known.all() and (np.clip(expected, 0, frames - 1) == frame).all()
    if not (plain or edge):
        return None
    sizes = (rows, frames, features, step)
    return _taps(sizes, offset, feature.max(0), zero, bool(edge))


def _step(frame: Array, known: Array, frames: int) -> int | None:
    """Frames from one row to the next: the largest difference that is seen."""
    if len(frame) == 1:
        return frames
    pairs = known[1:] & known[:-1]
    if not pairs.any():
        return frames
    step = int((frame[1:] - frame[:-1])[pairs].max())
    return step if step >= 0 else None


def _taps(
    sizes: tuple[int, int, int, int], offset: Array, feature: Array, zero: Array, edge: bool
) -> Layout | None:
    """The taps that the columns' frames make; `sizes`: rows, frames, features and step."""
    if zero.all():
        return None
    rows, frames, features, step = sizes
    distinct = np.unique(offset[~zero])
    dilation = math.gcd(*(int(d) for d in np.diff(distinct))) or 1
    first = int(distinct[0])
    taps = (int(distinct[-1]) - first) // dilation + 1
    order = (offset - first) // dilation * features + feature
    order = np.where(zero, ZERO, order)
    return Layout(rows, frames, features, step, first, taps, dilation, order, edge)

"""Frames and columns of a window as a picture: what a convolution sees of it, and upsampling."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from compress.ops.base import FloatOp, IntOp, Memory, Op, same_segments
from compress.ops.tensor import Array, Tensor

if TYPE_CHECKING:
    from compress.quantization.scales import Plan


class _Enlarged(Op):
    """Frames of `width` columns, each given `factor` times. The fields are the subclasses' own, in
    the order of theirs."""

    factor: int
    width: int
    copies_values: ClassVar[bool] = True
    across_frames: ClassVar[bool] = True

    @property
    def stride(self) -> Fraction:
        return Fraction(1, self.factor)

    def first_valid(self, first: int) -> int:
        return self.factor * first

    def check(self, sources: list[Tensor], target: Tensor) -> Iterator[str]:
        yield from super().check(sources, target)
        if self.width < 1 or sources[0].features % self.width:
            yield f"{self.width} columns do not divide {sources[0].features} features"


@dataclass(frozen=True)
class _Im2Col(_Enlarged):
    """What a convolution over frames and columns sees of one step, padded with zeros so that it
    gives as many of both.

    x (frames, width, n) → y (frames, width, kernel_frames, kernel_columns, n). Every step is a
    window of its own, `frames` of x long: nothing is seen of what comes before and after it. As
    PyTorch's padding="same", the larger half of it comes last. With `factor` and `copies` it sees x
    enlarged as by a `Tile`: y (frames·factor, width·copies, …).
    """

    frames: int
    width: int
    kernel_frames: int
    kernel_columns: int
    factor: int = 1
    copies: int = 1
    whole_window: ClassVar[bool] = True

    def out_features(self, features: int) -> int:
        return features * self.copies * self.kernel_frames * self.kernel_columns

    def run(self, inputs: list[Array], memory: Memory) -> Array:
        """The same in floats and integers: values are moved, none is computed."""
        return patches_of(self, inputs[0])


@dataclass(frozen=True)
class Im2Col(_Im2Col, FloatOp):
    """Real values."""

    code: ClassVar[str] = "im2col"

    def quantize(self, plan: Plan) -> IntIm2Col:
        kernel = (self.kernel_frames, self.kernel_columns)
        return IntIm2Col(
            *plan.head(self), self.frames, self.width, *kernel, self.factor, self.copies
        )


@dataclass(frozen=True)
class IntIm2Col(_Im2Col, IntOp):
    """Output scale = input scale."""

    code: ClassVar[str] = "int.im2col"

    def relations(self, sources: list[Tensor], target: Tensor) -> Iterator[str]:
        yield from same_segments(sources[0], target)


@dataclass(frozen=True)
class _Tile(_Enlarged):
    """Nearest-neighbour upsampling: each frame `factor` times, in it each of `width` columns
    `copies` times; all ≥ 1."""

    factor: int
    width: int
    copies: int

    def out_features(self, features: int) -> int:
        return features * self.copies

    def run(self, inputs: list[Array], memory: Memory) -> Array:
        """The same in floats and integers: values are moved, none is computed."""
        return repeat_of(self, inputs[0])


@dataclass(frozen=True)
class Tile(_Tile, FloatOp):
    """Real values."""

    code: ClassVar[str] = "tile"

    def quantize(self, plan: Plan) -> IntTile:
        return IntTile(*plan.head(self), self.factor, self.width, self.copies)


@dataclass(frozen=True)
class IntTile(_Tile, IntOp):
    """Output scale = input scale."""

    code: ClassVar[str] = "int.tile"

    def relations(self, sources: list[Tensor], target: Tensor) -> Iterator[str]:
        yield from same_segments(sources[0], target)


def patches_of(op: _Im2Col, x: Array) -> Array:
    """What a convolution sees of each window, enlarged by factor and copies: x (batch, time,
    width·n) -> (batch, time·factor, width·copies·kernel_frames·kernel_columns·n)."""
    from numpy.lib.stride_tricks import sliding_window_view

    before = [(op.kernel_frames - 1) // 2, (op.kernel_columns - 1) // 2]
    after = [op.kernel_frames - 1 - before[0], op.kernel_columns - 1 - before[1]]
    image = x.reshape(x.shape[0], -1, op.frames, op.width, x.shape[2] // op.width)
    image = image.repeat(op.factor, axis=2).repeat(op.copies, axis=3)
    padded = np.pad(image, [(0, 0), (0, 0), *zip(before, after, strict=True), (0, 0)])
    # (batch, window, frames, width, n, kernel_frames, kernel_columns)
    seen = sliding_window_view(padded, (op.kernel_frames, op.kernel_columns), (2, 3))
    seen = seen.transpose(0, 1, 2, 3, 5, 6, 4)
    return seen.reshape(x.shape[0], x.shape[1] * op.factor, -1)


def repeat_of(op: _Tile, x: Array) -> Array:
    """Nearest-neighbour upsampling of frames and columns: x (batch, time, width·n) -> (batch,
    time·factor, width·copies·n)."""
    columns = x.reshape(*x.shape[:2], op.width, -1).repeat(op.copies, axis=2)
    return columns.reshape(*x.shape[:2], -1).repeat(op.factor, axis=1)

"""More frames than there were, on straight lines between them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from compress.errors import GraphError
from compress.ops.base import FloatOp, IntOp, Memory, Op, same_segments
from compress.ops.tensor import Array, Tensor

if TYPE_CHECKING:
    from compress.quantization.scales import Plan

MOST = 256  # frames for each, a power of two, in integers


@dataclass(frozen=True)
class _Interpolate(Op):
    """`factor` frames for each: y[factor·k + j] = x[k − 1] + (x[k] − x[k − 1])·j / factor. It looks
    ahead by one frame of x."""

    factor: int
    copies_values: ClassVar[bool] = True
    across_frames: ClassVar[bool] = True

    @property
    def stride(self) -> Fraction:
        return Fraction(1, self.factor)

    @property
    def reach(self) -> int:
        return 1

    def kept_values(self, features: int) -> int:
        return features

    def first_valid(self, first: int) -> int:
        return self.factor * (first + 1)

    def before(self, x: Array, memory: Memory) -> Array:
        """The frame before each of x (batch, time, features); keeps the last one."""
        past = memory.kept.get("past")
        if past is None:
            past = np.zeros((x.shape[0], 1, x.shape[2]), x.dtype)
        memory.kept["past"] = x[:, -1:]
        return np.concatenate([past, x[:, :-1]], axis=1)


@dataclass(frozen=True)
class Interpolate(_Interpolate, FloatOp):
    """Linear interpolation."""

    code: ClassVar[str] = "interpolate"

    def run(self, inputs: list[Array], memory: Memory) -> Array:
        x = inputs[0]
        before = self.before(x, memory)
        share = (np.arange(self.factor) / self.factor)[:, None]
        y = before[:, :, None] + (x - before)[:, :, None] * share
        return np.asarray(y.reshape(x.shape[0], -1, x.shape[2]))

    def quantize(self, plan: Plan) -> IntInterpolate:
        k = self.factor
        if k & (k - 1) or not 1 <= k <= MOST:
            raise GraphError(
                f"{self.module}: {k} frames for each; the integer form needs a power of two up to"
                f" {MOST}"
            )
        return IntInterpolate(*plan.head(self), k)


@dataclass(frozen=True)
class IntInterpolate(_Interpolate, IntOp):
    """factor 1, 2, 4, … 256; output scale = input scale."""

    code: ClassVar[str] = "int.interpolate"

    def check(self, sources: list[Tensor], target: Tensor) -> Iterator[str]:
        yield from super().check(sources, target)
        if self.factor & (self.factor - 1) or not 1 <= self.factor <= MOST:
            yield f"expected a power of two up to {MOST}, found {self.factor}"

    def run(self, inputs: list[Array], memory: Memory) -> Array:
        return interpolate(inputs[0], self.before(inputs[0], memory), self.factor)

    def relations(self, sources: list[Tensor], target: Tensor) -> Iterator[str]:
        yield from same_segments(sources[0], target)


def interpolate(x: Array, before: Array, factor: int) -> Array:
    """x and the frame before each, (batch, time, features) -> (batch, time·factor, features)."""
    j: Array = np.arange(factor)[:, None]
    total = before[:, :, None] * (factor - j) + x[:, :, None] * j + (factor >> 1)
    return np.asarray((total >> (factor.bit_length() - 1)).reshape(x.shape[0], -1, x.shape[2]))

"""Pools over time, and over copies of a band's features: mean and largest value."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from compress.ops.arithmetic import multiplier, requant, same_multiplier
from compress.ops.base import Bound, FloatOp, IntOp, Memory, Op, same_segments, within
from compress.ops.tensor import Array, Tensor

if TYPE_CHECKING:
    from compress.quantization.scales import Plan


def groups_of_frames(x: Array, factor: int) -> Array:
    """x (batch, time, features) as (batch, time / factor, factor, features)."""
    return x.reshape(x.shape[0], -1, factor, x.shape[2])


# --- over time -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Pool(Op):
    """`factor` frames, ≥ 1, become one."""

    factor: int
    decimation: ClassVar[str | None] = "factor"

    def check(self, sources: list[Tensor], target: Tensor) -> Iterator[str]:
        yield from super().check(sources, target)
        yield from within("factor", self.factor, 1, 65535)


@dataclass(frozen=True)
class MeanPool(_Pool, FloatOp):
    """Mean of `factor` frames."""

    code: ClassVar[str] = "mean_pool"
    clamps: ClassVar[bool] = True

    def run(self, inputs: list[Array], memory: Memory) -> Array:
        return np.asarray(groups_of_frames(inputs[0], self.factor).mean(2))

    def quantize(self, plan: Plan) -> IntMeanPool:
        return IntMeanPool(*plan.head(self), self.factor, *_mean(plan, self, self.factor))


@dataclass(frozen=True)
class MaxPool(_Pool, FloatOp):
    """Largest value of `factor` frames, feature by feature."""

    code: ClassVar[str] = "max_pool"
    copies_values: ClassVar[bool] = True

    def run(self, inputs: list[Array], memory: Memory) -> Array:
        return np.asarray(groups_of_frames(inputs[0], self.factor).max(2))

    def quantize(self, plan: Plan) -> IntMaxPool:
        return IntMaxPool(*plan.head(self), self.factor)


@dataclass(frozen=True)
class IntMeanPool(_Pool, IntOp):
    """y = clamp(requant(Σ x, shift, mult)); mult 0…2³¹−1, shift 0…31."""

    mult: int
    shift: int
    code: ClassVar[str] = "int.mean_pool"
    clamps: ClassVar[bool] = True

    def run(self, inputs: list[Array], memory: Memory) -> Array:
        total = groups_of_frames(inputs[0], self.factor).sum(2)
        y = requant(total, self.shift, self.mult)
        return np.clip(y, memory.target.lo, memory.target.hi)

    def bounds(self, source: Tensor) -> list[Bound]:
        return [Bound(self.module, (self.factor * source.peak) << self.shift)]

    def relations(self, sources: list[Tensor], target: Tensor) -> Iterator[str]:
        yield from _mean_relation(self.mult, self.shift, self.factor, sources[0], target)


@dataclass(frozen=True)
class IntMaxPool(_Pool, IntOp):
    """Largest value; output scale = input scale."""

    code: ClassVar[str] = "int.max_pool"
    copies_values: ClassVar[bool] = True

    run = MaxPool.run

    def relations(self, sources: list[Tensor], target: Tensor) -> Iterator[str]:
        yield from same_segments(sources[0], target)


def _mean(plan: Plan, op: Op, count: int) -> tuple[int, int]:
    """(mult, shift) that make a mean of a sum of `count` values, and change its scale."""
    ratio = plan.source(op).scale / (count * plan.target(op).scale)
    mult, shift = multiplier(ratio, count * 32768, op.module)
    return int(mult), shift


def _mean_relation(
    mult: int, shift: int, count: int, source: Tensor, target: Tensor
) -> Iterator[str]:
    if not same_multiplier(mult, shift, source.scale / (count * target.scale)):
        yield f"mult {mult} and shift {shift} are not the mean of {count} between the two scales"


# --- over copies ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class GroupReduce(Op):
    """Something over the copies of each band's features: (bands, copies, n) → (bands, n) in every
    frame."""

    bands: int
    copies: int

    def out_features(self, features: int) -> int:
        return features // self.copies

    def apart(self, x: Array) -> Array:
        """x (batch, time, features) as (batch, time, bands, copies, n)."""
        return x.reshape(*x.shape[:2], self.bands, self.copies, -1)

    def check(self, sources: list[Tensor], target: Tensor) -> Iterator[str]:
        yield from super().check(sources, target)
        features = sources[0].features
        if features % (self.bands * self.copies):
            yield f"{self.bands} bands of {self.copies} copies do not divide {features} features"


@dataclass(frozen=True)
class GroupMean(GroupReduce, FloatOp):
    """Mean over the copies of each band's features."""

    code: ClassVar[str] = "group_mean"
    clamps: ClassVar[bool] = True

    def run(self, inputs: list[Array], memory: Memory) -> Array:
        x = inputs[0]
        return np.asarray(self.apart(x).mean(3).reshape(*x.shape[:2], -1))

    def quantize(self, plan: Plan) -> IntGroupMean:
        return IntGroupMean(
            *plan.head(self), self.bands, self.copies, *_mean(plan, self, self.copies)
        )


@dataclass(frozen=True)
class GroupMax(GroupReduce, FloatOp):
    """Largest value over the copies of each band's features."""

    code: ClassVar[str] = "group_max"
    copies_values: ClassVar[bool] = True

    def run(self, inputs: list[Array], memory: Memory) -> Array:
        x = inputs[0]
        return np.asarray(self.apart(x).max(3).reshape(*x.shape[:2], -1))

    def quantize(self, plan: Plan) -> IntGroupMax:
        return IntGroupMax(*plan.head(self), self.bands, self.copies)


@dataclass(frozen=True)
class IntGroupMean(GroupReduce, IntOp):
    """As `IntMeanPool`, over copies."""

    mult: int
    shift: int
    code: ClassVar[str] = "int.group_mean"
    clamps: ClassVar[bool] = True

    def run(self, inputs: list[Array], memory: Memory) -> Array:
        x = inputs[0]
        total = self.apart(x).sum(3).reshape(*x.shape[:2], -1)
        y = requant(total, self.shift, self.mult)
        return np.clip(y, memory.target.lo, memory.target.hi)

    def bounds(self, source: Tensor) -> list[Bound]:
        return [Bound(self.module, (self.copies * source.peak) << self.shift)]

    def relations(self, sources: list[Tensor], target: Tensor) -> Iterator[str]:
        yield from _mean_relation(self.mult, self.shift, self.copies, sources[0], target)


@dataclass(frozen=True)
class IntGroupMax(GroupReduce, IntOp):
    """Output scale = input scale."""

    code: ClassVar[str] = "int.group_max"
    copies_values: ClassVar[bool] = True

    run = GroupMax.run

    def relations(self, sources: list[Tensor], target: Tensor) -> Iterator[str]:
        yield from same_segments(sources[0], target)

"""Functions of one value: from a table, a step, or a clamp."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from compress.ops.arithmetic import lut
from compress.ops.base import FloatOp, IntOp, Memory, Op, same_segments, within
from compress.ops.tables import function, names, table_of
from compress.ops.tensor import INT16, Array, Tensor

if TYPE_CHECKING:
    from compress.quantization.scales import Plan

STEP = "step"


@dataclass(frozen=True)
class Activation(FloatOp):
    """kind: a name that `tables.function` knows: relu, leaky_relu (slope 0.01 below zero), gelu,
    sigmoid, tanh, step (1 from zero on, else 0), …; of a family with its numbers, "elu(1.0)"."""

    kind: str
    code: ClassVar[str] = "activation"
    clamps: ClassVar[bool] = True

    @property
    def limits(self) -> tuple[float, float] | None:
        return (0.0, math.inf) if self.kind == "relu" else None

    def work(self, features: int) -> tuple[str, int]:
        return ("nothing", 0) if self.limits else ("table", features)

    def check(self, sources: list[Tensor], target: Tensor) -> Iterator[str]:
        yield from super().check(sources, target)
        if function(self.kind) is None:
            yield f"expected one of {names()}, found {self.kind!r}"

    def run(self, inputs: list[Array], memory: Memory) -> Array:
        found = function(self.kind)
        assert found is not None, self.kind
        return np.asarray(found(inputs[0]))

    def quantize(self, plan: Plan) -> Op:
        source, target = plan.source(self), plan.target(self)
        if self.kind == STEP:
            return IntStep(*plan.head(self), _high(target))
        table = table_of(self.kind, source.scale, target.scale, target.lo, target.hi)
        return IntLut(*plan.head(self), table, self.kind)


@dataclass(frozen=True)
class IntLut(IntOp):
    """table int16 (257,) of the function named `function`."""

    table: Array
    function: str
    code: ClassVar[str] = "int.lut"
    clamps: ClassVar[bool] = True

    def work(self, features: int) -> tuple[str, int]:
        return "table", features

    def run(self, inputs: list[Array], memory: Memory) -> Array:
        return lut(inputs[0], self.table)

    def relations(self, sources: list[Tensor], target: Tensor) -> Iterator[str]:
        if function(self.function) is None:
            yield f"expected one of {names()}, found {self.function!r}"
            return
        limits = target.lo, target.hi
        expected = table_of(self.function, sources[0].scale, target.scale, *limits)
        if not np.array_equal(self.table, expected):
            yield f"a table that is not {self.function} between the two scales"


@dataclass(frozen=True)
class IntStep(IntOp):
    """`high` from zero on, else 0."""

    high: int
    code: ClassVar[str] = "int.step"
    clamps: ClassVar[bool] = True

    def run(self, inputs: list[Array], memory: Memory) -> Array:
        return step(inputs[0], self.high)

    def relations(self, sources: list[Tensor], target: Tensor) -> Iterator[str]:
        if self.high != _high(target):
            yield f"high {self.high} is not 1 in the output's scale"


def _high(target: Tensor) -> int:
    """The integer that stands for 1."""
    return min(round(1.0 / target.scale), target.hi, INT16[1])


def step(x: Array, high: int) -> Array:
    """`high` where x ≥ 0, else 0."""
    return np.where(x >= 0, high, 0)


# --- limits --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Clamp(FloatOp):
    """y = min(max(x, lo), hi), lo < hi, either may be infinite."""

    lo: float
    hi: float
    code: ClassVar[str] = "clamp"
    copies_values: ClassVar[bool] = True

    @property
    def limits(self) -> tuple[float, float] | None:
        return (self.lo, self.hi) if self.lo <= 0.0 < self.hi else None

    def work(self, features: int) -> tuple[str, int]:
        return ("nothing", 0) if self.limits else ("value", features)

    def check(self, sources: list[Tensor], target: Tensor) -> Iterator[str]:
        if not self.lo < self.hi:
            yield f"expected lo below hi, found {self.lo:g}…{self.hi:g}"

    def run(self, inputs: list[Array], memory: Memory) -> Array:
        return np.clip(inputs[0], self.lo, self.hi)

    def quantize(self, plan: Plan) -> IntClamp:
        scale = plan.target(self).scale
        return IntClamp(*plan.head(self), *whole_limits(self.lo, self.hi, scale, INT16))


@dataclass(frozen=True)
class IntClamp(IntOp):
    """y = min(max(x, least), most) in the scale of x; int16, least ≤ most."""

    least: int
    most: int
    code: ClassVar[str] = "int.clamp"
    copies_values: ClassVar[bool] = True

    def check(self, sources: list[Tensor], target: Tensor) -> Iterator[str]:
        yield from super().check(sources, target)
        yield from within("least", self.least, INT16[0], INT16[1])
        yield from within("most", self.most, self.least, INT16[1])

    def run(self, inputs: list[Array], memory: Memory) -> Array:
        return np.clip(inputs[0], self.least, self.most)

    def relations(self, sources: list[Tensor], target: Tensor) -> Iterator[str]:
        yield from same_segments(sources[0], target)


def whole_limits(lo: float, hi: float, scale: float, within: tuple[int, int]) -> tuple[int, int]:
    """Real limits as the nearest integers in a scale, held to a range of integers."""
    low, high = (int(np.clip(np.round(end / scale), *within)) for end in (lo, hi))
    return low, high

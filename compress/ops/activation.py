"""Functions of one value: from a table, or a step."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from compress.ops.arithmetic import lut
from compress.ops.base import FloatOp, IntOp, Memory, Op
from compress.ops.tables import FUNCTIONS, table_of
from compress.ops.tensor import INT16, Array, Tensor

if TYPE_CHECKING:
    from compress.quantization.scales import Plan

STEP = "step"


@dataclass(frozen=True)
class Activation(FloatOp):
    """kind: a name of `tables.FUNCTIONS`: relu, leaky_relu (slope 0.01 below zero), gelu, sigmoid,
    tanh, or step (1 from zero on, else 0)."""

    kind: str
    code: ClassVar[str] = "activation"
    clamps: ClassVar[bool] = True

    @property
    def is_clamp(self) -> bool:
        """Whether the clamp of the operator before it can do the same."""
        return self.kind == "relu"

    def work(self, features: int) -> tuple[str, int]:
        return ("nothing", 0) if self.is_clamp else ("table", features)

    def check(self, sources: list[Tensor], target: Tensor) -> Iterator[str]:
        yield from super().check(sources, target)
        if self.kind not in FUNCTIONS:
            yield f"expected one of {', '.join(FUNCTIONS)}, found {self.kind!r}"

    def run(self, inputs: list[Array], memory: Memory) -> Array:
        return np.asarray(FUNCTIONS[self.kind](inputs[0]))

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
        if self.function not in FUNCTIONS:
            yield f"expected one of {', '.join(FUNCTIONS)}, found {self.function!r}"
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

"""The gated linear unit."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from compress.ops.arithmetic import lut
from compress.ops.base import FloatOp, IntOp, Memory, Op
from compress.ops.tables import GATE_SCALE, sigmoid, sigmoid_table
from compress.ops.tensor import Array, Segment, Tensor

if TYPE_CHECKING:
    from compress.quantization.scales import Plan


@dataclass(frozen=True)
class _Glu(Op):
    """First half of the features times the sigmoid of the second half."""

    def out_features(self, features: int) -> int:
        return features // 2

    def work(self, features: int) -> tuple[str, int]:
        return "table", features

    def check(self, sources: list[Tensor], target: Tensor) -> Iterator[str]:
        yield from super().check(sources, target)
        if sources[0].features % 2:
            yield f"expected two halves, found {sources[0].features} features"


@dataclass(frozen=True)
class Glu(_Glu, FloatOp):
    """y = a·σ(b) for an input (a, b)."""

    code: ClassVar[str] = "glu"
    keeps_scale: ClassVar[bool] = True

    def run(self, inputs: list[Array], memory: Memory) -> Array:
        a, b = np.split(inputs[0], 2, axis=-1)
        return np.asarray(a * sigmoid(b))

    def parts(self, features: int) -> tuple[int, ...]:
        return features // 2, features // 2

    def wants(self, plan: Plan, source: Tensor) -> tuple[Segment, ...]:
        """The value's scale is the output's if that is summed, else its own; a gate has one."""
        half = source.features // 2
        return Segment(half, plan.own_scale(source.name)), Segment(half, GATE_SCALE)

    def offers(self, plan: Plan, peak: float) -> float:
        """σ ≤ 1: the scale of its value serves its output too."""
        return plan.own_scale(self.inputs[0])

    def quantize(self, plan: Plan) -> IntGlu:
        return IntGlu(*plan.head(self), sigmoid_table())


@dataclass(frozen=True)
class IntGlu(_Glu, IntOp):
    """table int16 (257,): the sigmoid in Q15, 0…32767. y = (a·lut(b) + 2¹⁴) >> 15."""

    table: Array
    code: ClassVar[str] = "int.glu"

    def run(self, inputs: list[Array], memory: Memory) -> Array:
        return glu(inputs[0], self.table)

    def relations(self, sources: list[Tensor], target: Tensor) -> Iterator[str]:
        yield from super().relations(sources, target)
        half = target.features
        scales = sources[0].scales()
        if (scales[half:] != GATE_SCALE).any():
            yield f"expected a gate in steps of {GATE_SCALE:g}, found {scales[half:].max():g}"
        if (scales[:half] != target.scales()).any():
            yield "expected the output in the scale of the value"
        if not np.array_equal(self.table, sigmoid_table()):
            yield "a table that is not the sigmoid in Q15"


def glu(x: Array, table: Array) -> Array:
    """x (…, 2n) -> (…, n)."""
    a, b = np.split(x, 2, axis=-1)
    return np.asarray((a * lut(b, table) + 2**14) >> 15)

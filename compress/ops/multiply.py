"""The product and the difference of two streams of one rate, feature by feature."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from compress.ops.arithmetic import multiplier, requant, same_multiplier
from compress.ops.base import Bound, FloatOp, IntOp, Memory, within
from compress.ops.tensor import INT16, Array, Tensor

if TYPE_CHECKING:
    from compress.quantization.scales import Plan

LARGEST = 2**30  # magnitude of a product


@dataclass(frozen=True)
class Multiply(FloatOp):
    """y = a·b."""

    code: ClassVar[str] = "multiply"
    clamps: ClassVar[bool] = True

    def run(self, inputs: list[Array], memory: Memory) -> Array:
        return np.asarray(inputs[0] * inputs[1])

    def quantize(self, plan: Plan) -> IntMultiply:
        a, b = (plan.tensor(plan.name(name)) for name in self.inputs)
        mult, shift = multiplier(a.scale * b.scale / plan.target(self).scale, LARGEST, self.module)
        return IntMultiply(*plan.head(self), int(mult), shift)


@dataclass(frozen=True)
class IntMultiply(IntOp):
    """y = clamp(requant(a·b, shift, mult)); mult 0…2³¹−1, shift 0: a product takes 31 bits."""

    mult: int
    shift: int
    code: ClassVar[str] = "int.multiply"
    clamps: ClassVar[bool] = True

    def check(self, sources: list[Tensor], target: Tensor) -> Iterator[str]:
        yield from super().check(sources, target)
        yield from within("mult", self.mult, 0, 2**31 - 1)
        yield from within("shift", self.shift, 0, 0)

    def run(self, inputs: list[Array], memory: Memory) -> Array:
        y = requant(inputs[0] * inputs[1], self.shift, self.mult)
        return np.clip(y, memory.target.lo, memory.target.hi)

    def bounds(self, source: Tensor) -> list[Bound]:
        return [Bound(self.module, LARGEST << self.shift)]

    def relations(self, sources: list[Tensor], target: Tensor) -> Iterator[str]:
        ratio = sources[0].scale * sources[1].scale / target.scale
        if not same_multiplier(self.mult, self.shift, ratio):
            yield "mult and shift are not the inputs' scales over the output's"


@dataclass(frozen=True)
class Subtract(FloatOp):
    """y = a − b."""

    code: ClassVar[str] = "subtract"
    sums: ClassVar[bool] = True

    def run(self, inputs: list[Array], memory: Memory) -> Array:
        return np.asarray(inputs[0] - inputs[1])

    def quantize(self, plan: Plan) -> IntSubtract:
        return IntSubtract(*plan.head(self))


@dataclass(frozen=True)
class IntSubtract(IntOp):
    """y = sat16(a − b); all three have one scale."""

    code: ClassVar[str] = "int.subtract"

    def run(self, inputs: list[Array], memory: Memory) -> Array:
        return np.clip(inputs[0] - inputs[1], *INT16)

    def relations(self, sources: list[Tensor], target: Tensor) -> Iterator[str]:
        yield from super().relations(sources, target)
        for source in sources:
            if source.scale != target.scale:
                yield f"expected {source.name!r} in the output's scale"

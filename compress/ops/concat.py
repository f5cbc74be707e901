"""Tensors of one rate side by side, each brought to the scale of the whole."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from compress.ops.arithmetic import multiplier, requant, same_multiplier
from compress.ops.base import Bound, FloatOp, IntOp, Memory, Op, holds, within
from compress.ops.tensor import Array, Tensor

if TYPE_CHECKING:
    from compress.quantization.scales import Plan

LARGEST = 32768  # magnitude of what is brought to another scale


@dataclass(frozen=True)
class _Concat(Op):
    """y = (a, b, …); `sizes`: the features of each. Of one tensor it is that tensor in a scale of
    its own."""

    sizes: tuple[int, ...]
    clamps: ClassVar[bool] = True

    def out_features(self, features: int) -> int:
        return sum(self.sizes)

    def check(self, sources: list[Tensor], target: Tensor) -> Iterator[str]:
        if tuple(s.features for s in sources) != self.sizes:
            yield f"expected features {self.sizes}, found {[s.features for s in sources]}"


@dataclass(frozen=True)
class Concat(_Concat, FloatOp):
    """Real values."""

    code: ClassVar[str] = "concat"

    def run(self, inputs: list[Array], memory: Memory) -> Array:
        return np.concatenate(inputs, axis=-1)

    def quantize(self, plan: Plan) -> IntConcat:
        target = plan.target(self)
        sources = [plan.tensor(plan.name(name)) for name in self.inputs]
        factors = [multiplier(s.scale / target.scale, LARGEST, self.module) for s in sources]
        mult = np.array([int(m) for m, _ in factors], np.int32)
        shift = np.array([s for _, s in factors], np.int32)
        return IntConcat(*plan.head(self), self.sizes, mult, shift)


@dataclass(frozen=True)
class IntConcat(_Concat, IntOp):
    """mult, shift int32 (tensors,): each part is clamp(requant(x, shift, mult)), which is x itself
    where both have one scale."""

    mult: Array
    shift: Array
    code: ClassVar[str] = "int.concat"

    def check(self, sources: list[Tensor], target: Tensor) -> Iterator[str]:
        yield from super().check(sources, target)
        yield from holds(self, (len(self.sizes),), "i", "mult", "shift")
        yield from within("shift", int(self.shift.min()), 0, 31)

    def run(self, inputs: list[Array], memory: Memory) -> Array:
        parts = [
            requant(x, int(shift), int(mult))
            for x, mult, shift in zip(inputs, self.mult, self.shift, strict=True)
        ]
        return np.clip(np.concatenate(parts, axis=-1), memory.target.lo, memory.target.hi)

    def bounds(self, source: Tensor) -> list[Bound]:
        return [Bound(self.module, LARGEST << int(self.shift.max()))]

    def relations(self, sources: list[Tensor], target: Tensor) -> Iterator[str]:
        for source, mult, shift in zip(sources, self.mult, self.shift, strict=True):
            if not same_multiplier(int(mult), int(shift), source.scale / target.scale):
                yield f"mult and shift do not bring {source.name!r} to the output's scale"

"""The sum of two streams of one rate."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from compress.ops.base import FloatOp, IntOp, Memory
from compress.ops.tensor import INT16, Array, Tensor

if TYPE_CHECKING:
    from compress.quantization.scales import Plan


@dataclass(frozen=True)
class Add(FloatOp):
    """y = a + b."""

    code: ClassVar[str] = "add"
    sums: ClassVar[bool] = True

    def run(self, inputs: list[Array], memory: Memory) -> Array:
        return np.asarray(inputs[0] + inputs[1])

    def quantize(self, plan: Plan) -> IntAdd:
        return IntAdd(*plan.head(self))


@dataclass(frozen=True)
class IntAdd(IntOp):
    """y = sat16(a + b); all three have one scale."""

    code: ClassVar[str] = "int.add"

    def run(self, inputs: list[Array], memory: Memory) -> Array:
        return add(inputs[0], inputs[1])

    def relations(self, sources: list[Tensor], target: Tensor) -> Iterator[str]:
        yield from super().relations(sources, target)
        for source in sources:
            if source.scale != target.scale:
                yield f"expected {source.name!r} in the output's scale"


def add(a: Array, b: Array) -> Array:
    """Saturated to int16."""
    return np.clip(a + b, *INT16)

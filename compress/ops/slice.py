"""Some neighbouring features of a frame."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from compress.ops.base import FloatOp, IntOp, Memory, Op, same_segments
from compress.ops.tensor import Array, Tensor

if TYPE_CHECKING:
    from compress.quantization.scales import Plan


@dataclass(frozen=True)
class _Slice(Op):
    """y = x[begin : end] of the features of each frame."""

    begin: int
    end: int
    copies_values: ClassVar[bool] = True

    def out_features(self, features: int) -> int:
        return self.end - self.begin

    def check(self, sources: list[Tensor], target: Tensor) -> Iterator[str]:
        yield from super().check(sources, target)
        if not 0 <= self.begin < self.end <= sources[0].features:
            yield f"features {self.begin}…{self.end} of {sources[0].features}"

    def run(self, inputs: list[Array], memory: Memory) -> Array:
        """The same in floats and integers: values are moved, none is computed."""
        return inputs[0][..., self.begin : self.end]


@dataclass(frozen=True)
class Slice(_Slice, FloatOp):
    """Real values."""

    code: ClassVar[str] = "slice"

    def quantize(self, plan: Plan) -> IntSlice:
        return IntSlice(*plan.head(self), self.begin, self.end)


@dataclass(frozen=True)
class IntSlice(_Slice, IntOp):
    """Output scale = input scale."""

    code: ClassVar[str] = "int.slice"

    def relations(self, sources: list[Tensor], target: Tensor) -> Iterator[str]:
        yield from same_segments(sources[0], target)

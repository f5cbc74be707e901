"""Features of a frame in any order, and frames of constants."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from compress.ops.base import FloatOp, IntOp, Memory, Op, holds, same_segments
from compress.ops.tensor import INT16, Array, Tensor

if TYPE_CHECKING:
    from compress.quantization.scales import Plan

# --- features moved ------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Gather(Op):
    """y[i] = x[index[i]] in each frame; index int32 (features,), any order, any number of times."""

    index: Array
    copies_values: ClassVar[bool] = True

    def out_features(self, features: int) -> int:
        return len(self.index)

    def check(self, sources: list[Tensor], target: Tensor) -> Iterator[str]:
        yield from super().check(sources, target)
        yield from holds(self, (target.features,), "i", "index")
        if self.index.size and not 0 <= self.index.min() <= self.index.max() < sources[0].features:
            yield f"features {self.index.min()}…{self.index.max()} of {sources[0].features}"

    def run(self, inputs: list[Array], memory: Memory) -> Array:
        """The same in floats and integers: values are moved, none is computed."""
        return inputs[0][..., self.index]


@dataclass(frozen=True)
class Gather(_Gather, FloatOp):
    """Real values."""

    code: ClassVar[str] = "gather"

    def quantize(self, plan: Plan) -> IntGather:
        return IntGather(*plan.head(self), self.index)


@dataclass(frozen=True)
class IntGather(_Gather, IntOp):
    """Output scale = input scale."""

    code: ClassVar[str] = "int.gather"

    def relations(self, sources: list[Tensor], target: Tensor) -> Iterator[str]:
        yield from same_segments(sources[0], target)


# --- constants -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Constant(Op):
    """The same `frames` frames over and over, values (frames, features), as many as there are of
    its input, whose values it does not read: one for every frame of a stream, or one for each
    frame of a window."""

    values: Array

    @property
    def frames(self) -> int:
        """Frames until they come again."""
        return int(self.values.shape[0])

    @property
    def whole_window(self) -> bool:  # type: ignore[override]  # of a field, not of the class
        """Whether they belong to the frames of a window."""
        return self.frames > 1

    @property
    def across_frames(self) -> bool:  # type: ignore[override]
        return self.frames > 1

    def out_features(self, features: int) -> int:
        return int(self.values.shape[1])

    def check(self, sources: list[Tensor], target: Tensor) -> Iterator[str]:
        if self.values.ndim != 2 or not self.values.size:
            yield f"expected values (frames, features), found {self.values.shape}"
        if not np.isfinite(self.values).all():
            yield "values hold NaN or infinite values"

    def run(self, inputs: list[Array], memory: Memory) -> Array:
        """The same in floats and integers."""
        x = inputs[0]
        tiled = np.tile(self.values, (x.shape[1] // self.frames, 1))
        return np.broadcast_to(tiled, (x.shape[0], *tiled.shape))


@dataclass(frozen=True)
class Constant(_Constant, FloatOp):
    """Real values."""

    code: ClassVar[str] = "constant"

    def quantize(self, plan: Plan) -> IntConstant:
        scale = plan.target(self).scale
        whole = np.clip(np.round(self.values / scale), *INT16).astype(np.int16)
        return IntConstant(*plan.head(self), whole, scale)


@dataclass(frozen=True)
class IntConstant(_Constant, IntOp):
    """values int16 (frames, features), in steps of value_scale, which is the output's scale."""

    value_scale: float
    code: ClassVar[str] = "int.constant"

    def check(self, sources: list[Tensor], target: Tensor) -> Iterator[str]:
        yield from super().check(sources, target)
        if self.values.dtype != np.int16:
            yield f"expected values as int16, found {self.values.dtype}"

    def run(self, inputs: list[Array], memory: Memory) -> Array:
        return super().run(inputs, memory).astype(np.int64)

    def relations(self, sources: list[Tensor], target: Tensor) -> Iterator[str]:
        yield from super().relations(sources, target)
        if self.value_scale != target.scale:
            yield f"values in steps of {self.value_scale:g}, expected {target.scale:g}"

"""A frame beside the frames before of tensors that are made later: what closes a loop."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from compress.ops.base import FloatOp, IntOp, Memory, Op
from compress.ops.tensor import Array, Tensor

if TYPE_CHECKING:
    from compress.quantization.scales import Plan


@dataclass(frozen=True)
class _DelayedConcat(Op):
    """y[t] = x[t], a[t − 1], b[t − 1] … side by side.

    `previous` names a, b, …, `widths` are their features. Their frame before the first is zero, or
    what they say themselves (`recalled`: an integration begins with its initial value). What lies
    between a DelayedConcat and the last tensor that it names is computed frame by frame
    (`Graph.loops`).
    """

    previous: tuple[str, ...]
    widths: tuple[int, ...]
    name_fields: ClassVar[tuple[str, ...]] = (*Op.name_fields, "previous")
    sums: ClassVar[bool] = True
    recurrent: ClassVar[bool] = True
    delayed: ClassVar[bool] = True

    @property
    def previous_names(self) -> tuple[str, ...]:
        return self.previous

    def out_features(self, features: int) -> int:
        return features + sum(self.widths)

    def state_values(self, features: int) -> int:
        return sum(-(-width // 2) * 2 for width in self.widths)

    def check(self, sources: list[Tensor], target: Tensor) -> Iterator[str]:
        yield from super().check(sources, target)
        if len(self.previous) != len(self.widths):
            yield f"{len(self.previous)} tensors with {len(self.widths)} widths"

    def run(self, inputs: list[Array], memory: Memory) -> Array:
        """One frame (batch, 1, features); the same in floats and integers."""
        parts = [inputs[0]]
        for name, width in zip(self.previous, self.widths, strict=True):
            before = memory.recall(name)
            if before is None:
                before = np.zeros((memory.batch, 1, width), inputs[0].dtype)
            parts.append(before)
        return np.concatenate(parts, axis=-1)


@dataclass(frozen=True)
class DelayedConcat(_DelayedConcat, FloatOp):
    """Real values."""

    code: ClassVar[str] = "delayed_concat"

    def quantize(self, plan: Plan) -> IntDelayedConcat:
        previous = tuple(plan.name(n) for n in self.previous)
        return IntDelayedConcat(*plan.head(self), previous, self.widths)


@dataclass(frozen=True)
class IntDelayedConcat(_DelayedConcat, IntOp):
    """All have one scale."""

    code: ClassVar[str] = "int.delayed_concat"

    def relations(self, sources: list[Tensor], target: Tensor) -> Iterator[str]:
        """`sources`: its input, then the tensors it names."""
        yield from super().relations(sources, target)
        for source in sources:
            if source.scale != target.scale:
                yield f"expected {source.name!r} in the output's scale"

"""A running sum from a value that is given with the stream."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from compress.ops.base import FloatOp, IntOp, Memory, Op, within
from compress.ops.tensor import INT16, Array, Segment, Tensor

if TYPE_CHECKING:
    from compress.quantization.scales import Plan

FRACTION = 14  # bits of an output's step that an increment has at most: sums then keep to 32 bits
MARGIN = 1.3  # observed range × this is the range that can be represented


@dataclass(frozen=True)
class _Integrate(Op):
    """y[t] = y[t − 1] + x[t], from the graph's extra input `initial` (zero if none is given).

    With `position_steps` a frame of x holds a position and an increment, (2n,), and the first so
    many valid frames give the position itself.
    """

    position_steps: int = 0
    initial: str = field(default="initial", kw_only=True)
    name_fields: ClassVar[tuple[str, ...]] = (*Op.name_fields, "initial")
    recurrent: ClassVar[bool] = True

    @property
    def initial_names(self) -> tuple[str, ...]:
        return (self.initial,)

    def out_features(self, features: int) -> int:
        return features // 2 if self.position_steps else features

    def kept_values(self, features: int) -> int:
        return -(-self.out_features(features) // 2) * 2

    def state_values(self, features: int) -> int:
        return 2 * self.out_features(features) + 2  # 32-bit sums, and the count of frames

    def check(self, sources: list[Tensor], target: Tensor) -> Iterator[str]:
        yield from super().check(sources, target)
        if self.position_steps < 0 or (self.position_steps and sources[0].features % 2):
            yield f"{self.position_steps} position steps of {sources[0].features} features"

    def begin(self, memory: Memory) -> Array:
        """(batch, n): what its streams begin with."""
        given = memory.initial.get(self.initial)
        if given is None:
            return np.zeros((memory.batch, memory.target.features))
        return given


@dataclass(frozen=True)
class Integrate(_Integrate, FloatOp):
    """Real values."""

    code: ClassVar[str] = "integrate"

    def run(self, inputs: list[Array], memory: Memory) -> Array:
        x = inputs[0]
        counted = int(memory.state.get("frames", np.zeros(1))[0])
        positions = min(max(self.position_steps - counted, 0), x.shape[1])
        memory.state["frames"] = np.array([counted + x.shape[1]])
        n = self.out_features(x.shape[2])
        y = np.concatenate([x[:, :positions, :n], x[:, positions:, x.shape[2] - n :]], axis=1)
        if positions == 0:
            y[:, 0] += self._now(memory)
        first = max(positions - 1, 0)
        y[:, first:] = y[:, first:].cumsum(1)
        memory.state["y"] = y[:, -1]
        return np.asarray(y)

    def _now(self, memory: Memory) -> Array:
        return memory.state.get("y", self.begin(memory))

    def recalled(self, memory: Memory) -> Array:
        return self._now(memory)[:, None]

    def parts(self, features: int) -> tuple[int, ...]:
        return (features // 2, features // 2) if self.position_steps else (features,)

    def fraction(self, plan: Plan) -> int:
        """Bits of an output's step that the increments have: as many as the largest seen
        leaves."""
        largest = plan.ranges.part(self.inputs[0], -1) or 1.0
        finest = largest * MARGIN / INT16[1]
        out = plan.own_scale(self.output)
        return int(np.clip(math.floor(math.log2(out / finest)), 0, FRACTION))

    def wants(self, plan: Plan, source: Tensor) -> tuple[Segment, ...]:
        n, out = self.out_features(source.features), plan.own_scale(self.output)
        increment = Segment(n, out / 2 ** self.fraction(plan))
        return (Segment(n, out), increment) if self.position_steps else (increment,)

    def quantize(self, plan: Plan) -> IntIntegrate:
        return IntIntegrate(
            *plan.head(self), self.position_steps, self.fraction(plan), initial=self.initial
        )


@dataclass(frozen=True)
class IntIntegrate(_Integrate, IntOp):
    """One step of the output is 2^`fraction` steps of an increment, 0 ≤ fraction ≤ 14."""

    fraction: int = 0
    code: ClassVar[str] = "int.integrate"

    def check(self, sources: list[Tensor], target: Tensor) -> Iterator[str]:
        yield from super().check(sources, target)
        yield from within("fraction", self.fraction, 0, FRACTION)

    def run(self, inputs: list[Array], memory: Memory) -> Array:
        initial, total = self.begin(memory).astype(np.int64), self._total(memory)
        count = int(memory.state.get("frames", np.zeros(1))[0])
        y, memory.state["total"], frames = integrate(inputs[0], self, initial, total, count)
        memory.state["frames"] = np.array([frames])
        return y

    def _total(self, memory: Memory) -> Array:
        known = memory.state.get("total")
        return np.zeros_like(self.begin(memory), np.int64) if known is None else known

    def recalled(self, memory: Memory) -> Array:
        return position(self, self.begin(memory).astype(np.int64), self._total(memory))[:, None]

    def relations(self, sources: list[Tensor], target: Tensor) -> Iterator[str]:
        """`sources`: its input, then the extra input."""
        yield from super().relations(sources, target)
        n = target.features
        scales = sources[0].scales()
        if (scales[-n:] * 2.0**self.fraction != target.scales()).any():
            yield f"expected increments in 2^−{self.fraction} steps of the output"
        if self.position_steps and (scales[:n] != target.scales()).any():
            yield "expected positions in the scale of the output"
        if sources[1].scale != target.scale:
            yield f"expected {self.initial!r} in the scale of the output"


def position(op: IntIntegrate, initial: Array, total: Array) -> Array:
    """initial, total (batch, n), the sum of the increments so far -> the output (batch, n): what
    the next frame's loop reads."""
    half = (1 << op.fraction) >> 1
    return np.clip(initial + ((total + half) >> op.fraction), *INT16)


def integrate(
    x: Array, op: IntIntegrate, initial: Array, total: Array, count: int
) -> tuple[Array, Array, int]:
    """initial, total (batch, n), `count` frames taken, at most `position_steps` -> (y (batch, time,
    n), new total, new count)."""
    n = initial.shape[-1]
    y = np.empty((*x.shape[:2], n), np.int64)
    # sums are held to where the output saturates, so that they keep to 32 bits
    least, most = ((end - initial) << op.fraction for end in INT16)
    for t in range(x.shape[1]):
        if count < op.position_steps:
            total, count = (x[:, t, :n] - initial) << op.fraction, count + 1
        else:
            total = np.clip(total + x[:, t, -n:], least, most)
        y[:, t] = position(op, initial, total)
    return y, total, count

"""Softmax over groups of a frame's features: probabilities, and the weights of attention."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from compress.ops.arithmetic import bit_length, multiplier, requant, same_multiplier
from compress.ops.base import Bound, FloatOp, IntOp, Memory, Op
from compress.ops.log_softmax import EXP, SPREAD
from compress.ops.tables import Q15
from compress.ops.tensor import Array, Tensor

if TYPE_CHECKING:
    from compress.quantization.scales import Plan

FRACTION = 11  # bits after the point of what the exponential takes: −16 nats, and below that 0
STEP = 2.0**-FRACTION
MOST = 32768  # features of a group: their sum then keeps to 31 bits


@dataclass(frozen=True)
class _Softmax(Op):
    """(groups, n) → the same shape, over each group."""

    groups: int

    def work(self, features: int) -> tuple[str, int]:
        return "table", 2 * features

    def check(self, sources: list[Tensor], target: Tensor) -> Iterator[str]:
        yield from super().check(sources, target)
        features = sources[0].features
        if self.groups < 1 or features % self.groups or features // self.groups > MOST:
            yield f"expected groups of up to {MOST} of {features} features, found {self.groups}"

    def apart(self, x: Array) -> Array:
        """x (batch, time, features) as (batch, time, groups, n)."""
        return x.reshape(*x.shape[:2], self.groups, -1)


@dataclass(frozen=True)
class Softmax(_Softmax, FloatOp):
    """y = eˣ / Σ eˣ."""

    code: ClassVar[str] = "softmax"
    gives: ClassVar[str] = "probabilities"

    def run(self, inputs: list[Array], memory: Memory) -> Array:
        x = self.apart(inputs[0])
        e = np.exp(x - x.max(-1, keepdims=True))
        return np.asarray((e / e.sum(-1, keepdims=True)).reshape(inputs[0].shape))

    def offers(self, plan: Plan, peak: float) -> float:
        return Q15

    def quantize(self, plan: Plan) -> IntSoftmax:
        mult, shift = multiplier(plan.source(self).scale / STEP, SPREAD, self.module)
        return IntSoftmax(*plan.head(self), self.groups, int(mult), shift)


@dataclass(frozen=True)
class IntSoftmax(_Softmax, IntOp):
    """Output in Q15, 0…32767. mult, shift: from the input's scale to steps of 2⁻¹¹ nats.

    With m the largest x of a group,
        q = min(requant(m − x, shift, mult), 32767)               2⁻¹¹ nats
        e = e^−q in Q15, on lines between its values at 1/16 nat; 0 from 16 nats on
        S = Σ e, b = bit_length(S) − 16, d = (S + 2^b / 2) >> b, r = ⌊2³¹ / d⌋
        y = min((e·r + 2^(15 + b)) >> (16 + b), 32767)
    """

    mult: int
    shift: int
    code: ClassVar[str] = "int.softmax"
    gives: ClassVar[str] = "probabilities"

    def run(self, inputs: list[Array], memory: Memory) -> Array:
        return softmax(self.apart(inputs[0]), self).reshape(inputs[0].shape)

    def bounds(self, source: Tensor) -> list[Bound]:
        return [Bound(self.module, SPREAD << self.shift)]

    def relations(self, sources: list[Tensor], target: Tensor) -> Iterator[str]:
        yield from super().relations(sources, target)
        if target.scale != Q15:
            yield f"expected an output in steps of {Q15:g}, found {target.scale:g}"
        if not same_multiplier(self.mult, self.shift, sources[0].scale / STEP):
            yield f"mult and shift are not the input's scale over {STEP:g} nats"


def softmax(x: Array, op: IntSoftmax) -> Array:
    """x (…, n) -> the same shape, 0…32767."""
    q = np.minimum(requant(x.max(-1, keepdims=True) - x, op.shift, op.mult), 32767)
    width = FRACTION - 4  # bits of one segment of the exponential, 1/16 nat
    i, k = q >> width, q & (2**width - 1)
    line = EXP[i] - (((EXP[i] - EXP[i + 1]) * k + 2 ** (width - 1)) >> width)
    e = np.where(q == 32767, 0, line)
    total = e.sum(-1, keepdims=True)
    b = bit_length(total) - 16
    d = (total + ((1 << b) >> 1)) >> b  # 2¹⁵ … 2¹⁶
    r = 2**31 // d
    return np.minimum((e * r + (1 << (15 + b))) >> (16 + b), 32767)

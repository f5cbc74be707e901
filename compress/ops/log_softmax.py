"""Log-probabilities."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from compress.ops.arithmetic import bit_length, multiplier, requant, same_multiplier
from compress.ops.base import Bound, FloatOp, IntOp, Memory, within
from compress.ops.tensor import INT16, Array, Tensor

if TYPE_CHECKING:
    from compress.quantization.scales import Plan

EXP: Array = np.round(2.0**15 * np.exp(-np.arange(257) / 16.0)).astype(np.int64)  # e^(−i/16), Q15
LOG: Array = np.round(2.0**14 * np.log1p(np.arange(257) / 256.0)).astype(np.int64)  # Q14
LN2 = 11357  # round(2¹⁴·ln 2)
SPREAD = 65535  # largest difference of two inputs
MARGIN = 1.3  # observed range × this is the range that can be represented
FRACTIONS = (6, 10)  # bits after the point: −512 nats, −32 nats
GIVES = "log_probs"


@dataclass(frozen=True)
class LogSoftmax(FloatOp):
    """y = x − log Σ eˣ over the features."""

    code: ClassVar[str] = "log_softmax"
    gives: ClassVar[str] = GIVES

    def run(self, inputs: list[Array], memory: Memory) -> Array:
        shifted = inputs[0] - inputs[0].max(-1, keepdims=True)
        return np.asarray(shifted - np.log(np.exp(shifted).sum(-1, keepdims=True)))

    def offers(self, plan: Plan, peak: float) -> float:
        """A power of two: its integers are fractions of a nat."""
        bits = 15 - math.ceil(math.log2(max(peak, 1.0) * MARGIN))
        return float(2.0 ** -int(np.clip(bits, *FRACTIONS)))

    def quantize(self, plan: Plan) -> IntLogSoftmax:
        s_in, s_out = plan.source(self).scale, plan.target(self).scale
        mult, shift = multiplier(s_in / s_out, SPREAD, self.module)
        return IntLogSoftmax(*plan.head(self), int(mult), shift, round(-math.log2(s_out)))


@dataclass(frozen=True)
class IntLogSoftmax(IntOp):
    """Output in steps of 2^−fraction nats, fraction 6…10."""

    mult: int
    shift: int
    fraction: int
    code: ClassVar[str] = "int.log_softmax"

    def check(self, sources: list[Tensor], target: Tensor) -> Iterator[str]:
        yield from super().check(sources, target)
        yield from within("fraction", self.fraction, *FRACTIONS)

    gives: ClassVar[str] = GIVES

    def run(self, inputs: list[Array], memory: Memory) -> Array:
        return log_softmax(inputs[0], self)

    def bounds(self, source: Tensor) -> list[Bound]:
        return [Bound(self.module, SPREAD << self.shift)]

    def relations(self, sources: list[Tensor], target: Tensor) -> Iterator[str]:
        yield from super().relations(sources, target)
        if target.scale != 2.0**-self.fraction:
            yield f"expected an output in steps of 2^−{self.fraction} nats, found {target.scale:g}"
        if not same_multiplier(self.mult, self.shift, sources[0].scale / target.scale):
            yield "mult and shift are not the input's scale over the output's"


def log_softmax(x: Array, op: IntLogSoftmax) -> Array:
    """x (…, n) -> the same shape, at most 0."""
    # q: how far each lies below the largest, in steps of the output
    q = np.minimum(-requant(x - x.max(-1, keepdims=True), op.shift, op.mult), 32767)
    width = op.fraction - 4  # bits of one segment of the exponential, 1/16 nat
    i, k = np.minimum(q >> width, 255), q & (2**width - 1)
    line = EXP[i] - (((EXP[i] - EXP[i + 1]) * k + 2 ** (width - 1)) >> width)
    e = np.where(q >= 256 << width, 0, line)  # e^−q in Q15
    total = e.sum(-1, keepdims=True)
    b = bit_length(total) - 1  # total = 2^b·(1 + f)
    f = total << (31 - b)
    j = (f >> 23) & 255
    log = LOG[j] + (((LOG[j + 1] - LOG[j]) * ((f >> 15) & 255) + 128) >> 8)
    log = ((b - 15) * LN2 + log + 2 ** (13 - op.fraction)) >> (14 - op.fraction)
    return np.maximum(-q - log, INT16[0])

"""LayerNorm and RMSNorm over the features of a frame."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from compress.errors import GraphError
from compress.ops.arithmetic import bit_length, rsqrt, smmulr
from compress.ops.base import FloatOp, IntOp, Memory, Op, holds, within
from compress.ops.tensor import Array, Tensor

if TYPE_CHECKING:
    from compress.quantization.scales import Plan

MOST = 512  # features of one row: sums of squares then keep to 64 bits
LEAST_EPSILON, MOST_EPSILON = 1, 2**58
LARGEST = 2**30 - 1  # gain and bias in integers


@dataclass(frozen=True)
class _Norm(Op):
    """Over the features of each band. gain, bias (bands, n)."""

    gain: Array
    bias: Array
    clamps: ClassVar[bool] = True

    def work(self, features: int) -> tuple[str, int]:
        return "norm", features

    def check(self, sources: list[Tensor], target: Tensor) -> Iterator[str]:
        yield from super().check(sources, target)
        if self.gain.shape != self.bias.shape or self.gain.size != sources[0].features:
            found = f"gain {self.gain.shape} and bias {self.bias.shape}"
            yield f"{found} do not fit {sources[0].features} features"


@dataclass(frozen=True)
class LayerNorm(_Norm, FloatOp):
    """y = (x − mean) / √(variance + epsilon) · gain + bias."""

    epsilon: float
    code: ClassVar[str] = "layer_norm"

    def run(self, inputs: list[Array], memory: Memory) -> Array:
        x = inputs[0]
        bands = x.reshape(*x.shape[:2], *self.gain.shape)
        centred = bands - bands.mean(-1, keepdims=True)
        spread = np.sqrt((centred**2).mean(-1, keepdims=True) + self.epsilon)
        return np.asarray((centred / spread * self.gain + self.bias).reshape(x.shape))

    def quantize(self, plan: Plan) -> IntLayerNorm:
        s_in, s_out = plan.source(self).scale, plan.target(self).scale
        n = self.gain.shape[1]
        if not 2 <= n <= MOST:
            raise GraphError(
                f"{self.module}: a LayerNorm over {n} features; the integer form needs 2 to {MOST}"
            )
        gain_scale = _gain_scale(n, s_out)
        gain, bias = np.round(self.gain / gain_scale), np.round(self.bias / s_out)
        if max(np.abs(gain).max(), np.abs(bias).max()) > LARGEST:
            raise GraphError(
                f"{self.module}: gain or bias too large for 32 bits at output scale {s_out:g}"
            )
        return IntLayerNorm(
            *plan.head(self),
            gain.astype(np.int32),
            bias.astype(np.int32),
            _epsilon(n, self.epsilon, s_in),
            gain_scale,
            s_out,
            self.epsilon,
        )


@dataclass(frozen=True)
class IntLayerNorm(_Norm, IntOp):
    """gain, bias int32 (bands, n), |gain|, |bias| < 2³⁰; epsilon in units of n³·scale², 1…2⁵⁸.

    gain_scale, bias_scale: the real value of one step of each; variance_epsilon: epsilon as the
    float network has it.
    """

    epsilon: int
    gain_scale: float
    bias_scale: float
    variance_epsilon: float
    code: ClassVar[str] = "int.layer_norm"

    def check(self, sources: list[Tensor], target: Tensor) -> Iterator[str]:
        yield from super().check(sources, target)
        yield from holds(self, self.gain.shape, "i", "gain", "bias")
        yield from within("features of a row", self.gain.shape[-1], 2, MOST)
        yield from within("epsilon", self.epsilon, LEAST_EPSILON, MOST_EPSILON)
        for name in ("gain", "bias"):
            largest = int(np.abs(getattr(self, name).astype(np.int64)).max(initial=0))
            yield from within(f"|{name}|", largest, 0, LARGEST)

    def run(self, inputs: list[Array], memory: Memory) -> Array:
        return layer_norm(inputs[0], self, memory.target.lo, memory.target.hi)

    def relations(self, sources: list[Tensor], target: Tensor) -> Iterator[str]:
        n, s_in, s_out = self.gain.shape[1], sources[0].scale, target.scale
        if self.gain_scale != _gain_scale(n, s_out):
            yield f"a gain in steps of {self.gain_scale:g}, expected {_gain_scale(n, s_out):g}"
        if self.bias_scale != s_out:
            yield f"a bias in steps of {self.bias_scale:g}, expected the output's {s_out:g}"
        if self.epsilon != _epsilon(n, self.variance_epsilon, s_in):
            yield f"epsilon {self.epsilon} is not {self.variance_epsilon:g} at the input's scale"


def _gain_scale(n: int, s_out: float) -> float:
    """√n is in the gain, since z below has a standard deviation of √n; 4 bits are left for
    rounding."""
    return s_out / (16 * math.sqrt(n))


def _epsilon(n: int, epsilon: float, s_in: float) -> int:
    return min(max(LEAST_EPSILON, round(n**3 * epsilon / s_in**2)), MOST_EPSILON)


def layer_norm(x: Array, op: IntLayerNorm, lo: int, hi: int, centred: bool = True) -> Array:
    """x (batch, time, bands·n) -> the same shape."""
    rows = x.reshape(*x.shape[:2], *op.gain.shape)  # (batch, time, bands, n)
    d = op.gain.shape[1] * rows  # n·(x − mean), exact
    if centred:
        d = d - rows.sum(-1, keepdims=True)
    v = (d * d).sum(-1, keepdims=True) + op.epsilon  # n³·(variance + ε)
    e = (bit_length(v) - 31) >> 1  # so that m = v / 4ᵉ has 31 or 32 bits
    m = np.where(e >= 0, v >> np.maximum(2 * e, 0), v << np.maximum(-2 * e, 0))
    z = smmulr(d << (14 - e), rsqrt(m))  # d / √v in Q28
    y = np.clip(smmulr(z, op.gain.astype(np.int64)) + op.bias, lo, hi)
    return np.asarray(y.reshape(x.shape))


# --- without the mean ----------------------------------------------------------------------------


@dataclass(frozen=True)
class RmsNorm(LayerNorm):
    """y = x / √(mean square + epsilon) · gain + bias (Zhang and Sennrich, 2019)."""

    code: ClassVar[str] = "rms_norm"

    def run(self, inputs: list[Array], memory: Memory) -> Array:
        x = inputs[0]
        bands = x.reshape(*x.shape[:2], *self.gain.shape)
        size = np.sqrt((bands**2).mean(-1, keepdims=True) + self.epsilon)
        return np.asarray((bands / size * self.gain + self.bias).reshape(x.shape))

    def quantize(self, plan: Plan) -> IntRmsNorm:
        made = super().quantize(plan)
        return IntRmsNorm(**{f.name: getattr(made, f.name) for f in fields(made)})


@dataclass(frozen=True)
class IntRmsNorm(IntLayerNorm):
    """As `IntLayerNorm` with a mean of 0: d = n·x."""

    code: ClassVar[str] = "int.rms_norm"

    def run(self, inputs: list[Array], memory: Memory) -> Array:
        return layer_norm(inputs[0], self, memory.target.lo, memory.target.hi, centred=False)

"""One filter for each feature: depthwise convolutions over time, and gains with offsets."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from compress.ops.arithmetic import DEAD, multiplier, requant, same_multiplier
from compress.ops.base import INT32, Bound, FloatOp, IntOp, Memory, Op, holds
from compress.ops.tensor import Array, Tensor

if TYPE_CHECKING:
    from compress.quantization.scales import Plan

LIMIT = 127  # largest weight


@dataclass(frozen=True)
class _Depthwise(Op):
    """weight (channels, kernel), bias (channels,); x (kernel, channels), as an unfold of one band
    gives it: y[c] = Σ_i weight[c][i]·x[i][c] + bias[c]."""

    weight: Array
    bias: Array
    clamps: ClassVar[bool] = True

    def out_features(self, features: int) -> int:
        return int(self.weight.shape[0])

    def macs(self, features: int) -> int:
        return int(self.weight.size)

    def work(self, features: int) -> tuple[str, int]:
        return "matrix", self.macs(features)

    def check(self, sources: list[Tensor], target: Tensor) -> Iterator[str]:
        yield from super().check(sources, target)
        if self.weight.ndim != 2 or self.weight.shape[:1] != self.bias.shape:
            yield f"weight {self.weight.shape} does not fit bias {self.bias.shape}"
        elif self.weight.size != sources[0].features:
            yield f"weight {self.weight.shape} does not fit {sources[0].features} input features"

    def taps(self, x: Array) -> Array:
        """x (batch, time, kernel·channels) as (batch, time, kernel, channels)."""
        return x.reshape(*x.shape[:2], -1, self.weight.shape[0])


@dataclass(frozen=True)
class Depthwise(_Depthwise, FloatOp):
    """Real values."""

    code: ClassVar[str] = "depthwise"

    def run(self, inputs: list[Array], memory: Memory) -> Array:
        return np.asarray((self.taps(inputs[0]) * self.weight.T).sum(2) + self.bias)

    def scaled(self, gain: Array, bias: Array, output: str) -> Depthwise:
        """The same followed by gain and bias (channels,)."""
        weight, offset = self.weight * gain[:, None], self.bias * gain + bias
        return replace(self, output=output, weight=weight, bias=offset)

    def quantize(self, plan: Plan) -> IntDepthwise:
        return _quantized(self, plan)


@dataclass(frozen=True)
class IntDepthwise(_Depthwise, IntOp):
    """weight int8 (channels, kernel) in −127…127, bias, mult int32 (channels,):
    y[c] = clamp(requant(Σ_i weight[c][i]·x[i][c] + bias[c], shift, mult[c])).

    weight_scale: the real value of one step of a channel's weights; a bias is in steps of
    weight_scale times the input's scale.
    """

    mult: Array
    shift: int
    weight_scale: Array
    code: ClassVar[str] = "int.depthwise"

    def check(self, sources: list[Tensor], target: Tensor) -> Iterator[str]:
        yield from super().check(sources, target)
        if self.weight.dtype != np.int8 or np.abs(self.weight.astype(int)).max(initial=0) > LIMIT:
            yield f"expected int8 weights in −{LIMIT}…{LIMIT}, found {self.weight.dtype}"
        yield from holds(self, self.weight.shape[:1], "i", "bias", "mult")
        yield from holds(self, self.weight.shape[:1], "f", "weight_scale")

    def run(self, inputs: list[Array], memory: Memory) -> Array:
        acc = (self.taps(inputs[0]) * self.weight.T.astype(np.int64)).sum(2) + self.bias
        y = requant(acc, self.shift, self.mult.astype(np.int64))
        return np.clip(y, memory.target.lo, memory.target.hi)

    def bounds(self, source: Tensor) -> list[Bound]:
        sums = np.abs(self.weight.astype(np.int64)).sum(-1) * source.peak
        largest = int((sums + np.abs(self.bias.astype(np.int64))).max())
        return [Bound(self.module, largest << self.shift)]

    def relations(self, sources: list[Tensor], target: Tensor) -> Iterator[str]:
        ratios = sources[0].scale * self.weight_scale / target.scale
        if not same_multiplier(self.mult, self.shift, ratios):
            yield "mult and shift are not the input's scale times the weights' over the output's"


def _quantized(op: Depthwise, plan: Plan) -> IntDepthwise:
    """A scale for each channel, so large that no sum can pass 2³¹ whatever the input."""
    source = plan.source(op)
    s_in, s_out = source.scale, plan.target(op).scale
    scale = np.abs(op.weight).max(-1) / LIMIT
    scale = np.maximum(scale, np.abs(op.bias) / (s_in * 2.0**30))  # a bias keeps to 30 bits
    scale = np.where(op.weight.any(-1), scale, DEAD * s_out / s_in)
    total = np.abs(op.weight).sum(-1) / scale + op.weight.shape[1] / 2
    bound = total * source.peak + np.abs(op.bias) / (s_in * scale) + 1
    scale = scale * np.maximum(bound / (INT32 - 1), 1.0)
    weight = np.clip(np.round(op.weight / scale[:, None]), -LIMIT, LIMIT).astype(np.int8)
    bias = np.round(op.bias / (s_in * scale)).astype(np.int32)
    sums = np.abs(weight.astype(np.int64)).sum(-1) * source.peak + np.abs(bias.astype(np.int64))
    mult, shift = multiplier(s_in * scale / s_out, int(sums.max()), op.module)
    return IntDepthwise(*plan.head(op), weight, bias, mult.astype(np.int32), shift, scale)

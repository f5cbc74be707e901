"""Dense layers and convolutions whose stride is their kernel; the norm that folds into them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from compress.errors import GraphError
from compress.ops.arithmetic import DEAD, multiplier, requant, same_multiplier
from compress.ops.base import INT32, Bound, FloatOp, IntOp, Memory, Op, holds
from compress.ops.tensor import Array, Tensor

if TYPE_CHECKING:
    from compress.quantization.calibrate import Ranges
    from compress.quantization.scales import Plan

WEIGHT_BITS = (4, 8)


@dataclass(frozen=True)
class _Dense(Op):
    """weight (bands, out, kernel, in), bias (bands, out).

    Band b reads features b·in … and writes features b·out …; a dense layer has kernel =
    frames_per_output = 1. Kernels longer or shorter than their stride are an `Unfold1d` and a dense
    layer. `shared` groups of features, each (in,), go through the same weights one by one: a
    convolution whose kernel has one row of the other axis.
    """

    weight: Array
    bias: Array
    frames_per_output: int = field(default=1, kw_only=True)
    shared: int = field(default=1, kw_only=True)
    decimation: ClassVar[str | None] = "frames_per_output"
    clamps: ClassVar[bool] = True
    multiplies: ClassVar[bool] = True

    def out_features(self, features: int) -> int:
        return int(self.shared * self.weight.shape[0] * self.weight.shape[1])

    def macs(self, features: int) -> int:
        return int(self.shared * self.weight.size)

    def work(self, features: int) -> tuple[str, int]:
        return "matrix", self.macs(features)

    def check(self, sources: list[Tensor], target: Tensor) -> Iterator[str]:
        yield from super().check(sources, target)
        if self.weight.ndim != 4 or self.weight.shape[:2] != self.bias.shape:
            yield f"weight {self.weight.shape} does not fit bias {self.bias.shape}"
            return
        bands, _, kernel, width = self.weight.shape
        if self.shared * bands * width != sources[0].features:
            yield (f"weight {self.weight.shape} does not fit {sources[0].features} input features")
        if kernel != self.frames_per_output:
            yield (
                f"a kernel of {kernel} frames with stride {self.frames_per_output}; expected an"
                " Unfold1d that gathers its frames"
            )
        if self.shared > 1 and (bands > 1 or kernel > 1):
            yield (
                f"weights shared by groups are of one band and one frame, found {self.weight.shape}"
            )


@dataclass(frozen=True)
class Dense(_Dense, FloatOp):
    """y = W·x + b for each frame and band."""

    code: ClassVar[str] = "dense"

    def run(self, inputs: list[Array], memory: Memory) -> Array:
        x = inputs[0]
        grouped = x.reshape(x.shape[0], -1, x.shape[2] // self.shared)
        y = convolve(grouped, self.weight, self.frames_per_output) + self.bias.reshape(-1)
        return np.asarray(y.reshape(x.shape[0], -1, self.out_features(x.shape[2])))

    def seen(self, x: Array) -> list[Array]:
        """x (1, time, features): a stretch of the input -> for each band what its matrix
        multiplies, (windows, kernel·in); windows over both ends are left out."""
        from numpy.lib.stride_tricks import sliding_window_view

        bands, _, kernel, width = self.weight.shape
        groups = x[0].reshape(-1, bands * width)
        # (windows, features, kernel)
        windows = sliding_window_view(groups, kernel, 0)[:: self.frames_per_output]
        apart = [windows[:, b * width : (b + 1) * width].transpose(0, 2, 1) for b in range(bands)]
        return [part.reshape(len(windows), -1) for part in apart]

    def see(self, x: Array, ranges: Ranges) -> None:
        ranges.see_products(self.output, self.seen(x))

    def quantize(self, plan: Plan) -> IntDense:
        return _quantized(self, plan)


@dataclass(frozen=True)
class IntDense(_Dense, IntOp):
    """weight int8, bias and mult int32 (bands, out), weight_scale float64 (bands, out).

    acc = bias + Σ w·x, y = clamp(requant(acc, shift, mult)). weight_bits: 8 (−127…127), or 4
    (−7…7; stored two to a byte where it is exported as C). weight_scale: the real value of one step
    of a row's weights; a bias is in steps of weight_scale times the input's scale.
    """

    mult: Array
    shift: int
    weight_scale: Array
    weight_bits: int = field(default=8, kw_only=True)
    code: ClassVar[str] = "int.dense"

    def run(self, inputs: list[Array], memory: Memory) -> Array:
        if "matrices" not in memory.derived:
            memory.derived["matrices"] = matrices(self)
        lo, hi = memory.target.lo, memory.target.hi
        return linear(inputs[0], self, lo, hi, memory.derived["matrices"])

    def check(self, sources: list[Tensor], target: Tensor) -> Iterator[str]:
        yield from super().check(sources, target)
        if self.weight_bits not in WEIGHT_BITS or self.weight.dtype != np.int8:
            yield (
                f"expected int8 weights of 4 or 8 bits, found {self.weight.dtype} of"
                f" {self.weight_bits}"
            )
            return
        yield from holds(self, self.weight.shape[:2], "i", "bias", "mult")
        yield from holds(self, self.weight.shape[:2], "f", "weight_scale")
        limit = 2 ** (self.weight_bits - 1) - 1
        if self.weight.size and np.abs(self.weight.astype(np.int64)).max() > limit:
            found = f"{self.weight.min()}…{self.weight.max()}"
            yield f"expected weights in −{limit}…{limit}, found {found}"

    def largest_sums(self, peak: int) -> Array:
        """(bands, out): the largest |acc| over all inputs of magnitudes up to `peak`."""
        weights = np.abs(self.weight.astype(np.int64)).sum((-1, -2))
        return np.asarray(weights * peak + np.abs(self.bias.astype(np.int64)))

    def bounds(self, source: Tensor) -> list[Bound]:
        return [Bound(self.module, int(self.largest_sums(source.peak).max()) << self.shift)]

    def relations(self, sources: list[Tensor], target: Tensor) -> Iterator[str]:
        s_in, s_out = sources[0].scale, row_scales(self, target)
        if self.weight_scale.shape != self.bias.shape:
            yield f"weight_scale {self.weight_scale.shape} for rows {self.bias.shape}"
        elif not same_multiplier(self.mult, self.shift, s_in * self.weight_scale / s_out):
            yield "mult and shift are not the input's scale times the weights' over the output's"


@dataclass(frozen=True)
class BatchNorm(FloatOp):
    """y = x·gain + bias per feature; folded into the dense layer before it, never run."""

    gain: Array
    bias: Array
    code: ClassVar[str] = "batch_norm"
    folds: ClassVar[bool] = True

    def run(self, inputs: list[Array], memory: Memory) -> Array:
        return np.asarray(inputs[0] * self.gain + self.bias)

    def folded_into(self, before: Op) -> Op:
        if not isinstance(before, Dense) or before.output != self.inputs[0]:
            raise GraphError(
                f"{self.module}: a BatchNorm can only be folded into a convolution right before it"
            )
        gain = self.gain.reshape(before.bias.shape)
        bias = before.bias * gain + self.bias.reshape(before.bias.shape)
        weight = before.weight * gain[:, :, None, None]
        return replace(before, output=self.output, weight=weight, bias=bias)


# --- meaning -------------------------------------------------------------------------------------


def convolve(x: Array, weight: Array, stride: int) -> Array:
    """x (batch, time, bands·in), weight (bands, out, kernel = stride, in) -> (batch, time / stride,
    bands·out)."""
    bands, out, kernel, width = weight.shape
    # one matrix for all recordings: a single large product each
    frames = x.reshape(-1, kernel, bands, width)
    per_band = [
        frames[:, :, b].reshape(len(frames), -1) @ weight[b].reshape(out, -1).T
        for b in range(bands)
    ]
    return np.concatenate(per_band, axis=-1).reshape(x.shape[0], -1, bands * out)


def matrices(op: IntDense) -> list[Array]:
    """The weights of each band as linear() multiplies by them: float64 (kernel·in, out)."""
    return [np.ascontiguousarray(w.reshape(len(w), -1).T, np.float64) for w in op.weight]


def linear(x: Array, op: IntDense, lo: int, hi: int, weights: list[Array] | None = None) -> Array:
    """With `shared` groups each is one frame of the layer. `weights`: matrices(op), where they are
    at hand.

    Products are made in float64, which is exact here: every partial sum is an integer below 2³¹
    (proven before), far under 2⁵³.
    """
    bands, out, kernel, width = op.weight.shape
    weights = matrices(op) if weights is None else weights
    frames = x.reshape(-1, kernel, bands, width)
    parts = []
    for band in range(bands):
        rows = frames[:, :, band].reshape(len(frames), -1).astype(np.float64)
        acc = (rows @ weights[band]).astype(np.int64) + op.bias[band]
        parts.append(requant(acc, op.shift, op.mult[band].astype(np.int64)))
    y = np.clip(np.concatenate(parts, axis=-1), lo, hi)
    return np.asarray(y.reshape(x.shape[0], -1, op.shared * bands * out))


# --- the rule ------------------------------------------------------------------------------------


def row_scales(op: _Dense, target: Tensor) -> Array:
    """(bands, out): the output's scale of each row. GraphError where groups that share a row
    differ."""
    apart = target.scales().reshape(op.shared, *op.bias.shape)
    if (apart != apart[0]).any():
        raise GraphError(f"{op.module}: groups that share weights need one scale")
    return np.asarray(apart[0])


def _quantized(op: Dense, plan: Plan) -> IntDense:
    """A scale for each row of weights, so large that no sum can pass 2³¹ whatever the input."""
    source, bits = plan.source(op), plan.weight_bits(op)
    s_in, s_out = source.scale, row_scales(op, plan.target(op))
    rows = op.weight.reshape(*op.weight.shape[:2], -1)
    # a bias keeps to 30 bits; a row without weights has nothing else, and eight bits finer than the
    # output's steps are enough for it: a larger sum could keep the other rows from their shift
    s_row = np.maximum(plan.row_scales(op, rows), np.abs(op.bias) / (s_in * 2.0**30))
    s_row = np.where(rows.any(-1), s_row, DEAD * s_out / s_in)
    # Σ|w| in integers, rounding included, and the largest sum it can make
    total = np.abs(rows).sum(-1) / s_row + rows.shape[-1] / 2
    bound = total * source.peak + np.abs(op.bias) / (s_in * s_row) + 1
    s_row = s_row * np.maximum(bound / (INT32 - 1), 1.0)
    whole, drift = plan.rounded(op, rows, s_row)
    bias = np.round((op.bias + drift) / (s_in * s_row)).astype(np.int32)
    weight = whole.reshape(op.weight.shape)
    sums = np.abs(weight.astype(np.int64)).sum((-1, -2)) * source.peak
    largest = int((sums + np.abs(bias.astype(np.int64))).max())
    mult, shift = multiplier(s_in * s_row / s_out, largest, op.module)
    return IntDense(
        *plan.head(op),
        weight,
        bias,
        mult.astype(np.int32),
        shift,
        s_row,
        weight_bits=bits,
        frames_per_output=op.frames_per_output,
        shared=op.shared,
    )

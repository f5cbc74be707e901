"""Single TFLite operators, each appended to the step in one call; nothing here knows about graphs.

Frames lie in a tensor as (1, frames, 1, features), so memory has the order of the C model.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from export.tflite.model import OP, Array, File, Value

NONE, RELU = schema.ActivationFunctionType.NONE, schema.ActivationFunctionType.RELU
Q15 = 2.0**-15
UNIT = 64  # weight of a per-channel gain: the gain itself is in the channel's scale
WHOLE = 2**14  # a factor in integers: so long is a product before it is rounded
MOST_JOINED = 8  # CONCATENATION takes ten inputs at most


@dataclass(frozen=True)
class Layer:
    """How a convolution moves over its input; `padded`: so that it gives as many frames and
    columns."""

    module: str
    stride: int
    padded: bool = False


class Builder:
    """Appends operators to the step of a file."""

    def __init__(self, file: File) -> None:
        self.file, self.step = file, file.step

    def reshape(self, x: Value, shape: tuple[int, ...], name: str) -> Value:
        return x if x.shape == shape else self.copy(x, name, shape)

    def copy(self, x: Value, name: str, shape: tuple[int, ...] = ()) -> Value:
        """RESHAPE, also where it changes no shape."""
        shape = shape or x.shape
        y = self.step.tensor(name, shape, x.dtype, x.scale)
        options = schema.ReshapeOptionsT()
        options.newShape = list(shape)
        self.step.op(OP.RESHAPE, [x], [y], options)
        return y

    def multiply(self, a: Value, b: Value, y: Value) -> Value:
        self.step.op(OP.MUL, [a, b], [y], schema.MulOptionsT())
        return y

    def add(self, a: Value, b: Value, y: Value, relu: bool = False) -> Value:
        options = schema.AddOptionsT()
        options.fusedActivationFunction = RELU if relu else NONE
        options.potScaleInt16 = False
        self.step.op(OP.ADD, [a, b], [y], options)
        return y

    def subtract(self, a: Value, b: Value, y: Value) -> Value:
        options = schema.SubOptionsT()
        options.potScaleInt16 = False
        self.step.op(OP.SUB, [a, b], [y], options)
        return y

    def convert(self, code: int, x: Value, y: Value) -> Value:
        """QUANTIZE or DEQUANTIZE."""
        self.step.op(
            code,
            [x],
            [y],
            schema.QuantizeOptionsT() if code == OP.QUANTIZE else schema.DequantizeOptionsT(),
        )
        return y

    def real(self, x: Value, name: str) -> Value:
        return self.convert(OP.DEQUANTIZE, x, self.step.tensor(name, x.shape, np.float32))

    def slice(self, x: Value, begin: int, end: int, stride: int, name: str, axis: int = 1) -> Value:
        """Every `stride`-th of begin…end − 1 along an axis, of frames if it is not said."""
        if (begin, end, stride) == (0, x.shape[axis], 1):
            return x

        def along(value: int, others: tuple[int, ...]) -> tuple[int, ...]:
            return (*others[:axis], value, *others[axis + 1 :])

        shape = along(-(-(end - begin) // stride), x.shape)
        y = self.step.tensor(name, shape, x.dtype, x.scale)
        bounds = (along(begin, (0,) * 4), along(end, x.shape), along(stride, (1,) * 4))
        constants = [self.step.constant("bounds", np.array(bound, np.int32)) for bound in bounds]
        self.step.op(OP.STRIDED_SLICE, [x, *constants], [y], schema.StridedSliceOptionsT())
        return y

    def split(self, u: Value, name: str, axis: int = 1, parts: int = 0) -> list[Value]:
        """Equal parts along an axis, frames if `parts` does not say how many."""
        parts = parts or u.shape[axis]
        if parts == 1:
            return [u]
        which = self.step.constant("frames" if axis == 1 else "axis", np.array(axis, np.int32))
        shape = tuple(n // parts if i == axis else n for i, n in enumerate(u.shape))
        outputs = [
            self.step.tensor(f"{name}.frame{t}", shape, u.dtype, u.scale) for t in range(parts)
        ]
        options = schema.SplitOptionsT()
        options.numSplits = parts
        self.step.op(OP.SPLIT, [which, u], outputs, options)
        return outputs

    def join(self, parts: list[Value], name: str, axis: int = 1) -> Value:
        """Parts one behind the other along an axis, eight at a time."""
        if len(parts) == 1:
            return parts[0]
        joined = []
        for group in (parts[i : i + MOST_JOINED] for i in range(0, len(parts), MOST_JOINED)):
            shape = tuple(
                sum(v.shape[axis] for v in group) if i == axis else n
                for i, n in enumerate(group[0].shape)
            )
            y = self.step.tensor(f"{name}.joined", shape, group[0].dtype, group[0].scale)
            options = schema.ConcatenationOptionsT()
            options.axis = axis
            self.step.op(OP.CONCATENATION, group, [y], options)
            joined.append(y)
        return self.join(joined, name, axis)

    def transpose(self, x: Value, order: tuple[int, ...], name: str) -> Value:
        """Axes in another order; what lies alike in memory is reshaped."""
        shape = tuple(x.shape[axis] for axis in order)
        moving = [axis for axis in order if x.shape[axis] > 1]
        if moving == sorted(moving):
            return self.reshape(x, shape, name)
        y = self.step.tensor(name, shape, x.dtype, x.scale)
        axes = self.step.constant("order", np.array(order, np.int32))
        self.step.op(OP.TRANSPOSE, [x, axes], [y], schema.TransposeOptionsT())
        return y

    def zeros(self, shape: tuple[int, ...], scale: float) -> Value:
        """int16, or float32 with scale 0."""
        return self.step.constant(
            "zeros", np.zeros(shape, np.int16 if scale else np.float32), scale
        )

    def held(self, x: Value, lo: int, hi: int, name: str) -> Value:
        """Integers of x within lo…hi, as far as 16 bits alone do not hold them to that."""
        for code, end, free in ((OP.MAXIMUM, lo, -32768), (OP.MINIMUM, hi, 32767)):
            if end == free:
                continue
            limit = self.step.constant("limit", np.full(x.shape, end, np.int16), x.scale)
            y = self.step.tensor(name, x.shape, np.int16, x.scale)
            self.step.op(code, [x, limit], [y], schema.MaximumMinimumOptionsT())
            x = y
        return x

    def times(self, x: Value, factor: float, scale: float, name: str) -> Value:
        """x·factor in a scale, rounded once: QUANTIZE rounds twice, by up to 3/4 of a step."""
        one = self.step.constant("factor", np.full(x.shape, WHOLE, np.int16), factor / WHOLE)
        return self.multiply(x, one, self.step.tensor(name, x.shape, np.int16, scale))

    def dot(self, a: Value, b: Value, y: Value) -> Value:
        """(1, batch, i, k) · (1, batch, j, k)ᵀ -> (1, batch, i, j): sums of 16 × 16 bits, rounded
        once."""
        options = schema.BatchMatMulOptionsT()
        options.adjY = True
        self.step.op(OP.BATCH_MATMUL, [a, b], [y], options)
        return y

    def per_channel(
        self,
        x: Value,
        gain: Array,
        bias: Array,
        y: Value,
        module: str,
        taps: int = 1,
        relu: bool = False,
    ) -> Value:
        """y[t][c] = gain[c]·Σ_{j<taps} x[t·taps + j][c] + bias[c] in real values, rounded once.

        A depthwise convolution whose weights are all ±UNIT: the gains are in the scales of its
        channels.
        """
        width = np.maximum(np.abs(gain), 1e-30) / UNIT
        weight = np.broadcast_to(np.where(gain < 0, -UNIT, UNIT), (1, taps, 1, len(gain))).astype(
            np.int8
        )
        total = np.round(bias / (x.scale * width)).astype(np.int64)
        return self.depthwise(x, weight, width, total, y, module, stride=taps, relu=relu)

    def depthwise(
        self,
        x: Value,
        weight: Array,
        width: Array,
        bias: Array,
        y: Value,
        module: str,
        stride: int = 1,
        relu: bool = False,
    ) -> Value:
        """weight (1, taps, 1, channels) int8 with the scales `width` (channels,), bias int64."""
        constants = [
            self.step.constant(f"{module}.gain", weight, width, axis=3),
            self.step.constant(f"{module}.bias", bias),
        ]
        options = schema.DepthwiseConv2DOptionsT()
        options.padding, options.depthMultiplier, options.strideH, options.strideW = (
            schema.Padding.VALID,
            1,
            stride,
            1,
        )
        options.dilationHFactor = options.dilationWFactor = 1
        options.fusedActivationFunction = RELU if relu else NONE
        self.step.op(OP.DEPTHWISE_CONV_2D, [x, *constants], [y], options)
        return y

    def convolve(
        self, x: Value, y: Value, weight: Array, bias: Array, width: Array, layer: Layer, relu: bool
    ) -> Value:
        """weight (out, kernel, columns, in) int8 with the scales `width` (out,), bias (out,) in
        steps of width · x.scale."""
        constants = [
            self.step.constant(f"{layer.module}.weight", weight, width),
            # its scale follows from the others: not stored
            self.step.constant(f"{layer.module}.bias", bias.astype(np.int32)),
        ]
        options = schema.Conv2DOptionsT()
        # what LiteRT goes by; TFLite-Micro goes by the bias itself
        options.quantizedBiasType = schema.TensorType.INT32
        options.padding = schema.Padding.SAME if layer.padded else schema.Padding.VALID
        options.strideH, options.strideW = layer.stride, 1
        options.dilationHFactor = options.dilationWFactor = 1
        options.fusedActivationFunction = RELU if relu else NONE
        self.step.op(OP.CONV_2D, [x, *constants], [y], options)
        return y

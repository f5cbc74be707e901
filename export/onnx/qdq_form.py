"""`qdq.onnx`: the integer graph as QuantizeLinear/DequantizeLinear pairs around float operators,
with the graph's own scales.

Weights, biases, poles, gains and read-outs are the stored integers with the scales that are stored
beside them. What the integers do between two quantizations (tables, Newton steps, 32-bit sums) is
done in float32 here, so outputs are close and not equal.
"""

from __future__ import annotations

import numpy as np
import onnx

from compress import graph as g
from compress.quantization.proof import prove_no_overflow
from export.onnx import ops
from export.onnx.stream import Stream
from export.onnx.writer import SAMPLES, output_name

Array = g.Array
FEATURES = 1  # the axis of the features of a frame
RANGES = {"int8": g.INT8, "int16": g.INT16}


class Model(Stream):
    """A handle is the quantized value; it is dequantized where it is bound."""

    form = "QDQ"

    def __init__(self, graph: g.Graph) -> None:
        super().__init__(graph)
        with self.w.inside(graph.input.name):
            self.put(graph.input.name, SAMPLES)

    # --- tensors of the graph ------------------------------------------------------------------

    def scale(self, name: str) -> float | Array:
        """The scale of all features, or one for each."""
        tensor = self.graph.tensors[name]
        return tensor.scales() if len(tensor.segments) > 1 else tensor.scale

    def dtype(self, name: str) -> str:
        return f"int{self.graph.tensors[name].bits}"

    def put(self, name: str, value: str) -> None:
        """Round and clamp to what this tensor of the graph can hold."""
        kind = self.dtype(name)
        value = self._held_to(self.graph.tensors[name], RANGES[kind], value)
        self.bind(name, self.quantize(value, self.scale(name), kind, FEATURES))

    def _held_to(self, tensor: g.Tensor, type_range: tuple[int, int], value: str) -> str:
        """A value within the range of a tensor, where its type alone does not hold it to that."""
        found = {(s.lo, s.hi) for s in tensor.segments}
        if found == {type_range}:
            return value
        if found == {(0, type_range[1])}:
            return self.w.add("Relu", value)
        lowest = np.concatenate([np.full(s.features, s.lo * s.scale) for s in tensor.segments])
        highest = np.concatenate([np.full(s.features, s.hi * s.scale) for s in tensor.segments])
        above = self.w.add("Max", value, self.constant("least", lowest))
        return self.w.add("Min", above, self.constant("most", highest))

    def real_of(self, name: str, handle: str) -> str:
        return self.dequantize(handle, self.scale(name), FEATURES)

    def cleared_handle(self, name: str, handle: str, op: g.Op) -> str:
        if not self.begun(op):
            return handle
        value = self.cleared(self.real_of(name, handle), op)
        return self.quantize(value, self.scale(name), self.dtype(name), FEATURES)

    # --- integers ------------------------------------------------------------------------------

    def constant(self, what: str, values: Array | float) -> str:
        return self.w.constant(what, np.asarray(values, np.float32))

    def stored(self, what: str, integers: Array, scale: Array | float, axis: int = 0) -> str:
        """Integers as the graph stores them, dequantized with one scale, or one for each index of
        an axis."""
        return self.dequantize(self.w.constant(what, integers), scale, axis)

    def quantize(
        self, value: str, scale: Array | float, dtype: str = "int16", axis: int = 0
    ) -> str:
        """Integers with zero point 0."""
        zero = self.w.constant("zero", np.zeros(np.shape(scale), dtype))
        return self.w.add("QuantizeLinear", value, self.constant("scale", scale), zero, axis=axis)

    def dequantize(self, integers: str, scale: Array | float, axis: int = 0) -> str:
        return self.w.add("DequantizeLinear", integers, self.constant("scale", scale), axis=axis)

    def rounded(self, value: str, scale: float) -> str:
        """What is left of a value in int16."""
        return self.dequantize(self.quantize(value, scale), scale)

    def states(self, op: g.Op, shape: tuple[int, ...], scale: Array) -> tuple[State, State]:
        """Real and imaginary part of a state, a scale for each channel."""
        return State(self, op, "re", shape, scale), State(self, op, "im", shape, scale)


class State:
    """A state in int16 with one scale for each channel: what the step returns is fed back without
    a conversion."""

    def __init__(
        self, model: Model, op: g.Op, what: str, shape: tuple[int, ...], scale: Array
    ) -> None:
        self._model, self._op, self._scale = model, op, scale
        self._handle = model.carry(what, shape, "int16", lambda _: self._last())
        self._real = model.dequantize(self._handle, scale, axis=1)

    def read(self) -> str:
        return self._real

    def keep(self, value: str) -> None:
        self._handle = self._model.quantize(value, self._scale, axis=1)
        self._real = self._model.dequantize(self._handle, self._scale, axis=1)

    def _last(self) -> str:
        if not self._model.begun(self._op):
            return self._handle
        return self._model.quantize(self._model.cleared(self._real, self._op), self._scale, axis=1)


def write(graph: g.Graph) -> onnx.ModelProto:
    """The step of an integer graph; GraphError names what could overflow, or has no form in ONNX.

    Tables become the functions whose names they hold: `verify` proves that they are those.
    """
    model = Model(prove_no_overflow(g.verify(graph)))
    model.run(ops.INTEGER, ops.RECALLS)
    model.w.add("Identity", model.real(graph.output.name), output=output_name(graph))
    return model.w.finish(graph, "qdq")

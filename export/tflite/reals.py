"""Whole numbers in float32, for what TFLite-Micro has no 16-bit kernel: float32 holds 24 bits
exactly, so that sums, products and floors of integers are the integers' own."""

from __future__ import annotations

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from export.tflite.builder import Q15
from export.tflite.lowering import Lowering
from export.tflite.model import OP, Array, Value

Number = Value | float


class Reals:
    """Appends operators over float32 tensors, named after a module."""

    def __init__(self, b: Lowering, module: str) -> None:
        self.b, self.module = b, module

    def _tensor(self, shape: tuple[int, ...], dtype: type = np.float32) -> Value:
        return self.b.step.tensor(f"{self.module}.real", shape, dtype)

    def _value(self, number: Number) -> Value:
        if isinstance(number, Value):
            return number
        return self.b.step.constant("number", np.full((1, 1, 1, 1), number, np.float32))

    # --- to and from integers ------------------------------------------------------------------

    def of(self, words: Value) -> Value:
        """int16 as the integers that they are, whatever their scale."""
        return self._cast(words, self._tensor(words.shape))

    def words(self, x: Value, y: Value) -> Value:
        """Whole numbers within 16 bits back."""
        return self._cast(x, y)

    def _cast(self, x: Value, y: Value) -> Value:
        self.b.step.op(OP.CAST, [x], [y], schema.CastOptionsT())
        return y

    # --- arithmetic ----------------------------------------------------------------------------

    def add(self, a: Number, b: Number) -> Value:
        return self._both(OP.ADD, a, b, schema.AddOptionsT())

    def subtract(self, a: Number, b: Number) -> Value:
        return self._both(OP.SUB, a, b, schema.SubOptionsT())

    def multiply(self, a: Number, b: Number) -> Value:
        return self._both(OP.MUL, a, b, schema.MulOptionsT())

    def divide(self, a: Number, b: Number) -> Value:
        return self._both(OP.DIV, a, b, schema.DivOptionsT())

    def least(self, a: Number, b: Number) -> Value:
        return self._both(OP.MINIMUM, a, b, schema.MaximumMinimumOptionsT())

    def _both(self, code: int, a: Number, b: Number, options: object) -> Value:
        """The smaller of both goes to every place of the other."""
        a, b = self._value(a), self._value(b)
        y = self._tensor(tuple(max(pair) for pair in zip(a.shape, b.shape, strict=True)))
        self.b.step.op(code, [a, b], [y], options)
        return y

    def floor(self, x: Value) -> Value:
        y = self._tensor(x.shape)
        self.b.step.op(OP.FLOOR, [x], [y])
        return y

    def rounded(self, x: Value) -> Value:
        """Halves go up."""
        return self.floor(self.add(x, 0.5))

    # --- over the last axis --------------------------------------------------------------------

    def largest(self, x: Value) -> Value:
        return self._reduced(OP.REDUCE_MAX, x)

    def total(self, x: Value) -> Value:
        return self._reduced(OP.SUM, x)

    def _reduced(self, code: int, x: Value) -> Value:
        axis = self.b.step.constant("axis", np.array([len(x.shape) - 1], np.int32))
        options, y = schema.ReducerOptionsT(), self._tensor((*x.shape[:-1], 1))
        options.keepDims = True
        self.b.step.op(code, [x, axis], [y], options)
        return y

    # --- tables --------------------------------------------------------------------------------

    def whole(self, x: Value) -> Value:
        """Integers ≥ 0, what is behind the point cut off, to look up with."""
        return self._cast(x, self._tensor(x.shape, np.int32))

    def at(self, table: Array, index: Value) -> Value:
        """What a table (n,) holds at these places."""
        values = self.b.step.constant(f"{self.module}.table", table.astype(np.float32))
        return self._gathered(values, index, 0, index.shape)

    def gathered(self, x: Value, index: Array, axis: int) -> Value:
        """Parts of x in any order along an axis."""
        places = self.b.step.constant("places", index.astype(np.int32))
        shape = tuple(len(index) if i == axis else n for i, n in enumerate(x.shape))
        return self._gathered(x, places, axis, shape)

    def _gathered(self, x: Value, index: Value, axis: int, shape: tuple[int, ...]) -> Value:
        options, y = schema.GatherOptionsT(), self._tensor(shape)
        options.axis, options.batchDims = axis, 0
        self.b.step.op(OP.GATHER, [x, index], [y], options)
        return y


def looked_up(b: Lowering, x: Value, table: Array, y: Value, name: str) -> Value:
    """What a table (257,) of the integers makes of int16 x: the line between two points, which the
    upper byte of x chooses."""
    r, points = Reals(b, name), table.astype(np.float64)
    place = r.add(r.multiply(r.of(x), 1 / 256), 128.0)
    begin = r.floor(place)
    index = r.whole(begin)
    way = r.multiply(r.at(np.diff(points), index), r.subtract(place, begin))
    # a half in the table: what is cut off is then rounded
    return r.words(r.floor(r.add(r.at(points[:-1] + 0.5, index), way)), y)


def in_q15(b: Lowering, x: Value, table: Array, name: str) -> Value:
    """The same into steps of 2⁻¹⁵: gates, and what a tanh makes."""
    return looked_up(b, x, table, b.step.tensor(name, x.shape, np.int16, Q15), name)


def moved(b: Lowering, x: Value, index: Array, axis: int, name: str) -> Value:
    """int16 parts of x in any order along an axis; TFLite-Micro gathers float32."""
    reals = Reals(b, name)
    found = reals.gathered(reals.of(x), index, axis)
    return reals.words(found, b.step.tensor(name, found.shape, np.int16, x.scale))

"""The running sum of an `Integrate` from frame to frame: what it begins with, what was added, and
how many frames were counted."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

import numpy as np
from onnx import TensorProto

from compress import graph as g

if TYPE_CHECKING:
    from export.onnx.float_form import Model as Float
    from export.onnx.qdq_form import Model as Quantized
    from export.onnx.stream import Stream

INT32 = TensorProto.INT32


def of(stream: Any, op: g.Integrate | g.IntIntegrate) -> Integral:
    """The sum of an operator, made where it is first asked for: its loop reads it before."""
    if op.output not in stream.kept:
        kind: type[Integral] = QuantizedIntegral if op.is_integer else FloatIntegral
        stream.kept[op.output] = kind(stream, op)
    made = stream.kept[op.output]
    assert isinstance(made, Integral)
    return made


def recall(stream: Any, op: g.Integrate | g.IntIntegrate) -> str:
    """What the frame after reads of it."""
    return of(stream, op).now()


class Integral(ABC):
    """(1, features); a subclass says how the sum is kept."""

    def __init__(self, stream: Stream, op: Any) -> None:
        self.s, self.op, self.features = stream, op, stream.graph.target(op).features
        self.initial = stream.initial(op.initial)
        self.total = self.counted = ""
        if op.position_steps:
            self.counted = stream.carry(
                "frames", (1,), "float32", lambda _: stream.cleared(self.counted, op)
            )

    @abstractmethod
    def now(self) -> str:
        """Handle of the output after the newest frame."""

    @abstractmethod
    def away(self, position: str) -> str:
        """How far a position is from the initial value, as the total is kept."""

    @abstractmethod
    def moved(self, increment: str) -> str:
        """The total with one increment more."""

    def advance(self, frame: str) -> str:
        """Handle of the output after one frame (its handle)."""
        if self.op.position_steps:
            position, increment = self.s.w.split(frame, 2, self.features, axis=1)
            self.total = self._chosen(self.away(position), self.moved(increment))
        else:
            self.total = self.moved(frame)
        return self.now()

    def _chosen(self, position: str, moved: str) -> str:
        """`position` in the first valid frames, else `moved`; counts the frame."""
        w, most = self.s.w, self.s.scalar("most", float(self.op.position_steps))
        early = w.add("Less", self.counted, most)
        self.counted = w.add("Min", w.add("Add", self.counted, self.s.scalar("one", 1.0)), most)
        return w.add("Where", early, position, moved)


class FloatIntegral(Integral):
    """float32."""

    def __init__(self, model: Float, op: g.Integrate) -> None:
        super().__init__(model, op)
        shape = (1, self.features)
        self.total = model.carry("total", shape, "float32", lambda _: model.cleared(self.total, op))

    def now(self) -> str:
        return self.s.w.add("Add", self.initial, self.total)

    def away(self, position: str) -> str:
        return self.s.w.add("Sub", position, self.initial)

    def moved(self, increment: str) -> str:
        return self.s.w.add("Add", self.total, increment)


class QuantizedIntegral(Integral):
    """The total is int32 in steps of an increment, as in the integer graph: it does not drift,
    however long the stream."""

    def __init__(self, model: Quantized, op: g.IntIntegrate) -> None:
        super().__init__(model, op)
        self.m, self.scale = model, model.graph.target(op).scale
        self.increment_scale = float(model.graph.source(op).scales()[-1])
        self.begin = model.quantize(self.initial, model.graph.initial[op.initial].scale)
        self.whole = self._wide(self.begin)
        ends = [self._integer("end", end) for end in g.INT16]
        self.least, self.most = (self._from_initial(end) for end in ends)
        self.total = model.carry("total", (1, self.features), "int32", lambda _: self._kept())

    def _integer(self, what: str, value: int) -> str:
        return self.m.w.constant(what, np.full(1, value, np.int32))

    def _wide(self, words: str) -> str:
        return self.m.w.add("Cast", words, to=INT32)

    def _from_initial(self, steps: str) -> str:
        """Steps of the output, int32, less the initial ones, as steps of an increment."""
        away = self.m.w.add("Sub", steps, self.whole)
        return self.m.w.add("Mul", away, self._integer("fraction", 2**self.op.fraction))

    def _kept(self) -> str:
        begun = self.m.begun(self.op)
        return self.m.w.add("Mul", self.total, self._wide(begun)) if begun else self.total

    def now(self) -> str:
        """int16."""
        moved = self.m.dequantize(self.total, self.increment_scale)
        begin = self.m.dequantize(self.begin, self.scale)
        return self.m.quantize(self.m.w.add("Add", begin, moved), self.scale)

    def away(self, position: str) -> str:
        return self._from_initial(self._wide(position))

    def moved(self, increment: str) -> str:
        """Held to where the output saturates, so that it keeps to 32 bits."""
        w = self.m.w
        total = w.add("Add", self.total, self._wide(increment))
        return w.add("Max", w.add("Min", total, self.most), self.least)

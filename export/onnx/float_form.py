"""`float.onnx`: the float graph in float32, each operator as ONNX defines it."""

from __future__ import annotations

import numpy as np
import onnx

from compress import graph as g
from export.onnx import ops
from export.onnx.stream import Stream
from export.onnx.writer import SAMPLES, output_name

Array = g.Array


class Model(Stream):
    """Values are float32 throughout: a handle is the value itself."""

    form = "float"

    def __init__(self, graph: g.Graph) -> None:
        super().__init__(graph)
        self.bind(graph.input.name, SAMPLES)

    def put(self, name: str, value: str) -> None:
        self.bind(name, value)

    def real_of(self, name: str, handle: str) -> str:
        return handle

    def dtype(self, name: str) -> str:
        return "float32"

    def cleared_handle(self, name: str, handle: str, op: g.Op) -> str:
        return self.cleared(handle, op)

    def constant(self, what: str, values: Array) -> str:
        return self.w.constant(what, np.asarray(values, np.float32))

    def pair(self, what: str, values: Array) -> tuple[str, str]:
        """Real and imaginary part of complex values."""
        return self.constant(f"{what}.re", values.real), self.constant(f"{what}.im", values.imag)

    def states(self, op: g.Op, shape: tuple[int, ...]) -> tuple[State, State]:
        """Real and imaginary part of a state."""
        return State(self, op, "re", shape), State(self, op, "im", shape)


class State:
    """A state in float32, kept as it is."""

    def __init__(self, model: Model, op: g.Op, what: str, shape: tuple[int, ...]) -> None:
        self._now = model.carry(what, shape, "float32", lambda _: model.cleared(self._now, op))

    def read(self) -> str:
        return self._now

    def keep(self, value: str) -> None:
        self._now = value


def write(graph: g.Graph) -> onnx.ModelProto:
    """The step of a float graph; GraphError names the operator that has no ONNX form."""
    model = Model(graph)
    model.run(ops.FLOAT, ops.RECALLS)
    model.w.add("Identity", model.real(graph.output.name), output=output_name(graph))
    return model.w.finish(graph, model.form)

"""Building an ONNX model node by node: values are names, every node is named after the module of
the network it came from."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from compress import graph as g
from export.version import GENERATOR

Array = g.Array
OPSET = 21  # the first whose QuantizeLinear knows int16; Gelu came with 20
IR_VERSION = 10
SAMPLES = "samples"
INITIAL = "initial_"  # and the name of an extra input: the metadata key that says its state's name
TYPES = {
    "float32": TensorProto.FLOAT,
    "int32": TensorProto.INT32,
    "int16": TensorProto.INT16,
    "int8": TensorProto.INT8,
}


def output_name(graph: g.Graph) -> str:
    """What a step gives: as the last operator calls it ("log_probs"), else what the network is for
    ("pose")."""
    return graph.ops[-1].gives or str(graph.provenance.get("task", "output"))


@dataclass(frozen=True)
class State:
    """One state tensor: fed as `<name>.in`, returned as `<name>.out`; zeros before the first
    step."""

    name: str
    shape: tuple[int, ...]
    dtype: str

    @property
    def before(self) -> str:
        return f"{self.name}.in"

    @property
    def after(self) -> str:
        return f"{self.name}.out"


class Writer:
    """Collects nodes, constants and states. `module` is the path that new nodes are named after."""

    def __init__(self) -> None:
        self.module = ""
        self.states: list[State] = []
        self.initial: dict[str, str] = {}  # extra input of the graph -> the state that begins so
        self._nodes: list[onnx.NodeProto] = []
        self._constants: dict[tuple[str, tuple[int, ...], bytes], str] = {}
        self._initializers: list[onnx.TensorProto] = []
        self._used: Counter[str] = Counter()

    @contextmanager
    def inside(self, module: str) -> Iterator[None]:
        """Name what is added in between after this module."""
        outside, self.module = self.module, module
        yield
        self.module = outside

    def add(self, op_type: str, *inputs: str, output: str = "", **attributes: Any) -> str:
        """Append a node with one output; returns the output's name."""
        return self.add_many(
            op_type, *inputs, outputs=[output or self._unique(op_type)], **attributes
        )[0]

    def add_many(
        self, op_type: str, *inputs: str, outputs: list[str], **attributes: Any
    ) -> list[str]:
        """Append a node with these outputs, which also name it."""
        self._nodes.append(
            helper.make_node(op_type, list(inputs), outputs, name=outputs[0], **attributes)
        )
        return outputs

    def split(self, value: str, parts: int, size: int, axis: int) -> list[str]:
        """`parts` equal parts of `size` along an axis; the value itself when there is only one."""
        if parts == 1:
            return [value]
        sizes = self.constant("sizes", np.full(parts, size, np.int64))
        outputs = [self._unique(f"Split.{i}") for i in range(parts)]
        return self.add_many("Split", value, sizes, outputs=outputs, axis=axis)

    def concat(self, parts: list[str], axis: int) -> str:
        return parts[0] if len(parts) == 1 else self.add("Concat", *parts, axis=axis)

    def reshape(self, value: str, *shape: int) -> str:
        return self.add("Reshape", value, self.constant("shape", np.array(shape, np.int64)))

    def constant(self, what: str, values: Array) -> str:
        """The name of an initializer with these values; equal ones are stored once."""
        values = np.ascontiguousarray(values)
        key = values.dtype.str, values.shape, values.tobytes()
        if key not in self._constants:
            self._constants[key] = self._unique(what)
            self._initializers.append(numpy_helper.from_array(values, self._constants[key]))
        return self._constants[key]

    def state(self, what: str, shape: tuple[int, ...], dtype: str) -> State:
        """Declare a state tensor of the current module; whoever declares it also adds a node that
        gives `state.after`."""
        self.states.append(State(f"{self.module}.{what}", shape, dtype))
        return self.states[-1]

    def _unique(self, what: str) -> str:
        name = f"{self.module}/{what}" if self.module else what
        self._used[name] += 1
        return name if self._used[name] == 1 else f"{name}_{self._used[name]}"

    def finish(self, graph: g.Graph, form: str) -> onnx.ModelProto:
        """The model with its inputs, outputs and metadata, checked by onnx with full shape
        inference."""
        info = helper.make_tensor_value_info
        samples = info(SAMPLES, TensorProto.FLOAT, [graph.samples_per_step, graph.input.features])
        result = info(output_name(graph), TensorProto.FLOAT, [graph.chunk, graph.output.features])
        before = [info(s.before, TYPES[s.dtype], s.shape) for s in self.states]
        after = [info(s.after, TYPES[s.dtype], s.shape) for s in self.states]
        body = helper.make_graph(
            self._nodes, graph.name, [samples, *before], [result, *after], self._initializers
        )
        model = helper.make_model(
            body,
            opset_imports=[helper.make_opsetid("", OPSET)],
            ir_version=IR_VERSION,
            producer_name="Tendon",
            producer_version=GENERATOR,
        )
        helper.set_model_props(model, self._metadata(graph, form))
        onnx.checker.check_model(model, full_check=True)
        return model

    def _metadata(self, graph: g.Graph, form: str) -> dict[str, str]:
        states = [
            {"in": s.before, "out": s.after, "shape": s.shape, "dtype": s.dtype}
            for s in self.states
        ]
        begins = {f"{INITIAL}{name}": state for name, state in self.initial.items()}
        return begins | {
            "model": graph.name,
            "form": form,
            "precision": str(graph.provenance.get("precision", "float")),
            "graph": graph.hash(),
            "generator": GENERATOR,
            "sample_rate": str(graph.input.rate),
            "output_rate": str(graph.output.rate),
            "samples_per_step": str(graph.samples_per_step),
            "states": json.dumps(states),
        }

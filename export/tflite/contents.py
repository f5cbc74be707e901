"""What a `.tflite` holds, as the lint looks at it: tensors with their values and the operators over
them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
from ai_edge_litert import schema_py_generated as schema

from export.tflite.model import TYPES
from export.tflite.read import NAMES, TfliteError, code, listed

Array = npt.NDArray[Any]
CONSTANTS = {dtype.name for dtype in TYPES}
DTYPES: dict[int, str] = {number: dtype.name for dtype, number in TYPES.items()} | {
    schema.TensorType.RESOURCE: "resource"
}


@dataclass
class Tensor:
    """`scales`: empty without quantization, one for the tensor or one per index of `axis`;
    `values`: of a constant."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    scales: Array
    offsets: Array
    axis: int
    values: Array | None
    peak: int = 32768  # largest magnitude an int16 tensor can hold; its operator may lower it

    @property
    def scale(self) -> float:
        return float(self.scales[0]) if len(self.scales) == 1 else 0.0

    @property
    def count(self) -> int:
        return int(np.prod(self.shape)) if self.shape else 1


@dataclass
class Operator:
    name: str
    where: str  # for messages
    inputs: list[Tensor]
    outputs: list[Tensor]
    options: Any
    most: list[float] = field(default_factory=list)  # share of 2³¹ that its 32-bit sums can reach

    @cached_property
    def types(self) -> tuple[str, ...]:
        return tuple(t.dtype for t in (*self.inputs, *self.outputs))


@dataclass
class Step:
    """One subgraph."""

    name: str
    inputs: list[Tensor]
    outputs: list[Tensor]
    operators: list[Operator]


def subgraphs(model: schema.ModelT, name: str) -> Iterator[Step]:
    """Every subgraph; TfliteError for tensors whose bytes do not fit their shapes, and operators
    without options."""
    for index, graph in enumerate(model.subgraphs):
        tensors = [_tensor(model, t, name) for t in listed(graph.tensors)]

        def pick(indices: Any, tensors: list[Tensor] = tensors) -> list[Tensor]:
            return [tensors[i] for i in listed(indices) if i >= 0]

        operators = []
        for position, op in enumerate(listed(graph.operators)):
            kind = NAMES.get(code(model, op), f"operator {code(model, op)}")
            outputs = pick(op.outputs)
            target = "".join(f" -> {t.name}" for t in (outputs or pick(op.inputs))[-1:])
            where = f"{name}: operator {position} of subgraph {index}, {kind}{target}"
            operators.append(Operator(kind, where, pick(op.inputs), outputs, op.builtinOptions))
        yield Step(f"subgraph {index}", pick(graph.inputs), pick(graph.outputs), operators)


def _tensor(model: schema.ModelT, t: schema.TensorT, name: str) -> Tensor:
    label = t.name.decode(errors="replace") if t.name else ""
    dtype = DTYPES.get(t.type, f"type {t.type}")
    shape = tuple(int(n) for n in listed(t.shape))
    quantization = t.quantization
    with np.errstate(invalid="ignore"):  # a damaged file may hold a signalling NaN
        scales = np.asarray(listed(quantization.scale) if quantization else [], np.float64)
    offsets = np.asarray(listed(quantization.zeroPoint) if quantization else [], np.int64)
    axis = int(quantization.quantizedDimension) if quantization else 0
    data = listed(model.buffers[t.buffer].data)
    if not len(data):
        return Tensor(label, shape, dtype, scales, offsets, axis, None)
    if dtype not in CONSTANTS or min(shape, default=1) < 1:
        raise TfliteError(
            f"{name}: constant {label} has {dtype} values of shape {shape}, which nothing here"
            " reads"
        )
    content = np.asarray(data, np.uint8).tobytes()
    if len(content) != np.dtype(dtype).itemsize * int(np.prod(shape)):
        raise TfliteError(
            f"{name}: constant {label} of shape {shape} has {len(content)} bytes; export it again"
        )
    values = np.frombuffer(content, dtype).reshape(shape)
    peak = int(np.abs(values.astype(np.int64)).max()) if dtype.startswith("int") else 32768
    return Tensor(label, shape, dtype, scales, offsets, axis, values, peak)

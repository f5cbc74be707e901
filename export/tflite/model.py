"""A `.tflite` file being written: tensors, operators, state; nothing here knows about networks
(docs/spec/tflite.md).

One tensor is one activation or constant with its scale; an operator is appended in execution order.
State is either resource variables, read before and assigned after use, or further inputs and
outputs of the step.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import flatbuffers
import numpy as np
import numpy.typing as npt
from ai_edge_litert import schema_py_generated as schema

Array = npt.NDArray[Any]
Scales = float | Sequence[float] | Array

FILE_IDENTIFIER = b"TFL3"
ALIGNMENT = 16  # of constants, as the schema's force_align says and the kernels' wide loads need
TYPES: dict[np.dtype[Any], int] = {
    np.dtype(np.int8): schema.TensorType.INT8,
    np.dtype(np.int16): schema.TensorType.INT16,
    np.dtype(np.int32): schema.TensorType.INT32,
    np.dtype(np.int64): schema.TensorType.INT64,
    np.dtype(np.float32): schema.TensorType.FLOAT32,
}
OP = schema.BuiltinOperator
VERSIONS = {
    OP.CONV_2D: 4,
    OP.DEPTHWISE_CONV_2D: 5,
    OP.ADD: 4,
    OP.MUL: 4,
    OP.BATCH_MATMUL: 3,
    OP.LOGISTIC: 3,
    OP.QUANTIZE: 3,
    OP.DEQUANTIZE: 3,
    OP.CONCATENATION: 3,
    OP.SPLIT: 4,
    OP.STRIDED_SLICE: 4,
    OP.MAXIMUM: 4,
    OP.MINIMUM: 4,
    OP.SUB: 5,
    OP.TRANSPOSE: 4,
    OP.TANH: 3,
    OP.LEAKY_RELU: 2,
    OP.RESIZE_NEAREST_NEIGHBOR: 4,
    OP.MAX_POOL_2D: 3,
}


class _AlignedBuffer(schema.BufferT):
    """The generated Pack() aligns bytes to 4; the schema asks for 16."""

    def Pack(self, builder: flatbuffers.Builder) -> int:
        content = b"" if self.data is None else bytes(self.data)
        builder.StartVector(1, len(content), ALIGNMENT)
        builder.head -= len(content)
        builder.Bytes[builder.head : builder.head + len(content)] = content
        vector = builder.EndVector()
        schema.BufferStart(builder)
        if content:
            schema.BufferAddData(builder, vector)
        return int(schema.BufferEnd(builder))


@dataclass(frozen=True)
class Value:
    """A tensor of the subgraph that is being written."""

    index: int
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    scale: float  # 0 without quantization


class Subgraph:
    """Tensors and operators of one subgraph, in execution order."""

    def __init__(self, file: File, name: str) -> None:
        self.file, self.content = file, schema.SubGraphT()
        self.content.name = name
        self.content.tensors, self.content.operators = [], []
        self.content.inputs, self.content.outputs = [], []
        self._constants: dict[tuple[Any, ...], Value] = {}

    def tensor(
        self,
        name: str,
        shape: Sequence[int],
        dtype: type | np.dtype[Any],
        scale: Scales = 0.0,
        *,
        axis: int = 0,
        buffer: int = 0,
    ) -> Value:
        """A new tensor. `scale`: real value of one step, one for the tensor or one per index of
        `axis`; 0: not quantized."""
        kind, scales = np.dtype(dtype), np.atleast_1d(np.asarray(scale, np.float32))
        tensor = schema.TensorT()
        tensor.name, tensor.shape, tensor.type, tensor.buffer = (
            name,
            list(shape),
            TYPES[kind],
            buffer,
        )
        if scales.any():
            tensor.quantization = schema.QuantizationParametersT()
            tensor.quantization.scale = scales
            tensor.quantization.zeroPoint = np.zeros(len(scales), np.int64)
            tensor.quantization.quantizedDimension = axis
        self.content.tensors.append(tensor)
        return Value(
            len(self.content.tensors) - 1,
            tuple(shape),
            kind,
            float(scales[0]) if len(scales) == 1 else 0.0,
        )

    def constant(self, name: str, values: Array, scale: Scales = 0.0, axis: int = 0) -> Value:
        """A constant; equal ones without a scale of their own (shapes, axes) are stored once."""
        key = (values.dtype.str, values.shape, values.tobytes(), np.asarray(scale).tobytes(), axis)
        if key not in self._constants:
            buffer = self.file.buffer(values.tobytes())
            self._constants[key] = self.tensor(
                name, values.shape, values.dtype, scale, axis=axis, buffer=buffer
            )
        return self._constants[key]

    def op(
        self, code: int, inputs: Sequence[Value], outputs: Sequence[Value], options: Any = None
    ) -> None:
        """Append an operator. `options`: one of the schema's …OptionsT."""
        operator = schema.OperatorT()
        operator.opcodeIndex = self.file.opcode(code)
        operator.inputs, operator.outputs = [v.index for v in inputs], [v.index for v in outputs]
        if options is not None:
            operator.builtinOptions = options
            operator.builtinOptionsType = getattr(
                schema.BuiltinOptions, type(options).__name__.removesuffix("T")
            )
        self.content.operators.append(operator)

    def handle(self, name: str) -> Value:
        """The handle of a resource variable."""
        tensor = schema.TensorT()
        tensor.name, tensor.shape, tensor.type = f"{name}.handle", [], schema.TensorType.RESOURCE
        self.content.tensors.append(tensor)
        value = Value(len(self.content.tensors) - 1, (), np.dtype(np.int32), 0.0)
        options = schema.VarHandleOptionsT()
        options.container, options.sharedName = "", name
        self.op(OP.VAR_HANDLE, [], [value], options)
        return value


class File:
    """The whole model. Subgraph 0 is the step; with resource variables, subgraph 1 sets them to
    zero."""

    def __init__(self, description: str, variables: bool) -> None:
        self.model, self.variables = schema.ModelT(), variables
        self.model.version, self.model.description = 3, description
        self.model.buffers, self.model.operatorCodes, self.model.metadata = (
            [_AlignedBuffer()],
            [],
            [],
        )
        self.step = Subgraph(self, "step")
        self._start: Subgraph | None = None
        self._after: dict[int, int] = {}  # input that is state -> output that is its next value

    def buffer(self, content: bytes) -> int:
        entry = _AlignedBuffer()
        entry.data = np.frombuffer(content, np.uint8)
        self.model.buffers.append(entry)
        return len(self.model.buffers) - 1

    def opcode(self, code: int) -> int:
        known = [c.builtinCode for c in self.model.operatorCodes]
        if code in known:
            return known.index(code)
        entry = schema.OperatorCodeT()
        entry.builtinCode, entry.deprecatedBuiltinCode, entry.version = (
            code,
            min(code, 127),
            VERSIONS.get(code, 1),
        )
        self.model.operatorCodes.append(entry)
        return len(known)

    def note(self, name: str, text: str) -> None:
        """One entry of the file's metadata, as text."""
        self.attach(name, text.encode())

    def attach(self, name: str, content: bytes) -> None:
        """One entry of the file's metadata."""
        entry = schema.MetadataT()
        entry.name, entry.buffer = name, self.buffer(content)
        self.model.metadata.append(entry)

    def input(self, name: str, shape: Sequence[int], scale: float) -> Value:
        """A further input of the step: int16, or float32 with scale 0."""
        value = self.step.tensor(name, shape, np.int16 if scale else np.float32, scale)
        self.step.content.inputs.append(value.index)
        return value

    def read_state(self, name: str, shape: Sequence[int], scale: float) -> State:
        """State that is zero before the first step, int16, or float32 with scale 0; give its new
        value to `write_state`."""
        if not self.variables:
            return State(name, self.input(name, shape, scale), None)
        self._clear(name, shape, scale)
        handle, value = (
            self.step.handle(name),
            self.step.tensor(name, shape, np.int16 if scale else np.float32, scale),
        )
        self.step.op(OP.READ_VARIABLE, [handle], [value], schema.ReadVariableOptionsT())
        return State(name, value, handle)

    def write_state(self, state: State, new: Value) -> None:
        """The value `read_state` gives in the next step."""
        if state.handle is None:
            self.step.content.outputs.append(new.index)
            self._after[state.value.index] = new.index
        else:
            self.step.op(
                OP.ASSIGN_VARIABLE, [state.handle, new], [], schema.AssignVariableOptionsT()
            )

    def next_states(self) -> list[int]:
        """Outputs that are state, in the order of the inputs they will be."""
        return [self._after[index] for index in self.step.content.inputs if index in self._after]

    def _clear(self, name: str, shape: Sequence[int], scale: float) -> None:
        """LiteRT refuses to read what was never assigned: a subgraph that runs once assigns zeros,
        stored once per size."""
        if self._start is None:
            self._start = Subgraph(self, "start")
            options = schema.CallOnceOptionsT()
            options.initSubgraphIndex = 1
            self.step.op(OP.CALL_ONCE, [], [], options)
        zeros = self._start.constant(
            f"zeros.{name}", np.zeros(shape, np.int16 if scale else np.float32), scale
        )
        self._start.op(
            OP.ASSIGN_VARIABLE,
            [self._start.handle(name), zeros],
            [],
            schema.AssignVariableOptionsT(),
        )

    def finish(self) -> bytes:
        """The bytes of the file; the same calls give the same bytes."""
        self.model.subgraphs = [self.step.content] + ([self._start.content] if self._start else [])
        builder = flatbuffers.Builder(1 << 20)
        builder.Finish(self.model.Pack(builder), FILE_IDENTIFIER)
        return bytes(builder.Output())


@dataclass(frozen=True)
class State:
    """One piece of state in the step: its value before the step, and its handle when it is a
    resource variable."""

    name: str
    value: Value
    handle: Value | None

"""What goes value by value: functions, gates, sums."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from compress import graph as g
from compress.errors import GraphError
from export.tflite.lowering import Lowering
from export.tflite.model import OP, Value

# x·Φ(x) ≈ x·σ(x·(GELU[0] + GELU[1]·min(x², 16))), at most 3.1e-4 away
GELU = (1.59946357, 0.06979977)
GELU_SQUARES = 16.0 / 32767
GELU_ARGUMENT = 12.0 / 32768  # σ(±12) is 1 or 0 to 6e-6
LEAK = 0.01


def lut(b: Lowering, op: g.IntLut) -> None:
    """The function itself, no table: TFLite has none for 16 bits."""
    if op.function not in FUNCTIONS:
        raise GraphError(
            f"{op.module}: IntLut of {op.function} has no TFLite form; TFLite has 16-bit operators"
            f" for {', '.join(FUNCTIONS)}"
        )
    FUNCTIONS[op.function](b, b.value(op.inputs[0]), b.result(op), op.module)


def _sigmoid(b: Lowering, x: Value, y: Value, module: str) -> None:
    b.convert(OP.QUANTIZE, b.sigmoid(x, f"{module}.q15"), y)


def _tanh(b: Lowering, x: Value, y: Value, module: str) -> None:
    b.convert(OP.QUANTIZE, b.sigmoid(x, f"{module}.q15", OP.TANH), y)


def _leaky_relu(b: Lowering, x: Value, y: Value, module: str) -> None:
    options = schema.LeakyReluOptionsT()
    options.alpha = LEAK
    b.step.op(OP.LEAKY_RELU, [x], [y], options)


def _relu(b: Lowering, x: Value, y: Value, module: str) -> None:
    b.per_channel(x, np.ones(x.shape[3]), np.zeros(x.shape[3]), y, module, relu=True)


def _gelu(b: Lowering, x: Value, y: Value, module: str) -> None:
    """x·σ(x·(k₀ + k₁·min(x², 16))): the squares saturate at 16, the gate's argument at ±12."""

    def part(name: str, scale: float) -> Value:
        return b.step.tensor(f"{module}.{name}", x.shape, np.int16, scale)

    squares = b.multiply(x, x, part("squares", GELU_SQUARES))
    curved = b.multiply(
        squares, b.everywhere(GELU[1], x.shape), part("curved", 16 * GELU[1] / 32767)
    )
    slope = b.add(
        curved, b.everywhere(GELU[0], x.shape), part("slope", (GELU[0] + 16 * GELU[1]) / 32767)
    )
    argument = b.multiply(x, slope, part("argument", GELU_ARGUMENT))
    b.multiply(x, b.sigmoid(argument, f"{module}.gate"), y)


# name of a function in compress.ops.tables -> (lowering, input, output, module) of its operators
FUNCTIONS: dict[str, Callable[[Lowering, Value, Value, str], None]] = {
    "gelu": _gelu,
    "leaky_relu": _leaky_relu,
    "relu": _relu,
    "sigmoid": _sigmoid,
    "tanh": _tanh,
}


def glu(b: Lowering, op: g.IntGlu) -> None:
    source, n = op.inputs[0], b.graph.target(op).features
    value, gate = b.pick(source, np.arange(n)), b.pick(source, np.arange(n, 2 * n))
    b.multiply(value, b.sigmoid(gate, f"{op.module}.gate"), b.result(op))


def add(b: Lowering, op: g.IntAdd) -> None:
    b.add(b.value(op.inputs[0]), b.value(op.inputs[1]), b.result(op))


def features(b: Lowering, op: g.IntSlice) -> None:
    b.put(op.output, b.pick(op.inputs[0], np.arange(op.begin, op.end)))

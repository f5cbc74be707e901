"""What goes value by value: functions, gates, sums, products, features moved."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from compress import graph as g
from export.tflite.lowering import Lowering
from export.tflite.model import OP, Array, Value
from export.tflite.reals import Reals, moved

# x·Φ(x) ≈ x·σ(x·(GELU[0] + GELU[1]·min(x², 16))), at most 3.1e-4 away
GELU = (1.59946357, 0.06979977)
GELU_SQUARES = 16.0 / 32767
GELU_ARGUMENT = 12.0 / 32768  # σ(±12) is 1 or 0 to 6e-6
LEAK = 0.01  # of a leaky_relu that says no slope
FEW = 4  # runs of features that are cut and joined


def lut(b: Lowering, op: g.IntLut) -> None:
    """A function that TFLite has for 16 bits, or the table of the integers."""
    family, _, rest = op.function.partition("(")
    if family in FUNCTIONS:
        numbers = [float(n) for n in rest.removesuffix(")").split(",")] if rest else []
        FUNCTIONS[family](b, op, b.value(op.inputs[0]), b.result(op), *numbers)
    else:
        b.settled.add(op.output)
        _table(Reals(b, op.module), b.value(op.inputs[0]), b.result(op), op.table)


def _table(r: Reals, x: Value, y: Value, table: Array) -> None:
    """The line between two points: the upper byte of x chooses them."""
    points = table.astype(np.float64)
    place = r.add(r.multiply(r.of(x), 1 / 256), 128.0)
    begin = r.floor(place)
    index = r.whole(begin)
    way = r.multiply(r.at(np.diff(points), index), r.subtract(place, begin))
    # a half in the table: what is cut off is then rounded
    r.words(r.floor(r.add(r.at(points[:-1] + 0.5, index), way)), y)


def _sigmoid(b: Lowering, op: g.IntLut, x: Value, y: Value) -> None:
    b.convert(OP.QUANTIZE, b.sigmoid(x, f"{op.module}.q15"), y)


def _tanh(b: Lowering, op: g.IntLut, x: Value, y: Value) -> None:
    b.convert(OP.QUANTIZE, b.sigmoid(x, f"{op.module}.q15", OP.TANH), y)


def _leaky_relu(b: Lowering, op: g.IntLut, x: Value, y: Value, slope: float = LEAK) -> None:
    options = schema.LeakyReluOptionsT()
    options.alpha = slope
    b.step.op(OP.LEAKY_RELU, [x], [y], options)


def _relu(b: Lowering, op: g.IntLut, x: Value, y: Value) -> None:
    b.relu(op)
    b.per_channel(x, np.ones(x.shape[3]), np.zeros(x.shape[3]), y, op.module, relu=True)


def _gelu(b: Lowering, op: g.IntLut, x: Value, y: Value) -> None:
    """x·σ(x·(k₀ + k₁·min(x², 16))): the squares saturate at 16, the gate's argument at ±12."""

    def part(name: str, scale: float) -> Value:
        return b.step.tensor(f"{op.module}.{name}", x.shape, np.int16, scale)

    squares = b.multiply(x, x, part("squares", GELU_SQUARES))
    curved = b.multiply(
        squares, b.everywhere(GELU[1], x.shape), part("curved", 16 * GELU[1] / 32767)
    )
    slope = b.add(
        curved, b.everywhere(GELU[0], x.shape), part("slope", (GELU[0] + 16 * GELU[1]) / 32767)
    )
    argument = b.multiply(x, slope, part("argument", GELU_ARGUMENT))
    b.multiply(x, b.sigmoid(argument, f"{op.module}.gate"), y)


# name of a function in compress.ops.tables -> (lowering, operator, input, output, its numbers …)
FUNCTIONS: dict[str, Callable[..., None]] = {
    "gelu": _gelu,
    "leaky_relu": _leaky_relu,
    "relu": _relu,
    "sigmoid": _sigmoid,
    "tanh": _tanh,
}


def clamp(b: Lowering, op: g.IntClamp) -> None:
    x = b.value(op.inputs[0])
    held = b.held(x, op.least, op.most, op.output)
    b.put(op.output, held if held is not x else b.copy(x, op.output))


def glu(b: Lowering, op: g.IntGlu) -> None:
    source, n = op.inputs[0], b.graph.target(op).features
    value, gate = b.pick(source, np.arange(n)), b.pick(source, np.arange(n, 2 * n))
    b.multiply(value, b.sigmoid(gate, f"{op.module}.gate"), b.result(op))


def add(b: Lowering, op: g.IntAdd) -> None:
    b.add(b.value(op.inputs[0]), b.value(op.inputs[1]), b.result(op))


def subtract(b: Lowering, op: g.IntSubtract) -> None:
    b.subtract(b.value(op.inputs[0]), b.value(op.inputs[1]), b.result(op))


def multiply(b: Lowering, op: g.IntMultiply) -> None:
    b.multiply(b.value(op.inputs[0]), b.value(op.inputs[1]), b.result(op))


def concat(b: Lowering, op: g.IntConcat) -> None:
    """Each brought to the scale of the whole."""
    scale = b.graph.target(op).scale
    parts = []
    for name in op.inputs:
        x = b.value(name)
        if x.scale != np.float32(scale):
            y = b.step.tensor(f"{op.module}.part", x.shape, np.int16, scale)
            x = b.convert(OP.QUANTIZE, x, y)
        parts.append(x)
    b.put(op.output, b.join(parts, op.output, axis=3))


def gather(b: Lowering, op: g.IntGather) -> None:
    """Few runs of neighbours are cut and joined, others gathered."""
    x = b.value(op.inputs[0])
    runs = np.split(op.index, np.flatnonzero(np.diff(op.index) != 1) + 1)
    if len(runs) > FEW:
        b.put(op.output, moved(b, x, op.index, 3, op.output))
        return
    bounds = [(int(run[0]), int(run[-1]) + 1) for run in runs]
    pieces = [b.slice(x, *bound, 1, f"{op.module}.piece", 3) for bound in bounds]
    b.put(op.output, b.join(pieces, op.output, axis=3))


def constant(b: Lowering, op: g.IntConstant) -> None:
    frames = b.frames(op.output)
    values = np.tile(op.values, (frames[1] // op.frames, 1)).reshape(frames)
    b.put(op.output, b.step.constant(op.output, values.astype(np.int16), op.value_scale))


def features(b: Lowering, op: g.IntSlice) -> None:
    b.put(op.output, b.pick(op.inputs[0], np.arange(op.begin, op.end)))

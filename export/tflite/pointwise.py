"""What goes value by value: functions, gates, sums, products, features moved."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from compress import graph as g
from export.tflite.lowering import Lowering
from export.tflite.model import OP, Value
from export.tflite.reals import in_q15, looked_up, moved

LEAK = 0.01  # of a leaky_relu that says no slope
FEW = 4  # runs of features that are cut and joined


def lut(b: Lowering, op: g.IntLut) -> None:
    """What one operator of TFLite is to a step, or the table of the integers."""
    family, _, rest = op.function.partition("(")
    if family in FUNCTIONS:
        numbers = [float(n) for n in rest.removesuffix(")").split(",")] if rest else []
        FUNCTIONS[family](b, op, b.value(op.inputs[0]), b.result(op), *numbers)
    else:
        b.settled.add(op.output)
        looked_up(b, b.value(op.inputs[0]), op.table, b.result(op), op.module)


def _leaky_relu(b: Lowering, op: g.IntLut, x: Value, y: Value, slope: float = LEAK) -> None:
    options = schema.LeakyReluOptionsT()
    options.alpha = slope
    b.step.op(OP.LEAKY_RELU, [x], [y], options)


def _relu(b: Lowering, op: g.IntLut, x: Value, y: Value) -> None:
    b.relu(op)
    b.per_channel(x, np.ones(x.shape[3]), np.zeros(x.shape[3]), y, op.module, relu=True)


# name of a function in compress.ops.tables -> (lowering, operator, input, output, its numbers …)
FUNCTIONS: dict[str, Callable[..., None]] = {
    "leaky_relu": _leaky_relu,
    "relu": _relu,
}


def clamp(b: Lowering, op: g.IntClamp) -> None:
    x = b.value(op.inputs[0])
    held = b.held(x, op.least, op.most, op.output)
    b.put(op.output, held if held is not x else b.copy(x, op.output))


def glu(b: Lowering, op: g.IntGlu) -> None:
    source, n = op.inputs[0], b.graph.target(op).features
    value, gate = b.pick(source, np.arange(n)), b.pick(source, np.arange(n, 2 * n))
    b.multiply(value, in_q15(b, gate, op.table, f"{op.module}.gate"), b.result(op))


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
            x = b.times(x, 1.0, scale, f"{op.module}.part")
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

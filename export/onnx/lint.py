"""Reads a QDQ model from disk and bounds every 32-bit sum that a compiler would make of it, from
the stored integers alone.

Between a DequantizeLinear and the next QuantizeLinear each value gets the largest magnitude it can
have, and the real value of one integer step of the accumulator that holds it: the product of the
scales of what was multiplied. Their ratio is the sum.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from google.protobuf.message import DecodeError
from onnx import TensorProto, helper, numpy_helper

from compress.errors import GraphError
from compress.graph import Array
from compress.reading import text
from compress.reading.words import one_line, refuses_in_lines

LIMIT = 2**31
MOST_BYTES = 1 << 30
RANGES = {
    TensorProto.INT4: (-8, 7),
    TensorProto.UINT4: (0, 15),
    TensorProto.INT8: (-128, 127),
    TensorProto.UINT8: (0, 255),
    TensorProto.INT16: (-32768, 32767),
    TensorProto.UINT16: (0, 65535),
}


@dataclass(frozen=True)
class Reach:
    """Largest magnitude (broadcasts over the value), real value of one integer step, and whether
    products are summed in it."""

    most: Array
    unit: Array
    accumulated: bool = False

    @property
    def largest(self) -> float:
        """In integer steps."""
        return float(np.max(self.most / self.unit))


@dataclass(frozen=True)
class Bound:
    """Largest magnitude of the accumulator of one node."""

    node: str
    largest: float


def read(path: Path) -> onnx.ModelProto:
    """A model from disk, checked by onnx; GraphError says what is wrong with the file."""
    try:
        model = onnx.load_model_from_string(text.read_bytes(path, MOST_BYTES))
        onnx.checker.check_model(model, full_check=True)
    except text.UnreadableError as error:
        raise GraphError(f"{path}: {error}") from error
    except (
        DecodeError,
        onnx.checker.ValidationError,
        onnx.shape_inference.InferenceError,
        ValueError,
        RuntimeError,
    ) as error:
        said = str(error).strip().splitlines()
        reason = one_line(said[0]) if said else type(error).__name__
        raise GraphError(
            f"{path}: expected an ONNX model, found a damaged file or something else ({reason});"
            " export again"
        ) from error
    return model


@refuses_in_lines
def check(path: Path) -> str:
    """One line about a QDQ model whose sums all fit 32 bits; GraphError names the nodes where one
    could overflow."""
    found = bounds(read(path), str(path))
    if not found:
        raise GraphError(
            f"{path}: expected quantized layers (DequantizeLinear before Gemm, MatMul or Conv),"
            " found none to check"
        )
    unsafe = [b for b in found if not b.largest < LIMIT]
    if unsafe:
        lines = "\n  ".join(f"{b.node}: {b.largest:.0f} ≥ 2³¹" for b in unsafe)
        raise GraphError(
            f"{path}: 32-bit accumulators could overflow:\n  {lines}\nuse a coarser weight scale"
            " for these rows"
        )
    worst = max(found, key=lambda b: b.largest)
    return (
        f"{path}: {len(found)} sums fit 32 bits; the largest reaches {worst.largest / LIMIT:.1%} of"
        f" 2³¹, in {worst.node}"
    )


def bounds(model: onnx.ModelProto, path: str = "model") -> list[Bound]:
    """A bound for every node that multiplies or adds dequantized values, in the order of the
    graph."""
    reader = _Reader(model)
    found = []
    for node in model.graph.node:
        try:
            reach = reader.node(node)
        except (ValueError, IndexError, KeyError, TypeError) as error:
            raise GraphError(
                f"{path}: {node.name or node.op_type}: cannot be understood: {error}"
            ) from error
        if reach is not None and reach.accumulated:
            found.append(Bound(node.name or node.output[0], reach.largest))
    return found


class _Reader:
    def __init__(self, model: onnx.ModelProto) -> None:
        self.constants = {t.name: t for t in model.graph.initializer}
        inferred = onnx.shape_inference.infer_shapes(model).graph
        values = [*inferred.value_info, *inferred.input, *inferred.output]
        self.rank = {v.name: len(v.type.tensor_type.shape.dim) for v in values}
        self.type = {v.name: v.type.tensor_type.elem_type for v in values} | {
            t.name: t.data_type for t in self.constants.values()
        }
        self.relu = {n.output[0] for n in model.graph.node if n.op_type == "Relu"}
        self.quantized_from = {
            n.output[0]: n.input[0] for n in model.graph.node if n.op_type == "QuantizeLinear"
        }
        self.reach: dict[str, Reach] = {}

    def node(self, node: onnx.NodeProto) -> Reach | None:
        """What this node's output can reach; None where nothing quantized is multiplied or
        added."""
        rule = _RULES.get(node.op_type)
        if rule is None or any(name not in self.reach for name in self._operands(node)):
            return None
        reach = rule(self, node)
        if reach is not None:
            for index, name in enumerate(node.output):
                self.reach[name] = self._part(node, reach, index)
        return reach

    def _part(self, node: onnx.NodeProto, reach: Reach, index: int) -> Reach:
        """What the output of this index can reach, of all that go in: a Split cuts what has a
        magnitude for each feature."""
        if node.op_type != "Split" or np.ndim(reach.most) == 0:
            return reach
        axis = _attribute(node, "axis", 0)
        ends = np.cumsum(self.array(node.input[1]))
        cut = slice(int(ends[index - 1]) if index else 0, int(ends[index]))
        most, unit = (_cut(x, axis, cut) for x in (reach.most, reach.unit))
        return Reach(most, unit, reach.accumulated)

    def _operands(self, node: onnx.NodeProto) -> list[str]:
        """Inputs that have to be known: all of sums and products, the first of what only moves
        values."""
        if node.op_type == "DequantizeLinear":
            return []
        if node.op_type in ("Mul", "Add", "Sub", "Concat", "Gemm", "MatMul", "Conv"):
            return [name for name in node.input if name]
        return [node.input[0]]

    def array(self, name: str) -> Array:
        return numpy_helper.to_array(self.constants[name])

    def scale(self, node: onnx.NodeProto) -> tuple[Array, Array]:
        """Scale and zero point, shaped to broadcast over what is dequantized."""
        scale = self.array(node.input[1]).astype(np.float64)
        zero = (
            self.array(node.input[2]).astype(np.int64)
            if len(node.input) > 2 and node.input[2]
            else np.zeros_like(scale, np.int64)
        )
        if not (np.isfinite(scale).all() and (scale >= 0).all()):
            raise ValueError("a scale that is negative, infinite or NaN")
        if scale.ndim == 1 and scale.size > 1:
            name = node.input[0]
            rank = len(self.constants[name].dims) if name in self.constants else self.rank[name]
            shape = [1] * rank
            shape[_attribute(node, "axis", 1)] = scale.size
            return scale.reshape(shape), zero.reshape(shape)
        return scale.reshape(()) if scale.size == 1 else scale, (
            zero.reshape(()) if zero.size == 1 else zero
        )


def _attribute(node: onnx.NodeProto, name: str, default: int) -> int:
    return next(
        (int(helper.get_attribute_value(a)) for a in node.attribute if a.name == name), default
    )


def _dequantize(r: _Reader, node: onnx.NodeProto) -> Reach | None:
    if node.input[1] not in r.constants:
        return None
    (scale, zero), name = r.scale(node), node.input[0]
    unit = np.maximum(scale, 1e-300)
    if name in r.constants:
        return Reach(np.abs(r.array(name).astype(np.int64) - zero) * scale, unit)
    if r.type.get(name) not in RANGES:
        return None
    lowest, highest = RANGES[r.type[name]]
    lowest = 0 if r.quantized_from.get(name) in r.relu else lowest
    return Reach(np.maximum(highest - zero, zero - lowest) * scale, unit)


def _cut(x: Array, axis: int, part: slice) -> Array:
    """A part of an axis, or all where one value stands for all of it."""
    return x if np.shape(x)[axis] == 1 else np.take(x, range(part.start, part.stop), axis)


def _split(r: _Reader, node: onnx.NodeProto) -> Reach | None:
    """Magnitudes for each feature are cut with the values (`_Reader._part`), where it is known
    how."""
    reach = r.reach[node.input[0]]
    known = len(node.input) > 1 and node.input[1] in r.constants
    return reach if known or np.ndim(reach.most) == 0 else None


def _moved(r: _Reader, node: onnx.NodeProto) -> Reach | None:
    """Reshape and the like: one scale for all values moves with them."""
    reach = r.reach[node.input[0]]
    return reach if np.ndim(reach.most) == 0 else None


def _concat(r: _Reader, node: onnx.NodeProto) -> Reach | None:
    parts = [r.reach[name] for name in node.input]
    same = all(
        np.array_equal(p.unit, parts[0].unit) and np.shape(p.most) == np.shape(parts[0].most)
        for p in parts
    )
    return Reach(np.max([p.most for p in parts], axis=0), parts[0].unit) if same else None


def _mul(r: _Reader, node: onnx.NodeProto) -> Reach:
    a, b = (r.reach[name] for name in node.input)
    return Reach(a.most * b.most, a.unit * b.unit, True)


def _sum(r: _Reader, node: onnx.NodeProto) -> Reach:
    a, b = (r.reach[name] for name in node.input)
    holder = b if b.accumulated and not a.accumulated else a
    return Reach(a.most + b.most, holder.unit, a.accumulated or b.accumulated)


def _reduce(r: _Reader, node: onnx.NodeProto) -> Reach:
    x, axes = r.reach[node.input[0]], tuple(int(a) for a in r.array(node.input[1]))
    keep = bool(_attribute(node, "keepdims", 1))
    unit = np.broadcast_to(x.unit, np.shape(x.most)).max(axes, keepdims=keep)
    return Reach(x.most.sum(axes, keepdims=keep), unit, x.accumulated)


def _rows(r: _Reader, node: onnx.NodeProto) -> Reach | None:
    """Gemm, MatMul, Conv with constant weights: Σ|w|·max|x| + |b| of every output row."""
    x, weight = r.reach[node.input[0]], r.reach[node.input[1]]
    if np.ndim(x.most) or np.ndim(weight.most) < 2:
        return None
    by_row = node.op_type == "Conv" or (
        node.op_type == "Gemm" and _attribute(node, "transB", 0) == 1
    )
    axis = 0 if by_row else np.ndim(weight.most) - 1
    others = tuple(i for i in range(np.ndim(weight.most)) if i != axis)
    most = weight.most.sum(others) * x.most
    unit = np.broadcast_to(weight.unit, weight.most.shape).max(others) * x.unit
    bias = r.reach[node.input[2]].most if len(node.input) > 2 and node.input[2] else 0.0
    return Reach(most + np.reshape(bias, -1) if np.ndim(bias) else most + bias, unit, True)


_RULES: dict[str, Callable[[_Reader, onnx.NodeProto], Reach | None]] = {
    "DequantizeLinear": _dequantize,
    "Reshape": _moved,
    "Split": _split,
    "Transpose": _moved,
    "Slice": _moved,
    "Concat": _concat,
    "Mul": _mul,
    "Add": _sum,
    "Sub": _sum,
    "ReduceSum": _reduce,
    "Gemm": _rows,
    "MatMul": _rows,
    "Conv": _rows,
}

"""Passes over the traced operators before they are a graph."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from compress import graph as g
from compress.frontend.builder import Builder


def affine_into_layers(b: Builder) -> None:
    """Multiply each gain and offset (a batch norm, a scalar) into the layer right before it, where
    nobody else reads what that makes."""
    users: dict[str, int] = {}
    for op in b.ops:
        for name in (*op.inputs, *op.previous_names):
            users[name] = users.get(name, 0) + 1
    ops: list[g.Op] = []
    for op in b.ops:
        before = next((o for o in reversed(ops) if o.output == op.inputs[0]), None)
        merged = None
        if _is_affine(op) and before is not None and users[before.output] == 1:
            merged = _merged(before, op)
        if merged is None:
            ops.append(op)
            continue
        ops[ops.index(before)] = merged  # type: ignore[arg-type]
        del b.tensors[before.output]  # type: ignore[union-attr]
    b.ops = ops


def _is_affine(op: g.Op) -> bool:
    return isinstance(op, g.Depthwise) and op.weight.shape[1] == 1


def _merged(before: g.Op, op: g.Op) -> g.Op | None:
    """The layer with gain and offset in it, under their name; None where it cannot hold them."""
    assert isinstance(op, g.Depthwise)
    gain, bias = op.weight[:, 0], op.bias
    if isinstance(before, g.Depthwise):
        return before.scaled(gain, bias, op.output)
    if not isinstance(before, g.Dense):
        return None
    gains, biases = (v.reshape(before.shared, *before.bias.shape) for v in (gain, bias))
    if (gains != gains[0]).any() or (biases != biases[0]).any():
        return None
    weight = before.weight * gains[0][:, :, None, None]
    offset = before.bias * gains[0] + biases[0]
    return replace(before, output=op.output, weight=np.asarray(weight), bias=np.asarray(offset))

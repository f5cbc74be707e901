"""Post-training quantization: the float graph and what calibration saw -> the integer graph.

scales.py chooses the scales, every operator makes its own integers from them, proof.py shows that
no sum of them can overflow. docs/decisions explains the choices.
"""

from __future__ import annotations

from compress.errors import GraphError
from compress.graph import FloatOp, Graph, Op, verify
from compress.quantization.calibrate import Ranges
from compress.quantization.precisions import PRECISIONS
from compress.quantization.proof import prove_no_overflow
from compress.quantization.scales import Plan


def quantize(graph: Graph, ranges: Ranges, precision: str) -> Graph:
    """The integer graph of a float graph, verified; GraphError names the operator that cannot be
    quantized."""
    if precision not in PRECISIONS:
        raise GraphError(f"precision: expected one of {', '.join(PRECISIONS)}, found {precision!r}")
    plan = Plan(graph, ranges, PRECISIONS[precision])
    ops: list[Op] = []
    tensors = {graph.input.name: plan.tensor(graph.input.name)}
    for op in graph.ops:
        if op.output in plan.fused:  # a ReLU: the clamp of the operator before it
            continue
        if not isinstance(op, FloatOp):
            raise GraphError(f"{op.module}: {type(op).__name__} is an integer operator already")
        quantized = op.quantize(plan)
        ops.append(quantized)
        tensors[quantized.output] = plan.tensor(quantized.output)
    initial = {
        name: graph.initial[name].scaled(plan.target(op).scale)
        for op in graph.ops
        for name in op.initial_names
    }
    provenance = graph.provenance | {"precision": precision, "calibration": ranges.sha256}
    made = Graph(graph.name, tensors, tuple(ops), provenance, initial=initial)
    return prove_no_overflow(verify(made))

"""The proof that no 32-bit sum of an integer graph can overflow, whatever the input."""

from __future__ import annotations

from compress.errors import GraphError
from compress.graph import Graph
from compress.ops import Bound, IntOp


def accumulator_bounds(graph: Graph) -> list[Bound]:
    """One bound for every 32-bit sum in the graph, from the stored integers alone."""
    return [
        bound for op in graph.ops if isinstance(op, IntOp) for bound in op.bounds(graph.source(op))
    ]


def prove_no_overflow(graph: Graph) -> Graph:
    """The graph itself, or a GraphError naming the operators whose sums could pass 2³¹."""
    unsafe = [b for b in accumulator_bounds(graph) if not b.safe]
    if unsafe:
        lines = "\n  ".join(f"{b.module}: {b.largest} ≥ 2³¹" for b in unsafe)
        raise GraphError(f"{graph.name}: 32-bit accumulators could overflow:\n  {lines}")
    return graph

"""The integer stream graph in numpy: the one definition that C must equal bit for bit on every
target. What each operator computes stands in its record (compress/ops/, docs/spec/)."""

from __future__ import annotations

import numpy as np

from compress.errors import GraphError
from compress.graph import Array, Graph
from compress.interpreter.base import Interpreter


class IntegerInterpreter(Interpreter):
    """Samples are int16 values, outputs int64 arrays of int16 values."""

    DTYPE = np.int64

    def __init__(self, graph: Graph, batch: int = 1) -> None:
        if not graph.is_integer():
            raise GraphError(f"{graph.name}: expected an integer graph; quantize it first")
        super().__init__(graph, batch)

    def initial_values(self, name: str, values: Array) -> Array:
        """Rounded to the steps of the extra input."""
        return self.graph.initial[name].integers(values)

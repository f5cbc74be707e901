"""What matrices take: bytes of tables exactly (but for padding), cycles by a simple rule.

Cycles of a matrix are so many for each multiply-accumulate, and so many for each weight that is
fetched: a step fetches each weight once and multiplies it with all frames it holds. Both are fitted
to modelled cycles of `make bench` (linear 512→2048 on one frame, convolutions on two, six and
ten), on an STM32H743 and an STM32F405 with tables in flash. The rule is for choosing; what was
chosen is measured afterwards.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from compress import graph as g
from compress.compression.cores import Core

ROW_BYTES = 8  # bias and multiplier
FINE = 8  # rows of inner factors are a multiple of this


@dataclass(frozen=True)
class Matrix:
    """One dense layer: how many frames it multiplies in a second, how many of them at once, of how
    many bands."""

    rows: int
    inputs: int
    per_second: float
    at_once: int
    copies: int = 1

    def bytes(self, bits: int) -> int:
        """Of its tables."""
        rows, inputs = -(-self.rows // 2) * 2, -(-self.inputs // 4) * 4
        return self.copies * (rows * inputs * bits // 8 + ROW_BYTES * self.rows)

    def cycles(self, bits: int, core: Core) -> float:
        """Per second of signal."""
        macs = self.copies * self.rows * self.inputs * self.per_second
        return macs * (core.mac[bits] + core.fetch[bits] / self.at_once)

    def factors(self, rank: int) -> tuple[Matrix, Matrix]:
        """The two thin matrices of a rank, in the order in which they are applied."""
        rest = (self.per_second, self.at_once, self.copies)
        return Matrix(rank, self.inputs, *rest), Matrix(self.rows, rank, *rest)


def matrix_of(graph: g.Graph, op: g.Dense) -> Matrix:
    """A dense layer of the float graph."""
    bands, out, kernel, width = op.weight.shape
    rate = float(graph.tensors[op.output].rate) * op.shared
    return Matrix(out, kernel * width, rate, graph.frames_at_once(op) * op.shared, bands)


def table_bytes(ops: Sequence[g.Op]) -> int:
    """Tables of the other operators of an integer graph: what their arrays hold, but for the scales
    that no kernel reads."""
    return sum(
        value.nbytes
        for op in ops
        if not op.multiplies
        for value in vars(op).values()
        if isinstance(value, np.ndarray) and value.dtype.kind in "iu"
    )


def other_cycles(graph: g.Graph, core: Core) -> float:
    """Per second of signal, of all that is no matrix in a float graph."""
    total = 0.0
    for op in graph.ops:
        target = graph.target(op)
        kind, amount = op.work(target.features)
        total += core.cycles[kind] * amount * float(target.rate)
    return total

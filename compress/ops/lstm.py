"""The cell of an LSTM; its matrix is a `Dense` over input and hidden state (`DelayedConcat`).

Hochreiter and Schmidhuber, "Long Short-Term Memory" (1997), in PyTorch's order of gates.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from compress.ops.arithmetic import lut, modulo, smmulr
from compress.ops.base import INT32, FloatOp, IntOp, Memory, Op, holds, within
from compress.ops.tables import GATE_SCALE, TANH_SCALE, sigmoid, sigmoid_table, tanh_table
from compress.ops.tensor import INT16, Array, Segment, Tensor

if TYPE_CHECKING:
    from compress.quantization.scales import Plan

CELL_LIMIT = 2**30 - 1  # of a cell in steps of 2⁻²⁴: just below 64


@dataclass(frozen=True)
class _LstmCell(Op):
    """Gates i, f, g, o, each (n,), to the hidden state (n,)."""

    recurrent: ClassVar[bool] = True

    def out_features(self, features: int) -> int:
        return features // 4

    def state_values(self, features: int) -> int:
        return 2 * (features // 4)

    def work(self, features: int) -> tuple[str, int]:
        return "cell", features

    def check(self, sources: list[Tensor], target: Tensor) -> Iterator[str]:
        yield from super().check(sources, target)
        if sources[0].features % 4:
            yield f"expected four gates, found {sources[0].features} features"


@dataclass(frozen=True)
class LstmCell(_LstmCell, FloatOp):
    """c = σ(f)·c + σ(i)·tanh(g), y = σ(o)·tanh(c)."""

    code: ClassVar[str] = "lstm_cell"

    def run(self, inputs: list[Array], memory: Memory) -> Array:
        x = inputs[0]
        cell = memory.state.get("cell")
        if cell is None:
            cell = np.zeros((x.shape[0], x.shape[2] // 4))
        y = np.empty((*x.shape[:2], x.shape[2] // 4))
        for t in range(x.shape[1]):
            i, f, new, o = np.split(x[:, t], 4, axis=-1)
            cell = sigmoid(f) * cell + sigmoid(i) * np.tanh(new)
            y[:, t] = sigmoid(o) * np.tanh(cell)
        memory.state["cell"] = cell
        return y

    def parts(self, features: int) -> tuple[int, ...]:
        return (features // 4,) * 4

    def wants(self, plan: Plan, source: Tensor) -> tuple[Segment, ...]:
        n = source.features // 4
        gate, value = Segment(n, GATE_SCALE), Segment(n, TANH_SCALE)
        return gate, gate, value, gate

    def quantize(self, plan: Plan) -> IntLstmCell:
        mult = _mult(plan.target(self))
        return IntLstmCell(*plan.head(self), sigmoid_table(), tanh_table(), mult)


@dataclass(frozen=True)
class IntLstmCell(_LstmCell, IntOp):
    """sigmoid, tanh int16 (257,) in Q15: of gates i, f, o, and of g and the cell. Cell in steps of
    2⁻²⁴, |c| < 2³⁰. mult: of σ(o)·tanh(c) in Q31, to the output's scale."""

    sigmoid: Array
    tanh: Array
    mult: int
    code: ClassVar[str] = "int.lstm_cell"

    def check(self, sources: list[Tensor], target: Tensor) -> Iterator[str]:
        yield from super().check(sources, target)
        yield from holds(self, (257,), "i", "sigmoid", "tanh")
        yield from within("mult", self.mult, 0, INT32 - 1)

    def run(self, inputs: list[Array], memory: Memory) -> Array:
        x = inputs[0]
        cell = memory.state.get("cell")
        if cell is None:
            cell = np.zeros((x.shape[0], x.shape[2] // 4), np.int64)
        y, memory.state["cell"] = lstm_cell(x, self, cell)
        return y

    def relations(self, sources: list[Tensor], target: Tensor) -> Iterator[str]:
        yield from super().relations(sources, target)
        n = target.features
        wanted = np.repeat([GATE_SCALE, GATE_SCALE, TANH_SCALE, GATE_SCALE], n)
        if (sources[0].scales() != wanted).any():
            yield f"expected gates in steps of {GATE_SCALE:g} and values of {TANH_SCALE:g}"
        if self.mult != _mult(target):
            yield f"mult {self.mult} is not 1 in Q31 over the output's scale"
        if not np.array_equal(self.sigmoid, sigmoid_table()):
            yield "a table that is not the sigmoid in Q15"
        if not np.array_equal(self.tanh, tanh_table()):
            yield "a table that is not the tanh in Q15"


def _mult(target: Tensor) -> int:
    return round(2.0 / target.scale)


def lstm_cell(x: Array, op: IntLstmCell, cell: Array) -> tuple[Array, Array]:
    """Gates x (batch, time, 4n), cell (batch, n) -> (y (batch, time, n), new cell)."""
    into, forget, value, out = np.split(x, 4, axis=-1)
    into, forget, out = (lut(gate, op.sigmoid) for gate in (into, forget, out))
    taken = (into * lut(value, op.tanh) + 32) >> 6  # Q30 to Q24
    y = np.empty_like(taken)
    cell = modulo(cell, 31)  # doubled modulo 2³²: any word that a snapshot brought
    for t in range(x.shape[1]):
        # c·σ(f): Q24 · 2 · (Q15 << 16) >> 32 is Q24
        kept = smmulr(cell << 1, forget[:, t] << 16)
        cell = np.clip(kept + taken[:, t], -CELL_LIMIT, CELL_LIMIT)
        shown = np.clip((cell + 2**11) >> 12, *INT16)  # Q12: ±8 and what tanh makes of it
        y[:, t] = np.clip(smmulr((out[:, t] * lut(shown, op.tanh)) << 1, op.mult), *INT16)
    return y, cell

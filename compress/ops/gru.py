"""The cell of a GRU (Cho et al., 2014, as PyTorch has it); its matrices are `Dense` layers.

r and z need input and hidden state in one sum, and the new value needs them apart: so a step is
three matrices, over both (r, z), over the input and over the hidden state (n), and this cell.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from compress.errors import GraphError
from compress.ops.arithmetic import lut, modulo, smmulr
from compress.ops.base import INT32, FloatOp, IntOp, Memory, Op, holds, within
from compress.ops.tables import GATE_SCALE, TANH_SCALE, sigmoid, sigmoid_table, tanh_table
from compress.ops.tensor import INT16, Array, Segment, Tensor

if TYPE_CHECKING:
    from compress.quantization.scales import Plan

HIDDEN_LIMIT = 2**24  # of a hidden state in steps of 2⁻²⁴: it lies in −1…1


@dataclass(frozen=True)
class _GruCell(Op):
    """Inputs: gates r, z (2n,); what the input adds to the new value (n,), what the hidden state
    adds to it (n,). Output: the hidden state (n,)."""

    recurrent: ClassVar[bool] = True

    def out_features(self, features: int) -> int:
        return features // 2

    def state_values(self, features: int) -> int:
        return 2 * (features // 2)

    def work(self, features: int) -> tuple[str, int]:
        return "cell", features

    def check(self, sources: list[Tensor], target: Tensor) -> Iterator[str]:
        found = [s.features for s in sources]
        n = found[0] // 2
        if found != [2 * n, n, n]:
            yield f"expected gates (2n,) and twice (n,) features, found {found}"


@dataclass(frozen=True)
class GruCell(_GruCell, FloatOp):
    """new = tanh(a + σ(r)·b), y = (1 − σ(z))·new + σ(z)·y."""

    code: ClassVar[str] = "gru_cell"

    def run(self, inputs: list[Array], memory: Memory) -> Array:
        gates, a, b = inputs
        hidden = memory.state.get("hidden")
        if hidden is None:
            hidden = np.zeros((a.shape[0], a.shape[2]))
        y = np.empty_like(a)
        for t in range(a.shape[1]):
            reset, keep = np.split(sigmoid(gates[:, t]), 2, axis=-1)
            new = np.tanh(a[:, t] + reset * b[:, t])
            hidden = (1.0 - keep) * new + keep * hidden
            y[:, t] = hidden
        memory.state["hidden"] = hidden
        return y

    def wants(self, plan: Plan, source: Tensor) -> tuple[Segment, ...] | None:
        """Gates and the input's share have the scales of the tables that they go into; the hidden
        state's share has its own, since the reset gate makes it smaller."""
        if source.name == self.inputs[0]:
            return (Segment(source.features, GATE_SCALE),)
        return (Segment(source.features, TANH_SCALE),) if source.name == self.inputs[1] else None

    def quantize(self, plan: Plan) -> IntGruCell:
        head = plan.head(self)
        share, target = plan.tensor(head[0][2]), plan.target(self)
        mults = _reset_mult(share), _mult(target)
        if max(mults) >= INT32:
            raise GraphError(f"{self.module}: a scale that does not fit: {share.scale:g}")
        return IntGruCell(*head, sigmoid_table(), tanh_table(), *mults)


@dataclass(frozen=True)
class IntGruCell(_GruCell, IntOp):
    """sigmoid, tanh int16 (257,) in Q15. Hidden state in steps of 2⁻²⁴, |h| ≤ 2²⁴.

    With r, z the sigmoid of the gates in Q15:
        new = tanh(sat16(a + smmulr(r·b << 1, reset_mult)))            Q15
        h   = clamp(new << 9 + smmulr((h − new << 9) << 1, z << 16))     Q24
        y   = sat16(smmulr(h << 6, mult))
    reset_mult: from b's scale to steps of the tanh's table; mult: from Q30 to the output's scale.
    """

    sigmoid: Array
    tanh: Array
    reset_mult: int
    mult: int
    code: ClassVar[str] = "int.gru_cell"

    def check(self, sources: list[Tensor], target: Tensor) -> Iterator[str]:
        yield from super().check(sources, target)
        yield from holds(self, (257,), "i", "sigmoid", "tanh")
        yield from within("reset_mult", self.reset_mult, 0, INT32 - 1)
        yield from within("mult", self.mult, 0, INT32 - 1)

    def run(self, inputs: list[Array], memory: Memory) -> Array:
        hidden = memory.state.get("hidden")
        if hidden is None:
            hidden = np.zeros((inputs[1].shape[0], inputs[1].shape[2]), np.int64)
        y, memory.state["hidden"] = gru_cell(inputs, self, hidden)
        return y

    def relations(self, sources: list[Tensor], target: Tensor) -> Iterator[str]:
        yield from super().relations(sources, target)
        gates, value, share = sources
        if gates.scale != GATE_SCALE:
            yield f"expected gates in steps of {GATE_SCALE:g}, found {gates.scale:g}"
        if value.scale != TANH_SCALE:
            yield f"expected the input's share in steps of {TANH_SCALE:g}, found {value.scale:g}"
        if self.reset_mult != _reset_mult(share):
            yield f"reset_mult {self.reset_mult} is not the share's scale over the tanh's"
        if self.mult != _mult(target):
            yield f"mult {self.mult} is not 1 in Q30 over the output's scale"
        if not np.array_equal(self.sigmoid, sigmoid_table()):
            yield "a table that is not the sigmoid in Q15"
        if not np.array_equal(self.tanh, tanh_table()):
            yield "a table that is not the tanh in Q15"


def _reset_mult(share: Tensor) -> int:
    """smmulr of 2·r·b: Q15 times b's scale, 16 bits of it gone."""
    return round(2.0**16 * share.scale / TANH_SCALE)


def _mult(target: Tensor) -> int:
    return round(4.0 / target.scale)


def gru_cell(inputs: list[Array], op: IntGruCell, hidden: Array) -> tuple[Array, Array]:
    """Gates (batch, time, 2n) and both shares (batch, time, n), hidden (batch, n) -> (y (batch,
    time, n), new hidden)."""
    gates, a, b = inputs
    reset, keep = np.split(lut(gates, op.sigmoid), 2, axis=-1)
    new = lut(np.clip(a + smmulr((reset * b) << 1, op.reset_mult), *INT16), op.tanh)
    new <<= 9  # Q15 to Q24
    y = np.empty_like(a)
    for t in range(a.shape[1]):
        # new + z·(h − new) is (1 − z)·new + z·h with one product, and lies between the two
        way = hidden - new[:, t]
        if not t:
            way = modulo(way, 31)  # doubled modulo 2³²: any word that a snapshot brought
        kept = smmulr(way << 1, keep[:, t] << 16)
        hidden = np.clip(new[:, t] + kept, -HIDDEN_LIMIT, HIDDEN_LIMIT)
        y[:, t] = np.clip(smmulr(hidden << 6, op.mult), *INT16)
    return y, hidden

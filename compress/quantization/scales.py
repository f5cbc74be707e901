"""Scale and integer range of every tensor, from what calibration saw: the plan of a quantization.

The choices here are about the graph as a whole: which tensors share one scale, which have eight
bits, where a ReLU becomes a clamp. What an operator needs of its own input and output it says
itself (`FloatOp.wants`, `offers`); its integers follow from the plan (`FloatOp.quantize`).
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from compress.errors import GraphError
from compress.graph import INT8, INT16, Activation, Array, Dense, FloatOp, Graph, Op, Tensor
from compress.ops.activation import whole_limits
from compress.quantization import rounding
from compress.quantization.calibrate import Ranges
from compress.quantization.precisions import Widths

MARGIN = {16: 1.3, 8: 1.0}  # observed range × this is the range that can be represented


class Plan:
    """Scales of one float graph at one precision.

    Operators ask it for their names (`head`), their tensors (`source`, `target`) and, a matrix, for
    the scales and integers of its rows.
    """

    def __init__(self, graph: Graph, ranges: Ranges, widths: Widths) -> None:
        self.graph, self.ranges, self.widths = graph, ranges, widths
        self.fused = {op.output: op.inputs[0] for op in graph.ops if self._fusable(op)}
        self.renamed = {source: target for target, source in self.fused.items()}
        self.tied = _tie_sums(graph)
        self._tensors: dict[str, Tensor] = {}

    # --- names ---------------------------------------------------------------------------------

    def _fusable(self, op: Op) -> bool:
        """A ReLU, or another clamp, whose work the clamp of the operator before it can do."""
        maker = self._maker(op.inputs[0])
        # nobody else reads what it clamps, in this frame or in the next
        recalled = any(op.inputs[0] in other.previous_names for other in self.graph.ops)
        alone = len(self.graph.users[op.inputs[0]]) == 1 and not recalled
        # a table meets 0 at one of its points, and any other limit between two of them
        table = isinstance(maker, Activation) and op.limits not in (None, (0.0, math.inf))
        return (
            op.limits is not None
            and alone
            and maker is not None
            and not table
            and self._clamps(maker)
        )

    def _clamps(self, op: Op) -> bool:
        """Whether its integers end with a clamp, its own or that of one before it that it becomes
        part of."""
        return op.clamps or (op.limits is not None and self._fusable(op))

    def _limits(self, name: str, scale: float, within: tuple[int, int]) -> tuple[int, int]:
        """Range of a tensor: the given one, and within it what the clamps ask for that became part
        of its maker."""
        while name in self.fused:
            maker = self._maker(name)
            assert maker is not None and maker.limits is not None
            within = whole_limits(*maker.limits, scale, within)
            name = self.fused[name]
        return within

    def name(self, name: str) -> str:
        """The tensor that holds this one in the integer graph: a fused ReLU's output stands for its
        input, and where two follow each other the last one's."""
        while name in self.renamed:
            name = self.renamed[name]
        return name

    def head(self, op: Op) -> tuple[tuple[str, ...], str, str]:
        """Inputs, output and module of its integer form."""
        return tuple(self.name(n) for n in op.inputs), self.name(op.output), op.module

    def source(self, op: Op) -> Tensor:
        """What its integer form reads."""
        return self.tensor(self.name(op.inputs[0]))

    def target(self, op: Op) -> Tensor:
        """What its integer form makes."""
        return self.tensor(self.name(op.output))

    # --- scales --------------------------------------------------------------------------------

    def tensor(self, name: str) -> Tensor:
        """A tensor with its scales."""
        if name not in self._tensors:
            self._tensors[name] = self._scaled(name)
        return self._tensors[name]

    def _scaled(self, name: str) -> Tensor:
        base, maker = self.graph.tensors[name], self._maker(name)
        if maker is not None and maker.copies_values and name not in self.fused:
            source = self.source(maker)
            if len(source.segments) != 1:
                raise GraphError(
                    f"{maker.module}: {type(maker).__name__} of {source.name!r}, whose parts have"
                    f" {len(source.segments)} scales: expected one"
                )
            return base.scaled(source.scale, source.lo, source.hi)
        wanted = {
            segments
            for user in self.graph.users[name]
            if isinstance(user, FloatOp) and (segments := user.wants(self, base)) is not None
        }
        if len(wanted) > 1:
            users = ", ".join(user.module for user in self.graph.users[name])
            raise GraphError(f"{name}: {users} want it in different scales")
        if wanted:
            parts = [(s, self._limits(name, s.scale, (s.lo, s.hi))) for s in wanted.pop()]
            segments = tuple(replace(s, lo=lo, hi=hi) for s, (lo, hi) in parts)
            return Tensor(base.name, base.features, base.rate, segments)
        scale = self.own_scale(name)
        return base.scaled(scale, *self._limits(name, scale, INT8 if self._narrow(name) else INT16))

    def own_scale(self, name: str) -> float:
        """The scale that follows from the range of a tensor itself, or from the ranges of all that
        share one scale with it; of its first part, where an operator gives the others theirs."""
        name = self.name(name)
        narrow, maker = self._narrow(name), self._maker(name)
        peak = max((self.ranges.part(n, 0) for n in self.tied.get(name, {name})), default=0.0)
        offered = maker.offers(self, peak) if isinstance(maker, FloatOp) else None
        if offered is not None:
            return offered
        return (peak or 1.0) * MARGIN[8 if narrow else 16] / (INT8 if narrow else INT16)[1]

    def _narrow(self, name: str) -> bool:
        """Whether eight bits will do: what only matrices multiply, no sum holds, and its maker can
        hold to them."""
        maker = self._maker(name)
        held = maker is not None and (maker.clamps or maker.copies_values)
        narrow = self.widths.activations == 8 and held and name not in self.tied
        return narrow and self._only_multiplied(name)

    def _only_multiplied(self, name: str) -> bool:
        """Whether every user is a matrix, or hands copies to matrices alone."""
        users = self.graph.users[name]
        multiplied = (
            op.multiplies or (op.copies_values and self._only_multiplied(op.output)) for op in users
        )
        return name != self.graph.input.name and bool(users) and all(multiplied)

    def _maker(self, name: str) -> Op | None:
        index = self.graph.maker.get(name)
        return None if index is None else self.graph.ops[index]

    # --- matrices ------------------------------------------------------------------------------

    def weight_bits(self, op: Dense) -> int:
        """Of this layer: its own where the checkpoint gives it some, else those of the
        precision."""
        return int(self.graph.provenance.get("bits", {}).get(op.module, self.widths.weights))

    def _limit(self, op: Dense) -> int:
        """Largest weight."""
        return int(2 ** (self.weight_bits(op) - 1) - 1)

    def row_scales(self, op: Dense, rows: Array) -> Array:
        """Scale (bands, out) of the weights (bands, out, n): nothing is clipped, or of four bits
        what pays."""
        limit = self._limit(op)
        if self.weight_bits(op) == 8:
            return np.asarray(np.abs(rows).max(-1) / limit)
        seen = self.ranges.moments[op.output]
        return np.stack(
            [rounding.scales(w, m.covariance, limit) for w, m in zip(rows, seen, strict=True)]
        )

    def rounded(self, op: Dense, rows: Array, s_row: Array) -> tuple[Array, Array]:
        """Integers (bands, out, n), and what has to be added to the real bias (bands, out) so that
        the mean of the sums stays."""
        limit = self._limit(op)
        if self.weight_bits(op) == 8:
            whole = np.clip(np.round(rows / s_row[..., None]), -limit, limit)
            return whole.astype(np.int8), np.zeros_like(s_row)
        seen = self.ranges.moments[op.output]
        chosen = [
            rounding.integers(w, s, m.covariance, limit)
            for w, s, m in zip(rows, s_row, seen, strict=True)
        ]
        drift = [
            (w - q * s[:, None]) @ m.mean
            for w, q, s, m in zip(rows, chosen, s_row, seen, strict=True)
        ]
        return np.stack(chosen), np.stack(drift)


def _tie_sums(graph: Graph) -> dict[str, set[str]]:
    """Tensors that are added or joined need one scale: each sum, what it adds, the tensor whose
    first part becomes one (of a GLU, for example), and what is copied from or to one of these."""
    group: dict[str, set[str]] = {}
    for op in graph.ops:
        if not (op.sums or op.copies_values or op.keeps_scale):
            continue
        members = {op.output, *op.inputs, *op.previous_names}
        for name in list(members):
            members |= group.get(name, set())
        for name in members:
            group[name] = members
    sums = {op.output for op in graph.ops if op.sums}
    return {name: members for name, members in group.items() if members & sums}

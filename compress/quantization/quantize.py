"""Post-training quantization: the float graph and what calibration saw -> the integer graph.

Every choice of a scale is made here; DESIGN.md explains them. No accumulator of the result can
overflow, whatever the input: where the bound of a row would pass 2³¹ its scale is enlarged until it
does not, so safety is by construction.
"""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from compress import graph as g
from compress.errors import GraphError
from compress.interpreter.float import ACTIVATIONS
from compress.ops.tables import fit_table
from compress.quantization import rounding
from compress.quantization.calibrate import Ranges

Array = g.Array


class Widths(NamedTuple):
    """Bits of a matrix and of what it multiplies. Sums and states have 16 bits, coefficients of a
    state space and tables too."""

    weights: int
    activations: int


# `compressed`: what `compress` wrote, whose checkpoint says which layers have four bits; the others
# have eight.
PRECISIONS = {
    "w8a16": Widths(8, 16),
    "w8a8": Widths(8, 8),
    "w4a16": Widths(4, 16),
    "compressed": Widths(8, 16),
}
MARGIN = {16: 1.3, 8: 1.0}  # observed range × this is the range that can be represented
GATE_SCALE = (
    12.0 / 32768
)  # the gate of a GLU, and gates i, f, o of an LSTM: the sigmoid of ±12 is 1 or 0 to 6e-6
TANH_SCALE = (
    8.0 / 32768
)  # gate g of an LSTM, and its cell as the output sees it: the tanh of ±8 is ±1 to 2e-7
STATE_MARGIN = 1.3
INT32 = 2**31
CLAMPED = (
    g.Dense,
    g.LayerNorm,
    g.StateSpace,
    g.MeanPool,
    g.GroupMean,
)  # their integer forms end with a clamp to any lo…hi
# Their outputs are values of their input, or lie between them: one scale and one range for both.
COPIES = (g.Unfold1d, g.MaxPool, g.GroupMax, g.Interpolate, g.Im2Col, g.Tile)
FRACTION = 14  # of a pose's step that a velocity has at most: sums then keep to 32 bits
DEAD = (
    2.0**-16
)  # multiplier of a row without weights (a pruned one): any will do that does not ask for a shift


def quantize(graph: g.Graph, ranges: Ranges, precision: str) -> g.Graph:
    """The integer graph of a float graph, verified; GraphError names the operator that cannot be
    quantized."""
    if precision not in PRECISIONS:
        raise GraphError(f"precision: expected one of {', '.join(PRECISIONS)}, found {precision!r}")
    plan = _Plan(graph, ranges, PRECISIONS[precision])
    ops: list[g.Op] = []
    tensors = {graph.input.name: plan.tensor(graph.input.name)}
    for op in graph.ops:
        if op.output in plan.fused:  # a ReLU: the clamp of the operator before it
            continue
        quantized = _quantize_op(plan, op)
        ops.append(quantized)
        tensors[quantized.output] = plan.tensor(quantized.output)
    provenance = graph.provenance | {"precision": precision, "calibration": ranges.sha256}
    return prove_no_overflow(g.verify(g.Graph(graph.name, tensors, tuple(ops), provenance)))


class _Plan:
    """Scale and integer range of every tensor."""

    def __init__(self, graph: g.Graph, ranges: Ranges, widths: Widths) -> None:
        self.graph, self.ranges, self.widths = graph, ranges, widths
        self.users: dict[str, list[g.Op]] = defaultdict(list)
        for op in graph.ops:
            for name in op.inputs:
                self.users[name].append(op)
        self.fused = {op.output: op.inputs[0] for op in graph.ops if self._fusable(op)}
        self.tied = _tie_sums(graph)

    def _fusable(self, op: g.Op) -> bool:
        alone = len(self.users[op.inputs[0]]) == 1
        return (
            isinstance(op, g.Activation)
            and op.kind == "relu"
            and alone
            and isinstance(self._producer(op.inputs[0]), CLAMPED)
        )

    def name(self, name: str) -> str:
        """The tensor that holds this one in the integer graph: a fused ReLU's output stands for its
        input."""
        return self.renamed.get(name, name)

    @property
    def renamed(self) -> dict[str, str]:
        return {source: target for target, source in self.fused.items()}

    def tensor(self, name: str) -> g.Tensor:
        base, producer = self.graph.tensors[name], self._producer(name)
        if isinstance(producer, COPIES):
            source = self.tensor(self.name(producer.inputs[0]))
            return replace(base, scale=source.scale, lo=source.lo, hi=source.hi)
        if self._feeds(name, g.LstmCell):
            return replace(base, scale=GATE_SCALE)
        integrals = [op for op in self.users[name] if isinstance(op, g.Integrate)]
        if integrals:
            return replace(base, scale=self.velocity_scale(integrals[0]))
        narrow = (
            self.widths.activations == 8 and name not in self.tied and self._only_multiplied(name)
        )
        lo, hi = g.INT8 if narrow else g.INT16
        peak = max((self.ranges.tensor[n] for n in self.tied.get(name, {name})), default=0.0)
        if isinstance(producer, g.LogSoftmax):
            scale = 2.0 ** -_fraction(peak)
        else:
            scale = (peak or 1.0) * MARGIN[8 if narrow else 16] / hi
        return replace(base, scale=scale, lo=0 if name in self.fused else lo, hi=hi)

    def scale(self, name: str) -> float:
        return float(self.tensor(self.name(name)).scale or 0.0)

    def _feeds(self, name: str, kind: type[g.Op]) -> bool:
        return any(isinstance(op, kind) for op in self.users[name])

    def fraction(self, op: g.Integrate) -> int:
        """Bits of a pose's step that the velocities have: as many as the largest velocity seen
        leaves."""
        seen = self.ranges.gate if op.position_steps else self.ranges.tensor
        finest = (seen.get(op.inputs[0], 0.0) or 1.0) * MARGIN[16] / g.INT16[1]
        return int(np.clip(math.floor(math.log2(self.scale(op.output) / finest)), 0, FRACTION))

    def velocity_scale(self, op: g.Integrate) -> float:
        return self.scale(op.output) / 2 ** self.fraction(op)

    def row_output_scales(self, op: g.Dense, s_out: float) -> Array:
        """(out,): the output's scale, but for the halves and quarters of a row of gates, and of
        poses beside velocities."""
        rows = op.weight.shape[1]
        scales = np.full(rows, s_out)
        for user in self.users[op.output]:
            if isinstance(user, g.Glu):
                scales[rows // 2 :] = GATE_SCALE
            elif isinstance(user, g.LstmCell):
                scales[rows // 2 : rows * 3 // 4] = TANH_SCALE
            elif isinstance(user, g.Integrate) and user.position_steps:
                scales[: rows // 2] = self.scale(user.output)
        return scales

    def _producer(self, name: str) -> g.Op | None:
        return next((op for op in self.graph.ops if op.output == name), None)

    def _only_multiplied(self, name: str) -> bool:
        """Whether every user is a matrix, or hands copies to matrices alone."""
        users = self.users[name]
        multiplied = (
            isinstance(op, g.Dense) or (isinstance(op, COPIES) and self._only_multiplied(op.output))
            for op in users
        )
        return name != self.graph.input.name and bool(users) and all(multiplied)

    def weight_bits(self, op: g.Dense) -> int:
        """Of this layer: its own where the checkpoint gives it some, else those of the
        precision."""
        return int(self.graph.provenance.get("bits", {}).get(op.module, self.widths.weights))

    def limit(self, op: g.Dense) -> int:
        """Largest weight."""
        return int(2 ** (self.weight_bits(op) - 1) - 1)

    def row_scales(self, op: g.Dense, rows: Array) -> Array:
        """Scale (bands, out) of the weights (bands, out, n): nothing is clipped, or of four bits
        what pays."""
        limit = self.limit(op)
        if self.weight_bits(op) == 8:
            return np.asarray(np.abs(rows).max(-1) / limit)
        seen = self.ranges.moments[op.output]
        return np.stack(
            [rounding.scales(w, m.covariance, limit) for w, m in zip(rows, seen, strict=True)]
        )

    def rounded(self, op: g.Dense, rows: Array, s_row: Array) -> tuple[Array, Array]:
        """Integers (bands, out, n), and what has to be added to the real bias (bands, out) so that
        the mean of the sums stays."""
        limit = self.limit(op)
        if self.weight_bits(op) == 8:
            return np.clip(np.round(rows / s_row[..., None]), -limit, limit).astype(
                np.int8
            ), np.zeros_like(s_row)
        seen = self.ranges.moments[op.output]
        whole = [
            rounding.integers(w, s, m.covariance, limit)
            for w, s, m in zip(rows, s_row, seen, strict=True)
        ]
        drift = [
            (w - q * s[:, None]) @ m.mean
            for w, q, s, m in zip(rows, whole, s_row, seen, strict=True)
        ]
        return np.stack(whole), np.stack(drift)


def _fraction(peak: float) -> int:
    """Bits after the point of log-probabilities that reach down to −peak: 10 (−32 nats) to 6 (−512
    nats)."""
    return int(np.clip(15 - math.ceil(math.log2(max(peak, 1.0) * MARGIN[16])), 6, 10))


def _tie_sums(graph: g.Graph) -> dict[str, set[str]]:
    """Tensors that are added or joined need one scale: each sum, its two inputs, the GLU input
    whose first half becomes one, and what is copied from or to one of these."""
    group: dict[str, set[str]] = {}
    for op in graph.ops:
        if not isinstance(op, (g.Add, g.Glu, g.DelayedConcat, *COPIES)):
            continue
        members = {op.output, *op.inputs, *(op.previous if isinstance(op, g.DelayedConcat) else ())}
        for name in list(members):
            members |= group.get(name, set())
        for name in members:
            group[name] = members
    sums = {op.output for op in graph.ops if isinstance(op, g.Add | g.DelayedConcat)}
    return {name: members for name, members in group.items() if members & sums}


def multiplier(ratios: Array, bound: int, where: str) -> tuple[Array, int]:
    """(mult, shift) so that requant(acc) ≈ acc·ratio for |acc| ≤ bound; every mult < 2³¹, bound <<
    shift < 2³¹."""
    shift = max(
        0, math.frexp(float(np.max(ratios)) * 2.0)[1]
    )  # largest ratio · 2^(32 − shift) < 2³¹
    if bound << shift >= INT32:
        raise GraphError(
            f"{where}: a sum of up to {bound} cannot be shifted by {shift} bits within 32; the"
            " scales do not fit"
        )
    return np.round(np.asarray(ratios) * 2.0 ** (32 - shift)).astype(np.int64), shift


def _quantize_op(plan: _Plan, op: g.Op) -> g.Op:
    inputs = tuple(plan.name(n) for n in op.inputs)
    output = plan.name(op.output)
    source, target = plan.tensor(inputs[0]), plan.tensor(output)
    s_in, s_out = float(source.scale or 0), float(target.scale or 0)
    head = (inputs, output, op.module)
    match op:
        case g.MeanPool(factor=k):
            mult, shift = multiplier(np.array([s_in / (k * s_out)]), k * 32768, op.module)
            return g.IntMeanPool(*head, k, int(mult[0]), shift)
        case g.GroupMean(bands=bands, copies=k):
            mult, shift = multiplier(np.array([s_in / (k * s_out)]), k * 32768, op.module)
            return g.IntGroupMean(*head, bands, k, int(mult[0]), shift)
        case g.MaxPool(factor=k):
            return g.IntMaxPool(*head, k)
        case g.GroupMax(bands=bands, copies=k):
            return g.IntGroupMax(*head, bands, k)
        case g.Unfold1d():
            return g.IntUnfold1d(*head, op.frames, op.frames_per_output, op.lag, op.bands)
        case g.Activation(kind="step"):
            return g.IntStep(*head, min(round(1.0 / s_out), target.hi))
        case g.Dense():
            return _linear(plan, op, head, source, s_out)
        case g.LayerNorm():
            return _layer_norm(op, head, s_in, s_out)
        case g.Activation(kind=kind):
            table = fit_table(ACTIVATIONS[kind], s_in, s_out, target.lo, target.hi)
            return g.IntLut(*head, table)
        case g.StateSpace():
            return _state_space(plan, op, head, s_in, s_out)
        case g.Glu():
            return g.IntGlu(
                *head, fit_table(ACTIVATIONS["sigmoid"], GATE_SCALE, 2.0**-15, 0, 32767)
            )
        case g.Add():
            return g.IntAdd(*head)
        case g.Interpolate(factor=k):
            if k & (k - 1) or not 1 <= k <= 256:
                raise GraphError(
                    f"{op.module}: {k} frames for each; the integer form needs a power of two up"
                    " to 256"
                )
            return g.IntInterpolate(*head, k)
        case g.DelayedConcat():
            return g.IntDelayedConcat(*head, tuple(plan.name(n) for n in op.previous), op.widths)
        case g.LstmCell():
            sigmoid = fit_table(ACTIVATIONS["sigmoid"], GATE_SCALE, 2.0**-15, 0, 32767)
            tanh = fit_table(ACTIVATIONS["tanh"], TANH_SCALE, 2.0**-15, -32767, 32767)
            return g.IntLstmCell(*head, sigmoid, tanh, round(2.0 / s_out))
        case g.Integrate():
            return g.IntIntegrate(*head, op.position_steps, plan.fraction(op))
        case g.Im2Col():
            return g.IntIm2Col(
                *head,
                op.frames,
                op.width,
                op.kernel_frames,
                op.kernel_columns,
                op.factor,
                op.copies,
            )
        case g.Tile():
            return g.IntTile(*head, op.factor, op.width, op.copies)
        case g.LogSoftmax():
            mult, shift = multiplier(np.array([s_in / s_out]), 65535, op.module)
            return g.IntLogSoftmax(*head, int(mult[0]), shift, round(-math.log2(s_out)))
    raise GraphError(f"{op.module}: no integer form of {type(op).__name__}")


def _linear(
    plan: _Plan, op: g.Dense, head: tuple[tuple[str, ...], str, str], source: g.Tensor, s_out: float
) -> g.IntDense:
    s_in, peak = float(source.scale or 0), max(-source.lo, source.hi)
    rows = op.weight.reshape(*op.weight.shape[:2], -1)
    s_row = np.maximum(plan.row_scales(op, rows), np.abs(op.bias) / (s_in * 2.0**30))
    s_row = np.where(s_row == 0, DEAD * s_out / s_in, s_row)
    total = np.abs(rows).sum(-1) / s_row + rows.shape[-1] / 2  # Σ|w| in integers, rounding included
    bound = total * peak + np.abs(op.bias) / (s_in * s_row) + 1
    s_row = s_row * np.maximum(bound / (INT32 - 1), 1.0)
    whole, drift = plan.rounded(op, rows, s_row)
    weight = whole.reshape(op.weight.shape)
    bias = np.round((op.bias + drift) / (s_in * s_row)).astype(np.int32)
    out_scale = plan.row_output_scales(op, s_out)
    largest = int(
        (np.abs(weight.astype(np.int64)).sum((-1, -2)) * peak + np.abs(bias.astype(np.int64))).max()
    )
    mult, shift = multiplier(s_in * s_row / out_scale, largest, op.module)
    return g.IntDense(
        *head,
        weight,
        bias,
        mult.astype(np.int32),
        shift,
        op.frames_per_output,
        plan.weight_bits(op),
        op.shared,
    )


def _layer_norm(
    op: g.LayerNorm, head: tuple[tuple[str, ...], str, str], s_in: float, s_out: float
) -> g.IntLayerNorm:
    n = op.gain.shape[1]
    if not 2 <= n <= 512:
        raise GraphError(
            f"{op.module}: a LayerNorm over {n} features; the integer form needs 2 to 512"
        )
    gain = np.round(op.gain * math.sqrt(n) / s_out * 16)
    bias = np.round(op.bias / s_out)
    if max(np.abs(gain).max(), np.abs(bias).max()) >= 2**30:
        raise GraphError(
            f"{op.module}: gain or bias too large for 32 bits at output scale {s_out:g}"
        )
    epsilon = max(1, round(n**3 * op.epsilon / s_in**2))
    return g.IntLayerNorm(*head, gain.astype(np.int32), bias.astype(np.int32), min(epsilon, 2**58))


def _state_space(
    plan: _Plan, op: g.StateSpace, head: tuple[tuple[str, ...], str, str], s_in: float, s_out: float
) -> g.IntStateSpace:
    a = _fractions(op.a)
    a_sum = np.abs(a.astype(np.int64)).sum(-1).max(-1)  # (H,) worst |re| + |im|
    s_state = plan.ranges.state[op.output] * STATE_MARGIN / 32767
    s_state = np.maximum(
        s_state, s_in * 32768 / (65534 - a_sum)
    )  # so that |a|·|x| + increment stays below 2³¹
    g_in = np.floor(s_in / s_state * 32768).astype(np.int64)
    # y = Σ (2·c·s_state)·x + (d·s_in)·u, in units of s_acc: the finest unit that cannot overflow
    c = np.stack([op.c.real, op.c.imag], -1) * 2 * s_state[:, None, None]
    d = op.d * s_in
    terms = 2 * op.c.shape[1] + 1
    s_acc = (np.abs(c).sum((-1, -2)) + np.abs(d)) / (65535 - terms)
    s_acc = np.maximum(s_acc, np.abs(c).max((-1, -2)) / 32767)
    s_acc = np.where(s_acc == 0, DEAD * s_out, s_acc)
    c_int = np.round(c / s_acc[:, None, None]).astype(np.int16)
    d_int = np.round(d / s_acc).astype(np.int32)
    mult, shift = multiplier(s_acc / s_out, INT32 - 1, op.module)
    return g.IntStateSpace(
        *head, a, c_int, g_in.astype(np.int32), d_int, mult.astype(np.int32), shift
    )


def _fractions(a: Array) -> Array:
    """Poles in Q15, int16 (H, N, 2), never on or outside the unit circle."""
    q = np.round(np.stack([a.real, a.imag], -1) * 32768)
    q = np.clip(q, -32767, 32767)
    radius = np.hypot(q[..., 0], q[..., 1])
    shrink = np.minimum(1.0, 32767.0 / np.maximum(radius, 1.0))
    return (
        np.trunc(q * shrink[..., None]).astype(np.int16)
        if (shrink < 1).any()
        else q.astype(np.int16)
    )


# --- the proof ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Bound:
    """Largest magnitude the accumulator of one operator can reach, over all inputs and states."""

    module: str
    largest: int

    @property
    def safe(self) -> bool:
        return self.largest < INT32


def accumulator_bounds(graph: g.Graph) -> list[Bound]:
    """One bound for every 32-bit sum in the graph, from the stored integers alone."""
    bounds = []
    for op in graph.ops:
        source = graph.tensors[op.inputs[0]]
        peak = max(-source.lo, source.hi)
        if isinstance(op, g.IntDense):
            rows = np.abs(op.weight.astype(np.int64)).sum((-1, -2)) * peak + np.abs(
                op.bias.astype(np.int64)
            )
            bounds.append(Bound(op.module, int(rows.max()) << op.shift))
        elif isinstance(op, g.IntMeanPool):
            bounds.append(Bound(op.module, (op.factor * peak) << op.shift))
        elif isinstance(op, g.IntGroupMean):
            bounds.append(Bound(op.module, (op.copies * peak) << op.shift))
        elif isinstance(op, g.IntLogSoftmax):
            bounds.append(Bound(op.module, 65535 << op.shift))
        elif isinstance(op, g.IntStateSpace):
            a, c = np.abs(op.a.astype(np.int64)), np.abs(op.c.astype(np.int64))
            step = a.sum(-1).max(-1) * 32768 + np.abs(op.g.astype(np.int64)) * peak + 2**14
            out = c.sum((-1, -2)) * 32768 + np.abs(op.d.astype(np.int64)) * peak
            bounds.append(Bound(f"{op.module} (state)", int(step.max())))
            bounds.append(Bound(f"{op.module} (output)", int(out.max()) << op.shift))
    return bounds


def prove_no_overflow(graph: g.Graph) -> g.Graph:
    """The graph itself, or a GraphError naming the operators whose accumulators could pass 2³¹."""
    unsafe = [b for b in accumulator_bounds(graph) if not b.safe]
    if unsafe:
        lines = "\n  ".join(f"{b.module}: {b.largest} ≥ 2³¹" for b in unsafe)
        raise GraphError(f"{graph.name}: 32-bit accumulators could overflow:\n  {lines}")
    return graph

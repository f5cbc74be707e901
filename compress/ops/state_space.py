"""Diagonal state spaces (S4D): one complex recurrence a state, one input and output a channel.

Gu et al., "On the Parameterization and Initialization of Diagonal State Space Models" (2022).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from compress.ops.arithmetic import DEAD, multiplier, requant, same_multiplier
from compress.ops.base import INT32, Bound, FloatOp, IntOp, Memory, Op, holds
from compress.ops.scan import BLOCK, Scan
from compress.ops.tensor import INT16, Array, Tensor

if TYPE_CHECKING:
    from compress.quantization.scales import Plan

STATE_MARGIN = 1.3  # observed range of a state × this is the range that it can have


@dataclass(frozen=True)
class _StateSpace(Op):
    """H channels of N complex states; `a` holds their poles."""

    a: Array
    clamps: ClassVar[bool] = True
    recurrent: ClassVar[bool] = True
    unseen_macs: ClassVar[bool] = True

    @property
    def shape(self) -> tuple[int, int]:
        """(H, N)."""
        return int(self.a.shape[0]), int(self.a.shape[1])

    def macs(self, features: int) -> int:
        """Complex multiply-add as 4, real part of a product as 2, the skip as 1."""
        channels, states = self.shape
        return 6 * channels * states + features

    def state_values(self, features: int) -> int:
        channels, states = self.shape
        return 2 * channels * states

    def work(self, features: int) -> tuple[str, int]:
        channels, states = self.shape
        return "state", channels * states

    def check(self, sources: list[Tensor], target: Tensor) -> Iterator[str]:
        yield from super().check(sources, target)
        if self.shape[0] != sources[0].features:
            yield f"{self.shape[0]} channels for {sources[0].features} features"


@dataclass(frozen=True)
class StateSpace(_StateSpace, FloatOp):
    """x[t] = a·x[t−1] + u[t], y[t] = 2·Re Σ c·x[t] + d·u[t]. a, c complex (H, N), d (H,)."""

    c: Array
    d: Array
    code: ClassVar[str] = "state_space"

    def run(self, inputs: list[Array], memory: Memory) -> Array:
        """Whole blocks of frames at once (scan.py), unless every state is watched."""
        u = inputs[0]
        state = memory.state.get("x")
        if state is None:
            state = np.zeros((memory.batch, *self.shape), np.complex128)
        whole = 0 if memory.watch else u.shape[1] // BLOCK * BLOCK
        y = np.empty_like(u)
        if whole:
            if "scan" not in memory.derived:
                memory.derived["scan"] = Scan(self.a, self.c, BLOCK)
            y[:, :whole], state = memory.derived["scan"].run(u[:, :whole], state)
        peak = np.zeros(state.shape)
        for t in range(whole, u.shape[1]):
            state = self.a * state + u[:, t, :, None]
            y[:, t] = 2.0 * np.einsum("hn,bhn->bh", self.c, state).real
            if memory.watch:
                np.maximum(peak, np.maximum(np.abs(state.real), np.abs(state.imag)), out=peak)
        memory.state["x"] = state
        if memory.watch:
            memory.watch(peak.max(axis=(0, 2)))
        return np.asarray(y + self.d * u)

    def quantize(self, plan: Plan) -> IntStateSpace:
        return _quantized(self, plan)


@dataclass(frozen=True)
class IntStateSpace(_StateSpace, IntOp):
    """a, c int16 (H, N, 2); g, d, mult int32 (H,); state_scale, sum_scale float64 (H,).

    State and input:  x' = sat16((a·x + g·u + 2¹⁴) >> 15), complex;
    output:           y = clamp(requant(Σ Re(c·x') + d·u, shift, mult)).
    state_scale: the real value of one step of a state; sum_scale: of one step of the output's sum.
    """

    c: Array
    g: Array
    d: Array
    mult: Array
    shift: int
    state_scale: Array
    sum_scale: Array
    code: ClassVar[str] = "int.state_space"

    def check(self, sources: list[Tensor], target: Tensor) -> Iterator[str]:
        yield from super().check(sources, target)
        yield from holds(self, (*self.shape, 2), "i", "a", "c")
        yield from holds(self, self.shape[:1], "i", "g", "d", "mult")
        yield from holds(self, self.shape[:1], "f", "state_scale", "sum_scale")

    def run(self, inputs: list[Array], memory: Memory) -> Array:
        state = memory.state.get("x")
        if state is None:
            state = np.zeros((memory.batch, *self.a.shape), np.int64)
        lo, hi = memory.target.lo, memory.target.hi
        y, memory.state["x"] = state_space(inputs[0], self, state, lo, hi)
        return y

    def bounds(self, source: Tensor) -> list[Bound]:
        a, c = np.abs(self.a.astype(np.int64)), np.abs(self.c.astype(np.int64))
        g, d = np.abs(self.g.astype(np.int64)), np.abs(self.d.astype(np.int64))
        step = a.sum(-1).max(-1) * 32768 + g * source.peak + 2**14
        out = c.sum((-1, -2)) * 32768 + d * source.peak
        return [
            Bound(f"{self.module} (state)", int(step.max())),
            Bound(f"{self.module} (output)", int(out.max()) << self.shift),
        ]

    def relations(self, sources: list[Tensor], target: Tensor) -> Iterator[str]:
        if not np.array_equal(self.g, _input_gain(sources[0].scale, self.state_scale)):
            yield "g is not the input's scale over the state's"
        if not same_multiplier(self.mult, self.shift, self.sum_scale / target.scale):
            yield "mult and shift are not the sum's scale over the output's"


def _input_gain(s_in: float, s_state: Array) -> Array:
    """(H,) in Q15: rounded down, so that it cannot pass what keeps the state's sum below 2³¹."""
    return np.floor(s_in / s_state * 32768).astype(np.int64)


def _quantized(op: StateSpace, plan: Plan) -> IntStateSpace:
    s_in, s_out = plan.source(op).scale, plan.target(op).scale
    a = _fractions(op.a)
    a_sum = np.abs(a.astype(np.int64)).sum(-1).max(-1)  # (H,) worst |re| + |im|
    s_state = plan.ranges.state[op.output] * STATE_MARGIN / 32767
    # so that |a|·|x| + increment stays below 2³¹
    s_state = np.maximum(s_state, s_in * 32768 / (65534 - a_sum))
    # y = Σ (2·c·s_state)·x + (d·s_in)·u, in units of s_acc: the finest unit that cannot overflow
    c = np.stack([op.c.real, op.c.imag], -1) * 2 * s_state[:, None, None]
    d = op.d * s_in
    terms = 2 * op.c.shape[1] + 1
    s_acc = (np.abs(c).sum((-1, -2)) + np.abs(d)) / (65535 - terms)
    s_acc = np.maximum(s_acc, np.abs(c).max((-1, -2)) / 32767)
    s_acc = np.where(s_acc == 0, DEAD * s_out, s_acc)
    mult, shift = multiplier(s_acc / s_out, INT32 - 1, op.module)
    return IntStateSpace(
        *plan.head(op),
        a,
        np.round(c / s_acc[:, None, None]).astype(np.int16),
        _input_gain(s_in, s_state).astype(np.int32),
        np.round(d / s_acc).astype(np.int32),
        mult.astype(np.int32),
        shift,
        s_state,
        s_acc,
    )


def _fractions(a: Array) -> Array:
    """Poles in Q15, int16 (H, N, 2), never on or outside the unit circle."""
    q = np.round(np.stack([a.real, a.imag], -1) * 32768)
    q = np.clip(q, -32767, 32767)
    radius = np.hypot(q[..., 0], q[..., 1])
    shrink = np.minimum(1.0, 32767.0 / np.maximum(radius, 1.0))
    if (shrink < 1).any():
        q = np.trunc(q * shrink[..., None])
    return q.astype(np.int16)


def state_space(u: Array, op: IntStateSpace, state: Array, lo: int, hi: int) -> tuple[Array, Array]:
    """state (batch, H, N, 2) -> (y, new state).

    In int32, as the C computes: sums stay below 2³¹ (proven before), and what wraps on the way
    there wraps back. States lie as (N, batch, H), so that a frame is a few passes over one array
    and the sum over n adds whole rows.
    """
    ar, ai, cr, ci = (
        np.ascontiguousarray(x[..., k].T, np.int32)[:, None] for x in (op.a, op.c) for k in (0, 1)
    )  # (N, 1, H)
    re, im = (np.ascontiguousarray(state[..., k].transpose(2, 0, 1), np.int32) for k in (0, 1))
    frames = u.transpose(1, 0, 2).astype(np.int32)  # (time, batch, H)
    inc = frames * op.g.astype(np.int32) + np.int32(2**14)
    acc = frames * op.d.astype(np.int32)
    for t in range(len(frames)):
        next_re = _next(ar * re - ai * im + inc[t])
        re, im = next_re, _next(ar * im + ai * re + np.int32(2**14))
        acc[t] += (cr * re - ci * im).sum(0, dtype=np.int32)
    total = acc.transpose(1, 0, 2).astype(np.int64)
    y = np.clip(requant(total, op.shift, op.mult.astype(np.int64)), lo, hi)
    return y, np.stack([re, im], axis=-1).transpose(1, 2, 0, 3).astype(np.int64)


def _next(total: Array) -> Array:
    """One half of a new state from its sum in Q15, saturated in place."""
    total >>= 15
    low = np.maximum(total, np.int32(INT16[0]), out=total)
    return np.minimum(low, np.int32(INT16[1]), out=total)

"""What every integer operator computes: SPEC.md part 1 in numpy. The C must equal it bit for bit on
every target.

Frames are (batch, time, features), integers in int64. Products that a matrix multiplies are done in
float64, which is exact here: every partial sum is an integer below 2³¹ (proven by `quantize.py`),
far under 2⁵³.
"""

from __future__ import annotations

import numpy as np

from compress import graph as g
from compress.errors import GraphError
from compress.interpreter.base import FRAMES, Interpreter, Tap, copies, patches_of, repeat_of

Array = g.Array

EXP: Array = np.round(2.0**15 * np.exp(-np.arange(257) / 16.0)).astype(np.int64)
LOG: Array = np.round(2.0**14 * np.log1p(np.arange(257) / 256.0)).astype(np.int64)
LN2 = 11357  # round(2¹⁴·ln 2)


def smmulr(a: Array, b: Array | int) -> Array:
    """(a·b + 2³¹) >> 32."""
    product: Array = a * b
    product += 2**31
    product >>= 32
    return product


def requant(acc: Array, shift: int, mult: Array | int) -> Array:
    return smmulr(acc << shift if shift else acc, mult)


def mean_pool(x: Array, op: g.IntMeanPool, lo: int, hi: int) -> Array:
    total = x.reshape(x.shape[0], -1, op.factor, x.shape[2]).sum(2)
    return np.clip(requant(total, op.shift, op.mult), lo, hi)


def max_pool(x: Array, op: g.IntMaxPool) -> Array:
    return np.asarray(x.reshape(x.shape[0], -1, op.factor, x.shape[2]).max(2))


def mean_over(x: Array, op: g.IntGroupMean, lo: int, hi: int) -> Array:
    total = copies(x, op).sum(3).reshape(*x.shape[:2], -1)
    return np.clip(requant(total, op.shift, op.mult), lo, hi)


def max_over(x: Array, op: g.IntGroupMax) -> Array:
    return np.asarray(copies(x, op).max(3).reshape(*x.shape[:2], -1))


def matrices(op: g.IntDense) -> list[Array]:
    """The weights of each band as linear() multiplies by them: float64 (kernel·in, out)."""
    return [np.ascontiguousarray(w.reshape(len(w), -1).T, np.float64) for w in op.weight]


def linear(x: Array, op: g.IntDense, lo: int, hi: int, weights: list[Array] | None = None) -> Array:
    """With `shared` groups each is one frame of the layer. `weights`: matrices(op), where they are
    at hand."""
    bands, out, kernel, width = op.weight.shape
    weights = matrices(op) if weights is None else weights
    frames = x.reshape(-1, kernel, bands, width)
    parts = []
    for band in range(bands):
        rows = frames[:, :, band].reshape(len(frames), -1).astype(np.float64)
        product = rows @ weights[band]
        acc = product.astype(np.int64) + op.bias[band]
        parts.append(requant(acc, op.shift, op.mult[band].astype(np.int64)))
    return np.clip(np.concatenate(parts, axis=-1), lo, hi).reshape(
        x.shape[0], -1, op.shared * bands * out
    )


def step(x: Array, high: int) -> Array:
    return np.where(x >= 0, high, 0)


def lut(x: Array, table: Array) -> Array:
    t = table.astype(np.int64)
    i, f = (x + 32768) >> 8, x & 255
    return np.asarray(t[i] + (((t[i + 1] - t[i]) * f + 128) >> 8))


def bit_length(v: Array) -> Array:
    """Position of the highest set bit plus one, for v ≥ 1."""
    bits = np.frexp(v.astype(np.float64))[1].astype(np.int64)
    return np.asarray(
        bits - ((v >> (bits - 1)) == 0)
    )  # float64 rounds some values up to the next power of two


def rsqrt(m: Array) -> Array:
    """2⁴⁶/√m for 2³⁰ ≤ m < 2³² by three Newton steps."""
    m = m.astype(np.uint64)
    one = np.uint64(1)
    r = np.uint64(0x8A000000) - (m >> (one + one)) - (m >> np.uint64(4))
    for _ in range(3):
        t = (r * r) >> np.uint64(31)
        u = (m * t) >> np.uint64(32)
        r = (r * (np.uint64(0x60000000) - u)) >> np.uint64(30)
    return np.minimum(r, np.uint64(2**31 - 1)).astype(np.int64)


def layer_norm(x: Array, op: g.IntLayerNorm, lo: int, hi: int) -> Array:
    rows = x.reshape(*x.shape[:2], *op.gain.shape)  # (batch, time, bands, n)
    d = op.gain.shape[1] * rows - rows.sum(-1, keepdims=True)
    v = (d * d).sum(-1, keepdims=True) + op.epsilon
    e = (bit_length(v) - 31) >> 1
    m = np.where(e >= 0, v >> np.maximum(2 * e, 0), v << np.maximum(-2 * e, 0))
    z = smmulr(d << (14 - e), rsqrt(m))
    y = np.clip(smmulr(z, op.gain.astype(np.int64)) + op.bias, lo, hi)
    return np.asarray(y.reshape(x.shape))


def state_space(
    u: Array, op: g.IntStateSpace, state: Array, lo: int, hi: int
) -> tuple[Array, Array]:
    """state (batch, H, N, 2) -> (y, new state).

    In int32, as the C computes: sums stay below 2³¹ (proven by `quantize.py`), and what wraps on
    the way there wraps back. States lie as (N, batch, H), so that a frame is a few passes over one
    array and the sum over n adds whole rows.
    """
    ar, ai, cr, ci = (
        np.ascontiguousarray(x[..., k].T, np.int32)[:, None] for x in (op.a, op.c) for k in (0, 1)
    )  # (N, 1, H)
    re, im = (np.ascontiguousarray(state[..., k].transpose(2, 0, 1), np.int32) for k in (0, 1))
    frames = u.transpose(1, 0, 2).astype(np.int32)  # (time, batch, H)
    inc, acc = frames * op.g.astype(np.int32) + np.int32(2**14), frames * op.d.astype(np.int32)
    for t in range(len(frames)):
        re, im = _next(ar * re - ai * im + inc[t]), _next(ar * im + ai * re + np.int32(2**14))
        acc[t] += (cr * re - ci * im).sum(0, dtype=np.int32)
    y = np.clip(
        requant(acc.transpose(1, 0, 2).astype(np.int64), op.shift, op.mult.astype(np.int64)), lo, hi
    )
    return y, np.stack([re, im], axis=-1).transpose(1, 2, 0, 3).astype(np.int64)


def _next(total: Array) -> Array:
    """One half of a new state from its sum in Q15, saturated in place."""
    total >>= 15
    return np.minimum(
        np.maximum(total, np.int32(g.INT16[0]), out=total), np.int32(g.INT16[1]), out=total
    )


def glu(x: Array, table: Array) -> Array:
    a, b = np.split(x, 2, axis=-1)
    return np.asarray((a * lut(b, table) + 2**14) >> 15)


def add(a: Array, b: Array) -> Array:
    return np.clip(a + b, *g.INT16)


def log_softmax(x: Array, op: g.IntLogSoftmax) -> Array:
    q = np.minimum(-requant(x - x.max(-1, keepdims=True), op.shift, op.mult), 32767)
    width = op.fraction - 4  # bits of one segment of the exponential, 1/16 nat
    i, k = np.minimum(q >> width, 255), q & (2**width - 1)
    e = np.where(
        q >= 256 << width, 0, EXP[i] - (((EXP[i] - EXP[i + 1]) * k + 2 ** (width - 1)) >> width)
    )
    total = e.sum(-1, keepdims=True)
    b = bit_length(total) - 1
    f = total << (31 - b)
    j = (f >> 23) & 255
    log = LOG[j] + (((LOG[j + 1] - LOG[j]) * ((f >> 15) & 255) + 128) >> 8)
    log = ((b - 15) * LN2 + log + 2 ** (13 - op.fraction)) >> (14 - op.fraction)
    return np.maximum(-q - log, g.INT16[0])


def interpolate(x: Array, op: g.IntInterpolate, past: Array) -> tuple[Array, Array]:
    """past (batch, features), the frame before x -> (y, new past)."""
    before = np.concatenate([past[:, None], x[:, :-1]], axis=1)
    j: Array = np.arange(op.factor)[:, None]
    y = (before[:, :, None] * (op.factor - j) + x[:, :, None] * j + (op.factor >> 1)) >> (
        op.factor.bit_length() - 1
    )
    return y.reshape(x.shape[0], -1, x.shape[2]), x[:, -1]


CELL_LIMIT = 2**30 - 1  # of a cell in steps of 2⁻²⁴: just below 64


def lstm_cell(x: Array, op: g.IntLstmCell, cell: Array) -> tuple[Array, Array]:
    """Gates x (batch, time, 4n), cell (batch, n) -> (y (batch, time, n), new cell)."""
    into, forget, value, out = np.split(x, 4, axis=-1)
    into, forget, out = (lut(gate, op.sigmoid) for gate in (into, forget, out))
    taken = (into * lut(value, op.tanh) + 32) >> 6
    y = np.empty_like(taken)
    for t in range(x.shape[1]):
        cell = np.clip(smmulr(cell << 1, forget[:, t] << 16) + taken[:, t], -CELL_LIMIT, CELL_LIMIT)
        shown = np.clip((cell + 2**11) >> 12, *g.INT16)
        y[:, t] = np.clip(smmulr((out[:, t] * lut(shown, op.tanh)) << 1, op.mult), *g.INT16)
    return y, cell


def pose(op: g.IntIntegrate, initial: Array, total: Array) -> Array:
    """initial, total (batch, n), the sum of the velocities so far -> the pose (batch, n): what a
    join reads."""
    half = (1 << op.fraction) >> 1
    return np.clip(initial + ((total + half) >> op.fraction), *g.INT16)


def integrate(
    x: Array, op: g.IntIntegrate, initial: Array, total: Array, count: int
) -> tuple[Array, Array, int]:
    """initial, total (batch, n), `count` frames taken, at most `position_steps` -> (y (batch, time,
    n), new total, new count)."""
    n = initial.shape[-1]
    y = np.empty((*x.shape[:2], n), np.int64)
    least, most = ((end - initial) << op.fraction for end in g.INT16)
    for t in range(x.shape[1]):
        if count < op.position_steps:
            total, count = (x[:, t, :n] - initial) << op.fraction, count + 1
        else:
            total = np.clip(total + x[:, t, -n:], least, most)
        y[:, t] = pose(op, initial, total)
    return y, total, count


class IntegerInterpreter(Interpreter):
    """Executes an integer graph; samples are int16 values, outputs int64 arrays of int16 values."""

    def __init__(self, graph: g.Graph, batch: int = 1) -> None:
        super().__init__(graph, batch)
        self.weights: dict[
            str, list[Array]
        ] = {}  # of layers that have run: a loop multiplies by them once a frame

    def run(self, samples: Array, tap: Tap | None = None, progress: str = "") -> Array:
        return super().run(samples.astype(np.int64), tap, progress).astype(np.int64)

    def begin_at(self, pose: Array) -> None:
        scale = float(self.graph.output.scale or 1.0)
        super().begin_at(np.clip(np.round(np.asarray(pose) / scale), *g.INT16).astype(np.int64))

    def pose_before(self, op: g.Integrate) -> Array:
        assert isinstance(op, g.IntIntegrate)
        initial = self.initial_of(op).astype(np.int64)
        return pose(op, initial, self.state.get(op.output, np.zeros_like(initial)))

    def _integrate(self, op: g.IntIntegrate, x: Array) -> Array:
        initial, counted = self.initial_of(op).astype(np.int64), f"{op.output}{FRAMES}"
        total, count = (
            self.state.get(op.output, np.zeros_like(initial)),
            self.state.get(counted, np.zeros(1, np.int64)),
        )
        y, self.state[op.output], frames = integrate(x, op, initial, total, int(count[0]))
        self.state[counted] = np.array([frames])
        return y

    def apply(self, op: g.Op, inputs: list[Array]) -> Array:
        x, target = inputs[0], self.graph.tensors[op.output]
        lo, hi = target.lo, target.hi
        match op:
            case g.IntMeanPool():
                return mean_pool(x, op, lo, hi)
            case g.IntMaxPool():
                return max_pool(x, op)
            case g.IntGroupMean():
                return mean_over(x, op, lo, hi)
            case g.IntGroupMax():
                return max_over(x, op)
            case g.IntUnfold1d():
                return self.window(op, x)
            case g.IntStep():
                return step(x, op.high)
            case g.IntDense():
                if op.output not in self.weights:
                    self.weights[op.output] = matrices(op)
                return linear(x, op, lo, hi, self.weights[op.output])
            case g.IntLayerNorm():
                return layer_norm(x, op, lo, hi)
            case g.IntLut():
                return lut(x, op.table)
            case g.IntStateSpace():
                state = self.state.get(
                    op.output, np.zeros((self.batch, *op.a.shape), dtype=np.int64)
                )
                y, self.state[op.output] = state_space(x, op, state, lo, hi)
                return y
            case g.IntGlu():
                return glu(x, op.table)
            case g.IntAdd():
                return add(x, inputs[1])
            case g.IntLogSoftmax():
                return log_softmax(x, op)
            case g.IntInterpolate():
                past = self.state.get(op.output, np.zeros((x.shape[0], x.shape[2]), np.int64))
                y, self.state[op.output] = interpolate(x, op, past)
                return y
            case g.IntDelayedConcat():
                return self.join(op, x)
            case g.IntLstmCell():
                cell = self.state.get(op.output, np.zeros((x.shape[0], x.shape[2] // 4), np.int64))
                y, self.state[op.output] = lstm_cell(x, op, cell)
                return y
            case g.IntIntegrate():
                return self._integrate(op, x)
            case g.IntIm2Col():
                return patches_of(op, x)
            case g.IntTile():
                return repeat_of(op, x)
        raise GraphError(
            f"{op.module}: the integer reference cannot run {type(op).__name__}; quantize the graph"
            " first"
        )

"""The float stream graph in numpy (float64): what the integers approximate, and the engine that
calibration listens to."""

from __future__ import annotations

import numpy as np
from scipy.special import erf, expit

from compress import graph as g
from compress.errors import GraphError
from compress.interpreter.base import BLOCK, FRAMES, Interpreter, copies, patches_of, repeat_of
from compress.ops.scan import Scan

Array = g.Array


def gelu(x: Array) -> Array:
    """x·Φ(x), the exact form PyTorch uses by default."""
    return np.asarray(0.5 * x * (1.0 + erf(x / np.sqrt(2.0))))


ACTIVATIONS = {
    "relu": lambda x: np.maximum(x, 0.0),
    "leaky_relu": lambda x: np.where(x < 0.0, 0.01 * x, x),
    "tanh": np.tanh,
    "gelu": gelu,
    "sigmoid": expit,
    "step": lambda x: (x >= 0.0).astype(np.float64),
}


class FloatInterpreter(Interpreter):
    """Executes Conv, LayerNorm, …

    `watch_states`: `state_peak[tensor]` collects max |Re|, |Im| of each state-space channel, for
    which every frame has to be seen; otherwise state spaces go by blocks of frames.
    """

    def __init__(self, graph: g.Graph, batch: int = 1, watch_states: bool = False) -> None:
        self.watch_states = watch_states
        self.state_peak: dict[str, Array] = {}
        self.scans: dict[str, Scan] = {}
        super().__init__(graph, batch)

    def apply(self, op: g.Op, inputs: list[Array]) -> Array:
        x = inputs[0]
        match op:
            case g.MeanPool(factor=k):
                return x.reshape(x.shape[0], -1, k, x.shape[2]).mean(2)
            case g.MaxPool(factor=k):
                return x.reshape(x.shape[0], -1, k, x.shape[2]).max(2)
            case g.GroupMean():
                return copies(x, op).mean(3).reshape(*x.shape[:2], -1)
            case g.GroupMax():
                return copies(x, op).max(3).reshape(*x.shape[:2], -1)
            case g.Unfold1d():
                return self.window(op, x)
            case g.Dense():
                grouped = x.reshape(x.shape[0], -1, x.shape[2] // op.shared)
                y = convolve(grouped, op.weight, op.frames_per_output) + op.bias.reshape(-1)
                return y.reshape(x.shape[0], -1, op.out_features(x.shape[2]))
            case g.LayerNorm():
                return _layer_norm(x, op)
            case g.Activation(kind=kind):
                return np.asarray(ACTIVATIONS[kind](x))
            case g.StateSpace():
                return self._state_space(op, x)
            case g.Glu():
                a, b = np.split(x, 2, axis=-1)
                return np.asarray(a * expit(b))
            case g.Add():
                return np.asarray(x + inputs[1])
            case g.Interpolate():
                past = self.state.get(op.output, np.zeros((x.shape[0], 1, x.shape[2])))
                y, self.state[op.output] = interpolate(x, op.factor, past)
                return y
            case g.DelayedConcat():
                return self.join(op, x)
            case g.LstmCell():
                cell = self.state.get(op.output, np.zeros((x.shape[0], x.shape[2] // 4)))
                y, self.state[op.output] = lstm_cell(x, cell)
                return y
            case g.Integrate():
                return self._integrate(op, x)
            case g.Im2Col():
                return patches_of(op, x)
            case g.Tile():
                return repeat_of(op, x)
            case g.LogSoftmax():
                shifted = x - x.max(-1, keepdims=True)
                return np.asarray(shifted - np.log(np.exp(shifted).sum(-1, keepdims=True)))
        raise GraphError(f"{op.module}: the float engine cannot run {type(op).__name__}")

    def pose_before(self, op: g.Integrate) -> Array:
        return self.state.get(op.output, self.initial_of(op))

    def _integrate(self, op: g.Integrate, x: Array) -> Array:
        counted = self.state.get(f"{op.output}{FRAMES}", np.zeros(1, int))
        positions = min(max(op.position_steps - int(counted[0]), 0), x.shape[1])
        self.state[f"{op.output}{FRAMES}"] = counted + x.shape[1]
        joints = op.out_features(x.shape[2])
        y = np.concatenate(
            [x[:, :positions, :joints], x[:, positions:, x.shape[2] - joints :]], axis=1
        )
        if positions == 0:
            y[:, 0] += self.pose_before(op)
        first = max(positions - 1, 0)
        y[:, first:] = y[:, first:].cumsum(1)
        self.state[op.output] = y[:, -1]
        return y

    def _state_space(self, op: g.StateSpace, u: Array) -> Array:
        state = self.state.get(op.output, np.zeros((self.batch, *op.a.shape), dtype=np.complex128))
        whole = 0 if self.watch_states else u.shape[1] // BLOCK * BLOCK
        y = np.empty_like(u)
        if whole:
            if op.output not in self.scans:
                self.scans[op.output] = Scan(op.a, op.c, BLOCK)
            y[:, :whole], state = self.scans[op.output].run(u[:, :whole], state)
        peak = np.zeros(state.shape)
        for t in range(whole, u.shape[1]):
            state = op.a * state + u[:, t, :, None]
            y[:, t] = 2.0 * np.einsum("hn,bhn->bh", op.c, state).real
            if self.watch_states:
                np.maximum(peak, np.maximum(np.abs(state.real), np.abs(state.imag)), out=peak)
        self.state[op.output] = state
        if self.watch_states:
            self.state_peak[op.output] = np.maximum(
                self.state_peak.get(op.output, 0.0), peak.max(axis=(0, 2))
            )
        return np.asarray(y + op.d * u)


def interpolate(x: Array, factor: int, past: Array) -> tuple[Array, Array]:
    """x (batch, time, features), past (batch, 1, features) -> (batch, time·factor, features), and
    the next past."""
    before = np.concatenate([past, x[:, :-1]], axis=1)
    share = (np.arange(factor) / factor)[:, None]
    y = before[:, :, None] + (x - before)[:, :, None] * share
    return y.reshape(x.shape[0], -1, x.shape[2]), x[:, -1:]


def lstm_cell(x: Array, cell: Array) -> tuple[Array, Array]:
    """Gates (batch, time, 4n), cell (batch, n) -> hidden states (batch, time, n), and the next
    cell."""
    y = np.empty((*x.shape[:2], x.shape[2] // 4))
    for t in range(x.shape[1]):
        i, f, new, o = np.split(x[:, t], 4, axis=-1)
        cell = expit(f) * cell + expit(i) * np.tanh(new)
        y[:, t] = expit(o) * np.tanh(cell)
    return y, cell


def convolve(x: Array, weight: Array, stride: int) -> Array:
    """x (batch, time, bands·in), weight (bands, out, kernel = stride, in) -> (batch, time / stride,
    bands·out)."""
    bands, out, kernel, width = weight.shape
    frames = x.reshape(
        -1, kernel, bands, width
    )  # one matrix for all recordings: a single large product each
    per_band = [
        frames[:, :, b].reshape(len(frames), -1) @ weight[b].reshape(out, -1).T
        for b in range(bands)
    ]
    return np.concatenate(per_band, axis=-1).reshape(x.shape[0], -1, bands * out)


def _layer_norm(x: Array, op: g.LayerNorm) -> Array:
    bands = x.reshape(*x.shape[:2], *op.gain.shape)
    centred = bands - bands.mean(-1, keepdims=True)
    y = centred / np.sqrt((centred**2).mean(-1, keepdims=True) + op.epsilon) * op.gain + op.bias
    return np.asarray(y.reshape(x.shape))

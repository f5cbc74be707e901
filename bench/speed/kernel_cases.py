"""Kernel calls with random contents that keep every promise an export proves, and what
docs/spec/ says comes out.

`mode` picks the contents: "random", "extreme" (every value at an end of its range, sums as close to
2³¹ as they may come) or "quiet" (small values, where rounding decides).
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt

from bench.bare.cases import Case
from compress import graph as g
from compress.ops.activation import step as step_of
from compress.ops.add import add as sum_of
from compress.ops.arithmetic import lut as lut_of
from compress.ops.base import Memory
from compress.ops.dense import linear as linear_of
from compress.ops.glu import glu as glu_of
from compress.ops.log_softmax import log_softmax as log_softmax_of
from compress.ops.norm import layer_norm as layer_norm_of
from compress.ops.state_space import state_space as state_space_of
from compress.ops.unfold import windows_of
from export.c import pack

Array = npt.NDArray[Any]
MODES = ("random", "extreme", "quiet")
INT16_MAX, INT32_MAX = 32767, 2**31 - 1
INT16, INT8 = (-32768, 32767), (-128, 127)
UNTOUCHED = 0x5A5A  # between rows of a strided output


@dataclass(frozen=True)
class Linear:
    """One of the kernels of linear layers: its name in firmware/nn, the width of its weights, the
    range of its x."""

    kernel: str
    bits: int = 8
    x: tuple[int, int] = INT16

    def tables(self, weight: Array, bias: Array, mult: Array, frames: int) -> dict[str, Array]:
        """The buffers of a case: weights, bias and mult as the kernel wants them."""
        if self.kernel in pack.LANES:
            return {"table": pack.pack_lanes(weight, bias, mult, pack.LANES[self.kernel])}
        return {"table": pack.pack_linear(weight, frames, self.bits), "second": bias, "third": mult}


LINEAR = {
    "linear": Linear("nn_linear_s8_s16"),
    "linear_s4": Linear("nn_linear_s4_s16", bits=4),
    "linear_s16_mve": Linear("nn_linear_s8_s16_mve"),
    "linear_s8_mve": Linear("nn_linear_s8_s8_mve", x=INT8),
}


@dataclass
class Check:
    """A case and the buffers it must leave behind."""

    case: Case
    expected: dict[str, Array]


class Contents:
    """Random numbers of one mode."""

    def __init__(self, seed: int, mode: str = "random") -> None:
        self.rng, self.mode = np.random.default_rng(seed), mode

    def integers(
        self, lo: int, hi: int, shape: int | tuple[int, ...], dtype: Any = np.int16
    ) -> Array:
        """Values in lo…hi, ends included."""
        if self.mode == "extreme":
            values = self.rng.choice([lo, hi], shape)
        elif self.mode == "quiet":
            values = (
                self.rng.integers(max(lo, -40), min(hi, 40), shape, endpoint=True)
                if lo <= 40
                else np.full(shape, lo)
            )
        else:
            values = self.rng.integers(lo, hi, shape, endpoint=True)
        return values.astype(dtype)

    def clamp(self) -> tuple[int, int]:
        """lo and hi of an output as exports use them, or any."""
        any_two = sorted(int(v) for v in self.rng.integers(-32768, 32767, 2, endpoint=True))
        usual = [(-32768, 32767), (0, 32767), (-128, 127), (0, 127), (any_two[0], any_two[1])]
        return usual[int(self.rng.integers(len(usual)))]

    def offset(self, step: int) -> int:
        """An address modulo 8."""
        return int(self.rng.integers(8 // step)) * step


def blank(shape: tuple[int, ...]) -> Array:
    return np.full(shape, UNTOUCHED, np.int16)


def run_alone(op: g.Op, x: Array, features: int, lo: int = INT16[0], hi: int = INT16[1]) -> Array:
    """What an operator makes of x (time, features), from no state and held to lo…hi: int16."""
    target = g.Tensor(op.output, features, Fraction(1)).scaled(1.0, lo, hi)
    return op.run([x.astype(np.int64)[None]], Memory(1, target))[0].astype(np.int16)


def finish(case: Case, result: Array, in_place: bool) -> Check:
    """Where the result goes: the y buffer, or x when y is left out."""
    if not in_place:
        return Check(case, {"y": result})
    del case.buffers["y"]
    expected = case.buffers["x"].copy()
    expected.reshape(-1)[: result.size] = result.reshape(-1)
    return Check(case, {"x": expected})


def linear(
    contents: Contents,
    inputs: int,
    out: int,
    frames: int,
    gaps: tuple[int, int] = (0, 0),
    aligned: bool = True,
    kernel: str = "linear",
    x: Array | None = None,
) -> Check:
    """`gaps` are added to the strides; unaligned x and y start anywhere an int16 may. `kernel` is a
    key of LINEAR."""
    x_stride, y_stride = max(inputs, 1) + gaps[0], out + gaps[1]
    kind = LINEAR[kernel]
    largest_x = -kind.x[0]
    limit = max(1, min(2 ** (kind.bits - 1) - 1, INT32_MAX // (largest_x * inputs)))
    weight = contents.integers(-limit, limit, (out, inputs), np.int8)
    room = INT32_MAX - np.abs(weight.astype(np.int64)).sum(1) * largest_x
    bias = np.array([int(contents.integers(-int(r), int(r), 1, np.int64)[0]) for r in room]).astype(
        np.int32
    )
    largest = int((INT32_MAX - room + np.abs(bias.astype(np.int64))).max())
    shift = (
        int(contents.rng.integers(0, 31 - largest.bit_length(), endpoint=True))
        if largest.bit_length() < 31
        else 0
    )
    mult = (
        contents.integers(0, INT32_MAX, out, np.int64) >> int(contents.rng.integers(0, 24))
    ).astype(np.int32)
    lo, hi = contents.clamp()
    x = contents.integers(*kind.x, (frames - 1) * x_stride + inputs) if x is None else x
    y = blank(((frames - 1) * y_stride + out,))
    rows = np.stack([x[t * x_stride : t * x_stride + inputs] for t in range(frames)]).astype(
        np.int64
    )
    op = g.IntDense(
        ("x",),
        "y",
        "",
        weight[None, :, None, :],
        bias[None],
        mult[None],
        shift,
        np.ones((1, out)),
        weight_bits=kind.bits,
    )
    result = linear_of(rows[None], op, lo, hi)[0]
    for t in range(frames):
        y[t * y_stride : t * y_stride + out] = result[t]
    buffers = kind.tables(weight, bias, mult, frames)
    offsets = {name: contents.offset(4) for name in buffers}
    buffers |= {"x": x, "y": blank(y.shape)}
    offsets |= {"x": 0, "y": 0} if aligned else {"x": contents.offset(2), "y": contents.offset(2)}
    return Check(
        Case(kernel, (inputs, out, frames, x_stride, y_stride, shift, lo, hi), buffers, offsets),
        {"y": y},
    )


def mean_pool(
    contents: Contents, factor: int, frames: int, features: int, in_place: bool = False
) -> Check:
    shift = int(contents.rng.integers(0, 31 - (factor * 32768).bit_length(), endpoint=True))
    mult = int(contents.rng.integers(0, INT32_MAX))
    lo, hi = contents.clamp()
    x = contents.integers(-32768, INT16_MAX, (frames * factor, features))
    op = g.IntMeanPool(("x",), "y", "", factor, mult, shift)
    result = run_alone(op, x, features, lo, hi)
    case = Case(
        "mean_pool",
        (mult, factor, frames, features, shift, lo, hi),
        {"x": x, "y": blank(result.shape)},
        ends(contents),
    )
    return finish(case, result, in_place)


def max_pool(
    contents: Contents, factor: int, frames: int, features: int, in_place: bool = False
) -> Check:
    x = contents.integers(-32768, INT16_MAX, (frames * factor, features))
    result = run_alone(g.IntMaxPool(("x",), "y", "", factor), x, features)
    case = Case(
        "max_pool", (factor, frames, features), {"x": x, "y": blank(result.shape)}, ends(contents)
    )
    return finish(case, result, in_place)


def window(
    contents: Contents,
    frames: int,
    stride: int,
    lag: int,
    windows: int,
    features: int,
    bands: int = 1,
    ends_of_x: tuple[int, int] = INT16,
    dilation: int = 1,
) -> Check:
    """One step in the middle of a stream: the history is that of any frames before. `features` of
    one band."""
    op = g.IntUnfold1d(("x",), "y", "", frames, stride, lag, bands, dilation=dilation)
    features *= bands
    x = contents.integers(*ends_of_x, (windows * stride, features))
    past = contents.integers(*ends_of_x, (op.history, features))
    result, after = windows_of(op, past[None], x[None])
    values = (windows, frames * features, stride * features, op.history * features)
    skip = (op.history + stride - lag - op.span) * features
    buffers = {"x": x, "y": blank(result[0].shape), "state": past}
    case = Case(
        "window",
        (*values, skip, features, bands, dilation),
        buffers,
        ends(contents) | {"state": contents.offset(4)},
    )
    return Check(case, {"y": result[0], "state": after[0]})


def step(contents: Contents, n: int, in_place: bool = False) -> Check:
    x, high = contents.integers(-32768, INT16_MAX, n), int(contents.rng.integers(1, INT16_MAX))
    result = step_of(x.astype(np.int64), high).astype(np.int16)
    return finish(
        Case("step", (n, high), {"x": x, "y": blank(x.shape)}, ends(contents)), result, in_place
    )


def start_up(contents: Contents, until: int, steps: int, words: int) -> Check:
    """Counts and clears up to `until` steps, and never again."""
    state = contents.rng.integers(1, 2**32, words + 1, np.uint32)
    state[0] = steps
    after = (
        state
        if steps >= until
        else np.concatenate([[steps + 1], np.zeros(words)]).astype(np.uint32)
    )
    case = Case("start_up", (until, words), {"state": state}, {"state": contents.offset(4)})
    return Check(case, {"state": after})


def layer_norm(
    contents: Contents,
    n: int,
    rows: int,
    gap: int = 0,
    in_place: bool = False,
    centred: bool = True,
) -> Check:
    """Of one band, and so RMSNorm, which is not centred."""
    stride = n + gap
    gain, bias = (contents.integers(-(2**30) + 1, 2**30 - 1, n, np.int64) for _ in range(2))
    gain, bias = (
        gain >> int(contents.rng.integers(0, 16)),
        bias >> int(contents.rng.integers(0, 30)),
    )
    epsilon = 1 << int(contents.rng.integers(0, 58, endpoint=True))
    lo, hi = contents.clamp()
    x = contents.integers(-32768, INT16_MAX, (rows, stride)) >> int(contents.rng.integers(0, 15))
    op = g.IntLayerNorm(("x",), "y", "", gain[None], bias[None], epsilon, 1.0, 1.0, 1.0)
    result = (x if in_place else blank(x.shape)).copy()
    result[:, :n] = layer_norm_of(x[:, :n].astype(np.int64)[None], op, lo, hi, centred)[0]
    buffers = {
        "second": gain.astype(np.int32),
        "third": bias.astype(np.int32),
        "x": x,
        "y": blank(x.shape),
    }
    values = (epsilon & 0xFFFFFFFF, epsilon >> 32, n, rows, stride, lo, hi)
    kernel = "layer_norm" if centred else "rms_norm"
    return finish(Case(kernel, values, buffers, ends(contents)), result, in_place)


def s4d(
    contents: Contents, channels: int, states: int, frames: int, in_place: bool = False
) -> Check:
    angle, radius = (
        contents.rng.uniform(0, 2 * np.pi, (channels, states)),
        contents.rng.uniform(0.5, 1, (channels, states)),
    )
    a = np.trunc(32767 * radius[..., None] * np.stack([np.cos(angle), np.sin(angle)], -1)).astype(
        np.int16
    )
    room = 65534 - np.abs(a.astype(np.int64)).sum(-1).max(-1)  # |a|·|state| + |g|·|u| + 2¹⁴ < 2³¹
    sign = contents.rng.choice([-1, 1], channels)
    gain = sign * (
        room
        if contents.mode == "extreme"
        else (room * contents.rng.random(channels)).astype(np.int64)
    )
    share = contents.rng.dirichlet(np.ones(2 * states + 1), channels) * contents.rng.choice(
        [-1, 1], (channels, 2 * states + 1)
    )
    whole = np.trunc(share * 65535 if contents.mode == "extreme" else share * 20000).astype(
        np.int64
    )
    c = np.clip(whole[:, :-1].reshape(channels, states, 2), -32767, 32767).astype(np.int16)
    d, mult = whole[:, -1].astype(np.int32), contents.integers(0, INT32_MAX, channels, np.int32)
    lo, hi = contents.clamp()
    u, state = (
        contents.integers(-32768, INT16_MAX, (frames, channels)),
        contents.integers(-32768, INT16_MAX, (channels, states, 2)),
    )
    ones = np.ones(channels)
    op = g.IntStateSpace(("x",), "y", "", a, c, gain, d, mult, 0, ones, ones)
    y, after = state_space_of(u.astype(np.int64)[None], op, state.astype(np.int64)[None], lo, hi)
    table, channel = pack.pack_s4d(a, c, gain, d, mult)
    offsets = ends(contents) | {name: contents.offset(4) for name in ("table", "second", "state")}
    buffers = {"table": table, "second": channel, "x": u, "y": blank(u.shape), "state": state}
    case = Case("s4d", (channels, states, frames, 0, lo, hi), buffers, offsets)
    check = finish(case, y[0].astype(np.int16), in_place)
    check.expected["state"] = after[0].astype(np.int16)
    return check


def lut(contents: Contents, n: int, in_place: bool = False) -> Check:
    table, x = contents.integers(-32768, INT16_MAX, 257), contents.integers(-32768, INT16_MAX, n)
    result = lut_of(x.astype(np.int64), table).astype(np.int16)
    case = Case(
        "lut",
        (n,),
        {"table": table, "x": x, "y": blank(x.shape)},
        ends(contents) | {"table": contents.offset(2)},
    )
    return finish(case, result, in_place)


def glu(contents: Contents, n: int, rows: int, in_place: bool = False) -> Check:
    table, x = (
        contents.integers(0, INT16_MAX, 257),
        contents.integers(-32768, INT16_MAX, (rows, 2 * n)),
    )
    result = glu_of(x.astype(np.int64), table).astype(np.int16)
    case = Case(
        "glu", (n, rows), {"table": table, "x": x, "y": blank(result.shape)}, ends(contents)
    )
    return finish(case, result, in_place)


def add(contents: Contents, n: int, in_place: bool = False) -> Check:
    a, b = contents.integers(-32768, INT16_MAX, n), contents.integers(-32768, INT16_MAX, n)
    result = sum_of(a.astype(np.int64), b.astype(np.int64)).astype(np.int16)
    case = Case(
        "add",
        (n,),
        {"second": b, "x": a, "y": blank(a.shape)},
        ends(contents) | {"second": contents.offset(2)},
    )
    return finish(case, result, in_place)


def log_softmax(contents: Contents, n: int, frames: int, in_place: bool = False) -> Check:
    shift = int(contents.rng.integers(0, 15))  # 65535 << shift < 2³¹
    mult = int(contents.rng.integers(0, INT32_MAX)) >> int(contents.rng.integers(0, 16))
    x = contents.integers(-32768, INT16_MAX, (frames, n))
    op = g.IntLogSoftmax(("x",), "y", "", mult, shift, int(contents.rng.integers(6, 11)))
    result = log_softmax_of(x.astype(np.int64)[None], op)[0].astype(np.int16)
    case = Case(
        "log_softmax",
        (mult, n, frames, shift, op.fraction),
        {"x": x, "y": blank(x.shape)},
        ends(contents),
    )
    return finish(case, result, in_place)


def ends(contents: Contents) -> dict[str, int]:
    return {"x": contents.offset(2), "y": contents.offset(2)}

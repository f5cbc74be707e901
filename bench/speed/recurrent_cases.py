"""Calls of the kernels of recurrent networks and of windows, as kernel_cases.py makes them, and
layers that are several calls: each works on what the one before gives."""

from __future__ import annotations

import numpy as np

from bench.bare.cases import Case
from bench.speed import kernel_cases
from bench.speed.kernel_cases import (
    INT16,
    INT16_MAX,
    INT32_MAX,
    LINEAR,
    Array,
    Check,
    Contents,
    blank,
    ends,
    finish,
)
from bench.speed.row import Alone, Floor, Step
from compress import graph as g
from compress.ops.gru import HIDDEN_LIMIT
from compress.ops.gru import gru_cell as gru_cell_of
from compress.ops.image import patches_of, repeat_of
from compress.ops.integrate import integrate as integrate_of
from compress.ops.integrate import position
from compress.ops.interpolate import interpolate as interpolate_of
from compress.ops.lstm import CELL_LIMIT
from compress.ops.lstm import lstm_cell as lstm_cell_of

CELL_MAX = CELL_LIMIT
INT32 = (-INT32_MAX - 1, INT32_MAX)
NAMES = (("x",), "y", "")  # of an operator that stands alone


def copy(contents: Contents, n: int, x: Array | None = None) -> Check:
    x = contents.integers(*INT16, n) if x is None else x
    return Check(Case("copy", (n,), {"x": x, "y": blank(x.shape)}, ends(contents)), {"y": x})


def interpolate(contents: Contents, frames: int, features: int, log2_factor: int) -> Check:
    x, past = contents.integers(*INT16, (frames, features)), contents.integers(*INT16, features)
    before = np.concatenate([past[None], x[:-1]])
    y = interpolate_of(_alone(x), _alone(before), 1 << log2_factor)
    buffers = {"x": x, "y": blank(y[0].shape), "state": past}
    case = Case(
        "interpolate",
        (frames, features, log2_factor),
        buffers,
        ends(contents) | {"state": contents.offset(2)},
    )
    return Check(case, {"y": y[0].astype(np.int16), "state": x[-1]})


def lstm_cell(
    contents: Contents,
    n: int,
    frames: int,
    in_place: bool = False,
    gates: Array | None = None,
    tables: tuple[Array, Array] | None = None,
    any_words: bool = False,
) -> Check:
    """Any tables of a sigmoid and a tanh, as steep as their promise allows; the cell is that of any
    frames before, or `any_words` that a snapshot may hold."""
    gates = contents.integers(*INT16, (frames, 4 * n)) if gates is None else gates
    any_tables = contents.integers(0, INT16_MAX, 257), contents.integers(-INT16_MAX, INT16_MAX, 257)
    sigmoid, tanh = tables or any_tables
    mult = int(contents.rng.integers(0, INT32_MAX, endpoint=True)) >> int(
        contents.rng.integers(0, 20)
    )
    cell = contents.integers(-CELL_MAX, CELL_MAX, n, np.int32) >> int(contents.rng.integers(0, 12))
    if any_words:
        cell = contents.integers(*INT32, n, np.int32)
    op = g.IntLstmCell(*NAMES, sigmoid, tanh, mult)
    y, after = lstm_cell_of(_alone(gates), op, _alone(cell))
    buffers = {"table": sigmoid, "second": tanh, "x": gates, "y": blank(y[0].shape), "state": cell}
    offsets = ends(contents) | {
        "table": contents.offset(2),
        "second": contents.offset(2),
        "state": contents.offset(4),
    }
    check = finish(
        Case("lstm_cell", (mult, n, frames), buffers, offsets), y[0].astype(np.int16), in_place
    )
    check.expected["state"] = after[0].astype(np.int32)
    return check


def gru_cell(
    contents: Contents,
    n: int,
    frames: int,
    inputs: tuple[Array, Array, Array] | None = None,
    tables: tuple[Array, Array] | None = None,
    any_words: bool = False,
) -> Check:
    """Any tables of a sigmoid and a tanh; the hidden state is that of any frames before, or
    `any_words` that a snapshot may hold. x holds the gates, then what input and hidden state add to
    the new value."""
    if inputs is None:
        gates, a, b = (contents.integers(*INT16, (frames, width)) for width in (2 * n, n, n))
        inputs = gates, a, b
    any_tables = contents.integers(0, INT16_MAX, 257), contents.integers(-INT16_MAX, INT16_MAX, 257)
    sigmoid, tanh = tables or any_tables
    reset_mult, mult = (
        int(contents.rng.integers(0, INT32_MAX, endpoint=True)) >> int(contents.rng.integers(0, 20))
        for _ in range(2)
    )
    limits = INT32 if any_words else (-HIDDEN_LIMIT, HIDDEN_LIMIT)
    hidden = contents.integers(*limits, n, np.int32)
    op = g.IntGruCell(*NAMES, sigmoid, tanh, reset_mult, mult)
    y, after = gru_cell_of([_alone(x) for x in inputs], op, _alone(hidden))
    x = np.concatenate([part.reshape(-1) for part in inputs])
    buffers = {"table": sigmoid, "second": tanh, "x": x, "y": blank(y[0].shape), "state": hidden}
    offsets = ends(contents) | {
        "table": contents.offset(2),
        "second": contents.offset(2),
        "state": contents.offset(4),
    }
    expected = {"y": y[0].astype(np.int16), "state": after[0].astype(np.int32)}
    return Check(Case("gru_cell", (reset_mult, mult, n, frames), buffers, offsets), expected)


def integrate(
    contents: Contents,
    n: int,
    frames: int,
    fraction: int,
    positions: int = 0,
    count: int = 0,
    in_place: bool = False,
    any_words: bool = False,
) -> Check:
    """`count` of `positions` positions have been taken before; the sum is any that these and
    increments may leave, or `any_words` that a snapshot may hold."""
    op = g.IntIntegrate(*NAMES, positions, fraction)
    x = contents.integers(*INT16, (frames, n * (2 if positions else 1)))
    initial, total = _standing(contents, n, fraction, any_words)
    y, after, counted = integrate_of(_alone(x), op, _alone(initial), _alone(total), count)
    buffers = {
        "second": initial,
        "x": x,
        "y": blank(y[0].shape),
        "state": np.append(total, count).astype(np.int32),
    }
    offsets = ends(contents) | {"second": contents.offset(2), "state": contents.offset(4)}
    check = finish(
        Case("integrate", (n, frames, positions, fraction), buffers, offsets),
        y[0].astype(np.int16),
        in_place,
    )
    check.expected["state"] = np.append(after[0], counted).astype(np.int32)
    return check


def integral(contents: Contents, n: int, fraction: int, any_words: bool = False) -> Check:
    initial, total = _standing(contents, n, fraction, any_words)
    op = g.IntIntegrate(*NAMES, 0, fraction)
    y = position(op, initial.astype(np.int64), total.astype(np.int64)).astype(np.int16)
    buffers = {
        "second": initial,
        "y": blank(y.shape),
        "state": np.append(total, 0).astype(np.int32),
    }
    offsets = ends(contents) | {"second": contents.offset(2), "state": contents.offset(4)}
    return Check(Case("integral", (n, 1, 0, fraction), buffers, offsets), {"y": y})


def patches(
    contents: Contents,
    frames: int,
    width: int,
    n: int,
    kernel: tuple[int, int],
    around: tuple[int, int] = (0, 0),
    enlarged: tuple[int, int] = (1, 1),
) -> Check:
    """kernel: frames and columns; around: frames of x in the same step before and after the piece
    that is asked for; enlarged: factor and copies."""
    before, after = around
    factor, copies = enlarged
    x = contents.integers(*INT16, (before + frames + after, width * n))
    whole = patches_of(g.IntIm2Col(*NAMES, len(x), width, *kernel, factor, copies), x[None])[0]
    y = whole[before * factor : (before + frames) * factor]
    values = (
        frames * factor,
        width * copies,
        n,
        *kernel,
        before * factor,
        after * factor,
        factor,
        copies,
    )
    return Check(Case("patches", values, {"x": x, "y": blank(y.shape)}, ends(contents)), {"y": y})


def repeat(contents: Contents, frames: int, width: int, n: int, factor: int, copies: int) -> Check:
    x = contents.integers(*INT16, (frames, width * n))
    y = repeat_of(g.IntTile(*NAMES, factor, width, copies), x[None])[0]
    values = (frames, width, n, factor, copies)
    return Check(Case("repeat", values, {"x": x, "y": blank(y.shape)}, ends(contents)), {"y": y})


def lstm_step(contents: Contents, inputs: int, n: int, kernel: str) -> list[Check]:
    """One frame of an LSTM layer: input and hidden state side by side, the gates, the cell.
    `kernel` is a key of LINEAR."""
    kind = LINEAR[kernel].x
    x, hidden = contents.integers(*kind, inputs), contents.integers(*kind, n)
    gates = kernel_cases.linear(
        contents, inputs + n, 4 * n, 1, kernel=kernel, x=np.concatenate([x, hidden])
    )
    cell = lstm_cell(contents, n, 1, gates=gates.expected["y"].reshape(1, -1))
    return _as_exported([copy(contents, inputs, x), copy(contents, n, hidden), gates, cell])


def gru_step(contents: Contents, inputs: int, n: int, kernel: str) -> list[Check]:
    """One frame of a GRU layer: input and hidden state side by side for the gates, each by itself
    for the new value, the cell. `kernel` is a key of LINEAR."""
    kind = LINEAR[kernel].x
    x, hidden = contents.integers(*kind, inputs), contents.integers(*kind, n)
    both = np.concatenate([x, hidden])
    gates = kernel_cases.linear(contents, inputs + n, 2 * n, 1, kernel=kernel, x=both)
    value = kernel_cases.linear(contents, inputs, n, 1, kernel=kernel, x=x)
    share = kernel_cases.linear(contents, n, n, 1, kernel=kernel, x=hidden)
    rows = [check.expected["y"].reshape(1, -1) for check in (gates, value, share)]
    cell = gru_cell(contents, n, 1, inputs=(rows[0], rows[1], rows[2]))
    moved = [copy(contents, inputs, x), copy(contents, n, hidden), copy(contents, n, hidden)]
    return _as_exported([*moved, gates, value, share, cell])


def banded_convolution(
    contents: Contents, frames: int, channels: int, kernel: int, groups: int, linear: str
) -> list[Check]:
    """A convolution over frames alone, the same for each of the groups: windows with bands, and a
    layer they share."""
    seen = kernel_cases.window(contents, kernel, 1, 0, frames, channels, groups, LINEAR[linear].x)
    x = seen.expected["y"].reshape(-1)
    layer = kernel_cases.linear(
        contents, kernel * channels, channels, frames * groups, kernel=linear, x=x
    )
    return _as_exported([seen, layer])


def _as_exported(calls: list[Check]) -> list[Check]:
    """Every buffer on a word boundary."""
    for check in calls:
        check.case.offsets = {}
    return calls


def _standing(
    contents: Contents, n: int, fraction: int, any_words: bool = False
) -> tuple[Array, Array]:
    """Values that a stream began with, and sums that lead to any others, or `any_words`."""
    if any_words:
        return contents.integers(*INT16, n), contents.integers(*INT32, n, np.int64)
    initial, now = contents.integers(*INT16, n), contents.integers(*INT16, n).astype(np.int64)
    least, most = ((end - initial.astype(np.int64)) << fraction for end in INT16)
    return initial, np.clip(
        ((now - initial) << fraction) + contents.rng.integers(-(2**15), 2**15, n), least, most
    )


def _alone(values: Array) -> Array:
    """As the reference takes it: a batch of one stream."""
    return values.astype(np.int64)[None]


# --- rows of the table (rows.py) ------------------------------------------------------------------

INPUTS, CELLS = 84, 512  # of the steps that are counted: those of the published trackers
STEPS = (
    Step(
        "lstm step",
        f"{INPUTS}→{CELLS}: 2 copies, linear, cell",
        lambda contents, case: lstm_step(contents, INPUTS, CELLS, case),
        (INPUTS + CELLS) * 4 * CELLS,
        {"cortex-m4": 1.35, "cortex-m7": 1.35, "cortex-m55": 0.4},
        {"cortex-m4": 2_573_954, "cortex-m7": 2_573_954, "cortex-m55": 706_833},
    ),
    Step(
        "gru step",
        f"{INPUTS}→{CELLS}: 3 copies, 3 linear, cell",
        lambda contents, case: gru_step(contents, INPUTS, CELLS, case),
        (INPUTS + CELLS) * 3 * CELLS,
        {"cortex-m4": 1.1, "cortex-m7": 1.1},
        {},
    ),
)
VECTOR_FLOORS = {
    "gru_cell": Floor(
        84 / 8,
        "8 values: 2 luts of gates without their stores, a lut without load and store, 2 loads of "
        "the shares, VLD2 and VST2 of the hidden state; 2 × VMULL, VSHL, VRMULH, VMOVL, VADD, "
        "VQMOVN; 2 × VMOVL, VSHL, VSUB, VSHL, VSHLL, VRMULH, VADD, VMAX, VMIN; 2 × VSHL, VRMULH, "
        "VQMOVN; store",
    ),
    "lstm_cell": Floor(
        101 / 8,
        "8 values: 4 luts of gates without their stores, VLD2 and VST2 of the cell, 2 × VMULL,"
        " VSHLL, VRSHR, VSHL, VRMULH, VADD, VMAX, VMIN; 2 VQRSHRN, a lut without load and store, 2"
        " × VMULL, VSHL, VRMULH, VQMOVN; store",
    ),
}
ALONE: tuple[Alone, ...] = (
    (
        "gru_cell",
        "512",
        lambda c: gru_cell(c, 512, 1),
        512,
        "value",
        Floor(
            33.0,
            "3 luts without their stores, ½ load of both shares; product, shift, SMMLAR, SSAT of "
            "the argument; load and store of the hidden state, shift of the new value, "
            "difference, shift, SMMLAR, 4 to hold to the limits; shift, SMMULR, SSAT, ½ pack, "
            "½ store",
        ),
    ),
    (
        "lstm_cell",
        "512",
        lambda c: lstm_cell(c, 512, 1),
        512,
        "value",
        Floor(
            47.0,
            "4 luts of gates without their stores; load and store of the cell, 2 shifts, "
            "product, + ½ step, shift, SMMLAR, 4 to hold to the limits; + ½ step, SSAT, 6 of a "
            "lut, product, shift, SMMULR, SSAT, ½ pack, ½ store",
        ),
    ),
)

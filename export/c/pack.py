"""Weights in the order the kernels of firmware/nn read them (nn.h, nn_linear_s8_s16.c,
nn_linear_s4_s16.c, nn_linear_mve.h, nn_s4d_s16.c)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from compress.errors import GraphError

Array = npt.NDArray[Any]

ROWS_ALONE, ROWS_SHARED = (
    4,
    2,
)  # rows computed together: one frame at a time, several frames at a time
INPUTS = 4  # inputs are padded with zero weights to a multiple of this
VECTOR = 16  # int8 in a 128-bit vector


@dataclass(frozen=True)
class Lanes:
    """How a kernel for 128-bit vectors wants its weights: rows of a block, and what it takes from x
    before it multiplies."""

    rows: int
    zero: int


LANES = {"nn_linear_s8_s16_mve": Lanes(4, 128), "nn_linear_s8_s8_mve": Lanes(8, 0)}


def pack_linear(weights: Array, frames: int, bits: int = 8) -> Array:
    """int8 (out, in) -> the int8 bytes of `nn_linear.weights` for a layer of `frames` frames a
    step.

    8 bits, −127…127. One frame: rows pairwise in halfwords h = a + 256·b, four rows to a block: for
    each two inputs the word of rows (0, 1), then of rows (2, 3). Several frames: rows pairwise,
    bytes a0 b0 a1 b1 …. 4 bits, −7…7, stored plus eight. A word is two rows × four inputs, nibbles
    a0 b0 a2 b2 a1 b1 a3 b3 from the lowest on. One frame: four rows to a block, for each four
    inputs the word of rows (0, 1), then of rows (2, 3). Several frames: two rows. Rows and inputs
    are padded with zeros. GraphError for weights that are wider, also for −128: a + 256·b could not
    hold it.
    """
    _check(weights, bits)
    if bits == 4:
        return _pack_nibbles(weights, frames)
    return _pack_alone(weights) if frames == 1 else _pack_shared(weights)


def pack_taps(weights: Array) -> Array:
    """int8 (channels, kernel) -> the int16 pairs of `nn_depthwise.weights`, (⌈kernel / 2⌉,
    channels, 2): two taps of a channel side by side, a last one by itself beside a zero."""
    channels, kernel = weights.shape
    padded = np.pad(weights.astype(np.int16), [(0, 0), (0, kernel % 2)])
    return np.ascontiguousarray(padded.reshape(channels, -1, 2).swapaxes(0, 1))


def pack_lanes(weights: Array, bias: Array, mult: Array, lanes: Lanes) -> Array:
    """int8 (out, in), int32 (out,) and (out,) -> the int8 bytes of `nn_linear.weights` for a kernel
    of LANES and any frames.

    For each block of rows: their biases, their weights as (steps, rows, 16), their mults. The last
    step is of the last 16 inputs, with zeros where it reaches back into the step before, and the
    last block of the last rows. The kernel computes Σw·(x − zero), so zero·Σw is added to the bias,
    modulo 2³². GraphError for fewer rows or inputs than a block and a step have, and as
    pack_linear().
    """
    out, inputs = weights.shape
    _check(weights, 8)
    if out < lanes.rows or inputs < VECTOR:
        raise GraphError(
            f"weights: expected at least {lanes.rows} rows of {VECTOR} inputs, found {out} of"
            f" {inputs}"
        )
    left = inputs % VECTOR
    whole, rest = weights[:, : inputs - left], weights[:, inputs - left :]
    padded = (
        np.concatenate([whole, np.zeros((out, VECTOR - left), np.int8), rest], 1)
        if left
        else weights
    )
    wrapped = (bias.astype(np.int64) + lanes.zero * weights.sum(1, dtype=np.int64)).astype("<i4")
    parts = []
    for row in range(0, out, lanes.rows):
        rows = slice(
            min(row, out - lanes.rows), None if row + lanes.rows >= out else row + lanes.rows
        )
        steps = padded[rows].reshape(lanes.rows, -1, VECTOR).transpose(1, 0, 2)
        parts += [wrapped[rows].tobytes(), steps.tobytes(), mult[rows].astype("<i4").tobytes()]
    return np.frombuffer(b"".join(parts), np.int8)


def _check(weights: Array, bits: int) -> None:
    limit = 2 ** (bits - 1) - 1
    if weights.dtype != np.int8 or weights.ndim != 2:
        raise GraphError(
            f"weights: expected int8 of shape (out, in), found {weights.dtype} {weights.shape}"
        )
    if weights.size and max(-int(weights.min()), int(weights.max())) > limit:
        found = f"{weights.min()}…{weights.max()}".replace("-", "−")
        raise GraphError(
            f"weights: expected −{limit}…{limit}, found {found}; quantize symmetrically"
        )


def packed_bytes(out: int, inputs: int, frames: int, bits: int = 8) -> int:
    """Bytes pack_linear() gives for this shape."""
    return _up(out, _rows(frames)) * _up(inputs, INPUTS) * bits // 8


def takes_several(out: int, inputs: int) -> bool:
    """Have the kernels of Armv7E-M a fast path for several frames of this shape? Others they
    compute by the definition."""
    return out % ROWS_SHARED == 0 and inputs % INPUTS == 0


def pack_s4d(a: Array, c: Array, g: Array, d: Array, mult: Array) -> tuple[Array, Array]:
    """a, c int16 (H, N, 2) re, im; g, d, mult int32 (H,) -> (coefficients uint32 (H·N·2,), channel
    int32 (H·3,)) of `nn_s4d`."""
    if a.shape != c.shape or a.ndim != 3 or a.shape[2] != 2:
        raise GraphError(
            f"state space: expected a and c of one shape (H, N, 2), found {a.shape} and {c.shape}"
        )
    both = np.stack([a, c], axis=2).astype("<i2")  # (H, N, {a, c}, {re, im})
    channel = np.stack([g, d, mult], axis=1).astype(np.int32)
    return both.reshape(-1).view("<u4").astype(np.uint32), channel.reshape(-1)


def _up(n: int, multiple: int) -> int:
    return -(-n // multiple) * multiple


def _rows(frames: int) -> int:
    return ROWS_ALONE if frames == 1 else ROWS_SHARED


def _padded(weights: Array, rows: int) -> Array:
    out, inputs = weights.shape
    return np.pad(weights, ((0, _up(out, rows) - out), (0, _up(inputs, INPUTS) - inputs)))


def _pack_alone(weights: Array) -> Array:
    w = _padded(weights, ROWS_ALONE).astype(np.int16)
    pairs = w[0::2] + 256 * w[1::2]  # (out / 2, in)
    blocks = pairs.reshape(-1, 2, pairs.shape[1] // 2, 2)  # (block, pair, two inputs, input)
    return (
        np.ascontiguousarray(blocks.transpose(0, 2, 1, 3)).astype("<i2").reshape(-1).view(np.int8)
    )


def _pack_shared(weights: Array) -> Array:
    w = _padded(weights, ROWS_SHARED)
    return np.ascontiguousarray(w.reshape(-1, 2, w.shape[1]).transpose(0, 2, 1)).reshape(-1)


def _pack_nibbles(weights: Array, frames: int) -> Array:
    rows = _rows(frames)
    nibbles = (_padded(weights, rows) + 8).astype(np.uint32)
    blocks = nibbles.reshape(
        -1, rows // 2, 2, nibbles.shape[1] // INPUTS, 2, 2
    )  # (block, pair, row, step, second two, input)
    shifts = np.arange(0, 32, 4, dtype=np.uint32).reshape(2, 2, 2)  # (input, second two, row)
    words = (blocks.transpose(0, 3, 1, 5, 4, 2) << shifts).sum((3, 4, 5), dtype=np.uint32)
    return words.astype("<u4").reshape(-1).view(np.int8)

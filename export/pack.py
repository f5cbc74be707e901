"""Weights in the order the kernels of firmware/nn read them (nn.h, nn_linear_s8_s16.c, nn_s4d_s16.c)."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from compress.errors import GraphError

Array = npt.NDArray[Any]

ROWS_ALONE, ROWS_SHARED = 4, 2  # rows computed together: one frame at a time, several frames at a time
INPUTS = 4  # inputs are padded with zero weights to a multiple of this


def pack_linear(weights: Array, frames: int) -> Array:
    """int8 (out, in) in −127…127 -> the int8 bytes of `nn_linear.weights` for a layer of `frames` frames a step.

    One frame: rows pairwise in halfwords h = a + 256·b, four rows to a block: for each two inputs the word of rows (0, 1),
    then of rows (2, 3). Several frames: rows pairwise, bytes a0 b0 a1 b1 …. Rows and inputs are padded with zeros.
    GraphError for a weight of −128, which a + 256·b could not hold in 16 bits.
    """
    if weights.dtype != np.int8 or weights.ndim != 2:
        raise GraphError(f"weights: expected int8 of shape (out, in), found {weights.dtype} {weights.shape}")
    if weights.size and int(weights.min()) < -127:
        raise GraphError("weights: expected −127…127, found −128; quantize symmetrically")
    return _pack_alone(weights) if frames == 1 else _pack_shared(weights)


def packed_bytes(out: int, inputs: int, frames: int) -> int:
    """Bytes pack_linear() gives for this shape."""
    return _up(out, ROWS_ALONE if frames == 1 else ROWS_SHARED) * _up(inputs, INPUTS)


def pack_s4d(a: Array, c: Array, g: Array, d: Array, mult: Array) -> tuple[Array, Array]:
    """a, c int16 (H, N, 2) re, im; g, d, mult int32 (H,) -> (coefficients uint32 (H·N·2,), channel int32 (H·3,)) of `nn_s4d`."""
    if a.shape != c.shape or a.ndim != 3 or a.shape[2] != 2:
        raise GraphError(f"state space: expected a and c of one shape (H, N, 2), found {a.shape} and {c.shape}")
    both = np.stack([a, c], axis=2).astype("<i2")  # (H, N, {a, c}, {re, im})
    channel = np.stack([g, d, mult], axis=1).astype(np.int32)
    return both.reshape(-1).view("<u4").astype(np.uint32), channel.reshape(-1)


def _up(n: int, multiple: int) -> int:
    return -(-n // multiple) * multiple


def _padded(weights: Array, rows: int) -> Array:
    out, inputs = weights.shape
    return np.pad(weights, ((0, _up(out, rows) - out), (0, _up(inputs, INPUTS) - inputs)))


def _pack_alone(weights: Array) -> Array:
    w = _padded(weights, ROWS_ALONE).astype(np.int16)
    pairs = w[0::2] + 256 * w[1::2]  # (out / 2, in)
    blocks = pairs.reshape(-1, 2, pairs.shape[1] // 2, 2)  # (block, pair, two inputs, input)
    return np.ascontiguousarray(blocks.transpose(0, 2, 1, 3)).astype("<i2").reshape(-1).view(np.int8)


def _pack_shared(weights: Array) -> Array:
    w = _padded(weights, ROWS_SHARED)
    return np.ascontiguousarray(w.reshape(-1, 2, w.shape[1]).transpose(0, 2, 1)).reshape(-1)

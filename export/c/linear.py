"""Which kernel computes a linear layer, and the tables it wants."""

from __future__ import annotations

import numpy as np

from compress import graph as g
from export.c import pack

KERNELS = ("nn_linear_s8_s16", "nn_linear_s4_s16", *pack.LANES)


def kernel_of(graph: g.Graph, op: g.IntDense, family: str) -> str:
    """The name of a file in firmware/nn. Vectors hold 16 inputs and start at even ones; a narrow
    input is narrower work."""
    if op.weight_bits == 4:
        return "nn_linear_s4_s16"
    _, out, kernel, width = op.weight.shape
    source = graph.tensors[op.inputs[0]]
    if family == "mve" and kernel * width >= pack.VECTOR and width % 2 == 0:
        if out >= pack.LANES["nn_linear_s8_s8_mve"].rows and max(-source.lo - 1, source.hi) <= 127:
            return "nn_linear_s8_s8_mve"
        if out >= pack.LANES["nn_linear_s8_s16_mve"].rows:
            return "nn_linear_s8_s16_mve"
    return "nn_linear_s8_s16"


def frames_and_calls(graph: g.Graph, op: g.IntDense, kernel: str, frames: int) -> tuple[int, int]:
    """Frames of one call of the kernel, and calls for `frames` of them, those of a step (of a loop:
    of one frame, of a stretch: of a piece): one, but for a layer at the output's rate whose shape a
    kernel of Armv7E-M does not take for several frames. That is called frame by frame.
    """
    bands, out, taps, width = op.weight.shape
    if (
        frames == graph.chunk
        and kernel not in pack.LANES
        and not pack.takes_several(out, bands * taps * width)
    ):
        return 1, frames
    return frames, 1


def tables_of(op: g.IntDense, band: int, kernel: str, frames: int) -> dict[str, g.Array]:
    """Field of `nn_linear` -> table, for one band of a layer of `frames` frames a step."""
    weights = op.weight[band].reshape(op.weight.shape[1], -1)
    bias, mult = op.bias[band].astype(np.int32), op.mult[band].astype(np.int32)
    if kernel in pack.LANES:
        return {"weights": pack.pack_lanes(weights, bias, mult, pack.LANES[kernel])}
    return {
        "weights": pack.pack_linear(weights, frames, op.weight_bits),
        "bias": bias,
        "mult": mult,
    }

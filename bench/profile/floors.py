"""The fewest instructions of a layer's inner loop, as bench/speed/rows.py derives them: loads,
unpacks, multiply-accumulates.

Nothing around the inner loop is in a floor: no requantization of a linear layer, no loop, no
address, no call.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import cast

from bench.speed import rows
from bench.speed.rows import Floor
from compress import graph as g

ROWS = {  # kernel of firmware/nn -> that of bench/speed/rows.py
    "nn_layer_norm_s16": "layer_norm",
    "nn_lut_s16": "lut",
    "nn_glu_s16": "glu",
    "nn_add_s16": "add",
    "nn_mean_pool_s16": "mean_pool",
    "nn_s4d_s16": "s4d",
    "nn_depthwise_s8_s16": "depthwise",
    "nn_attention_scores_s16": "attention_scores",
    "nn_attention_context_s16": "attention_context",
    "nn_softmax_s16": "softmax",
    "nn_rms_norm_s16": "rms_norm",
    "nn_rescale_s16": "rescale",
    "nn_multiply_s16": "multiply",
    "nn_subtract_s16": "subtract",
    "nn_clamp_s16": "clamp",
}
LINEAR: dict[str, Callable[[int], Floor]] = {  # of the frames of a step
    "nn_linear_s8_s16": rows.dsp_floor,
    "nn_linear_s4_s16": rows.dsp_floor_s4,
    "nn_linear_s8_s16_mve": lambda _: rows.VECTOR_KERNELS["w8a16"][1],
    "nn_linear_s8_s8_mve": lambda _: rows.VECTOR_KERNELS["w8a8"][1],
}
SAME_INSTRUCTIONS = {
    "cortex-m7": "cortex-m4",
    "cortex-m33": "cortex-m4",
}  # the same code: cores that differ in time only


def of(op: g.Op, kernel: str, calls: int, frames: int, values: int, core: str) -> Floor | None:
    """Instructions of one step (`per_unit`: the step) and where they come from; None where no floor
    is derived.

    `kernel`: what the emitted C calls, `calls` times a step; `frames`: that the operator puts out
    in a step; `values`: those its work goes by.
    """
    if kernel in LINEAR:
        layer = cast(g.IntDense, op)
        of_a_call = frames * layer.shared * layer.weight.shape[0] // calls
        each, units = LINEAR[kernel](of_a_call), layer.macs(0) * frames
    elif (
        found := _derived(SAME_INSTRUCTIONS.get(core, core)).get(ROWS.get(kernel, ""))
    ) is not None:
        kind, amount = op.work(values // frames)
        each, units = found, amount * frames if kind in ("state", "matrix") else values
    else:
        return None
    return Floor(units * each.per_unit, each.words)


@functools.cache
def _derived(core: str) -> dict[str, Floor]:
    """Kernel -> its floor per value, sample or complex state; the first row of each kernel has the
    words."""
    found: dict[str, Floor] = {}
    for row in rows.rows():
        if row.core == core and row.floor is not None:
            found.setdefault(row.kernel, row.floor)
    return found

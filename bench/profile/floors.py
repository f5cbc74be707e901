"""The fewest instructions of a layer's inner loop, as bench/rows.py derives them: loads, unpacks, multiply-accumulates.

Nothing around the inner loop is in a floor: no requantization of a linear layer, no loop, no address, no call.
"""

from __future__ import annotations

import functools

from bench import rows
from bench.rows import Floor
from compress import graph as g

KERNELS: dict[type[g.Op], str] = {
    g.IntLayerNorm: "layer_norm",
    g.IntLut: "lut",
    g.IntGlu: "glu",
    g.IntAdd: "add",
    g.IntMeanPool: "mean_pool",
    g.IntStateSpace: "s4d",
}


SAME_INSTRUCTIONS = {"cortex-m7": "cortex-m4", "cortex-m33": "cortex-m4"}  # the same code: cores that differ in time only


def of(op: g.Op, frames: int, macc: int, values: int, core: str) -> Floor | None:
    """Instructions of one step (`per_unit`: the step) and where they come from; None where no floor is derived.

    `values`: those the operator's work goes by.
    """
    core = SAME_INSTRUCTIONS.get(core, core)
    if isinstance(op, g.IntLinear):
        each = _linear(op, frames, core)
        return None if each is None else Floor(macc * each.per_unit, each.words)
    found = _derived(core).get(KERNELS.get(type(op), ""))
    if found is None:
        return None
    states = op.a.shape[0] * op.a.shape[1] * frames if isinstance(op, g.IntStateSpace) else values
    return Floor(states * found.per_unit, found.words)


def _linear(op: g.IntLinear, frames: int, core: str) -> Floor | None:
    if core != "cortex-m4":
        return None
    return rows.dsp_floor_s4(frames) if op.weight_bits == 4 else rows.dsp_floor(frames)


@functools.cache
def _derived(core: str) -> dict[str, Floor]:
    """Kernel -> its floor per value, sample or complex state; the first row of each kernel has the words."""
    found: dict[str, Floor] = {}
    for row in rows.rows():
        if row.core == core and row.floor is not None:
            found.setdefault(row.kernel, row.floor)
    return found

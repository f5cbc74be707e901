"""The fewest instructions of a layer's inner loop, as bench/rows.py derives them: loads, unpacks, multiply-accumulates.

Nothing around the inner loop is in a floor: no requantization of a linear layer, no loop, no address, no call.
"""

from __future__ import annotations

from bench import rows
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


def of(op: g.Op, frames: int, macc: int, values: int, core: str) -> float | None:
    """Instructions of one step; None where no floor is derived. `values`: those the operator's work goes by."""
    core = SAME_INSTRUCTIONS.get(core, core)
    if isinstance(op, g.IntLinear) and core == "cortex-m4":
        floor = rows.dsp_floor_s4(frames) if op.weight_bits == 4 else rows.dsp_floor(frames)
        return macc * floor.per_unit
    derived = {row.kernel: row.floor.per_unit for row in rows.rows() if row.core == core and row.floor is not None}
    each = derived.get(KERNELS.get(type(op), ""))
    if each is None:
        return None
    return each * (op.a.shape[0] * op.a.shape[1] * frames if isinstance(op, g.IntStateSpace) else values)

"""Where a step keeps its state: TFLite-Micro's memory plan, written into the file, puts its input
and output at one place.

The step has its state as inputs and outputs. Left alone, both would lie in the arena and be copied
between steps. The metadata entry `OfflineMemoryAllocation` gives tensors a fixed offset in the
arena; the interpreter plans everything else around them by lifetime. An input that is read for the
last time before its output is written can share its memory: the state stays where it is.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from compress.errors import GraphError
from export.tflite.model import File

PLAN = "OfflineMemoryAllocation"
PLAN_VERSION, SUBGRAPH, PLANNED_ONLINE = 1, 0, -1
ALIGNMENT = 16  # of a tensor in the arena
# bytes of a value of a state
ITEM_BYTES = {schema.TensorType.INT16: 2, schema.TensorType.FLOAT32: 4}
IN_PLACE = (
    schema.BuiltinOperator.ADD,
    schema.BuiltinOperator.MUL,
    schema.BuiltinOperator.SUB,
)  # element by element


@dataclass(frozen=True)
class StatePlan:
    """Offset of each state in the arena, in the order of inputs 1, 2, … and of outputs; `size`:
    bytes they take from 0 on."""

    offsets: list[int]
    size: int


def plan_state(file: File) -> StatePlan:
    """Lay the states of a step end to end and write that into the file; GraphError when one cannot
    stay in place."""
    step = file.step.content
    if len(step.inputs) != len(step.outputs):
        raise GraphError(
            f"{len(step.inputs) - 1} states go in and {len(step.outputs) - 1} come out: expected as"
            " many"
        )
    tensors = np.full(len(step.tensors), PLANNED_ONLINE, np.int32)
    offsets, end = [], 0
    for before, after in zip(step.inputs[1:], step.outputs[1:], strict=True):
        _check_in_place(file, before, after)
        tensors[before] = tensors[after] = end
        offsets.append(end)
        state = step.tensors[before]
        size = ITEM_BYTES[state.type] * int(np.prod(state.shape))
        end += -(-size // ALIGNMENT) * ALIGNMENT
    header = np.array([PLAN_VERSION, SUBGRAPH, len(tensors)], np.int32)
    file.attach(PLAN, np.concatenate([header, tensors]).astype("<i4").tobytes())
    return StatePlan(offsets, end)


def _check_in_place(file: File, before: int, after: int) -> None:
    """The old state must not be read once the new one is written, except element by element by the
    operator that writes it."""
    step = file.step.content
    name, old, new = step.tensors[before].name, step.tensors[before], step.tensors[after]
    if (list(old.shape), old.type) != (list(new.shape), new.type) or old.type not in ITEM_BYTES:
        raise GraphError(
            f"state {name}: int16 or float32 of one shape goes in and out, found"
            f" {list(old.shape)} of type {old.type} and {list(new.shape)} of type {new.type}"
        )
    read = [i for i, op in enumerate(step.operators) if before in list(op.inputs)]
    written = [i for i, op in enumerate(step.operators) if after in list(op.outputs)]
    if len(written) != 1:
        raise GraphError(
            f"state {name}: expected one operator that writes it, found {len(written)}"
        )
    code = file.model.operatorCodes[step.operators[written[0]].opcodeIndex].builtinCode
    last = max(read, default=-1)
    if last > written[0] or (last == written[0] and code not in IN_PLACE):
        raise GraphError(
            f"state {name}: it is still read when its new value is written, so it cannot stay in"
            " place"
        )

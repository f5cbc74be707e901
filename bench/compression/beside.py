"""What an image takes beside the matrices of its network, from a linked one: the whole network in
four bits, which is what a budget is compared with."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from bench import footprint
from compress import graph as g
from compress import pipeline
from compress.artifacts import Folder, Sources
from compress.compression import cost
from compress.compression.budget import CODE, Budget
from export import build
from export.boards import Description
from export.c.placement import DoesNotFitError

BITS, PRECISION = 4, "w4a16"
EIGHT_BITS = 3584  # bytes of kernels that eight bits beside four take, at most
MATTERS = 20 * CODE  # bytes of flash from which on the allowance for code decides little


def measured(
    budget: Budget, folder: Folder, checkpoint: Path, sources: Sources, board: Description
) -> Budget:
    """The budget with the bytes of code and of other tables of an image that is linked here; as it
    is for a network that does not fit the board in four bits, or a board without limits."""
    four = dataclasses.replace(folder, precision=PRECISION)
    if not board.memory:
        return budget
    integer = pipeline.graphs(four, checkpoint, sources)
    try:
        image = build.make_firmware(integer, four, board.name)
    except DoesNotFitError:
        return budget
    found, real = footprint.read(image, board.memory), g.load(four.float_graph)
    matrices = sum(cost.matrix_of(real, op).bytes(BITS) for op in real.matrices)
    tables = found.purpose("tables")
    return dataclasses.replace(
        budget,
        code=found.flash - tables + EIGHT_BITS,
        one_width=EIGHT_BITS,
        other_tables=tables - matrices,
    )

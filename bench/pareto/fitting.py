"""The smallest board that holds a network, and its linked image."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from bench import footprint
from bench.footprint import FootprintError
from compress.artifacts import Folder
from compress.errors import TendonError
from compress.graph import Graph
from export import boards, build
from export.boards import Description
from export.c import emit
from export.c.placement import DoesNotFitError


@dataclass(frozen=True)
class Placed:
    """A linked image on the smallest board that holds it. Bytes from the ELF."""

    board: str
    image: Path
    flash: int
    ram: int


def by_size(names: tuple[str, ...] | None = None) -> list[Description]:
    """Emulated boards with a memory of their own, smallest first; of `names` only when given."""
    wanted = {boards.load_board(name).name for name in names or boards.names()}
    return [board for board in boards.emulated() if board.memory and board.name in wanted]


def place(graph: Graph, folder: Folder, candidates: list[Description]) -> Placed:
    """Build for the first board whose memory holds the linked image; TendonError says why none
    does."""
    reasons = []
    for board in candidates:
        try:
            build.check_fit(emit.build(graph, board.kernels), board.name)
            image = build.make_firmware(graph, folder, board.name)
            measured = footprint.read(image, board.memory)
            footprint.check_limits(measured, board.name)
        except (DoesNotFitError, FootprintError) as error:
            reasons.append(str(error))
            continue
        return Placed(board.name, image, measured.flash, measured.ram)
    tried = ", ".join(b.name for b in candidates) or "none"
    raise TendonError(
        f"{graph.name} fits no emulated board (tried: {tried})\n  " + "\n  ".join(reasons)
    )

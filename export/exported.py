"""How a network was exported for a board last: its name in C, and how much later its frames may
come, in `export.json` beside the project. Commands that do not say go on with that."""

from __future__ import annotations

import functools
import logging
import math
from dataclasses import dataclass, replace
from pathlib import Path

from compress import graph as g
from compress.artifacts import DEFAULT, Folder
from compress.artifacts.sources import shown
from compress.files import read_json, write_json
from export import build

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Exported:
    """`name` None: as the model is called."""

    latency_ms: float = 0.0
    name: str | None = None

    def __str__(self) -> str:
        name = [] if self.name is None else [f"NAME={self.name}"]
        return ", ".join([f"LATENCY={self.latency_ms:g}", *name])


def called(graph: g.Graph, folder: Folder, board: str) -> g.Graph:
    """The network under the name that it was exported with."""
    name = _known(folder.target(board) / "export.json").name
    return graph if name is None else replace(graph, name=name)


def as_exported(
    graph: g.Graph, folder: Folder, board: str, latency_ms: float | None, name: str | None = None
) -> g.Graph:
    """The network in as long steps as the latency allows (`build.in_longest_steps`), under a name;
    of what is None, as it was exported last. Says what it goes on with, and what it replaces;
    remembers it."""
    path = folder.target(board) / "export.json"
    known = _known(path)
    wanted = Exported(
        known.latency_ms if latency_ms is None else latency_ms,
        known.name if name is None else None if name == DEFAULT else name,
    )
    if wanted.name is not None:
        graph = replace(graph, name=wanted.name)
    stretched = build.in_longest_steps(graph, board, wanted.latency_ms)
    where = shown(path.parent.resolve())
    if wanted != known:
        if path.is_file():
            _say(f"{where}: was exported with {known}, now with {wanted}")
        write_json(path, {"latency_ms": wanted.latency_ms, "name": wanted.name})
    elif wanted != Exported():
        _say(f"{where}: goes on with {wanted}, as it was exported")
    return stretched


@functools.cache  # a command asks several times
def _say(line: str) -> None:
    log.info(line)


def _known(path: Path) -> Exported:
    """What was exported last; a record that is none says nothing."""
    said = read_json(path)
    latency_ms, name = said.get("latency_ms"), said.get("name")
    sound = isinstance(latency_ms, int | float) and 0 <= latency_ms < math.inf
    return Exported(
        float(latency_ms) if sound else 0.0,  # type: ignore[arg-type]
        name if isinstance(name, str) and name else None,
    )

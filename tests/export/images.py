"""Programs of one's own around exported networks, put together as a project's README says it under
"Several networks in one program": one folder with all models, one with all kernels."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from compress import graph as g
from compress.interpreter.integer import IntegerInterpreter
from export.boards import load_board
from export.c import emit, examples
from export.c.project import build_project, write_project
from export.c.step import Model
from host.boards import ProcessBoard, open_emulator, open_process
from tests.firmware.test_sanitizers import samples_of

BOARD = "virtual-f405"
SANITIZE = "-O1 -fsanitize=address,undefined -fno-sanitize-recover=all"
FOR_PORTS = ("crc32.c", "crc32.h", "ring.h")  # of app/


@dataclass(frozen=True)
class Exported:
    """A network and its project."""

    graph: g.Graph
    project: Path
    board: str = BOARD

    @cached_property
    def model(self) -> Model:
        return emit.build(self.graph, load_board(self.board).kernels)

    @property
    def name(self) -> str:
        return self.model.identifier


def exported(graph: g.Graph, name: str, folder: Path, board: str = BOARD) -> Exported:
    """The network's project below a folder, under a name of its own."""
    found = Exported(replace(graph, name=name), folder / name, board)
    kernels = emit.kernels(found.graph, load_board(board).kernels)
    files = emit.files(found.model) | examples.files(found.model, board)
    write_project(found.project, board, files, kernels, name)
    return found


def together(folder: Path, main: str, *networks: Exported) -> Path:
    """A project of the first's shape that holds all of them and this program."""
    shutil.copytree(networks[0].project, folder)
    for network in networks[1:]:
        for part in ("model", "nn"):
            shutil.copytree(network.project / part, folder / part, dirs_exist_ok=True)
    for path in (folder / "app").iterdir():
        if path.name not in FOR_PORTS:
            path.unlink()
    (folder / "app" / "main.c").write_text(main)
    return folder


def started(project: Path, out: Path, board: str, compiler: str, flags: str = "") -> ProcessBoard:
    """Build a project, and run it in the emulator or as a process until it says 0."""
    image = build_project(project, board, out, flags, compiler=compiler)
    process = board == "posix"
    running = open_process(image) if process else open_emulator(load_board(board), image)
    assert said(running, 1) == b"\0"
    return running


def said(board: ProcessBoard, count: int) -> bytes:
    """So many bytes from its line."""
    content = b""
    while len(content) < count:
        content += board.line.receive(30.0) or _silent(board)
    assert len(content) == count, "it says no more than was asked for"
    return content


def _silent(board: ProcessBoard) -> bytes:
    raise AssertionError(f"expected bytes: {board.fate()}")


class Stream:
    """Random samples of a network, step by step, and the reference's words of each."""

    def __init__(self, graph: g.Graph, steps: int, seed: int) -> None:
        samples = samples_of(graph, steps, np.random.default_rng(seed))
        words = IntegerInterpreter(graph).run(samples[None])[0]
        self._samples = iter(samples.reshape(steps, -1))
        self._words = iter(words.reshape(steps, -1))

    def step(self) -> tuple[bytes, list[int]]:
        """The samples of the next step, and what comes of them."""
        return next(self._samples).astype("<i2").tobytes(), next(self._words).tolist()

"""`export tflm` and `firmware --format tflm`: graph -> step in a `.tflite` -> STM32 project around
the interpreter -> image."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from compress import artifacts
from compress import graph as g
from compress.artifacts import Folder
from compress.files import visible, write_json
from export.boards import FIRMWARE, load_board
from export.build import compiler_version, forget_image, take_image
from export.c import placement, project
from export.c.placement import Placement, Sizes
from export.tflite import lint, step_file
from export.tflm import arena, emit, library, project_files
from export.tflm.emit import Step
from export.tflm.ops import refuse
from export.tflm.state import plan_state

log = logging.getLogger(__name__)

FORM = "tflm"
KERNELS = 96 * 1024  # of code, before anything is built: interpreter, its kernels, newlib


def build_step(graph: g.Graph) -> Step:
    """The step with its state in place, and the arena its interpreter needs, found by running it.

    GraphError for networks that it cannot run (ops.py).
    """
    refuse(graph)
    file = step_file(graph, variables=False)
    state = plan_state(file)
    content = file.finish()
    lint.lint(content, graph.name)
    return Step(
        graph, file, content, state, arena.measure(content, len(state.offsets) + 1).for_board
    )


def make_tflm(graph: g.Graph, folder: Folder, board: str) -> Path:
    """Write the project for a board below the folder; refuses a network that cannot fit, and a
    board without a library."""
    description = load_board(board)
    library.cores(description)
    step = build_step(graph)
    placed = placement.place(f"{graph.name} in TFLite-Micro", sizes(step, board), description)
    target, title = folder.target(board, FORM), f"{graph.name} {folder.precision}"
    record = target / "memory.json"
    artifacts.forget(record)
    files = {f"model/{name}": content for name, content in emit.files(step).items()}
    files |= {f"model/{p.name}": p.read_bytes() for p in visible((FIRMWARE / "tflm").glob("*.*"))}
    files |= project.board_files(description, placed.where)
    project.write_files(
        target / "project", files, project_files.texts(description, placed.where, title)
    )
    write_json(record, memory_plan(step, board, placed))
    artifacts.seal(record, *project.files_of(target / "project"))
    return target / "project"


def make_firmware(graph: g.Graph, folder: Folder, board: str, tflm: Path | None) -> Path:
    """The image of a board, built unless its key says nothing changed. `tflm`: the user's
    TFLite-Micro."""
    description = load_board(board)
    built_library = library.find(tflm, description)
    target = folder.target(board, FORM)
    image, record = target / description.image, target / "firmware.json"
    code = artifacts.code_hash(f"{__name__}:make_firmware", "firmware")
    key = artifacts.key(graph=graph.hash(), board=board, code=code, library=built_library)
    if artifacts.is_whole(image) and artifacts.recorded_key(record) == key:
        if not artifacts.is_whole(target / "memory.json"):
            make_tflm(graph, folder, board)
        log.info(f"{image}: unchanged")
        return image
    forget_image(image)
    written = make_tflm(graph, folder, board)
    assert tflm is not None, "library.find() refuses none"
    built = project.build_project(written, board, variables={"TFLM": str(tflm.resolve())})
    write_json(
        record,
        {"key": key, "board": board, "graph": graph.hash(), "compiler": compiler_version(board)},
    )
    take_image(built, image, record)
    return image


def sizes(step: Step, board: str) -> Sizes:
    """Bytes of every part of the program for a board; code and buffers are allowances, the rest is
    exact."""
    graph = step.graph
    step_bytes = 2 * graph.samples_per_step * graph.input.features
    parts = placement.part_sizes(
        load_board(board), len(step.content), step.arena_bytes, 0, step_bytes, graph.output.features
    )
    return parts | {"code": parts["code"] + KERNELS}


def memory_plan(step: Step, board: str, placed: Placement) -> dict[str, Any]:
    """What the network will take, known before anything is built; the state is the beginning of the
    arena."""
    return {
        "board": board,
        "parts": {
            part: {"bytes": size, "region": placed.where[part]}
            for part, size in placed.sizes.items()
        },
        "regions": {
            name: {"size": m.size, "planned": placed.planned(name)}
            for name, m in load_board(board).memory.items()
        },
        "state_in_arena": step.state.size,
    }

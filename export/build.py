"""`export` and `firmware`: graph -> C project -> image, each rebuilt exactly when what it is made
from has changed."""

from __future__ import annotations

import logging
import math
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any

from compress import artifacts
from compress import graph as g
from compress.artifacts import Folder
from compress.errors import GraphError, UsageError
from compress.files import read_json, write_json
from export import compilers
from export.boards import load_board
from export.c import emit, examples, placement, project, streaming
from export.c.placement import COLD, DoesNotFitError, Placement, Sizes
from export.c.streaming import Demand

log = logging.getLogger(__name__)

LOADED = ("firmware", "tables", "cold_tables")  # what is cut from an image to be loaded


def in_longest_steps(graph: g.Graph, board: str, latency_ms: float) -> g.Graph:
    """The network with as many output frames a step as the latency they add and the board's memory
    allow; often one.

    Every weight is then loaded once for all frames of a step. A network with a start-up keeps to
    one.
    """
    if not 0 <= latency_ms < math.inf:
        raise UsageError(
            f"LATENCY={latency_ms:g}: expected milliseconds of 0 or more that an output frame may"
            " come later"
        )
    family, shortest = load_board(board).kernels, graph.shortest_chunk
    more = int(latency_ms / added_latency_ms(graph, 2)) // shortest if graph.stretchable else 0
    fits, too_many = 1, more + 2  # in shortest steps
    while too_many - fits > 1:
        several = (fits + too_many) // 2
        try:
            check_fit(emit.build(g.in_chunks(graph, several * shortest), family), board)
            fits = several
        except (DoesNotFitError, GraphError):  # of memory, or further than a kernel counts
            too_many = several
    return g.in_chunks(graph, fits * shortest)


def added_latency_ms(graph: g.Graph, frames: int) -> float:
    """How much later the first output frame of a step of so many comes than alone."""
    return 1000.0 * (frames - 1) / float(graph.output.rate)


def make_project(graph: g.Graph, folder: Folder, board: str, target: Path | None = None) -> Path:
    """Write the C project of an integer graph for a board below the folder, or in a `target` of its
    own; refuses a network that cannot fit."""
    family = load_board(board).kernels
    model = emit.build(graph, family)
    placed = check_fit(model, board)
    target = target or folder.target(board)
    out, record = target / "project", target / "memory.json"
    before = read_json(record).get("frames_per_step", graph.chunk)
    if before != graph.chunk:
        log.info(f"{out}: was of {before} output frames a step, is now of {graph.chunk}")
    artifacts.forget(record)
    where, cold = (placed.where, placed.cold) if placed else (None, ())
    title = f"{graph.name} {folder.precision}"
    files = emit.files(model) | examples.files(model, board)
    project.write_project(out, board, files, emit.kernels(graph, family), title, where, cold)
    key = _key(graph, folder, board)
    write_json(record, {"key": key} | memory_plan(model, board))
    artifacts.seal(record, *project.files_of(out))
    for demand in demands(model, board, placed):
        if demand.gives is not None:
            log.info(demand)
    return out


def make_firmware(graph: g.Graph, folder: Folder, board: str, compiler: str = "gcc") -> Path:
    """The image of a board (firmware.elf, or an executable for posix), built unless its key says
    nothing changed."""
    return _make_image(graph, folder, board, folder.target(board), "", compiler)


def make_tap_image(graph: g.Graph, folder: Folder, board: str, compiler: str = "gcc") -> Path:
    """The same, able to say what every operator puts out and how long it takes
    (docs/spec/serial-line.md); in `tap` beside it."""
    return _make_image(graph, folder, board, folder.target(board) / "tap", "-DMODEL_TAP", compiler)


def _make_image(
    graph: g.Graph, folder: Folder, board: str, target: Path, flags: str, compiler: str
) -> Path:
    image, record = target / load_board(board).image, target / "firmware.json"
    key = _key(graph, folder, board, flags=flags, compiler=compiler)
    if artifacts.is_whole(image) and artifacts.recorded_key(record) == key:
        _keep_project(graph, folder, board, target)
        log.info(f"{image}: unchanged")
        return image
    forget_image(image)
    written = make_project(graph, folder, board, target)
    built = project.build_project(written, board, extra_flags=flags, compiler=compiler)
    said = compiler_version(board, compiler)
    write_json(record, {"key": key, "board": board, "graph": graph.hash(), "compiler": said})
    take_image(built, image, record)
    return image


def _key(graph: g.Graph, folder: Folder, board: str, **more: str) -> str:
    """Of what a project, or an image of it, is made from."""
    return artifacts.key(
        graph=graph.hash(),
        name=graph.name,
        chunk=graph.chunk,
        title=folder.precision,
        board=board,
        code=artifacts.code_hash(f"{__name__}:_make_image", "firmware"),
        **more,
    )


def _keep_project(graph: g.Graph, folder: Folder, board: str, target: Path) -> None:
    """The project that the image was built from stands beside it; else it is written again."""
    record = target / "memory.json"
    whole = artifacts.is_whole(record)
    if whole and artifacts.recorded_key(record) == _key(graph, folder, board):
        return
    if whole:
        log.info(f"{record.parent / 'project'}: of another export, written again for this one")
    make_project(graph, folder, board, target)


def forget_image(image: Path) -> None:
    """Delete an image and what lies beside it: no part of an old one stays beside a new one."""
    artifacts.forget(image)
    for name in ("firmware.json", *(f"{part}.bin" for part in LOADED)):
        image.with_name(name).unlink(missing_ok=True)


def take_image(built: Path, image: Path, record: Path) -> None:
    """Copy what was built to where it stays, each file at once, and record what it is."""
    taken = []
    for file in (*sorted(built.parent.glob("*.bin")), built):
        taken.append(image.with_name(file.name))
        aside = image.with_name(f".{file.name}.tmp")
        shutil.copy(file, aside)
        aside.replace(taken[-1])
    artifacts.seal(image, record, *taken[:-1])


def sizes(model: emit.Model, board: str) -> Sizes:
    """Bytes of every part of the program for a board; code and buffers are allowances, the rest is
    exact."""
    graph, plan = model.graph, model.plan
    step_bytes = 2 * graph.samples_per_step * graph.input.features
    network = (
        model.table_bytes,
        plan.arena_bytes,
        plan.state_bytes,
        step_bytes,
        graph.output.features,
        graph.chunk,
    )
    return placement.part_sizes(load_board(board), *network)


def check_fit(model: emit.Model, board: str) -> Placement | None:
    """Which memory holds what; None for a board without limits. DoesNotFitError says what is short
    and which board would do."""
    description = load_board(board)
    if not description.memory:
        return None
    return placement.place(
        model.graph.name, sizes(model, board), description, streaming.tables(model)
    )


def demands(model: emit.Model, board: str, placed: Placement | None) -> list[Demand]:
    """What the network's tables ask of every memory they lie in; nothing for a board without
    limits."""
    if placed is None:
        return []
    tables = streaming.tables(model)
    regions = {
        table.name: placed.where[COLD if table.name in placed.cold else "tables"]
        for table in tables
    }
    return streaming.demands(load_board(board), regions, tables)


def memory_plan(model: emit.Model, board: str) -> dict[str, Any]:
    """What the network will take, known before anything is built: bytes by part and region, and
    each buffer of the arena."""
    plan, needed, placed = model.plan, sizes(model, board), check_fit(model, board)
    memory, parts = load_board(board).memory, placed.sizes if placed else needed
    return {
        "board": board,
        "frames_per_step": model.graph.chunk,
        "added_latency_ms": added_latency_ms(model.graph, model.graph.chunk),
        "parts": {
            part: {"bytes": size, "region": placed.where[part] if placed else None}
            for part, size in parts.items()
        },
        "regions": {
            name: {"size": m.size, "planned": placed.planned(name) if placed else 0}
            for name, m in memory.items()
        },
        "tables": model.table_bytes,
        "tables_outside": list(placed.cold) if placed else [],
        "bytes_per_second": {
            demand.region: demand.as_dict() for demand in demands(model, board, placed)
        },
        "state": plan.state_bytes,
        "arena": plan.arena_bytes,
        "arena_lower_bound": plan.lower_bound_bytes,
        "arena_minimal": plan.arena_minimal,
        "buffers": [
            {
                "offset": b.offset,
                "bytes": b.size,
                "tensors": {name: asdict(span) for name, span in b.tensors.items()},
            }
            for b in plan.buffers
        ],
        "states": plan.kept_offsets | plan.state_offsets,
    }


def compiler_version(board: str, compiler: str = "gcc") -> str:
    """First line of what the board's compiler says to --version."""
    return compilers.version(load_board(board), compiler)

"""`profile`: what every layer of a network costs on a board, what dominates, and what would help.
Table, page, JSON."""

from __future__ import annotations

import argparse
import logging
from pathlib import Path

import numpy as np

from bench import footprint, results
from bench.cycles import chips, on_board
from bench.profile import measured, page, recorded, report, table
from bench.profile.findings import findings
from bench.profile.layers import layers
from bench.profile.measured import Measured
from bench.profile.schema import VERSION, Report
from compress import cli, pipeline, tasks
from compress.data.datasets import Dataset
from compress.errors import UsageError
from compress.files import write_json, write_text
from compress.graph import Array
from compress.graph.samples import to_int16
from compress.interpreter.integer import IntegerInterpreter
from export import boards, build
from export.boards import Description
from export.c import emit, streaming
from export.exported import as_exported
from host import engines
from host.boards import Board, Reconnect, check, open_board
from host.engines import Artifacts
from host.resume import from_the_beginning

log = logging.getLogger(__name__)

NAME = "profile"


def run(args: argparse.Namespace) -> int:
    """Profile, print, write; 1 when the profiled steps did not answer what the reference does."""
    board, folder = boards.load_board(args.board), cli.folder(args)
    check_board(board, args.port, args.latency)
    check(board.name, args.port, reach=True)
    made = engines.prepare(folder, cli.sources(args))
    dataset = pipeline.dataset_of(folder, made.integer, cli.sources(args))
    found = profile(made, board, dataset, args.port, args.latency)
    print(table.text(found))
    path = write(found, folder.target(board.name))
    print(f"\nwrote {path.with_suffix('.json')}\nreport: {path}")
    if not found["bit_exact"]:
        return 1
    results.record(args, recorded.measurement(found))
    return 0


def check_board(board: Description, port: str | None, latency_ms: float | None = 0.0) -> None:
    """TendonError for a board on which nothing can be counted, saying on which it can, and for
    longer steps at a port."""
    if port is not None and latency_ms:
        raise UsageError(
            f"LATENCY={latency_ms:g} PORT={port}: an image that times its layers computes one frame"
            " a step; leave LATENCY"
        )
    if port is None and board.emulator is None:
        emulated = " or ".join(name for name in boards.names() if boards.load_board(name).emulator)
        connect = (
            ", or connect it and give its port with PORT=: its cycle counter then measures every"
            " layer"
            if board.prefix
            else ""
        )
        raise UsageError(f"BOARD={board.name} is not emulated: take BOARD={emulated}{connect}")


def profile(
    made: Artifacts,
    board: Description,
    dataset: Dataset,
    port: str | None = None,
    latency_ms: float | None = 0.0,
) -> Report:
    """Build the image, run its first steps on held-out samples, attribute what was counted. Writes
    nothing but images.

    `latency_ms`: how much later an output frame may come, for steps of several frames; None: as it
    was exported, at a port 0.
    """
    if port is not None and latency_ms is None:
        latency_ms = 0.0
    graph, recording = (
        as_exported(made.integer, made.folder, board.name, latency_ms),
        dataset.heldout[0],
    )
    image, model = (
        build.make_firmware(graph, made.folder, board.name),
        emit.build(graph, board.kernels),
    )
    samples = to_int16(
        graph, tasks.of(graph).first_steps(graph, recording, on_board.STEPS, dataset.scored)
    )
    log.info(f"counting {on_board.STEPS} steps on {board.name}")
    if port is None:
        ran = on_board.count(board, image, graph, samples, made.folder.path / "tools")
        found = measured.emulated(
            ran, model, image, board, chips.of_image(board, image, tables=streaming.tables(model))
        )
    else:
        found = over_the_line(made, board, port, samples)
    context = _context(made, board, dataset, recording) | _outcome(
        found, IntegerInterpreter(graph).run(samples[None])[0]
    )
    return assemble(context, found, model, board, image)


def over_the_line(made: Artifacts, board: Description, port: str, samples: Array) -> Measured:
    """From a connected board that carries the image with a tap; NoTapError says how to load it onto
    one that does not."""
    image = build.make_tap_image(made.integer, made.folder, board.name)

    def open_at(where: str | None) -> Board:
        return open_board(board.name, image, made.integer.hash(), port=where)

    def work(connected: Board) -> Measured:
        connected.link.handshake()
        return measured.on_board(connected.link, samples)

    return from_the_beginning(Reconnect(open_at, port, say=log.warning), work, log.warning)


def assemble(
    context: dict[str, object], found: Measured, model: emit.Model, board: Description, image: Path
) -> Report:
    """Context and outcome of a run with its rows, totals, memory and findings."""
    steps_per_s = float(model.graph.input.rate) / model.graph.samples_per_step
    known = layers(model, core_of(board))
    content = context | {
        "steps_per_s": steps_per_s,
        "frames_per_step": model.graph.chunk,
        "layers": report.rows(known, found, steps_per_s),
        "others": report.others(found.others, found),
        "outside": report.others(found.outside, found),
        "total": report.totals(known, found, steps_per_s),
        "memory": report.memory(
            known, model, footprint.read(image, board.memory) if board.memory else None
        ),
        "findings": [],
    }
    done: Report = content  # type: ignore[assignment]
    done["findings"] = findings(done, model)
    return done


def core_of(board: Description) -> str:
    """The core that the board's compiler is told of."""
    return next(
        (flag.removeprefix("-mcpu=") for flag in board.flags if flag.startswith("-mcpu=")), ""
    )


def _context(
    made: Artifacts, board: Description, dataset: Dataset, recording: Path
) -> dict[str, object]:
    """What was known before the run."""
    return {
        "version": VERSION,
        "model": made.integer.name,
        "precision": made.folder.precision,
        "board": board.name,
        "board_title": board.title,
        "board_status": board.status,
        "emulated": board.emulator is not None,
        "checkpoint": made.integer.provenance["checkpoint"],
        "graph": made.integer.hash(),
        "recording": recording.name,
        "simulated": dataset.simulated,
    }


def _outcome(found: Measured, expected: Array) -> dict[str, object]:
    compiler, _, flags = found.compiler.partition("; ")
    return {
        "compiler": compiler,
        "flags": flags,
        "steps": found.steps,
        "clock_hz": found.clock_hz,
        "counts": found.counts,
        "cycles_are": found.cycles_are,
        "counted": found.counted,
        "words": int(found.words.size),
        "bit_exact": bool(np.array_equal(found.words, expected)),
    }


def write(found: Report, folder: Path) -> Path:
    """profile.json and profile.html in a folder, each whole or not at all; returns the path of the
    page."""
    write_json(folder / f"{NAME}.json", found)
    path = folder / f"{NAME}.html"
    write_text(path, page.html(found))
    return path

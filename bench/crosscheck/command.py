"""`crosscheck`: the same seconds of signal through every engine there is, each compared with
PyTorch and with the integers."""

from __future__ import annotations

import argparse
import logging
import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bench import results
from bench.crosscheck import recorded, text
from bench.hil.streaming import stream, stretches, window
from compress import cli, evaluate, pipeline, tasks
from compress.errors import TendonError, UsageError
from compress.files import write_json
from compress.graph import Graph
from compress.graph.samples import to_real
from compress.tasks import distances
from compress.tasks.recorded import Recorded
from export import boards, build
from export.c import emit
from export.exported import called
from export.version import GENERATOR
from host import engines
from host.boards import Board, Reconnect, check, open_board
from host.engines import Artifacts
from host.names import FLOAT

log = logging.getLogger(__name__)

Array = npt.NDArray[np.generic]
VERSION = 1
LEAST_FRAMES = 8  # that are compared
TITLES = {
    "torch": "PyTorch float",
    "onnx": "ONNX float",
    "onnx-qdq": "ONNX QDQ",
    "litert": "TFLite (LiteRT)",
    "tflm": "TFLM interpreter",
    "integer": "integer reference",
    "native": "native C",
    "board": "board",
}
PACKAGES = {
    "torch": "torch",
    "onnx": "onnxruntime",
    "onnx-qdq": "onnxruntime",
    "litert": "ai-edge-litert",
    "tflm": "tflite-micro",
}


@dataclass(frozen=True)
class Column:
    """One engine. SQNR in dB and agreement (share of frames, where frames decide something) against
    PyTorch; the error that the report names and its interval, None where none is taken.

    `bit_exact`: whether every word equals the integer reference; None for engines that compute in
    float.
    """

    engine: str
    title: str
    version: str
    sqnr_db: float | None
    agreement: float | None
    error: float | None
    low: float | None
    high: float | None
    bit_exact: bool | None


@dataclass(frozen=True)
class Ran:
    """What an engine gave for each stretch: real frames, int16 words where it gives them, and its
    version."""

    frames: Sequence[Array]
    words: Sequence[Array] | None
    version: str


def run(args: argparse.Namespace) -> int:
    """The command; exit code 1 when native C or the board differs from the integer reference in any
    word."""
    _check_engines()
    if args.board or args.port:
        check(args.board or "virtual-f405", args.port, reach=True)
    folder = cli.folder(args)
    made = engines.prepare(folder, cli.sources(args))
    parts = _stretches(args, made)
    board = args.board or first_board(made)
    ran = {engine: _run(engine, made, parts) for engine in TITLES if engine != "board"}
    ran["board"] = _on_board(board, args.port, made, parts)
    report = report_of(made, parts, board, ran)
    write_json(folder.path / "crosscheck.json", report)
    page = _write_page(folder.path / "crosscheck.html", report)
    print(f"\n{text.table(report)}\n\nwrote {page.with_suffix('.json')}\nreport: {page}")
    results.record(args, recorded.measurement(report))
    exact = {c["engine"]: c["bit_exact"] for c in report["columns"]}
    return 0 if exact["native"] and exact["board"] else 1


def _check_engines() -> None:
    """No column is left empty: what cannot run is an error before anything is computed."""
    missing = [engine for engine in TITLES if engine not in (*engines.LOCAL, "board")]
    if missing:
        raise TendonError(
            f"crosscheck: expected the engines {', '.join(TITLES)}, this installation has no"
            f" {', '.join(missing)}"
        )


def _stretches(args: argparse.Namespace, made: Artifacts) -> list[Recorded]:
    task = tasks.of(made.integer)
    _check_task(made)
    if args.input is None:
        dataset = pipeline.dataset_of(made.folder, made.integer, cli.sources(args))
        parts = stretches(made.integer, dataset, args.seconds)
    else:
        parts = task.inputs(made.integer, args.input, args.seconds, labels=True)
    graph = made.integer
    frames = sum(len(p.samples) // graph.samples_per_step * graph.chunk for p in parts)
    if frames - graph.start_up * len(parts) < LEAST_FRAMES:
        raise TendonError(
            f"crosscheck: expected at least {LEAST_FRAMES} output frames behind the start-up of"
            f" {graph.start_up}, found {frames} in all; give more SECONDS, or a longer INPUT"
        )
    if args.seconds > sum(p.seconds for p in parts):
        log.warning(f"{sum(p.seconds for p in parts):.1f} s are there, of SECONDS={args.seconds:g}")
    return parts


def _check_task(made: Artifacts) -> None:
    """TendonError for a published network whose frames are no text: its forward over a recording
    gives something else than a stream."""
    if tasks.of(made.integer).text is None and "own" not in made.integer.provenance:
        raise UsageError(
            f"crosscheck: {made.integer.name} does not type; its engines are compared by hil and"
            " infer"
        )


def first_board(made: Artifacts) -> str:
    """The emulated board with the least memory that the network fits; TendonError when there is
    none."""
    reasons = []
    for board in boards.emulated():
        try:
            build.check_fit(emit.build(made.integer, board.kernels), board.name)
        except TendonError as error:
            reasons.append(str(error))
        else:
            return board.name
    raise TendonError(
        "crosscheck: no emulated board is large enough; give one with BOARD=\n  "
        + "\n  ".join(reasons)
    )


def _run(engine: str, made: Artifacts, parts: list[Recorded]) -> Ran:
    log.info("running %s", TITLES[engine])
    if engine in FLOAT:
        return Ran(
            [
                np.asarray(engines.infer_float(engine, made.real, made.checkpoint, p.signal))
                for p in parts
            ],
            None,
            _version(engine),
        )
    if engine == "onnx-qdq":
        frames = [np.asarray(engines.infer(engine, made, p.signal)) for p in parts]
        scale = float(made.integer.output.scale or 1.0)
        return Ran(frames, [np.round(f / scale).astype(np.int16) for f in frames], _version(engine))
    words = [np.asarray(engines.words(engine, made, p.signal)) for p in parts]
    return Ran([to_real(made.integer, w) for w in words], words, _version(engine))


def _on_board(board: str, port: str | None, made: Artifacts, parts: list[Recorded]) -> Ran:
    graph = called(made.integer, made.folder, board)
    image = build.make_firmware(graph, made.folder, board)

    def open_at(where: str | None) -> Board:
        return open_board(board, image, graph.hash(), port=where)

    back = stream(Reconnect(open_at, port, say=log.warning), graph, parts)
    kind = "emulated" if back.hello.counts == "instructions" else "on the line"
    version = f"{board} ({kind}), {back.hello.compiler.partition(';')[0]}"
    words = [np.asarray(w) for w in back.words]
    return Ran([to_real(graph, w) for w in words], words, version)


def _version(engine: str) -> str:
    if engine in PACKAGES:
        return f"{PACKAGES[engine]} {metadata.version(PACKAGES[engine])}"
    if engine == "native":
        return (
            f"Tendon {GENERATOR}, gcc {build.compiler_version('posix').rpartition(') ')[2]},"
            f" {platform.machine()}"
        )
    return f"Tendon {GENERATOR}, numpy {np.__version__}"


def report_of(
    made: Artifacts, parts: list[Recorded], board: str, ran: dict[str, Ran]
) -> dict[str, Any]:
    """crosscheck.json: one column for each engine, in the order of TITLES."""
    graph, collection = made.integer, tasks.collection_of(made.integer)
    task = tasks.of(graph)
    amount, amount_is = _amount(graph, parts)
    reference, words = ran["torch"].frames, ran["integer"].words
    key = "error" if task.text is None else task.metric.lower()
    columns = [
        {key if name == "error" else name: value for name, value in asdict(column).items()}
        for column in (
            _column(engine, board, ran[engine], reference, words, graph, parts) for engine in TITLES
        )
    ]
    return {
        "version": VERSION,
        "model": made.integer.name,
        "precision": made.folder.precision,
        "checkpoint": made.integer.provenance["checkpoint"],
        "graph": made.integer.hash(),
        "board": board,
        "recordings": [window(made.integer, p) for p in parts],
        "simulated": any(
            p.path.suffix.lower() != ".npy" and collection.is_simulated(p.path) for p in parts
        ),
        "seconds": sum(p.seconds for p in parts),
        "frames": sum(map(len, reference)),
        "error": {"key": key, "name": task.metric, "title": task.title, "unit": task.unit},
        amount_is: amount,
        "amount_is": amount_is,
        "columns": columns,
    }


def _column(
    engine: str,
    board: str,
    ran: Ran,
    reference: Sequence[Array],
    words: Sequence[Array] | None,
    graph: Graph,
    parts: list[Recorded],
) -> Column:
    # of the start-up a forward says nothing, and what a user's own network gives there is anything
    begin = graph.start_up if "own" in graph.provenance else 0
    both = [[f[begin:] for f in frames] for frames in (reference, ran.frames)]
    exact = None
    if ran.words is not None and words is not None:
        exact = all(np.array_equal(a, b) for a, b in zip(words, ran.words, strict=True))
    return Column(
        engine,
        f"board {board}" if engine == "board" else TITLES[engine],
        ran.version,
        None if engine == "torch" else distances.sqnr_db(*map(distances.concatenate, both)),
        tasks.of(graph).agreement(*both),
        *_error(graph, parts, ran.frames),
        exact,
    )


Error = tuple[float | None, float | None, float | None]


def _error(graph: Graph, parts: list[Recorded], frames: Sequence[Array]) -> Error:
    """The task's error with its interval; of text that of what is read; None where none is
    taken."""
    task = evaluate.judge(graph, parts)
    if task.text is not None:
        targets = [task.text.of(p.target) for p in parts]
        read = [task.text.read(f) for f in frames]
        known = any(targets)
        return (
            (task.text.error(read, targets), *task.text.interval(read, targets)) if known else NONE
        )
    error = task.error(graph, frames, parts)
    return NONE if error is None else (error, *task.interval(graph, frames, parts))


NONE: Error = (None, None, None)


def _amount(graph: Graph, parts: list[Recorded]) -> tuple[int, str]:
    """How much the errors are taken over."""
    text = tasks.of(graph).text
    if text is None:
        return evaluate.judge(graph, parts).amount(parts)
    return sum(len(text.of(p.target)) for p in parts), "characters"


def _write_page(path: Path, report: dict[str, Any]) -> Path:
    from bench.crosscheck import page  # matplotlib is slow to import, and only needed here

    return page.write(path, report)

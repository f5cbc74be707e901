"""`hil`: recordings through a board over its serial line; every word compared with the reference,
scored, timed, reported."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any, cast

import numpy as np

from bench import footprint
from bench.cycles import on_board
from bench.cycles.modelling import Modelled
from bench.hil import assemble, language, schema
from bench.hil.formats import C, Format
from bench.hil.outcome import Outcome
from bench.hil.schema import Report
from bench.hil.streaming import Streamed, stream, stretches
from compress import pipeline
from compress.artifacts import Folder
from compress.data.datasets import Dataset
from compress.errors import TendonError
from compress.files import write_json
from compress.frontend.families import PUBLISHED
from compress.graph import Graph, macs
from compress.graph import latency as stream_latency
from compress.graph.samples import to_int16
from compress.tasks.recorded import Recorded
from export.boards import Description, load_board
from host import character_model
from host.boards import Board, Reconnect, open_board
from host.engines import Artifacts

log = logging.getLogger(__name__)

PLANNED = (
    "tables",
    "cold tables",
    "state",
    "arena",
    "stack",
)  # parts whose place and size are known to the byte


def run(
    made: Artifacts,
    dataset: Dataset,
    board: str,
    port: str | None,
    seconds: float,
    form: Format = C(),  # noqa: B008  immutable
    lm: Path | None = None,
) -> Outcome:
    """Build the image, stream the first `seconds` of the held-out recordings, compare and score.
    Writes nothing but the image.

    With a character model `lm` the same seconds are scored with it as well.
    """
    graph, description = form.graph(made, board), load_board(board)
    text = None if lm is None else language.text_of(graph, lm)
    if lm is not None and text is not None:
        # a model that is none is better known before the run than after it
        character_model.load(lm, text.alphabet)
    check_seconds(graph, seconds)
    image = form.build(made, board)
    measured, differences = measure(image, made.folder, description, form.name)
    parts = stretches(graph, dataset, seconds)

    def open_at(where: str | None) -> Board:
        return open_board(board, image, graph.hash(), port=where)

    streamed = stream(Reconnect(open_at, port, say=log.warning), graph, parts)
    log.info("comparing every word with the reference, and scoring")
    other = assemble.other_engines(made, parts)
    expected = form.expected(made, board, parts, other.words)
    with_model = None
    if lm is not None and text is not None:
        targets = [text.of(p.target) for p in parts]
        with_model = language.streamed(
            text, lm, targets, other.real, other.words, streamed.words, other.scale
        )
    modelled = _modelled(description, image, made, graph, parts, streamed)
    latency = assemble.latency(streamed, other, modelled)
    content = (
        assemble.run_report(graph, description, dataset, seconds, parts, streamed, other)
        | assemble.comparison(expected, streamed.words)
        | _context(made, dataset)
        | {
            "format": form.name,
            "format_title": form.title,
            "reference": form.reference,
            "against_integers": assemble.against_integers(other, streamed),
            "language": with_model,
            "latency": latency,
            "stream_latency": stream_latency.of(graph),
            "real_time_factor": assemble.real_time_factor(latency),
            "cycles": None if modelled is None else modelled.as_dict(),
            "footprint": None if measured is None else measured.as_dict(),
            "plan_differences": differences,
        }
    )
    report = cast(Report, content)
    report["why_invalid"] = schema.validity(report)
    report["valid"] = not report["why_invalid"]
    return Outcome(report, parts, streamed.words, graph)


def check_seconds(graph: Graph, seconds: float) -> None:
    """TendonError for less than an output frame."""
    if seconds * float(graph.output.rate) < 1:
        raise TendonError(
            f"SECONDS={seconds:g}: expected at least one output frame,"
            f" {1 / float(graph.output.rate):g} s"
        )


def measure(
    image: Path, folder: Folder, board: Description, form: str = "c"
) -> tuple[footprint.Footprint | None, list[str]]:
    """The image's footprint, and where it differs from its plan; refuses one too large. None for a
    board without limits."""
    if not board.memory:
        return None, []
    measured = footprint.read(image, board.memory)
    footprint.check_limits(measured, board.name)
    parts = json.loads(
        (folder.target(board.name, form) / "memory.json").read_text(encoding="utf-8")
    )["parts"]
    planned = {
        name: (parts[name]["region"], parts[name]["bytes"]) for name in PLANNED if name in parts
    }
    return measured, footprint.differences(measured, planned)


def _modelled(
    board: Description,
    image: Path,
    made: Artifacts,
    graph: Graph,
    parts: list[Recorded],
    streamed: Streamed,
) -> Modelled | None:
    """Modelled cycles, where the board counts instructions because it is emulated."""
    if (
        streamed.hello.counts != "instructions"
        or board.emulator is None
        or board.emulator.cycle_model is None
    ):
        return None
    log.info("counting what its instructions depend on, for modelled cycles")
    first = np.asarray(parts[0].samples[: on_board.STEPS * graph.samples_per_step])
    return on_board.modelled(
        board.name, image, graph, to_int16(graph, first), made.folder.path / "tools"
    )


def _context(made: Artifacts, dataset: Dataset) -> dict[str, Any]:
    """What was known before the run."""
    quantized, work = pipeline.read_report(made.folder), macs.report(made.real)
    published = PUBLISHED.get(made.integer.name)
    per_layer = {layer["module"]: layer["macs_per_s"] for layer in work["layers"]}
    layers = [
        layer | {"macs_per_s": per_layer.get(layer["module"], 0.0)} for layer in quantized["layers"]
    ]
    return {
        "model": made.integer.name,
        "precision": made.folder.precision,
        "checkpoint": made.integer.provenance["checkpoint"],
        "graph": made.integer.hash(),
        "simulated": dataset.simulated,
        "published": (
            None if published is None else {"value": published.value, "source": published.source}
        ),
        "macs_per_s": work["macs_per_s"],
        "layers": layers,
        "quantize": {
            k: quantized[k]
            for k in (
                "metric",
                "amount",
                "amount_is",
                "trivial",
                "agreement",
                "sqnr_db",
                "recordings",
            )
        },
    }


def write(outcome: Outcome, folder: Path, name: str = "hil") -> Path:
    """<name>.json and <name>.html in a folder, each whole or not at all; returns the path of the
    page."""
    from bench.hil import page  # matplotlib is slow to import, and only needed here

    write_json(folder / f"{name}.json", outcome.report)
    return page.write_report(folder / f"{name}.html", outcome)

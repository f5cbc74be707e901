"""`demo`: the whole way once, from the checkpoint to the board and back, ending with a report."""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

from bench.hil import language, measurement, text
from bench.hil.schema import Report
from compress import cli, evaluate, pipeline, tasks
from compress.data.datasets import Dataset
from compress.graph import macs
from compress.graph.samples import to_real
from compress.report import quantized
from compress.tasks import groups
from host import engines, native
from host.boards import check
from host.engines import Artifacts
from host.lm import SHIPPED


def run(args: argparse.Namespace) -> int:
    """Every step with a headline, with the arguments of `hil`; exit code 0 only for a valid,
    bit-exact run."""
    check(args.board, args.port, reach=True)
    begin, folder = time.monotonic(), cli.folder(args)
    _headline(1, f"quantize {folder.model} to {folder.precision}")
    made = engines.prepare_scored(folder, cli.sources(args), in_full=True)
    print(quantized.text(pipeline.read_report(folder)))
    task = tasks.of(made.integer)
    dataset = pipeline.dataset_of(folder, made.integer, cli.sources(args))
    _headline(2, "count its multiply-accumulates")
    print(macs.table(made.real))
    _headline(3, f"export, build and run on {args.board}")
    reads = task.text is not None and dataset.scored
    lm = args.lm or (SHIPPED if reads else None)
    outcome = measurement.run(made, dataset, args.board, args.port, args.seconds, lm=lm)
    _headline(4, f"score the held-out {dataset.origin}: float network and native integer C")
    outcome.report["heldout"] = heldout(made, dataset, lm)
    page = measurement.write(outcome, folder.target(args.board), "demo")
    measurement.write(outcome, folder.target(args.board))
    _headline(5, "report")
    print(text.console_report(outcome.report))
    print(f"\ndone in {time.monotonic() - begin:.0f} s\nreport: {page}")
    return 0 if _good(outcome.report) else 1


def heldout(made: Artifacts, dataset: Dataset, lm: Path | None) -> dict[str, Any]:
    """Float graph and native C over whole held-out sessions: the error of each, that of texts also
    with a model, and the intervals."""
    sessions = evaluate.read_heldout(made.integer, dataset.heldout, dataset.scored)
    real = sessions.float_frames(made.real)
    graph, recorded = made.integer, sessions.recorded
    task = evaluate.judge(graph, recorded)
    words = native.words(graph, sessions, made.folder.path / "native")
    found = [to_real(graph, w) for w in words]
    errors = [task.error(graph, frames, recorded) for frames in (real, found)]
    low, high = (None, None) if None in errors else task.difference(graph, real, found, recorded)
    amount, amount_is = task.amount(recorded)
    with_model = None
    if lm is not None and dataset.scored:
        text, scale = language.text_of(graph, lm), float(graph.output.scale or 1.0)
        targets = [text.of(r.target) for r in recorded]
        with_model = language.heldout(text, lm, targets, real, words, scale)
    return {
        "sessions": len({r.path for r in recorded}),
        "seconds": sum(r.seconds for r in recorded),
        "amount": amount,
        "amount_is": amount_is,
        **groups.users(
            groups.scores(task, graph, {"float": real, "native": found}, recorded, dataset.user_of)
        ),
        "points": task.points,
        "float": errors[0],
        "native": errors[1],
        "low": low,
        "high": high,
        "details": {
            "float": task.details(graph, real, recorded),
            "native": task.details(graph, found, recorded),
        },
        "agreement": task.agreement(real, found),
        "language": with_model,
    }


def _headline(number: int, what: str) -> None:
    print(f"\n[{number}/5] {what}", flush=True)


def _good(report: Report) -> bool:
    return report["valid"] and report["bit_exact"]

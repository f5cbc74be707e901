"""`hil`: its options -> a run on a board, and what it showed, on the console and in a report."""

from __future__ import annotations

import argparse

from bench.cli import STREAMED_SECONDS
from bench.hil import formats, measurement, text
from compress import artifacts, cli, evaluate, pipeline, tasks
from compress.data.datasets import Dataset
from export import boards, compilers
from host import engines
from host.boards import check


def run(args: argparse.Namespace) -> int:
    """Stream, compare, report; exit code 0 only for a valid, bit-exact run."""
    folder, form = cli.folder(args), _format(args)
    _check_seconds(args)
    check(args.board, args.port, reach=True)
    made = engines.prepare_scored(folder, cli.sources(args))
    dataset, seconds = _streamed(args, made)
    outcome = measurement.run(made, dataset, args.board, args.port, seconds, form, args.lm)
    page = measurement.write(outcome, folder.target(args.board, form.name))
    print(text.console_report(outcome.report))
    print(f"\nwrote {page.with_suffix('.json')}\nreport: {page}")
    return 0 if outcome.report["valid"] and outcome.report["bit_exact"] else 1


def _check_seconds(args: argparse.Namespace) -> None:
    """TendonError for less than a frame, before anything is calibrated and scored."""
    if args.seconds is not None:
        folder, sources = cli.folder(args), cli.sources(args)
        graph = pipeline.any_graph(folder, artifacts.checkpoint_for(folder, sources))
        measurement.check_seconds(graph, args.seconds)


def _streamed(args: argparse.Namespace, made: engines.Artifacts) -> tuple[Dataset, float]:
    """What is streamed, and how many seconds of it: the held-out recordings, or all of --input,
    which is compared and not scored."""
    dataset = pipeline.dataset_of(made.folder, made.integer, cli.sources(args))
    if args.input is None:
        return dataset, args.seconds or STREAMED_SECONDS
    parts = evaluate.read(made.integer, args.input, scored=False)
    collection, array = tasks.collection_of(made.integer), args.input.suffix.lower() == ".npy"
    simulated = not array and collection.is_simulated(args.input)
    given = Dataset(dataset.calibration, [args.input], simulated, scored=False)
    return given, args.seconds or sum(part.seconds for part in parts)


def _format(args: argparse.Namespace) -> formats.Format:
    """By --format; TendonError when board, --tflm or --latency do not suit it, before anything long
    begins."""
    if args.format == "c":
        return formats.C(args.latency, args.compiler)
    from export.tflm import library

    cli.refuse_latency(args)
    compilers.refuse(args.compiler)
    library.find(args.tflm, boards.load_board(args.board))
    return formats.Tflm(args.tflm)

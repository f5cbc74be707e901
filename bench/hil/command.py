"""`hil`: its options -> a run on a board, and what it showed, on the console and in a report."""

from __future__ import annotations

import argparse

from bench.hil import formats, measurement, text
from compress import cli, pipeline
from export import boards, compilers
from host import engines
from host.boards import check


def run(args: argparse.Namespace) -> int:
    """Stream, compare, report; exit code 0 only for a valid, bit-exact run."""
    check(args.board, args.port)
    folder, form = cli.folder(args), _format(args)
    made = engines.prepare_scored(folder, cli.sources(args))
    dataset = pipeline.dataset_of(folder, made.integer, cli.sources(args))
    outcome = measurement.run(made, dataset, args.board, args.port, args.seconds, form, args.lm)
    page = measurement.write(outcome, folder.target(args.board, form.name))
    print(text.console_report(outcome.report))
    print(f"\nwrote {page.with_suffix('.json')}\nreport: {page}")
    return 0 if outcome.report["valid"] and outcome.report["bit_exact"] else 1


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

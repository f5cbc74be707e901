"""python -m bench hil|demo|profile|crosscheck|drift|speed|validate|pareto|compress: measure,
compare, count, draw, compress."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from bench import drift
from bench.compression import command as shrink
from bench.crosscheck import command as crosscheck
from bench.hil import demo, formats, measurement, text
from bench.pareto import command as pareto
from bench.profile import command as profile
from bench.speed import command as speed
from bench.validate import command as validate
from compress import cli, tasks
from compress.data import datasets
from export import boards
from export.tflm import library
from host import engines


def main(arguments: list[str] | None = None) -> int:
    """The commands of this package; returns the exit code, 1 for an invalid run or a missed
    target."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="command")
    for name, run, default_lm, help_text in (
        ("hil", _hil, "none", "stream recordings through a board, compare every word, score, time"),
        (
            "demo",
            demo.run,
            "the shipped one",
            "quantize, count, export, build, stream, and report the whole way",
        ),
    ):
        command = commands.add_parser(name, help=help_text)
        cli.add_model_arguments(command)
        cli.add_data_arguments(command)
        command.add_argument(
            "--board",
            default="virtual-f405",
            help=f"one of {', '.join(boards.names())} (default: %(default)s)",
        )
        command.add_argument(
            "--port", help="its serial port: device, socket://host:port (default: started here)"
        )
        command.add_argument(
            "--seconds",
            type=float,
            default=15.0,
            help="how much signal to stream (default: %(default)s)",
        )
        if run is _hil:
            cli.add_format_arguments(command)
            cli.add_latency_argument(command)
        command.add_argument(
            "--lm",
            type=Path,
            help=f"KenLM character model for a second reading (default: {default_lm})",
        )
        command.set_defaults(run=run)
    check = commands.add_parser(
        "crosscheck", help="the same seconds through every engine: SQNR, arg-max, CER, equality"
    )
    cli.add_model_arguments(check)
    cli.add_data_arguments(check)
    crosscheck.add_arguments(check)
    speed.add_arguments(
        commands.add_parser(
            "speed", help="executed instructions of every kernel and network, against CMSIS-NN"
        )
    )
    profile.add_arguments(
        commands.add_parser("profile", help="every layer on a board: time, memory, what would help")
    )
    drift.add_arguments(
        commands.add_parser(
            "drift", help="a network in a closed loop of minutes: do the integers drift?"
        )
    )
    models = commands.add_parser(
        "validate",
        help="the cycle models against published cycles of CoreMark and of AES in assembly",
    )
    validate.add_arguments(models)
    models.set_defaults(run=validate.run)
    pareto.add_arguments(
        commands.add_parser(
            "pareto",
            help="error against cost: every network, precision and decoder; a report per task",
        )
    )
    shrink.add_arguments(
        commands.add_parser(
            "compress", help="a network within a budget of flash, RAM and cycles, scored"
        )
    )
    return cli.run(parser, arguments)


def _hil(args: argparse.Namespace) -> int:
    folder, form = cli.folder(args), _format(args)
    made = engines.prepare_scored(folder, args.checkpoint, args.data, args.calibration)
    dataset = datasets.find(args.data, args.build, tasks.of(made.integer).collection)
    outcome = measurement.run(made, dataset, args.board, args.port, args.seconds, form, args.lm)
    page = measurement.write(outcome, folder.target(args.board, form.name))
    print(text.console_report(outcome.report))
    print(f"\nwrote {page.with_suffix('.json')}\nreport: {page}")
    return 0 if outcome.report["valid"] and outcome.report["bit_exact"] else 1


def _format(args: argparse.Namespace) -> formats.Format:
    """By --format; TendonError when board, --tflm or --latency do not suit it, before anything long
    begins."""
    if args.format == "c":
        return formats.C(args.latency)
    cli.refuse_latency(args)
    library.find(args.tflm, boards.load_board(args.board))
    return formats.Tflm(args.tflm)


if __name__ == "__main__":
    sys.exit(main())

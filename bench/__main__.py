"""python -m bench hil|demo|profile|crosscheck|drift|speed|validate|pareto|operators|compress|
faults: measure, compare, count, draw, compress, do harm."""

from __future__ import annotations

import sys

from compress import interruption

if __name__ == "__main__":
    interruption.begin()  # before what takes its time to import

from bench import cli
from compress.cli import Command, run_main

COMMANDS = (
    Command(
        "hil",
        "stream recordings through a board, compare every word, score, time",
        cli.add_hil_arguments,
        "bench.hil.command:run",
    ),
    Command(
        "demo",
        "quantize, count, export, build, stream, and report the whole way",
        cli.add_demo_arguments,
        "bench.hil.demo:run",
    ),
    Command(
        "crosscheck",
        "the same seconds through every engine: SQNR, arg-max, CER, equality",
        cli.add_crosscheck_arguments,
        "bench.crosscheck.command:run",
    ),
    Command(
        "speed",
        "executed instructions of every kernel and network, against CMSIS-NN",
        cli.add_speed_arguments,
        "bench.speed.command:run",
        writes=lambda args: ["bench"],
    ),
    Command(
        "profile",
        "every layer on a board: time, memory, what would help",
        cli.add_profile_arguments,
        "bench.profile.command:run",
    ),
    Command(
        "drift",
        "a network in a closed loop of minutes: do the integers drift?",
        cli.add_drift_arguments,
        "bench.drift:run",
    ),
    Command(
        "validate",
        "the cycle models against published cycles of CoreMark and of AES in assembly",
        cli.add_validate_arguments,
        "bench.validate.command:run",
    ),
    Command(
        "pareto",
        "error against cost: every network, precision and decoder; a report per task",
        cli.add_pareto_arguments,
        "bench.pareto.command:run",
        writes=lambda args: ["pareto", *args.models],
    ),
    Command(
        "operators",
        "the documentation's page of operators, formats and cores",
        cli.add_no_arguments,
        "bench.operators:run",
    ),
    Command(
        "compress",
        "a network within a budget of flash, RAM and cycles, scored",
        cli.add_compress_arguments,
        "bench.compression.command:run",
    ),
    Command(
        "faults",
        "damaged frames, resets, flipped bits against a board: wrong results accepted",
        cli.add_faults_arguments,
        "bench.faults.command:run",
    ),
)


def main(arguments: list[str] | None = None) -> int:
    """The commands of this package; returns the exit code, 1 for an invalid run or a missed
    target."""
    return run_main("bench", __doc__, COMMANDS, arguments)


if __name__ == "__main__":
    sys.exit(main())

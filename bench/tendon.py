"""`tendon`: every command of the four packages, in one parser.

This module imports what imports everything else's tables, and nothing imports it: imports point one
way, bench -> host -> export -> compress.
"""

from __future__ import annotations

import argparse

from bench import cli as bench
from bench import index
from compress.cli import commands as compress
from compress.cli import parser_of, run
from export import cli as export
from export.version import GENERATOR
from host import cli as host

ABOUT = (
    "From a PyTorch checkpoint of a network of muscle signals to a microcontroller, with proof of"
    " what it does there. Exit codes: 0 done, 1 what was asked failed or missed its bar, 2 wrong"
    " usage, 129, 130 and 143 ended by a signal."
)
COMMANDS = (*compress.COMMANDS, *export.COMMANDS, *host.COMMANDS, *bench.COMMANDS)


def parser() -> argparse.ArgumentParser:
    """Of the whole command line."""
    return parser_of("tendon", ABOUT, COMMANDS, GENERATOR)


def completion(args: argparse.Namespace) -> None:
    """What a shell sources to complete commands and options."""
    import shtab

    print(shtab.complete(parser(), args.shell))


def main(arguments: list[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    return run(parser(), arguments, index.after)

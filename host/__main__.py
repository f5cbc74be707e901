"""python -m host infer|decode|diagnose|flash|lm: run a network on any engine, read text from its
frames, compare, load boards."""

from __future__ import annotations

import sys

from compress import interruption

if __name__ == "__main__":
    interruption.begin()  # before what takes its time to import

from compress.cli import Command, run_main
from host import cli

COMMANDS = (
    Command(
        "infer",
        "one input through one engine, output frames to a .npy",
        cli.add_infer_arguments,
        "host.commands:infer",
    ),
    Command(
        "decode",
        "text from frames that `infer` wrote",
        cli.add_decode_arguments,
        "host.commands:decode",
    ),
    Command(
        "flash",
        "build the firmware of a board and load it with what is there",
        cli.add_flash_arguments,
        "host.flash:run",
    ),
    Command("lm", "make the shipped character model", cli.add_lm_arguments, "host.lm.build:run"),
    Command(
        "diagnose",
        "a board, or two engines, layer by layer, and where they first differ",
        cli.add_diagnose_arguments,
        "host.commands:diagnose",
    ),
)


def main(arguments: list[str] | None = None) -> int:
    """The commands of this package; returns the exit code."""
    return run_main("host", __doc__, COMMANDS, arguments)


if __name__ == "__main__":
    sys.exit(main())

"""python -m compress quantize|macs|recordings|train|shrink|users: from a checkpoint and recordings
to the integer graph."""

from __future__ import annotations

import sys

from compress import interruption

if __name__ == "__main__":
    interruption.begin()  # before what takes its time to import

from compress.cli import Command, options, run_main

COMMANDS = (
    Command(
        "quantize",
        "checkpoint + calibration recordings -> integer graph and its error rate",
        options.add_graph_arguments,
        "compress.pipeline:quantize_command",
        begins=True,
    ),
    Command(
        "macs",
        "multiply-accumulates per layer and per second of signal",
        options.add_model_arguments,
        "compress.pipeline:macs_command",
        looks=True,
    ),
    Command(
        "recordings",
        "write the simulated recordings that are missing",
        options.add_recordings_arguments,
        "compress.data.recordings:run",
    ),
    Command(
        "train",
        "train a network, on simulated recordings or your own",
        options.add_train_arguments,
        "compress.tasks.train:run",
        writes=lambda args: [f"{args.model}.train"],
    ),
    Command(
        "shrink",
        "a network within a budget of flash and cycles, fine-tuned",
        options.add_shrink_arguments,
        "compress.compression.command:from_arguments",
    ),
    Command(
        "users",
        "one table of several users' networks, and the mean over users",
        options.add_users_arguments,
        "compress.report.users:run",
    ),
)


def main(arguments: list[str] | None = None) -> int:
    """The commands of this package; returns the exit code."""
    return run_main("compress", __doc__, COMMANDS, arguments)


if __name__ == "__main__":
    sys.exit(main())

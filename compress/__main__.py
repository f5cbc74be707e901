"""python -m compress quantize|macs|recordings|train|shrink: from a checkpoint and recordings to the
integer graph."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from compress import artifacts, cli, pipeline
from compress.compression import command as shrink
from compress.compression.cost import CORES
from compress.data import recordings
from compress.files import write_json
from compress.graph import macs
from compress.tasks import train as training


def main(arguments: list[str] | None = None) -> int:
    """The commands of this package; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m compress", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="command")
    quantize = commands.add_parser(
        "quantize", help="checkpoint + calibration recordings -> integer graph and its error rate"
    )
    cli.add_model_arguments(quantize)
    cli.add_data_arguments(quantize)
    quantize.set_defaults(run=_quantize)
    count = commands.add_parser(
        "macs", help="multiply-accumulates per layer and per second of signal"
    )
    cli.add_model_arguments(count)
    count.set_defaults(run=_macs)
    for name, module, text in (
        ("recordings", recordings, "write the simulated recordings that are missing"),
        ("train", training, "train a network, on simulated recordings or your own"),
    ):
        command = commands.add_parser(name, help=text)
        module.add_arguments(command)
        command.set_defaults(run=module.run)
    shrinking = commands.add_parser(
        "shrink", help="a network within a budget of flash and cycles, fine-tuned"
    )
    cli.add_checkpoint_arguments(shrinking)
    shrinking.add_argument(
        "--data",
        type=Path,
        help="folder of sessions: train, calibration (default: the simulated set)",
    )
    shrinking.add_argument(
        "--core",
        default="cortex-m7",
        choices=sorted(CORES),
        help="whose cycles count (default: %(default)s)",
    )
    shrinking.add_argument(
        "--cycles",
        type=float,
        help="core cycles a second of signal that it may take (default: any)",
    )
    shrink.add_arguments(shrinking)
    shrinking.set_defaults(run=shrink.from_arguments)
    return cli.run(parser, arguments)


def _quantize(args: argparse.Namespace) -> None:
    folder = cli.folder(args)
    report = pipeline.run(
        folder, artifacts.checkpoint_for(folder, args.checkpoint), args.data, args.calibration
    )
    print(pipeline.text(report))
    print(f"wrote {folder.graph} and {folder.quantize_json}")


def _macs(args: argparse.Namespace) -> None:
    folder = cli.folder(args)
    graph = pipeline.load_float(
        args.model, artifacts.checkpoint_for(folder, args.checkpoint), args.window
    )
    print(macs.table(graph))
    path = args.build / args.model / "macs.json"
    write_json(path, macs.report(graph))
    print(f"wrote {path}")


if __name__ == "__main__":
    sys.exit(main())

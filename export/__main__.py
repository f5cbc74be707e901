"""python -m export c|firmware: the integer graph as a C project, and its firmware for a board."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from compress import artifacts, pipeline
from compress import graph as g
from compress.artifacts import Folder
from compress.errors import TendonError
from compress.quantize import PRECISIONS
from export import boards, build


def main(arguments: list[str] | None = None) -> int:
    """Parse, run, and turn every TendonError into one line and exit code 2."""
    parser = argparse.ArgumentParser(prog="python -m export", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="command")
    for name, run, text in (
        ("c", _c, "write a C project that a person can read and take away"),
        ("firmware", _firmware, "write the project and build its image"),
    ):
        command = commands.add_parser(name, help=text)
        command.add_argument("--model", default="TC_S4_small")
        command.add_argument("--checkpoint", type=Path, help="default: the shipped one")
        command.add_argument("--precision", default="w8a16", choices=sorted(PRECISIONS))
        command.add_argument("--data", type=Path, help="folder of sessions to calibrate and score on (default: simulated)")
        command.add_argument("--build", type=Path, default=Path("build"))
        command.add_argument("--board", default="virtual-f405", help=f"one of {', '.join(boards.names())}")
        command.set_defaults(run=run)
    parsed = parser.parse_args(arguments)
    try:
        return int(parsed.run(parsed) or 0)
    except TendonError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted; nothing half-written was left", file=sys.stderr)
        return 130


def _graph(args: argparse.Namespace) -> tuple[g.Graph, Folder]:
    folder = Folder(args.build, args.model, args.precision)
    return pipeline.graphs(folder, artifacts.checkpoint_of(args.model, args.checkpoint), args.data), folder


def _c(args: argparse.Namespace) -> None:
    graph, folder = _graph(args)
    print(f"wrote {build.make_project(graph, folder, args.board)}")


def _firmware(args: argparse.Namespace) -> None:
    graph, folder = _graph(args)
    print(f"built {build.make_firmware(graph, folder, args.board)}")


if __name__ == "__main__":
    sys.exit(main())

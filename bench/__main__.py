"""python -m bench hil|demo|kernels: measure on a board, show the whole way, count the kernels' instructions."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from bench import demo, hil, kernels, text
from compress.artifacts import Folder
from compress.data import datasets
from compress.errors import TendonError
from compress.quantize import PRECISIONS
from export import boards
from host import engines


def main(arguments: list[str] | None = None) -> int:
    """Parse, run, and turn every TendonError into one line and exit code 2; an invalid run is exit code 1."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="command")
    for name, run, help_text in (
        ("hil", _hil, "stream recordings through a board, compare every word, score, time"),
        ("demo", _demo, "quantize, count, export, build, stream, and report the whole way"),
    ):
        command = commands.add_parser(name, help=help_text)
        _common(command)
        command.add_argument("--data", type=Path, help="folder of emg2qwerty sessions (default: the simulated set)")
        command.add_argument("--board", default="virtual-f405", help=f"one of {', '.join(boards.names())} (default: %(default)s)")
        command.add_argument("--port", help="its serial port: device, socket://host:port (default: started here)")
        command.add_argument("--seconds", type=float, default=15.0, help="how much signal to stream (default: %(default)s)")
        command.set_defaults(run=run)
    count = commands.add_parser("kernels", help="executed instructions of every kernel and of the network, against CMSIS-NN")
    _common(count)
    kernels.add_arguments(count)
    count.set_defaults(run=_kernels)
    parsed = parser.parse_args(arguments)
    try:
        return int(parsed.run(parsed) or 0)
    except TendonError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted; nothing half-written was left", file=sys.stderr)
        return 130


def _common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", default="TC_S4_small", help="name of the network (default: %(default)s)")
    parser.add_argument("--checkpoint", type=Path, help="Lightning .ckpt in the published format (default: the shipped one)")
    parser.add_argument("--precision", default="w8a16", choices=sorted(PRECISIONS), help="bits of weights and activations")
    parser.add_argument("--build", type=Path, default=Path("build"), help="where artifacts go (default: %(default)s)")


def _hil(args: argparse.Namespace) -> int:
    folder = Folder(args.build, args.model, args.precision)
    made = engines.prepare_scored(folder, args.checkpoint, args.data)
    outcome = hil.run(made, datasets.find(args.data, args.build), args.board, args.port, args.seconds)
    page = hil.write(outcome, folder.target(args.board))
    print(text.console_report(outcome.report))
    print(f"\nwrote {page.with_suffix('.json')}\nreport: {page}")
    return 0 if outcome.report["valid"] and outcome.report["bit_exact"] else 1


def _demo(args: argparse.Namespace) -> int:
    folder = Folder(args.build, args.model, args.precision)
    return demo.run(folder, args.checkpoint, args.data, args.board, args.port, args.seconds)


def _kernels(args: argparse.Namespace) -> int:
    missed = kernels.run(args)
    made = engines.prepare(Folder(args.build, args.model, args.precision), args.checkpoint, None, None)
    return demo.network_instructions(made) or missed


if __name__ == "__main__":
    sys.exit(main())

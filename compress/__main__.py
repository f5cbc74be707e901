"""python -m compress quantize|macs|recordings|train: from a checkpoint and recordings to the integer graph."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from compress import artifacts, macs, pipeline, train
from compress.artifacts import Folder
from compress.data import recordings
from compress.errors import TendonError
from compress.files import write_json
from compress.quantize import PRECISIONS


def main(arguments: list[str] | None = None) -> int:
    """Parse, run, and turn every TendonError into one line and exit code 2."""
    parser = argparse.ArgumentParser(prog="python -m compress", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="command")
    quantize = commands.add_parser("quantize", help="checkpoint + calibration recordings -> integer graph and its error rate")
    _common(quantize)
    quantize.add_argument("--data", type=Path, help="folder of emg2qwerty sessions (default: the simulated set)")
    quantize.add_argument("--calibration", type=Path, help="one recording or .npy (samples, 2, 16) to calibrate on instead")
    quantize.set_defaults(run=_quantize)
    count = commands.add_parser("macs", help="multiply-accumulates per layer and per second of signal")
    _common(count)
    count.set_defaults(run=_macs)
    for name, module, text in (
        ("recordings", recordings, "write the simulated recordings that are missing"),
        ("train", train, "train a network on simulated recordings"),
    ):
        command = commands.add_parser(name, help=text)
        module.add_arguments(command)
        command.set_defaults(run=module.run)
    parsed = parser.parse_args(arguments)
    try:
        return int(parsed.run(parsed) or 0)
    except TendonError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted; the same command continues or starts over safely", file=sys.stderr)
        return 130


def _common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", default="TC_S4_small", help="name of the network (default: %(default)s)")
    parser.add_argument("--checkpoint", type=Path, help="Lightning .ckpt in the published format (default: the shipped one)")
    parser.add_argument("--precision", default="w8a16", choices=sorted(PRECISIONS), help="bits of weights and activations")
    parser.add_argument("--build", type=Path, default=Path("build"), help="where artifacts go (default: %(default)s)")


def _folder(args: argparse.Namespace) -> Folder:
    return Folder(args.build, args.model, args.precision)


def _quantize(args: argparse.Namespace) -> None:
    folder = _folder(args)
    report = pipeline.run(folder, artifacts.checkpoint_of(args.model, args.checkpoint), args.data, args.calibration)
    print(pipeline.text(report))
    print(f"wrote {folder.graph} and {folder.quantize_json}")


def _macs(args: argparse.Namespace) -> None:
    graph = pipeline.load_float(args.model, artifacts.checkpoint_of(args.model, args.checkpoint))
    print(macs.table(graph))
    path = args.build / args.model / "macs.json"
    write_json(path, macs.report(graph))
    print(f"wrote {path}")


if __name__ == "__main__":
    sys.exit(main())

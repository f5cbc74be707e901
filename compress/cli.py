"""What the four commands (`python -m compress|export|host|bench`) share: options, and how errors
end."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from compress.artifacts import Folder
from compress.errors import TendonError
from compress.quantization.scales import PRECISIONS


def add_checkpoint_arguments(parser: argparse.ArgumentParser) -> None:
    """--model, --checkpoint, --build."""
    parser.add_argument(
        "--model", default="TC_S4_small", help="name of the network (default: %(default)s)"
    )
    parser.add_argument(
        "--checkpoint",
        type=Path,
        help="Lightning .ckpt in the published format (default: the shipped one)",
    )
    parser.add_argument(
        "--build",
        type=Path,
        default=Path("build"),
        help="where artifacts go (default: %(default)s)",
    )


def add_model_arguments(parser: argparse.ArgumentParser) -> None:
    """--model, --checkpoint, --build, --precision, --window."""
    add_checkpoint_arguments(parser)
    parser.add_argument(
        "--precision",
        default="w8a16",
        choices=sorted(PRECISIONS),
        help="bits of weights and activations",
    )
    parser.add_argument(
        "--window",
        type=int,
        help="samples at a time, of a network that is not causal (default: 1920, 0.96 s)",
    )


def add_data_arguments(parser: argparse.ArgumentParser) -> None:
    """--data, --calibration."""
    parser.add_argument(
        "--data",
        type=Path,
        help="folder of sessions of the network's task (default: the simulated set)",
    )
    parser.add_argument(
        "--calibration", type=Path, help="one recording or .npy to calibrate on instead"
    )


def add_format_arguments(parser: argparse.ArgumentParser) -> None:
    """--format, --tflm."""
    parser.add_argument(
        "--format",
        default="c",
        choices=("c", "tflm"),
        help="what runs on the board (default: %(default)s)",
    )
    parser.add_argument(
        "--tflm",
        type=Path,
        help="a TFLite-Micro checkout with its library built, for --format tflm",
    )


def add_latency_argument(parser: argparse.ArgumentParser) -> None:
    """--latency."""
    parser.add_argument(
        "--latency",
        type=float,
        default=0.0,
        help=(
            "milliseconds that an output frame may come later, so that several are computed at once"
            " (default: %(default)s)"
        ),
    )


def refuse_latency(args: argparse.Namespace) -> None:
    """An interpreter runs a file of one frame a step."""
    if args.latency:
        raise TendonError(
            f"LATENCY={args.latency:g} FORMAT=tflm: expected 0; TFLite-Micro computes one output"
            " frame at a time"
        )


def folder(args: argparse.Namespace) -> Folder:
    """Where the artifacts of these arguments live."""
    return Folder(args.build, args.model, args.precision, args.window)


def run(parser: argparse.ArgumentParser, arguments: Sequence[str] | None) -> int:
    """Parse and call the command's `run`; a TendonError becomes one line and exit code 2, an
    interruption exit code 130."""
    parsed = parser.parse_args(arguments)
    try:
        return int(parsed.run(parsed) or 0)
    except TendonError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(
            "interrupted; nothing half-written was left, and the same command can be repeated",
            file=sys.stderr,
        )
        return 130

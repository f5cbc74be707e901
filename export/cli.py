"""The options of `python -m export`. Nothing here is slow to import (see compress/cli)."""

from __future__ import annotations

import argparse
from pathlib import Path

from compress.cli import options
from export import boards
from export.check import CHECKS
from export.compilers import COMPILERS


def add_project_arguments(parser: argparse.ArgumentParser) -> None:
    """Those of graph and board: all that `tflm`, `onnx` and `tflite` take."""
    options.add_graph_arguments(parser)
    parser.add_argument(
        "--board", default="virtual-f405", help=f"one of {', '.join(boards.names())}"
    )


def add_c_arguments(parser: argparse.ArgumentParser) -> None:
    """Those of a project, --latency, --name."""
    add_project_arguments(parser)
    options.add_latency_argument(parser)
    add_name_argument(parser)


def add_firmware_arguments(parser: argparse.ArgumentParser) -> None:
    """Those of a project, --format, --tflm, --latency, --name, --compiler."""
    add_project_arguments(parser)
    options.add_format_arguments(parser)
    options.add_latency_argument(parser)
    add_name_argument(parser)
    add_compiler_argument(parser)


def add_name_argument(parser: argparse.ArgumentParser) -> None:
    """--name."""
    parser.add_argument(
        "--name",
        help=(
            "what the network is called in C, so that two precisions of a model can be in one"
            " program (default: as it was exported last, else as the model)"
        ),
    )


def add_compiler_argument(parser: argparse.ArgumentParser) -> None:
    """--compiler."""
    parser.add_argument(
        "--compiler",
        default=COMPILERS[0],
        choices=COMPILERS,
        help="what compiles the firmware (default: %(default)s)",
    )


def add_check_arguments(parser: argparse.ArgumentParser) -> None:
    """The file."""
    parser.add_argument("path", type=Path, help=f"a file ending in {' or '.join(CHECKS)}")

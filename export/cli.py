"""The options of `python -m export`. Nothing here is slow to import (see compress/cli.py)."""

from __future__ import annotations

import argparse
from pathlib import Path

from compress import cli
from export import boards
from export.check import CHECKS


def add_project_arguments(parser: argparse.ArgumentParser) -> None:
    """Those of graph and board: all that `tflm`, `onnx` and `tflite` take."""
    cli.add_graph_arguments(parser)
    parser.add_argument(
        "--board", default="virtual-f405", help=f"one of {', '.join(boards.names())}"
    )


def add_c_arguments(parser: argparse.ArgumentParser) -> None:
    """Those of a project, --latency."""
    add_project_arguments(parser)
    cli.add_latency_argument(parser)


def add_firmware_arguments(parser: argparse.ArgumentParser) -> None:
    """Those of a project, --format, --tflm, --latency."""
    add_project_arguments(parser)
    cli.add_format_arguments(parser)
    cli.add_latency_argument(parser)


def add_check_arguments(parser: argparse.ArgumentParser) -> None:
    """The file."""
    parser.add_argument("path", type=Path, help=f"a file ending in {' or '.join(CHECKS)}")

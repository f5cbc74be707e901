"""The commands that make a project, an image or a file of an integer graph, and their options.
Nothing here is slow to import (see compress/cli)."""

from __future__ import annotations

import argparse

from compress.cli import Command, options
from compress.cli.options import path
from export import boards
from export.check import CHECKS
from export.compilers import COMPILERS

FORMATS = ("c", "onnx", "tflite", "tflm")


def add_project_arguments(parser: argparse.ArgumentParser) -> None:
    """Those of graph and board."""
    options.add_graph_arguments(parser)
    parser.add_argument(
        "--board", default="virtual-f405", help=f"one of {', '.join(boards.names())}"
    )


def add_export_arguments(parser: argparse.ArgumentParser) -> None:
    """Those of a project, --format, --latency, --name."""
    add_project_arguments(parser)
    parser.add_argument(
        "--format",
        default=FORMATS[0],
        choices=FORMATS,
        help=(
            "C project, ONNX and TFLite files, or a project around TFLite-Micro's interpreter"
            " (default: %(default)s)"
        ),
    )
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
    parser.add_argument("path", type=path, help=f"a file ending in {' or '.join(CHECKS)}")


COMMANDS = (
    Command(
        "export",
        "integer graph -> C project that a person can read and take away, or another format",
        add_export_arguments,
        "export.commands:export",
        examples=(
            "tendon export --model TC_S4_small --board nucleo-f446re",
            "tendon export --format onnx",
        ),
        begins=True,
    ),
    Command(
        "firmware",
        "write the project and build its image",
        add_firmware_arguments,
        "export.commands:firmware",
        examples=("tendon firmware --board nucleo-f446re --compiler clang",),
    ),
    Command(
        "check",
        "would a model of ONNX or TFLite overflow a 32-bit accumulator?",
        add_check_arguments,
        "export.check:run",
        examples=("tendon check model.onnx",),
    ),
)

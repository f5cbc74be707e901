"""The commands that run a network on an engine or a board, and their options. Nothing here is slow
to import (see compress/cli)."""

from __future__ import annotations

import argparse

from compress.cli import Command, options
from compress.cli.options import path
from export import boards
from export.cli import add_compiler_argument
from host.lm import ORDER, PROMPTS, SHIPPED
from host.loaders import LOADERS
from host.names import DECODERS, LAYERED, LOCAL

# that `diagnose` compares; a line takes seconds for a second of signal
SECONDS, ON_BOARD_SECONDS = 10.0, 2.0


def add_infer_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `infer`: those of a graph, --engine, --input, --initial, --output, --port."""
    options.add_graph_arguments(parser)
    parser.add_argument(
        "--engine",
        default="integer",
        help=f"{', '.join(LOCAL)} or a board (default: %(default)s)",
    )
    parser.add_argument(
        "--input",
        type=path,
        required=True,
        help="a recording, or a .npy of the shape that the network's task says",
    )
    parser.add_argument(
        "--initial",
        type=path,
        help="a .npy of what the network begins with, where it does (default: the recording's)",
    )
    parser.add_argument(
        "--output", type=path, required=True, help="where to write float32 frames (.npy)"
    )
    parser.add_argument(
        "--port", help="serial port of the board: device, socket://… (default: the board's own)"
    )


def add_decode_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `decode`: --input, --decoder, --lm."""
    parser.add_argument(
        "--input",
        type=path,
        required=True,
        help="a .npy of log-probabilities, float (frames, classes)",
    )
    parser.add_argument(
        "--decoder", default="beam+lm", choices=DECODERS, help="which (default: %(default)s)"
    )
    parser.add_argument(
        "--lm",
        type=path,
        default=SHIPPED,
        help="KenLM character model (default: the shipped one)",
    )


def add_flash_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `flash`: those of a graph and its form, --compiler, --board, --port, --tool,
    --tap."""
    options.add_graph_arguments(parser)
    options.add_format_arguments(parser)
    options.add_latency_argument(parser)
    add_compiler_argument(parser)
    parser.add_argument(
        "--board", default="virtual-f405", help=f"one of {', '.join(boards.chips())}"
    )
    parser.add_argument(
        "--port",
        help="serial port: of the board once it runs, and of its boot loader for stm32flash",
    )
    parser.add_argument(
        "--tool",
        choices=[loader.name for loader in LOADERS],
        help="with which (default: the first that answers)",
    )
    parser.add_argument(
        "--tap",
        action="store_true",
        help="the image that `diagnose` and `profile` need on a board, C only",
    )


def add_lm_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `lm`: --output, --prompts, --order."""
    parser.add_argument(
        "--output",
        type=path,
        default=SHIPPED,
        help="where to write the model (default: the shipped one)",
    )
    parser.add_argument(
        "--prompts",
        type=options.whole(1, 10_000_000),
        default=PROMPTS,
        help="how many prompts to read (default: %(default)s)",
    )
    parser.add_argument(
        "--order",
        type=options.whole(2, 6),
        default=ORDER,
        help="longest n-gram, 2 to 6 characters (default: %(default)s)",
    )


def add_diagnose_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `diagnose`: those of a graph, --engines or --board, --port, --input, --seconds."""
    options.add_graph_arguments(parser)
    sides = parser.add_mutually_exclusive_group()
    sides.add_argument(
        "--engines",
        nargs="+",
        default=["integer", "native"],
        help=f"two of {', '.join(LAYERED)} (default: integer native)",
    )
    sides.add_argument(
        "--board", choices=boards.names(), help="a board beside the integer reference"
    )
    parser.add_argument(
        "--port", help="serial port of the board: device, socket://… (default: the board's own)"
    )
    parser.add_argument(
        "--input",
        type=path,
        help="a recording or .npy (default: the first held-out session)",
    )
    parser.add_argument(
        "--seconds",
        type=options.seconds,
        help=f"of the input (default: {SECONDS:g}, on a board {ON_BOARD_SECONDS:g})",
    )


COMMANDS = (
    Command(
        "infer",
        "one input through one engine, output frames to a .npy",
        add_infer_arguments,
        "host.commands:infer",
        examples=("tendon infer --engine native --input signal.npy --output frames.npy",),
    ),
    Command(
        "decode",
        "text from frames that `infer` wrote",
        add_decode_arguments,
        "host.commands:decode",
        examples=("tendon decode --input frames.npy --decoder greedy",),
    ),
    Command(
        "flash",
        "build the firmware of a board and load it with what is there",
        add_flash_arguments,
        "host.flash:run",
        examples=("tendon flash --board nucleo-f446re --tool openocd",),
    ),
    Command(
        "diagnose",
        "a board, or two engines, layer by layer, and where they first differ",
        add_diagnose_arguments,
        "host.commands:diagnose",
        examples=(
            "tendon diagnose --board virtual-f405",
            "tendon diagnose --engines graph integer --input signal.npy",
        ),
    ),
    Command(
        "lm",
        "make the shipped character model",
        add_lm_arguments,
        "host.lm.build:run",
        examples=("tendon lm --output characters.arpa --order 5",),
    ),
)

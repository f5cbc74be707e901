"""python -m host infer|decode|diagnose|flash|lm: run a network on any engine, read text from its
frames, compare, load boards."""

from __future__ import annotations

import argparse
import io
import sys
from pathlib import Path

import numpy as np

from compress import artifacts, cli, pipeline, tasks
from compress import graph as g
from compress.data import datasets
from compress.files import replace_atomically
from compress.graph.samples import Signal
from export import boards
from host import board_diagnosis, decoders, diagnose, engines, flash
from host.decoders import load_frames
from host.lm import SHIPPED, build

SECONDS, ON_BOARD_SECONDS = (
    10.0,
    2.0,
)  # that `diagnose` compares; a line takes seconds for a second of signal


def main(arguments: list[str] | None = None) -> int:
    """The commands of this package; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m host", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="command")
    infer = commands.add_parser(
        "infer", help="one input through one engine, output frames to a .npy"
    )
    cli.add_model_arguments(infer)
    cli.add_data_arguments(infer)
    infer.add_argument(
        "--engine",
        default="integer",
        help=f"{', '.join(engines.LOCAL)} or a board (default: %(default)s)",
    )
    infer.add_argument(
        "--input",
        type=Path,
        required=True,
        help="a recording, or a .npy of the shape that the network's task says",
    )
    infer.add_argument(
        "--initial",
        type=Path,
        help="a .npy of what the network begins with, where it does (default: the recording's)",
    )
    infer.add_argument(
        "--output", type=Path, required=True, help="where to write float32 frames (.npy)"
    )
    infer.add_argument(
        "--port", help="serial port of the board: device, socket://… (default: the board's own)"
    )
    infer.set_defaults(run=_infer)
    decode = commands.add_parser("decode", help="text from frames that `infer` wrote")
    decode.add_argument(
        "--input",
        type=Path,
        required=True,
        help="a .npy of log-probabilities, float (frames, classes)",
    )
    decode.add_argument(
        "--decoder", default="beam+lm", choices=decoders.NAMES, help="which (default: %(default)s)"
    )
    decode.add_argument(
        "--lm", type=Path, default=SHIPPED, help="KenLM character model (default: the shipped one)"
    )
    decode.set_defaults(run=_decode)
    flash.add_arguments(
        commands.add_parser(
            "flash", help="build the firmware of a board and load it with what is there"
        )
    )
    build.add_arguments(commands.add_parser("lm", help="make the shipped character model"))
    compare = commands.add_parser(
        "diagnose", help="a board, or two engines, layer by layer, and where they first differ"
    )
    cli.add_model_arguments(compare)
    cli.add_data_arguments(compare)
    sides = compare.add_mutually_exclusive_group()
    sides.add_argument(
        "--engines", nargs=2, default=["integer", "native"], help="two of graph, integer, native"
    )
    sides.add_argument(
        "--board", choices=boards.names(), help="a board beside the integer reference"
    )
    compare.add_argument(
        "--port", help="serial port of the board: device, socket://… (default: the board's own)"
    )
    compare.add_argument(
        "--input", type=Path, help="a recording or .npy (default: the first held-out session)"
    )
    compare.add_argument(
        "--seconds",
        type=float,
        help=f"of the input (default: {SECONDS:g}, on a board {ON_BOARD_SECONDS:g})",
    )
    compare.set_defaults(run=_diagnose)
    return cli.run(parser, arguments)


def _prepare(args: argparse.Namespace) -> engines.Artifacts:
    return engines.prepare(cli.folder(args), args.checkpoint, args.data, args.calibration)


def _infer(args: argparse.Namespace) -> None:
    if args.engine in engines.FLOAT:
        path = artifacts.checkpoint_for(cli.folder(args), args.checkpoint)
        graph = pipeline.load_float(args.model, path, args.window)
        frames = engines.infer_float(args.engine, graph, path, _input(graph, args))
    else:
        made = _prepare(args)
        graph = made.integer
        frames = engines.infer(args.engine, made, _input(graph, args), args.port)
    laid_out = tasks.of(graph).laid_out(graph, frames)
    content = io.BytesIO()
    np.save(content, laid_out)
    replace_atomically(args.output, content.getvalue())
    print(
        f"wrote {args.output}: {frames.shape[0]} frames of {frames.shape[1]} values by"
        f" {args.engine}, {laid_out.shape}"
    )


def _input(graph: g.Graph, args: argparse.Namespace) -> Signal:
    return tasks.of(graph).load_input(graph, args.input, None, args.initial).signal


def _decode(args: argparse.Namespace) -> None:
    frames, alphabet = load_frames(args.input)
    print(decoders.decode_session(alphabet, args.decoder, args.lm, frames, progress=True))


def _diagnose(args: argparse.Namespace) -> None:
    made = _prepare(args)
    task = tasks.of(made.integer)
    path = args.input or datasets.find(args.data, args.build, task.collection).heldout[0]
    seconds = args.seconds or (ON_BOARD_SECONDS if args.board else SECONDS)
    signal = task.load_input(made.integer, path, seconds).signal
    if args.board:
        found = board_diagnosis.run(made, args.board, args.port, signal)
        print(board_diagnosis.text(found))
        board_diagnosis.write(found, made)
        return
    report = diagnose.compare(made, (args.engines[0], args.engines[1]), signal)
    print(diagnose.text(report))
    diagnose.write(report, made)


if __name__ == "__main__":
    sys.exit(main())

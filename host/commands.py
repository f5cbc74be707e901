"""What `python -m host infer|decode|diagnose` do."""

from __future__ import annotations

import argparse
import io

import numpy as np

from compress import artifacts, cli, pipeline, tasks
from compress import graph as g
from compress.files import replace_atomically
from compress.graph.samples import Signal
from host import board_diagnosis, engines
from host import diagnose as comparison
from host.cli import ON_BOARD_SECONDS, SECONDS
from host.names import FLOAT


def _prepare(args: argparse.Namespace) -> engines.Artifacts:
    return engines.prepare(cli.folder(args), args.checkpoint, args.data, args.calibration)


def infer(args: argparse.Namespace) -> None:
    """One input through one engine."""
    if args.engine in FLOAT:
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


def decode(args: argparse.Namespace) -> None:
    """Text from frames."""
    from host import decoders  # KenLM

    frames, alphabet = decoders.load_frames(args.input)
    print(decoders.decode_session(alphabet, args.decoder, args.lm, frames, progress=True))


def diagnose(args: argparse.Namespace) -> None:
    """A board, or two engines, layer by layer."""
    made = _prepare(args)
    task = tasks.of(made.integer)
    path = (
        args.input
        or pipeline.dataset_of(made.folder, made.integer, args.data, args.calibration).heldout[0]
    )
    seconds = args.seconds or (ON_BOARD_SECONDS if args.board else SECONDS)
    signal = task.load_input(made.integer, path, seconds).signal
    if args.board:
        found = board_diagnosis.run(made, args.board, args.port, signal)
        print(board_diagnosis.text(found))
        board_diagnosis.write(found, made)
        return
    report = comparison.compare(made, (args.engines[0], args.engines[1]), signal)
    print(comparison.text(report))
    comparison.write(report, made)

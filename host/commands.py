"""What `python -m host infer|decode|diagnose` do."""

from __future__ import annotations

import argparse
import io

import numpy as np

from compress import artifacts, cli, pipeline, tasks
from compress.files import replace_atomically
from compress.graph.samples import Signal
from compress.tasks.shape import is_own
from host import board_diagnosis, engines
from host import diagnose as comparison
from host.cli import ON_BOARD_SECONDS, SECONDS
from host.names import FLOAT


def _prepare(args: argparse.Namespace) -> engines.Artifacts:
    return engines.prepare(cli.folder(args), cli.sources(args))


def infer(args: argparse.Namespace) -> None:
    """One input through one engine. A wrong engine or input is refused before anything is made."""
    engines.check(args.engine)
    folder = cli.folder(args)
    path = artifacts.checkpoint_for(folder, cli.sources(args).checkpoint)
    graph = pipeline.any_graph(folder, path)
    parts = tasks.of(graph).inputs(graph, args.input, None, args.initial)
    if args.engine in FLOAT:
        graph = pipeline.load_float(args.model, path, args.window)
        found = [engines.infer_float(args.engine, graph, path, p.signal) for p in parts]
    else:
        made = _prepare(args)
        graph = made.integer
        found = [engines.infer(args.engine, made, p.signal, args.port) for p in parts]
    laid_out = tasks.of(graph).in_a_row(graph, found)
    content = io.BytesIO()
    np.save(content, laid_out)
    replace_atomically(args.output, content.getvalue())
    written = [len(frames) - (graph.start_up if is_own(graph) else 0) for frames in found]
    for part, frames in zip(parts, written, strict=True):
        if len(parts) > 1:
            print(f"{part.name}: {frames} frames, a stream of its own")
    print(
        f"wrote {args.output}: {sum(written)} frames of {found[0].shape[1]} values by"
        f" {args.engine}, {laid_out.shape}"
    )


def _beginning(args: argparse.Namespace, seconds: float) -> Signal:
    """The first seconds of the input."""
    folder = cli.folder(args)
    path = artifacts.checkpoint_for(folder, cli.sources(args).checkpoint)
    graph = pipeline.any_graph(folder, path)
    return tasks.of(graph).load_input(graph, args.input, seconds).signal


def decode(args: argparse.Namespace) -> None:
    """Text from frames."""
    from host import decoders  # KenLM

    frames, alphabet = decoders.load_frames(args.input)
    print(decoders.decode_session(alphabet, args.decoder, args.lm, frames, progress=True))


def diagnose(args: argparse.Namespace) -> None:
    """A board, or two engines, layer by layer. Wrong engines and a wrong input are refused before
    anything is made."""
    comparison.check(args.engines)
    seconds = args.seconds or (ON_BOARD_SECONDS if args.board else SECONDS)
    signal = None if args.input is None else _beginning(args, seconds)
    made = _prepare(args)
    if signal is None:
        found = pipeline.dataset_of(made.folder, made.integer, cli.sources(args))
        task = tasks.of(made.integer)
        signal = task.load_input(made.integer, found.heldout[0], seconds).signal
    if args.board:
        seen = board_diagnosis.run(made, args.board, args.port, signal)
        print(board_diagnosis.text(seen))
        board_diagnosis.write(seen, made)
        return
    report = comparison.compare(made, (args.engines[0], args.engines[1]), signal)
    print(comparison.text(report))
    comparison.write(report, made)

"""What `infer`, `decode` and `diagnose` do."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

from compress import artifacts, cli, pipeline, tasks
from compress import graph as g
from compress.errors import UsageError, printable
from compress.files import refuse_output, write_atomically
from compress.graph.samples import Signal
from compress.reading.words import counted, noun, one_line
from compress.tasks.recorded import Recorded
from compress.tasks.stretches import least_samples
from host import board_diagnosis, engines, frame_parts
from host import diagnose as comparison
from host.boards import check
from host.cli import ON_BOARD_SECONDS, SECONDS
from host.names import FLOAT, LOCAL


def _prepare(args: argparse.Namespace) -> engines.Artifacts:
    return engines.prepare(cli.folder(args), cli.sources(args))


def infer(args: argparse.Namespace) -> None:
    """One input through one engine. A wrong engine or input is refused before anything is made."""
    engines.check(args.engine)
    _check_output(args)
    if args.engine not in LOCAL:
        check(args.engine, args.port, reach=True)
    folder, sources = cli.folder(args), cli.sources(args)
    _check_output(args, sources)
    path = artifacts.checkpoint_for(folder, sources)
    graph = pipeline.any_graph(folder, path)
    parts = tasks.of(graph).inputs(graph, args.input, None, args.initial, whole=False)
    begun = args.engine == "torch"  # the published forward has no frames of a start-up
    if begun:
        _remembered(args)
        parts = parts if len(parts) == 1 else long_enough(graph, parts)
        found = [engines.published(path, part) for part in parts]
    else:
        parts = [streamed(graph, part) for part in long_enough(graph, parts)]
        graph, found = _streams(args, graph, path, parts)
    written = [len(frames) - (0 if begun else graph.start_up) for frames in found]
    names = [part.name for part in parts]
    task, shape = tasks.of(graph), list[int]()

    def write(file: IO[bytes]) -> None:
        shape.extend(task.save(file, graph, found, begun))
        frame_parts.write(args.output, file, list(zip(names, written, strict=True)))

    write_atomically(args.output, write)
    for name, count in zip(names, written, strict=True):
        if len(names) > 1:
            print(f"{printable(name)}: {counted(count, 'frame')}, a stream of its own")
    total, values = sum(written), found[0].shape[1]
    print(
        f"wrote {args.output}: {total} {noun(total, 'frame')} of {values}"
        f" {noun(values, 'value')} by {args.engine}, {tuple(shape)}"
        + (f", their parts in {frame_parts.beside(args.output).name}" if len(parts) > 1 else "")
    )


def _check_output(args: argparse.Namespace, sources: Any = None) -> None:
    """UsageError for an output that would replace what the command reads, or what `sources` say
    that the network was made from; TendonError for what is no file."""
    if args.output.suffix.lower() != ".npy":
        raise UsageError(f"OUTPUT={args.output}: expected a name that ends in .npy")
    for option in ("input", "initial", "calibration", "checkpoint", "data"):
        for read in (getattr(args, option, None), getattr(sources, option, None)):
            if isinstance(read, Path) and _is_in(args.output, read):
                raise UsageError(
                    f"OUTPUT={args.output}: is {option.upper()}={read}, or lies in it, which it"
                    " would change; expected another file"
                )
    refuse_output(args.output)


def _is_in(path: Path, other: Path) -> bool:
    """Whether a path is another, or below it."""
    return path.resolve().is_relative_to(other.resolve())


def _streams(
    args: argparse.Namespace, graph: g.Graph, path: Path, parts: list[Recorded]
) -> tuple[g.Graph, list[g.Array]]:
    """The graph that an engine of the stream runs, and its frames of each part."""
    if args.engine in FLOAT:
        folder = _remembered(args)
        real = pipeline.load_float(folder.model, path, folder.window)
        return real, [engines.infer_float(args.engine, real, path, p.signal) for p in parts]
    made = _prepare(args)
    return made.integer, [engines.infer(args.engine, made, p.signal, args.port) for p in parts]


def _remembered(args: argparse.Namespace) -> artifacts.Folder:
    """The folder, which remembers from now on what a float engine ran of."""
    folder, sources = cli.folder(args), cli.sources(args)
    path = artifacts.checkpoint_for(folder, sources)
    artifacts.remember(folder, sources, None if folder.precision == artifacts.COMPRESSED else path)
    return folder


def long_enough(
    graph: g.Graph, parts: list[Recorded], say: Callable[[str], None] = print
) -> list[Recorded]:
    """Those that give an output; of others the first, which is refused."""
    found = [part for part in parts if len(part.samples) >= least_samples(graph)]
    for part in parts:
        if found and len(part.samples) < least_samples(graph):
            samples = counted(len(part.samples), "sample")
            say(f"{part.name}: {samples}, too few for an output: left out")
    return found or parts[:1]


def streamed(graph: g.Graph, part: Recorded, say: Callable[[str], None] = print) -> Recorded:
    """The whole steps of it; what is left over is said."""
    whole = tasks.of(graph).streamed(graph, part)
    left = len(part.samples) - len(whole.samples)
    if left:
        say(
            f"{part.name}: the last {left} {noun(left, 'sample')} ({left / part.rate:.4f} s)"
            f" {noun(left, 'is', 'are')} less than a step of {graph.samples_per_step}, which a"
            " stream computes at once: left over"
        )
    return whole


def _beginning(args: argparse.Namespace, seconds: float) -> Signal:
    """The first seconds of the input."""
    folder = cli.folder(args)
    path = artifacts.checkpoint_for(folder, cli.sources(args))
    graph = pipeline.any_graph(folder, path)
    return tasks.of(graph).load_input(graph, args.input, seconds).signal


def decode(args: argparse.Namespace) -> None:
    """Text from frames; of a recording with gaps that of each part."""
    from host import decoders  # KenLM

    frames, alphabet = decoders.load_frames(args.input)
    for name, part in list(frame_parts.read(args.input, frames)):
        text = decoders.decode_session(alphabet, args.decoder, args.lm, part, progress=True)
        print(f"{one_line(name)}: {text}" if name else text)


def diagnose(args: argparse.Namespace) -> None:
    """A board, or two engines, layer by layer. Wrong engines and a wrong input are refused before
    anything is made."""
    comparison.check(args.engines)
    if args.board:
        check(args.board, args.port, reach=True)
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

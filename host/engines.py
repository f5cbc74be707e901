"""Every way to run a network, behind one call: torch, graph (float), onnx, integer (reference),
native (C here), a board, …."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from compress import artifacts, evaluate, pipeline
from compress import graph as g
from compress.artifacts import Folder, Sources
from compress.errors import RecordingError, TendonError, UsageError
from compress.graph.samples import Initial, SideBySide, Signal, to_int16, to_real, words_of
from compress.interpreter.base import Interpreter
from compress.interpreter.float import FloatInterpreter
from compress.interpreter.integer import IntegerInterpreter
from compress.reading.words import counted
from compress.report.progress import Bar
from compress.tasks.recorded import Recorded
from export import boards, build
from export.c import memory
from export.exported import called
from host import native
from host.boards import Board, Reconnect, open_board
from host.names import INTERPRETERS, LOCAL
from host.resume import snapshots, to_end
from host.run import Run
from host.snapshot import Snapshot

log = logging.getLogger(__name__)

Array = g.Array


@dataclass(frozen=True)
class Artifacts:
    """The graphs of one model at one precision, and the checkpoint they came from."""

    folder: Folder
    checkpoint: Path
    real: g.Graph
    integer: g.Graph


def prepare(folder: Folder, sources: Sources) -> Artifacts:
    """Quantize when something changed, then load both graphs; scores nothing."""
    path = artifacts.checkpoint_for(folder, sources)
    integer = pipeline.graphs(folder, path, sources)
    return Artifacts(folder, path, g.load(folder.float_graph), integer)


def prepare_scored(folder: Folder, sources: Sources, in_full: bool = False) -> Artifacts:
    """As `prepare`, and quantize.json holds the scores of these graphs on the held-out sessions."""
    path = artifacts.checkpoint_for(folder, sources)
    pipeline.run(folder, path, sources, in_full)
    return Artifacts(folder, path, g.load(folder.float_graph), g.load(folder.graph))


def published(path: Path, part: Recorded) -> npt.NDArray[np.float32]:
    """A part of a recording, whole steps or not -> float32 frames of the published forward over
    exactly its samples, as many as that gives (a stream sees less)."""
    from compress.frontend import checkpoint

    try:
        loaded = checkpoint.load(path)
        frames = checkpoint.forward(loaded, part.samples, _initial(part.signal))
        why = "" if frames.size else ": nothing comes out"
    except RuntimeError as error:  # torch's for a shape that its layers cannot take
        frames, why = None, f": {str(error).splitlines()[0]}"
    if frames is None or why:
        raise RecordingError(
            f"{part.name}: the published forward cannot take"
            f" {counted(len(part.samples), 'sample')}{why}"
        )
    return frames


def _initial(signal: Signal) -> Array | None:
    return next(iter((signal.initial or {}).values()), None)


def infer_float(
    engine: str, graph: g.Graph, checkpoint: Path | None, signal: Signal
) -> npt.NDArray[np.float32]:
    """Whole steps of a signal -> float32 output frames by the published forward (torch, which alone
    needs the checkpoint), the float graph, or it as ONNX."""
    if engine == "torch":
        assert checkpoint is not None
        return _torch(checkpoint, signal, graph)
    if engine == "onnx":
        from export.onnx import float_form  # slow to import, as the other formats are
        from host import onnx_engine

        return onnx_engine.run(float_form.write(graph), signal.samples, "onnx", signal.initial)
    found: npt.NDArray[np.float32] = evaluate.float_frames(graph, [signal])[0]
    return found


def infer(
    engine: str, made: Artifacts, signal: Signal, port: str | None = None
) -> npt.NDArray[np.float32]:
    """Whole steps of a signal -> float32 output frames of an integer engine."""
    return infer_integer(engine, made.integer, made.folder, signal, port)


def infer_integer(
    engine: str, graph: g.Graph, folder: Folder, signal: Signal, port: str | None = None
) -> npt.NDArray[np.float32]:
    """The same of an integer graph; what an engine is built of lies in the folder."""
    if engine == "onnx-qdq":
        from export.onnx import qdq_form
        from host import onnx_engine

        return onnx_engine.run(qdq_form.write(graph), signal.samples, engine, signal.initial)
    return to_real(graph, integer_words(engine, graph, folder, signal, port))


def words(engine: str, made: Artifacts, signal: Signal, port: str | None = None) -> Array:
    """Whole steps of a signal -> int16 output words by an integer engine, or a board over its
    serial line."""
    return integer_words(engine, made.integer, made.folder, signal, port)


def integer_words(
    engine: str, graph: g.Graph, folder: Folder, signal: Signal, port: str | None = None
) -> Array:
    """The same of an integer graph; what an engine is built of lies in the folder."""
    if engine == "integer":
        return evaluate.integer_words(graph, [signal])[0]
    if engine == "native":
        model = native.load(graph, folder.path / "native")
        model.begin_with(signal)
        return model.stream(signal.samples)
    if engine in INTERPRETERS:
        from host import tflite_engines

        samples = words_of(graph, signal.samples)
        return tflite_engines.run(engine, graph, folder, samples, signal.initial)
    check(engine)
    return _on_board(engine, graph, folder, signal, port)


def check(engine: str) -> None:
    """TendonError for a name that is neither an engine's nor a board's."""
    if engine not in (*LOCAL, *boards.names()):
        raise UsageError(f"ENGINE={engine}: expected one of {', '.join((*LOCAL, *boards.names()))}")


def beginning(graph: g.Graph, initial: Initial | None) -> bytes | None:
    """The snapshot that a stream on a board begins from: one with these values of its extra
    inputs, or none, the zero state."""
    return (
        None
        if initial is None
        else Snapshot(graph.hash(), 0, memory.initial_state(graph, initial)).to_bytes()
    )


def run_of(graph: g.Graph, signal: Signal, snapshot_every: int = 0) -> Run:
    """A run of this signal on a board, from the values it begins with."""
    samples = words_of(graph, signal.samples)
    return Run(samples, snapshot_every, beginning(graph, signal.initial))


def _on_board(
    board: str, graph: g.Graph, folder: Folder, signal: Signal, port: str | None
) -> Array:
    image = build.make_firmware(called(graph, folder, board), folder, board)
    frames = len(signal.samples) // graph.samples_per_step * graph.chunk

    def open_at(where: str | None) -> Board:
        return open_board(board, image, graph.hash(), port=where)

    run = run_of(graph, signal, snapshots(frames))
    again = Reconnect(open_at, port, say=log.warning)
    with again() as connected, Bar(total=frames, unit="frame") as bar:
        connected.link.handshake()

        def advance(step: int, outputs: Array, ticks: int) -> None:
            bar.update()

        to_end(run, connected, again, advance, log.warning).close()
    return run.outputs


def _torch(path: Path, signal: Signal, graph: g.Graph) -> npt.NDArray[np.float32]:
    """The published forward sees the whole recording, which a stream does not."""
    from compress.frontend import checkpoint

    loaded = checkpoint.load(path)
    return checkpoint.stream_forward(loaded, graph, signal.samples, _initial(signal))


def layers(engine: str, made: Artifacts, signal: Signal) -> Iterator[tuple[str, Array]]:
    """(module, real values (frames, features)) of every operator of the integer graph that the
    engine computes."""
    collected: dict[str, list[Array]] = {op.output: [] for op in made.integer.ops}

    def tap(op: g.Op, y: Array) -> None:
        if op.output in collected:
            collected[op.output].append(y[0])

    machine: Interpreter
    if engine == "graph":
        machine = FloatInterpreter(made.real)
        machine.begin_with([signal])
        machine.run(SideBySide([signal], made.real.samples_per_step), tap)
    elif engine == "integer":
        machine = IntegerInterpreter(made.integer)
        machine.begin_with([signal])
        machine.run(to_int16(made.integer, np.asarray(signal.samples))[None], tap)
    elif engine == "native":
        _native_layers(made, signal, collected)
    else:
        raise TendonError(f"{engine}: layers can be seen in graph, integer and native")
    for op in made.integer.ops:
        yield op.output, np.concatenate(collected[op.output])


def _native_layers(made: Artifacts, signal: Signal, collected: dict[str, list[Array]]) -> None:
    model = native.load(made.integer, made.folder.path / "native", taps=True)

    def tap(index: int, y: Array) -> None:
        name = made.integer.ops[index].output
        collected[name].append(y.reshape(-1, made.integer.tensors[name].features).astype(np.int64))

    model.set_tap(tap)
    model.begin_with(signal)
    model.stream(signal.samples)

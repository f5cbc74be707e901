"""Every way to run a network, behind one call: torch, graph (float), onnx, integer (reference), native (C here), a board, …."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from compress import artifacts, pipeline
from compress import graph as g
from compress.artifacts import Folder
from compress.errors import TendonError
from compress.floating import FloatMachine
from compress.reference import IntegerMachine
from compress.samples import to_int16, to_real, whole_steps
from export import boards, build
from export.onnx_model import float_form as onnx_float
from export.onnx_model import qdq_form as onnx_qdq
from host import native, onnx_engine, tflite_engines
from host.boards import open_board

Array = g.Array
FLOAT = ("torch", "graph", "onnx")
LOCAL = (*FLOAT, "integer", "native", "onnx-qdq", *tflite_engines.ENGINES)


@dataclass(frozen=True)
class Artifacts:
    """The graphs of one model at one precision, and the checkpoint they came from."""

    folder: Folder
    checkpoint: Path
    real: g.Graph
    integer: g.Graph


def prepare(folder: Folder, checkpoint: Path | None, data: Path | None, calibration: Path | None) -> Artifacts:
    """Quantize when something changed, then load both graphs; scores nothing."""
    path = artifacts.checkpoint_of(folder.model, checkpoint)
    integer = pipeline.graphs(folder, path, data, calibration)
    return Artifacts(folder, path, g.load(folder.float_graph), integer)


def prepare_scored(folder: Folder, checkpoint: Path | None, data: Path | None, calibration: Path | None) -> Artifacts:
    """As `prepare`, and quantize.json holds the scores of these graphs on the held-out sessions."""
    path = artifacts.checkpoint_of(folder.model, checkpoint)
    pipeline.run(folder, path, data, calibration)
    return Artifacts(folder, path, g.load(folder.float_graph), g.load(folder.graph))


def infer_float(engine: str, model: str, checkpoint: Path, signal: Array) -> npt.NDArray[np.float32]:
    """Real samples (time, features) -> float32 output frames by the published forward or the float graph."""
    graph = pipeline.load_float(model, checkpoint)
    signal = whole_steps(graph, signal)
    if engine == "torch":
        return _torch(checkpoint, signal, graph.start_up)
    if engine == "onnx":
        return onnx_engine.run(onnx_float.write(graph), signal, "onnx")
    return FloatMachine(graph).run(signal[None].astype(np.float64))[0].astype(np.float32)


def infer(engine: str, made: Artifacts, signal: Array, port: str | None = None) -> npt.NDArray[np.float32]:
    """Real samples (time, features) -> float32 output frames of an integer engine; whole steps only."""
    signal = whole_steps(made.integer, signal)
    if engine == "onnx-qdq":
        return onnx_engine.run(onnx_qdq.write(made.integer), signal, engine)
    samples = to_int16(made.integer, signal)
    return to_real(made.integer, words(engine, made, samples, port))


def words(engine: str, made: Artifacts, samples: Array, port: str | None = None) -> Array:
    """int16 samples (time, features) -> int16 output words by an integer engine, or a board over its serial line."""
    if engine == "integer":
        return IntegerMachine(made.integer).run(samples[None])[0].astype(np.int16)
    if engine == "native":
        return native.load(made.integer, made.folder.path / "native").run(samples)
    if engine in tflite_engines.ENGINES:
        return tflite_engines.run(engine, made.integer, made.folder, samples)
    if engine not in boards.names():
        raise TendonError(f"ENGINE={engine}: expected one of {', '.join((*LOCAL, *boards.names()))}")
    return _on_board(engine, made, samples, port)


def _on_board(board: str, made: Artifacts, samples: Array, port: str | None) -> Array:
    image = build.make_firmware(made.integer, made.folder, board)
    steps = len(samples) // made.integer.samples_per_step
    with open_board(board, image, made.integer.hash(), port=port) as connected, tqdm(total=steps, unit="frame") as bar:
        connected.link.handshake()
        connected.link.reset()

        def advance(step: int, outputs: Array, ticks: int) -> None:
            bar.update()

        return connected.link.stream(samples, advance).outputs


def _torch(path: Path, signal: Array, start_up: int) -> npt.NDArray[np.float32]:
    """The published forward has no frames for the start-up of a stream: there, every class is equally likely."""
    from compress import checkpoint  # torch is slow to import and only this engine needs it

    frames = checkpoint.forward(checkpoint.load(path), signal)
    nothing_yet = np.full((start_up, frames.shape[1]), -np.log(frames.shape[1]), np.float32)
    return np.concatenate([nothing_yet, frames])


def layers(engine: str, made: Artifacts, signal: Array) -> Iterator[tuple[str, Array]]:
    """(module, real values (frames, features)) of every operator of the integer graph that the engine computes."""
    collected: dict[str, list[Array]] = {op.output: [] for op in made.integer.ops}

    def tap(op: g.Op, y: Array) -> None:
        if op.output in collected:
            collected[op.output].append(y[0])

    if engine == "graph":
        FloatMachine(made.real).run(signal[None].astype(np.float64), tap)
    elif engine == "integer":
        IntegerMachine(made.integer).run(to_int16(made.integer, signal)[None], tap)
    elif engine == "native":
        _native_layers(made, to_int16(made.integer, signal), collected)
    else:
        raise TendonError(f"{engine}: layers can be seen in graph, integer and native")
    for op in made.integer.ops:
        yield op.output, np.concatenate(collected[op.output])


def _native_layers(made: Artifacts, samples: Array, collected: dict[str, list[Array]]) -> None:
    model = native.load(made.integer, made.folder.path / "native", taps=True)

    def tap(index: int, y: Array) -> None:
        name = made.integer.ops[index].output
        collected[name].append(y.reshape(-1, made.integer.tensors[name].features).astype(np.int64))

    model.set_tap(tap)
    model.run(samples)

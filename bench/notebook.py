"""The steps of the command line as calls, for notebooks: on graphs in memory, without the memory
that build folders have.

    graph = trace(module, …), or load(…)     the float graph of a network
    integer = quantize(graph, calibration)   its integer graph
    infer, score, macs                       what either computes, how well, at what cost
    export, build, stream                    C or another format, an image, a board

Everything that goes wrong is a `TendonError` of one line (compress/errors.py). Nothing is printed:
`logging` has what there is to say, warnings first.
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.arguments import check_comparable, typed
from bench.in_memory import (
    AnyPath,
    check_integer,
    engine_of,
    folder_of,
    frames_of,
    held_out,
    part_of,
    parts_of,
    paths_of,
    scratch,
)
from compress.errors import GraphError, UsageError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from torch import nn

    from bench.hil.schema import Reset
    from compress.graph import Graph
    from host.protocol import Hello

log = logging.getLogger(__name__)

BOARD = "virtual-f405"


@dataclass(frozen=True, eq=False)
class Streaming:
    """What a board answered, frame by frame, those of the start-up included.

    Args:
        words: int16 (frames, outputs), the integers of the network.
        frames: float32 (frames, outputs), the same as real values.
        counts: uint64 (frames,), what the board counted in the step of each; 0 where it counts
            nothing.
        counted: what that is: cycles, instructions or nothing.
        hello: what the board says of itself and of its network.
        line: by which line it was reached.
        resets: where it was lost and the stream went on.
    """

    words: npt.NDArray[np.int16]
    frames: npt.NDArray[np.float32]
    counts: npt.NDArray[np.uint64]
    counted: str
    hello: Hello
    line: str
    resets: list[Reset]


@typed
def load(
    model: AnyPath = "TC_S4_small", checkpoint: AnyPath | None = None, window: int | None = None
) -> Graph:
    """The float graph of a published network, or of a network file.

    Args:
        model: name of a network, or `path/net.py[:name]`, a file that is executed
            (docs/own-network.md).
        checkpoint: its weights. None: the shipped ones; of a network file those that it gives.
        window: samples at a time, 1 or more, of a published network that is not causal.

    Raises:
        TendonError: for a name without a checkpoint, a checkpoint of another network, a file that
            holds none; GraphError for what the graph has no operator for.
    """
    from compress import artifacts, pipeline
    from compress.artifacts import USUAL, Folder, Sources
    from compress.frontend.own import named

    file = named.named(str(model))
    given = None if checkpoint is None else Path(checkpoint)
    if file is None:
        return pipeline.load_float(str(model), artifacts.checkpoint_of(str(model), given), window)
    if window is not None:
        raise UsageError(f"load: window={window}: set WINDOW in {file.path}")
    with tempfile.TemporaryDirectory(dir=scratch()) as own:
        folder = Folder(Path(own), file.name, USUAL, network=file)
        path = artifacts.whole_checkpoint(folder, Sources(checkpoint=given))
        return pipeline.load_float(file.name, path)


@typed
def trace(
    module: nn.Module,
    *,
    sample_rate: int,
    electrodes: int,
    task: str,
    name: str = "network",
    classes: Sequence[str] | None = None,
    window: int | None = None,
    stride: int | None = None,
) -> Graph:
    """The float graph of a module in memory, which stays as it is: as that of a network file that
    holds the same, and independent of what becomes of the module.

    Args:
        module: float32 on the CPU. Its forward takes (batch, electrodes, samples) and gives (batch,
            outputs, frames), or with a window (batch, outputs).
        sample_rate: samples per second, 1 or more.
        electrodes: values of a sample, 1 or more.
        task: what it is for: classes, values, typing or pose.
        name: of the network: up to 60 letters, digits, "_", "-" and ".".
        classes: a name for each output, each once.
        window, stride: samples, 1 or more: one answer for each window, every stride (default: the
            window).

    Raises:
        TendonError: for an argument that is wrong, and a forward that takes or gives something
            else; GraphError for what the graph has no operator for, with module, line and advice.
    """
    from compress.frontend.own.lowered import in_memory

    return in_memory(
        module,
        name,
        sample_rate=sample_rate,
        electrodes=electrodes,
        task=task,
        classes=classes,
        window=window,
        stride=stride,
    )


@typed
def quantize(graph: Graph, calibration: Any, precision: str = "w8a16") -> Graph:
    """The integer graph of a float graph.

    Args:
        calibration: what shows how large values get: a recording or `.npy` by its path, a list of
            these, or an array: (electrodes, samples) of a network of one's own, (samples, 2, 16) of
            a published typing network, (16, samples) of a published pose network. 2 s and more; of
            each the first 120 s count.
        precision: w8a16, w8a8 or w4a16: bits of weights and activations.

    What there is to say of the calibration is a warning, and in `provenance["findings"]`.

    Raises:
        RecordingError: for what cannot calibrate: too short, silent, of another shape.
        GraphError: for an integer graph, and an operator that cannot be quantized.
    """
    from compress.data.datasets import CALIBRATION_SECONDS
    from compress.quantization.precisions import PRECISIONS
    from compress.quantization.quantize import quantize as made_of
    from compress.quantization.signals import ranges_of

    if graph.is_integer():
        raise GraphError(f"quantize: expected a float graph, found an integer one of {graph.name}")
    if precision not in PRECISIONS:
        raise UsageError(
            f"quantize: precision={precision}: expected one of {', '.join(PRECISIONS)}"
        )
    paths = paths_of(calibration, "calibration")
    given = (
        [part_of(graph, calibration, "calibration", CALIBRATION_SECONDS)]
        if paths is None
        else paths
    )
    ranges, findings = ranges_of(graph, given, [precision])
    for words in findings:
        log.warning("%s", words)
    made = made_of(graph, ranges, precision)
    if findings:
        made.provenance["findings"] = findings
    return made


@typed
def infer(
    graph: Graph,
    samples: Any,
    engine: str | None = None,
    board: str | None = None,
    port: str | None = None,
) -> npt.NDArray[np.float32]:
    """Real output frames, float32 (frames, outputs). The first `graph.start_up` of them come before
    the network has seen enough; a forward over the whole signal does not have these.

    Args:
        samples: an array as `quantize` takes it, or the path of a recording or `.npy`. Of a
            recording with gaps each stretch is a stream of its own; their frames follow each other.
        engine: of a float graph graph (NumPy, the default) or onnx; of an integer graph native (C
            on this machine, the default), integer (the NumPy reference), onnx-qdq, litert, tflm.
        board: runs it instead of an engine; `port`: its serial port, where it is no emulator.

    Raises:
        RecordingError: for samples of another shape, or too few for an output.
        UsageError: for an engine that does not run such a graph.
    """
    import numpy as np

    if engine is not None and board is not None:
        raise UsageError(f"infer: engine={engine} and board={board}: expected one of the two")
    if port is not None and board is None:
        raise UsageError(f"infer: port={port}: expected the board behind it too, board=")
    if board is not None:
        return stream(graph, samples, board, port).frames
    chosen = engine_of(graph, engine, "infer")
    parts = parts_of(graph, samples)
    return np.concatenate([np.asarray(found) for found in frames_of(graph, chosen, parts)])


@typed
def score(
    graph: Graph, recordings: Any, engine: str | None = None, against: Graph | None = None
) -> dict[str, Any]:
    """The error of a network on labelled recordings, which it must not be calibrated on.

    Args:
        recordings: path of a recording, several, or a folder of them: its held-out ones (heldout/,
            test/, or as its metadata.csv says), or all where nothing says which.
        engine: as `infer` takes it.
        against: another graph, as the float one, on the same recordings by its usual engine: of
            the same task, input rate, electrodes, outputs and classes.

    Returns:
        model, engine, metric, unit, error (None where nothing is known), low and high (its 95 %
        interval), amount and amount_is (of what it was taken over), details (of the task),
        recordings (names). With `against` also `against`, its error, and `difference`, low and
        high of what this graph's error is more than that, in `points`.

    Raises:
        RecordingError: for recordings of another task, rate or number of electrodes, and one
            that is given twice.
        UsageError: for an `against` that does not answer the same.
    """
    from compress import evaluate

    if against is not None:
        check_comparable(graph, against)
    chosen = engine_of(graph, engine, "score")
    paths = held_out(graph, recordings)
    narrow = against if against is not None and against.is_integer() else graph
    recorded = evaluate.read_heldout(narrow, paths).recorded
    frames, task = frames_of(graph, chosen, recorded), evaluate.judge(graph, recorded)
    error = task.error(graph, frames, recorded)
    low, high = (None, None) if error is None else task.interval(graph, frames, recorded)
    amount, amount_is = task.amount(recorded)
    found: dict[str, Any] = {
        "model": graph.name,
        "engine": chosen,
        "metric": task.metric,
        "unit": task.unit,
        "error": error,
        "low": low,
        "high": high,
        "amount": amount,
        "amount_is": amount_is,
        "details": task.details(graph, frames, recorded),
        "recordings": [path.name for path in paths],
    }
    if against is not None:
        others = frames_of(against, engine_of(against, None, "score"), recorded)
        other = task.error(against, others, recorded)
        none = error is None
        low, high = (None, None) if none else task.difference(graph, others, frames, recorded)
        found["against"] = other
        found["difference"] = {"low": low, "high": high, "points": task.points}
    return found


@typed
def macs(graph: Graph) -> dict[str, Any]:
    """Multiply-accumulates: `macs_per_s` of all, of one second of signal, and `layers`, each with
    module, shape, rate_hz, macs_per_frame and macs_per_s; `rule` says what counts."""
    from compress.graph import macs as counted

    return counted.report(graph)


@typed
def export(graph: Graph, folder: AnyPath, board: str = BOARD, format: str = "c") -> Path:
    """Write a network in another form, below `folder/<name>/<precision>/`; returns where.

    Args:
        board: that a project is for.
        format: c, a C project; onnx, `qdq.onnx`, or of a float graph `float.onnx`; tflite,
            `step.tflite`; tflm, a project around TFLite-Micro's interpreter.

    Raises:
        GraphError: for a float graph (but in ONNX), an operator without such a form, and a network
            that does not fit the board.
    """
    from export.cli import FORMATS

    if format not in FORMATS:
        raise UsageError(f"export: format={format}: expected one of {', '.join(FORMATS)}")
    if format != "onnx":
        check_integer(graph, f"export: format={format}")
    with folder_of(graph, folder) as own:
        if format == "onnx":
            from export.onnx import make_form

            return make_form(graph, own)
        if format == "tflite":
            from export.tflite import make_tflite

            return make_tflite(graph, own)
        if format == "tflm":
            from export.tflm.build import make_tflm

            return make_tflm(graph, own, board)
        from export.build import make_project

        return make_project(graph, own, board)


@typed
def build(graph: Graph, folder: AnyPath, board: str = BOARD, compiler: str = "gcc") -> Path:
    """The image of an integer graph for a board, below `folder/<name>/<precision>/c/<board>/`, with
    its project and `memory.json`, what it takes, beside it; as it is where nothing changed.

    Args:
        compiler: gcc or clang.

    Raises:
        TendonError: for a compiler that is not there, and a network that does not fit the board.
    """
    from export.build import make_firmware
    from export.compilers import COMPILERS

    check_integer(graph, "build")
    if compiler not in COMPILERS:
        raise UsageError(f"build: compiler={compiler}: expected one of {', '.join(COMPILERS)}")
    with folder_of(graph, folder) as own:
        return make_firmware(graph, own, board, compiler)


@typed
def stream(
    graph: Graph,
    samples: Any,
    board: str = BOARD,
    port: str | None = None,
    folder: AnyPath | None = None,
) -> Streaming:
    """Samples through a board that runs the image of an integer graph, from the zero state.

    Args:
        samples: as `infer` takes them.
        board: an emulated one runs here; a real one must have the image already (`tendon flash`).
        port: the board's serial port.
        folder: where the image is built (default: a temporary one, gone with this process).

    Raises:
        TendonError: as `build`; for a board without an emulator or a port, another image on it, and
            a board that is lost for good.
    """
    import numpy as np

    from bench.hil import streaming
    from compress.graph.samples import to_real
    from host.boards import Board, Reconnect, check, open_board

    check_integer(graph, "stream")
    check(board, port)
    parts = parts_of(graph, samples)
    image = build(graph, scratch() if folder is None else folder, board)

    def open_at(where: str | None) -> Board:
        return open_board(board, image, graph.hash(), port=where)

    back = streaming.stream(Reconnect(open_at, port, say=log.warning), graph, parts)
    words = np.concatenate([np.asarray(found) for found in back.words])
    counts = np.concatenate(back.counts)
    return Streaming(
        words,
        to_real(graph, words),
        counts,
        back.hello.counts,
        back.hello,
        back.line,
        back.resets,
    )

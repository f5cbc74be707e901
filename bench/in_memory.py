"""What the calls for notebooks are given, and where they work: graphs, arrays and paths looked at,
engines by their names, folders."""

from __future__ import annotations

import functools
import logging
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.arguments import check_graph, shown
from compress.errors import GraphError, RecordingError, UsageError

if TYPE_CHECKING:
    from compress.artifacts import Folder
    from compress.graph import Graph
    from compress.tasks.recorded import Recorded

log = logging.getLogger(__name__)

AnyPath = str | PathLike[str]
FLOATS = ("graph", "onnx")  # engines of a float graph; the module itself is at hand
INTEGERS = ("integer", "native", "onnx-qdq", "litert", "tflm")  # or a board


def check_integer(graph: Graph, what: str) -> None:
    """GraphError for a float graph."""
    check_graph(graph, f"{what}: graph")
    if not graph.is_integer():
        raise GraphError(
            f"{what}: expected an integer graph, found a float one of {graph.name};"
            " quantize(graph, calibration) gives one"
        )


def engine_of(graph: Graph, engine: str | None, what: str) -> str:
    """The engine that was asked for, or the usual one; UsageError for one that does not run it."""
    check_graph(graph, f"{what}: graph")
    known = INTEGERS if graph.is_integer() else FLOATS
    usual = "native" if graph.is_integer() else "graph"
    if (engine or usual) in known:
        return engine or usual
    kind = "an integer" if graph.is_integer() else "a float"
    more = "; quantize() gives an integer graph" if engine in INTEGERS else ""
    raise UsageError(
        f"{what}: engine={engine}: expected one of {', '.join(known)} for {kind} graph{more}"
    )


def paths_of(given: Any, name: str, folders: bool = False) -> list[Path] | None:
    """Paths, of which each exists, as a folder only where these may be; None for what is none."""
    several = list(given) if isinstance(given, list | tuple) else [given]
    are_paths = [isinstance(one, str | PathLike) for one in several]
    if any(are_paths) and not all(are_paths):
        other = type(several[are_paths.index(False)]).__name__
        raise RecordingError(
            f"{name}: expected paths, or one array, found a path and {other} mixed"
        )
    if not all(are_paths):
        return None
    if not several:
        raise RecordingError(f"{name}: expected a recording or more, found an empty list")
    return [_path_of(one, name, folders) for one in several]


def _path_of(one: AnyPath, name: str, folders: bool) -> Path:
    try:
        path = Path(one).expanduser()
        there, is_folder = path.exists(), path.is_dir()
    except (OSError, RuntimeError, TypeError) as error:  # too long, of nobody's home, of bytes
        raise RecordingError(f"{name}: {shown(one)}: no path of a file: {error}") from error
    if not there:
        raise RecordingError(f"{name}: {path}: no such file")
    if is_folder and not folders:
        raise RecordingError(
            f"{name}: {path}: expected a recording, found a folder; name the files of it"
        )
    return path


def part_of(
    graph: Graph, array: Any, name: str, seconds: float | None = None, whole: bool = True
) -> Recorded:
    """An array in the layout of the network's task: a tensor without its gradient. RecordingError
    for a masked one, whose mask nothing would heed."""
    import numpy as np

    from compress import tasks

    several = array if isinstance(array, list | tuple) else [array]
    if any(hasattr(one, "mask") and hasattr(one, "filled") for one in several):
        raise RecordingError(
            f"{name}: expected numbers without a mask, found a masked array; cut the masked part"
            " out, or give .filled(value) of it"
        )
    several = [one.detach() if hasattr(one, "detach") else one for one in several]
    if len({np.shape(one) for one in several if hasattr(one, "shape")}) > 1:
        raise RecordingError(
            f"{name}: expected one array, found a list of arrays of different shapes; give each by"
            " itself, or paths"
        )
    array = several if isinstance(array, list | tuple) else several[0]
    return tasks.of(graph).of_array(graph, array, name, seconds, whole)


def parts_of(graph: Graph, samples: Any) -> list[Recorded]:
    """Streams of whole steps: an array, or the stretches of a recording between its gaps. What is
    left over is said."""
    from compress import tasks
    from host.commands import long_enough, streamed

    paths = paths_of(samples, "samples")
    if paths is None:
        parts = [part_of(graph, samples, "samples", whole=False)]
    else:
        task = tasks.of(graph)
        parts = [part for path in paths for part in task.inputs(graph, path, whole=False)]
    found = [streamed(graph, part, log.info) for part in long_enough(graph, parts, log.info)]
    if len(found) > 1:
        log.info("%d streams, one after the other, each from the zero state", len(found))
    return found


def held_out(graph: Graph, recordings: Any) -> list[Path]:
    """Recordings by their paths; of a folder those that it holds out, or all."""
    from compress import tasks
    from compress.data import listing

    paths = paths_of(recordings, "recordings", folders=True)
    if paths is None:
        raise RecordingError(
            f"score: recordings: expected paths, found {type(recordings).__name__}: an array says"
            " nothing of what is right"
        )
    found: list[Path] = []
    for path in paths:
        if path.suffix.lower() == ".npy":
            raise RecordingError(f"score: {path}: expected a recording: an array has no labels")
        if not path.is_dir():
            found.append(path)
            continue
        whole = listing.of(path, tasks.collection_of(graph))
        chosen = whole.of(listing.TEST) if whole.has_splits else whole.sessions
        if not chosen:
            raise RecordingError(f"{path}: expected held-out recordings, found {whole.counts()}")
        found += [session.path for session in chosen]
    _check_once(found)
    return found


def _check_once(paths: list[Path]) -> None:
    """RecordingError for a file that is there twice, and would count twice."""
    seen: set[Path] = set()
    for path in paths:
        if path.resolve() in seen:
            raise RecordingError(
                f"score: recordings: expected each recording once, found {path} twice"
            )
        seen.add(path.resolve())


def frames_of(graph: Graph, engine: str, parts: list[Recorded]) -> list[Any]:
    """Real frames (frames, outputs) of each part by an engine."""
    from compress import evaluate
    from compress.graph.samples import to_real
    from host import engines, native

    streams = evaluate.HeldOut(parts)
    if engine == "graph":
        return streams.float_frames(graph)
    if engine == "integer":
        return streams.integer_frames(graph)
    if not graph.is_integer():
        return [engines.infer_float(engine, graph, None, part.signal) for part in parts]
    with folder_of(graph, scratch()) as own:
        if engine == "native":
            return [to_real(graph, w) for w in native.words(graph, streams, own.path / "native")]
        return [engines.infer_integer(engine, graph, own, part.signal) for part in parts]


@contextmanager
def folder_of(graph: Graph, folder: AnyPath) -> Iterator[Folder]:
    """Where all that is made of a graph lies, while nobody else writes there."""
    from compress.artifacts import Folder, locks

    precision = str(graph.provenance.get("precision", "float"))
    locks.make(Path(folder), "folder")
    with locks.held(Path(folder), graph.name):
        yield Folder(Path(folder), graph.name, precision)


@functools.cache
def _kept() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="tendon-")


def scratch() -> Path:
    """A temporary folder of this process, gone with it."""
    return Path(_kept().name)

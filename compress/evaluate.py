"""How far the integers are from the float network: per layer on the calibration recordings, per
task on the held-out ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from compress import graph as g
from compress import tasks
from compress.graph.kept import Kept
from compress.graph.samples import (
    SideBySide,
    Signal,
    stays_on_disk,
    to_int16,
    to_real,
    whole_steps,
)
from compress.interpreter.base import Interpreter
from compress.interpreter.float import FloatInterpreter
from compress.interpreter.integer import IntegerInterpreter
from compress.report.progress import Bar
from compress.report.said import once
from compress.tasks import distances
from compress.tasks.recorded import Recorded
from compress.tasks.task import Task
from compress.tasks.unscored import Unscored

Array = g.Array
LAYER_SECONDS = 20.0
GAP = 10.0  # × the range of an input, which calibration gave: no signal goes so far beyond
TOGETHER = 16  # signals that an interpreter computes side by side


@dataclass(frozen=True)
class HeldOut:
    """Sessions, each stretch without a gap a stream. Samples stay where they are, on disk where
    they are many, until an engine takes them."""

    recorded: list[Recorded]

    @property
    def signals(self) -> list[Signal]:
        return [r.signal for r in self.recorded]

    def float_frames(self, graph: g.Graph) -> list[Array]:
        """Output frames of the float graph, float32."""
        return float_frames(graph, self.signals, "float network")

    def integer_frames(self, graph: g.Graph) -> list[Array]:
        """Output frames of the integer reference, as real values."""
        words = integer_words(graph, self.signals, "integer reference")
        return [to_real(graph, found) for found in words]


def float_frames(graph: g.Graph, signals: Sequence[Signal], progress: str = "") -> list[Array]:
    """Output frames of the float graph for each signal, float32 (frames, outputs); many of them
    stay on disk."""
    return _frames(FloatInterpreter, graph, signals, np.asarray, np.float32, progress)


def integer_words(graph: g.Graph, signals: Sequence[Signal], progress: str = "") -> list[Array]:
    """Words of the integer reference for each signal, int16 (frames, outputs); many of them stay
    on disk."""

    def form(samples: Array) -> Array:
        return to_int16(graph, samples)

    return _frames(IntegerInterpreter, graph, signals, form, np.int16, progress)


def _frames(
    machine: type[Interpreter],
    graph: g.Graph,
    signals: Sequence[Signal],
    form: Callable[[Array], Array],
    dtype: npt.DTypeLike,
    progress: str,
) -> list[Array]:
    found: list[Array] = []
    for start in range(0, len(signals), TOGETHER):
        some = signals[start : start + TOGETHER]
        batch = SideBySide(some, graph.samples_per_step, form)
        made = machine(graph, len(some))
        made.begin_with(some)
        kept = [Kept(n * graph.chunk, (graph.output.features,), dtype) for n in batch.steps]
        for begin, frames in made.chunks(batch, progress=progress):
            for row, of in zip(frames, kept, strict=True):
                of.append(row[: max(0, of.rows - begin)])
        found += [of.array() for of in kept]
    return found


def read_heldout(graph: g.Graph, paths: Sequence[Path], scored: bool = True) -> HeldOut:
    """Read the sessions once, for every engine that is compared on them; the error is taken on
    them where they are `scored`."""
    recorded = [
        part
        for path in Bar(paths, desc="reading held-out", unit="session", leave=False)
        for part in read(graph, path, scored=scored)
    ]
    return HeldOut(recorded)


def read(
    graph: g.Graph, path: Path, seconds: float | None = None, scored: bool = True
) -> list[Recorded]:
    """The stretches of a recording of the network's task, each a stream; one that is not scored may
    be a `.npy` as well. Glitches are taken out of them for every engine that is compared."""
    task = tasks.of(graph)
    if scored:
        parts = task.parts(graph, path, seconds)
    else:
        parts = [replace(part, scored=False) for part in task.inputs(graph, path, seconds)]
    return [without_glitches(graph, part) for part in parts] if graph.input.quantized else parts


def without_glitches(graph: g.Graph, part: Recorded) -> Recorded:
    """The stretch with samples that lie GAP times beyond the range of an integer graph's input held
    to that range, as the integers hold them, so that both networks get the same; that is said."""
    most = graph.input.hi * graph.input.scale
    if GAP * most > float(np.finfo(np.float32).max):  # no sample lies there
        return part

    def held(samples: Array) -> Array:
        beyond = np.abs(samples) > GAP * most
        if not beyond.any():
            return samples
        once(
            f"warning: {part.path}: holds samples more than {GAP:g} times beyond the {most:.4g}"
            f" that the input of {graph.name} reaches: glitches, which are held to that for all"
            " that is compared; cut such parts out"
        )
        return np.where(beyond, np.clip(samples, -most, most), samples).astype(samples.dtype)

    samples = part.samples
    if isinstance(samples, np.ndarray):
        found = held(samples)
    else:
        found = stays_on_disk(
            lambda a, b: held(np.asarray(samples[a:b])), samples.shape, samples.dtype
        )
    return replace(part, signal=replace(part.signal, samples=found))


def judge(graph: g.Graph, recorded: Sequence[Recorded]) -> Task:
    """The network's task, for these recordings: without an error where none is scored."""
    task = tasks.of(graph)
    return Unscored(task) if not any(r.scored for r in recorded) else task


def layers(real: g.Graph, integer: g.Graph, signal: Signal) -> list[dict[str, Any]]:
    """Per tensor of the integer graph: scale, range, clipped share and SQNR against the float graph
    on one signal."""
    samples = np.asarray(
        whole_steps(integer, signal.samples[: round(LAYER_SECONDS * float(integer.input.rate))])
    )
    expected: dict[str, list[Array]] = {}
    found: dict[str, list[Array]] = {}
    machines = FloatInterpreter(real), IntegerInterpreter(integer)
    for machine in machines:
        machine.begin_with([signal])
    machines[0].run(
        samples[None].astype(np.float64),
        lambda op, y: expected.setdefault(op.output, []).append(y[0]),
    )
    machines[1].run(
        to_int16(integer, samples)[None], lambda op, y: found.setdefault(op.output, []).append(y[0])
    )
    return [
        _layer(integer, op, np.concatenate(expected[op.output]), np.concatenate(found[op.output]))
        for op in integer.ops
    ]


def _layer(graph: g.Graph, op: g.Op, expected: Array, found: Array) -> dict[str, Any]:
    tensor = graph.tensors[op.output]
    clipped = (found >= tensor.hi).mean() + ((found <= tensor.lo).mean() if tensor.lo < 0 else 0.0)
    return {
        "module": op.module,
        "op": type(op).__name__,
        "bits": tensor.bits,
        "scale": tensor.segments[0].scale,
        "segments": [[s.features, s.scale] for s in tensor.segments],
        "clipped": float(clipped),
        "sqnr_db": distances.sqnr_db(expected, tensor.real(found)),
    }

"""What calibration recordings show in the float graph: how large each tensor and each state gets,
what each matrix multiplies."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from compress.errors import GraphError, RecordingError
from compress.graph import Array, FloatOp, Graph, Op
from compress.graph.samples import Signal, as_signal, whole_steps
from compress.interpreter.float import FloatInterpreter
from compress.quantization.rounding import Moments, moments
from compress.reading.words import counted


@dataclass
class Spread:
    """How far each feature moves about its mean, over all frames seen."""

    frames: int = 0
    sums: Array | None = None
    squares: Array | None = None

    def see(self, x: Array) -> None:
        """x (…, features)."""
        rows = x.reshape(-1, x.shape[-1]).astype(np.float64)
        self.frames += len(rows)
        self.sums = rows.sum(0) + (0.0 if self.sums is None else self.sums)
        self.squares = np.square(rows).sum(0) + (0.0 if self.squares is None else self.squares)

    @property
    def rms(self) -> float:
        """Standard deviation over time, root mean square over features."""
        if not self.frames or self.sums is None or self.squares is None:
            return 0.0
        variance = self.squares / self.frames - np.square(self.sums / self.frames)
        return float(np.sqrt(np.maximum(variance, 0.0).mean()))


@dataclass
class Ranges:
    """What was seen, by the names of tensors.

    `parts`: the largest magnitude of each part of a tensor: of all of it, or of the parts that an
    operator reads with scales of their own (`FloatOp.parts`). `state`: of each channel of a
    recurrent state. `moments`: of what each band of a matrix multiplies, by the name of its output.
    `spreads`: how far the outputs, and what the first batch norm gives, move; `norms`: how far the
    latter did in training, by its statistics.
    """

    parts: dict[str, list[float]] = field(default_factory=dict)
    state: dict[str, Array] = field(default_factory=dict)
    moments: dict[str, list[Moments]] = field(default_factory=dict)
    spreads: dict[str, Spread] = field(default_factory=dict)
    norms: dict[str, float] = field(default_factory=dict)
    sha256: str = ""

    def part(self, name: str, index: int) -> float:
        """Largest magnitude of one part of a tensor; 0 where it was not seen."""
        return self.parts[name][index] if name in self.parts else 0.0

    def see(self, name: str, x: Array, sizes: Sequence[int]) -> None:
        """x (…, features) in parts of these sizes."""
        ends = np.cumsum(sizes)[:-1]
        found = [float(np.abs(part).max(initial=0.0)) for part in np.split(x, ends, axis=-1)]
        known = self.parts.get(name, [0.0] * len(found))
        self.parts[name] = [max(a, b) for a, b in zip(known, found, strict=True)]

    def see_products(self, output: str, seen: Sequence[Array]) -> None:
        """For each band of the matrix that makes `output`, what it multiplied: (windows, n)."""
        known = self.moments.setdefault(output, [moments(x.shape[1]) for x in seen])
        for band, x in zip(known, seen, strict=True):
            band.see(x)


def observe(graph: Graph, recordings: Iterable[Array | Signal], products: bool = True) -> Ranges:
    """Run every calibration recording (time, features), float, through the float graph and note
    what it shows.

    `products`: also what each matrix multiplies, which takes longest and only 4-bit weights and
    low-rank factors ask for.
    """
    ranges, digest = Ranges(norms=_first_norm(graph)), hashlib.sha256()
    ranges.spreads = {name: Spread() for name in (*ranges.norms, graph.output.name)}

    def see(name: str, x: Array) -> None:
        readers = [op for op in graph.users[name] if isinstance(op, FloatOp)]
        parts = (op.parts(x.shape[-1]) for op in readers)
        ranges.see(name, x, next((p for p in parts if len(p) > 1), (x.shape[-1],)))
        if products:
            for op in readers:
                op.see(x, ranges)
        if name in ranges.spreads:
            ranges.spreads[name].see(x)

    def tap(op: Op, y: Array) -> None:
        see(op.output, y)

    steps = 0
    for recording in recordings:
        signal = as_signal(recording)
        samples = np.asarray(whole_steps(graph, signal.samples))
        steps += len(samples) // graph.samples_per_step
        digest.update(np.ascontiguousarray(samples, dtype=np.float32).tobytes())
        see(graph.input.name, samples[None])
        interpreter = FloatInterpreter(graph, watch_states=True)
        for _, value in sorted((signal.initial or {}).items()):
            digest.update(np.asarray(value, np.float32).tobytes())
        interpreter.begin_with([signal])
        interpreter.run(samples[None].astype(np.float64), tap)
        for name, peak in interpreter.state_peak.items():
            ranges.state[name] = np.maximum(ranges.state.get(name, 0.0), peak)
    if not steps:
        raise RecordingError(
            f"{graph.name}: expected a calibration of"
            f" {counted(graph.samples_per_step, 'sample')} or more, one step of the"
            " network, found none; give a longer recording"
        )
    if not ranges.part(graph.input.name, 0):
        raise GraphError(
            f"{graph.name}: every sample of the calibration is 0: expected a signal that shows how"
            " large its values get"
        )
    ranges.sha256 = digest.hexdigest()
    return ranges


def _first_norm(graph: Graph) -> dict[str, float]:
    """The tensor that the first batch norm of the network gives, and its spread in training."""
    known = graph.provenance.get("norms", {})
    first = next((op.output for op in graph.ops if op.output in known), None)
    return {} if first is None else {first: float(known[first])}

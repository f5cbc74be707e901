"""The recordings that calibrate a network, as its task reads them: what cannot calibrate is
refused, what is unusual is said, and what is scored does not calibrate."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from compress import tasks
from compress.data import datasets
from compress.data.overlap import Stored, Windows
from compress.errors import RecordingError
from compress.graph import Array, Graph
from compress.graph.samples import Signal, clipped
from compress.quantization.calibrate import Ranges, observe
from compress.quantization.level import BLOCK_S, examine, usual_levels
from compress.quantization.precisions import PRECISIONS
from compress.report.said import once
from compress.tasks.recorded import Recorded
from compress.tasks.stretches import least_samples

SHORT_S = 2.0  # of signal: half a point of CER is lost with 1 s, nothing with 2
UNLIKE = 10.0  # times a level of training: people, bands and amplifiers differ by less
OTHER_UNIT = 30.0  # times the level of what calibrates
LOOKS = 32  # stretches that tell the level of a recording
MOVES = 1e-6  # of the largest output, that outputs must change by


class Calibration:
    """What calibrates a network: its signals, one recording after the other, glitches clipped.

    findings: what there was to say of those that were read, one line each.
    """

    def __init__(self, graph: Graph, paths: Sequence[Path | Recorded], why: str = "") -> None:
        """`paths`: of recordings, or what is in memory of them; `why`: how these were chosen, for
        messages."""
        self.graph, self.paths, self.findings = graph, paths, list[str]()
        self._chosen = f"; it calibrates: {why}" if why else ""

    def __iter__(self) -> Iterator[Signal]:
        """RecordingError where no recording can calibrate: shorter than what the network needs for
        an output, silence, a level that one scale cannot hold. Where others can, such a one is
        left out, and that is a finding."""
        self.findings, used = [], 0
        for path in self.paths:
            try:
                signals, found, _ = _read(self.graph, path)
            except RecordingError as error:
                if len(self.paths) == 1:
                    raise RecordingError(f"{error}{self._chosen}") from error
                self.findings.append(f"{error}; left out, others calibrate")
                continue
            self.findings += found
            used += 1
            yield from signals
        if not used:
            raise RecordingError("; ".join(self.findings) + self._chosen)

    def longest(self) -> Signal:
        """The longest stretch of the first recording that can calibrate."""
        for path in self.paths:
            with contextlib.suppress(RecordingError):
                return max(_read(self.graph, path)[0], key=lambda signal: len(signal.samples))
        raise RecordingError(f"nothing calibrates{self._chosen}")


def as_calibrated(graph: Graph, path: Path, parts: Sequence[Recorded]) -> list[Recorded]:
    """Stretches of a recording that calibrates, clipped as they were for that."""
    _, _, limits = _read(graph, path)
    if limits is None:
        return list(parts)
    return [
        replace(part, signal=replace(part.signal, samples=clipped(part.samples, limits)))
        for part in parts
    ]


def _read(graph: Graph, source: Path | Recorded) -> tuple[list[Signal], list[str], Array | None]:
    """The stretches of a recording, what there is to say of it, and what its electrodes were
    clipped to."""
    task = tasks.of(graph)
    path = _path(source)
    parts = (
        [source]
        if isinstance(source, Recorded)
        else task.inputs(graph, source, datasets.CALIBRATION_SECONDS)
    )
    rate, least = float(graph.input.rate), least_samples(graph)
    numbers = np.concatenate([part.start + np.arange(len(part.samples)) for part in parts])
    samples = np.concatenate([np.asarray(part.samples) for part in parts])
    try:
        level = examine(samples, rate, lambda index: task.electrode(graph, index), numbers)
    except RecordingError as error:
        raise RecordingError(f"{path}: {error}") from error
    found = [f"{path}: {words}" for words in (*level.findings, *_short(len(samples) - least, rate))]
    ends = np.cumsum([len(part.samples) for part in parts])[:-1]
    pieces = np.split(level.samples, ends)
    return (
        [replace(part.signal, samples=piece) for part, piece in zip(parts, pieces, strict=True)],
        found,
        level.limits,
    )


def _path(source: Path | Recorded) -> Path:
    return source.path if isinstance(source, Recorded) else source


def _short(samples: int, rate: float) -> list[str]:
    """What there is to say of so many samples behind the first output."""
    if samples >= SHORT_S * rate:
        return []
    return [
        f"{samples / rate:.2g} s of signal behind the first output: ranges of so little rarely hold"
        f" for a session; expected {SHORT_S:g} s or more"
    ]


def ranges_of(
    graph: Graph, sources: Sequence[Path | Recorded], precisions: Iterable[str], why: str = ""
) -> tuple[Ranges, list[str]]:
    """What these recordings, or what is in memory of them, show in a float graph that is to be
    quantized to some of PRECISIONS, and what there is to say of them. RecordingError as
    `Calibration` and `unlike`."""
    bits = graph.provenance.get("bits")
    narrow = bool(bits) or any(PRECISIONS[name].weights < 8 for name in precisions)
    calibration = Calibration(graph, sources, why)
    ranges = observe(graph, calibration, products=narrow)
    return ranges, calibration.findings + unlike(graph, ranges, [*map(_path, sources)])


def unlike(graph: Graph, ranges: Ranges, paths: Sequence[Path]) -> list[str]:
    """What the network itself says of the level that it was shown by these recordings: by the
    statistics of its first batch norm, and by outputs that do not change. RecordingError where both
    say that it is another one: nothing of the signal is left in such ranges."""
    found, names = [], ", ".join(map(str, paths[:3])) + (", …" if len(paths) > 3 else "")
    for name, trained in ranges.norms.items():
        said = _apart(ranges.spreads[name].rms, trained, UNLIKE)
        if said:
            found.append(
                f"{names}: the level is {said} than in training, by the running statistics of"
                f" {name}: are samples in another unit? scale the recordings, or expect nothing of"
                " the network"
            )
    output = ranges.spreads[graph.output.name]
    peak = max(ranges.parts.get(graph.output.name, [0.0]))
    if output.frames > 1 and output.rms <= MOVES * peak:
        same = f"every output of {graph.name} is the same from beginning to end"
        if found:  # and the network says which level it would have moved at
            raise RecordingError(f"{found[0]}; {same}, and nothing can be calibrated on that")
        found.append(
            f"{names}: {same}: samples too small, or too large, for its weights; expected them in"
            " the unit of training"
        )
    return found


def _apart(found: float, expected: float, most: float) -> str:
    """How far two levels are apart, in words; "" where that is no more than `most` times."""
    factor = found / expected if expected else 1.0
    if 1 / most <= factor <= most:
        return ""
    times = factor if factor > 1 else 1 / max(factor, 1e-30)
    return f"{times:.3g} times {'larger' if factor > 1 else 'smaller'}"


def refuse_shared(
    graph: Graph, calibration: Sequence[Path], heldout: Sequence[Path], why: str = ""
) -> None:
    """RecordingError where samples that calibrate are held out as well, under whatever name."""
    asked = (graph.name, *calibration, None, *heldout)
    if asked not in _APART:
        _compare(graph, calibration, heldout, why)
        _APART.add(asked)


_APART: set[tuple[object, ...]] = set()  # a command asks for the same recordings several times


def _compare(graph: Graph, calibration: Sequence[Path], heldout: Sequence[Path], why: str) -> None:
    task, rate, levels = tasks.of(graph), float(graph.input.rate), []

    def samples() -> Iterator[Array]:
        for path in calibration:
            found = _samples(graph, path)
            if len(found):
                levels.append(float(np.median(usual_levels(found, rate))))
                yield found

    windows = Windows(samples())
    for path in heldout:
        with task.stored(graph, path) as stored:
            found = windows.find(stored)
            level = _level(stored, rate) if found is None and levels else 0.0
        said = _apart(level, max(levels, default=0.0), OTHER_UNIT) if level else ""
        if said:
            once(
                f"warning: {path}: is held out, and its level is {said} than that of what"
                f" calibrates ({', '.join(path.name for path in calibration[:3])}): expected one"
                " unit for all recordings"
            )
        if found is None:
            continue
        index, sample, other = found
        rate = float(graph.input.rate)
        raise RecordingError(
            f"{path}: is held out, and its samples from {other / rate:g} s on are those of"
            f" {calibration[index]} from {sample / rate:g} s on, which calibrates"
            f"{f' ({why})' if why else ''}: a score on them would flatter; take one of the two"
            " out, or put sessions into calibration/ and heldout/"
        )


def _level(stored: Stored, rate: float) -> float:
    """Of a recording, by some stretches of it."""
    size = max(2, round(rate * BLOCK_S))
    places = np.linspace(0, max(len(stored) - size, 0), LOOKS).astype(int)
    rows = [stored.samples(int(start), int(start) + size) for start in np.unique(places)]
    return float(np.median(usual_levels(np.concatenate(rows), rate)))


def _samples(graph: Graph, path: Path) -> Array:
    """What of a recording calibrates, (n, features); nothing of one that cannot: that is said when
    it is to calibrate."""
    try:
        parts = tasks.of(graph).inputs(graph, path, datasets.CALIBRATION_SECONDS)
    except RecordingError:
        return np.zeros((0, graph.input.features), np.float32)
    return np.concatenate([np.asarray(part.samples) for part in parts])

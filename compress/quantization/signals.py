"""The recordings that calibrate a network, as its task reads them: what cannot calibrate is
refused, what is unusual is said, and what is scored does not calibrate."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from compress import tasks
from compress.data import datasets
from compress.data.overlap import Windows
from compress.errors import RecordingError
from compress.graph import Graph
from compress.graph.samples import Signal
from compress.quantization.calibrate import Ranges
from compress.quantization.level import examine

SHORT_S = 2.0  # of signal: half a point of CER is lost with 1 s, nothing with 2
UNLIKE = 10.0  # times a level of training: people, bands and amplifiers differ by less
MOVES = 1e-6  # of the largest output, that outputs must change by


class Calibration:
    """What calibrates a network: its signals, one recording after the other, glitches clipped.

    findings: what there was to say of those that were read, one line each.
    """

    def __init__(self, graph: Graph, paths: Sequence[Path], why: str = "") -> None:
        """`why`: how these recordings were chosen, for messages."""
        self.graph, self.paths, self.findings = graph, paths, list[str]()
        self._chosen = f"; it calibrates: {why}" if why else ""

    def __iter__(self) -> Iterator[Signal]:
        """RecordingError where no recording can calibrate: shorter than what the network needs for
        an output, silence, a level that one scale cannot hold. Where others can, such a one is
        left out, and that is a finding."""
        self.findings, used = [], 0
        for path in self.paths:
            try:
                signals, found = _read(self.graph, path)
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


def _read(graph: Graph, path: Path) -> tuple[list[Signal], list[str]]:
    """The stretches of a recording, and what there is to say of it."""
    task = tasks.of(graph)
    parts = task.inputs(graph, path, datasets.CALIBRATION_SECONDS)
    rate, least = float(graph.input.rate), needed(graph)
    longest = max(len(part.samples) for part in parts)
    if longest < least:
        with task.stored(graph, path) as stored:
            length = len(stored)
        stretch = "" if len(parts) == 1 else f", {longest} in the longest stretch without a gap"
        raise RecordingError(
            f"{path}: {length / rate:g} s ({length} samples{stretch}): expected at least"
            f" {least / rate:g} s ({least} samples), before which nothing comes out of"
            f" {graph.name}; give a longer recording"
        )
    numbers = np.concatenate([part.start + np.arange(len(part.samples)) for part in parts])
    samples = np.concatenate([part.samples for part in parts])
    try:
        level = examine(samples, rate, lambda index: task.electrode(graph, index), numbers)
    except RecordingError as error:
        raise RecordingError(f"{path}: {error}") from error
    found = [f"{path}: {words}" for words in (*level.findings, *_short(len(samples) - least, rate))]
    ends = np.cumsum([len(part.samples) for part in parts])[:-1]
    pieces = np.split(level.samples, ends)
    return [
        replace(part.signal, samples=piece) for part, piece in zip(parts, pieces, strict=True)
    ], found


def _short(samples: int, rate: float) -> list[str]:
    """What there is to say of so many samples behind the first output."""
    if samples >= SHORT_S * rate:
        return []
    return [
        f"{samples / rate:.2g} s of signal behind the first output: ranges of so little rarely hold"
        f" for a session; expected {SHORT_S:g} s or more"
    ]


def needed(graph: Graph) -> int:
    """Samples until the first output that means something."""
    steps = max([graph.start_up_steps, *graph.begins.values()])
    return (steps + 1) * graph.samples_per_step


def unlike(graph: Graph, ranges: Ranges) -> list[str]:
    """What the network itself says of the level that it was shown: by the statistics of its first
    batch norm, and by outputs that do not change."""
    found = []
    for name, trained in ranges.norms.items():
        spread = ranges.spreads[name].rms
        factor = spread / trained if trained else 1.0
        if not 1 / UNLIKE <= factor <= UNLIKE:
            times, word = (factor, "larger") if factor > 1 else (1 / max(factor, 1e-30), "smaller")
            found.append(
                f"the calibration's level is {times:.3g} times {word} than in training, by the"
                f" running statistics of {name}: are samples in another unit? scale the"
                " recordings, or expect nothing of the network"
            )
    output = graph.output.name
    peak = max(ranges.parts.get(output, [0.0]))
    if ranges.spreads[output].rms <= MOVES * peak:
        found.append(
            f"every output of {graph.name} is the same over the whole calibration: samples too"
            " small, or too large, for its weights; expected them in the unit of training"
        )
    return found


@functools.cache  # a command asks for the same recordings several times
def refuse_shared(
    graph: Graph, calibration: tuple[Path, ...], heldout: tuple[Path, ...], why: str = ""
) -> None:
    """RecordingError where samples that calibrate are held out as well, under whatever name."""
    task = tasks.of(graph)
    windows = Windows(
        np.concatenate([r.samples for r in task.inputs(graph, path, datasets.CALIBRATION_SECONDS)])
        for path in calibration
    )
    for path in heldout:
        with task.stored(graph, path) as stored:
            found = windows.find(stored)
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

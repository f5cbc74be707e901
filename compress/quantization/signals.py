"""The recordings that calibrate a network, as its task reads them: what cannot calibrate is
refused, what is unusual is said, and what is scored does not calibrate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

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


@dataclass(frozen=True)
class Calibration:
    """Signals, glitches clipped, and what there is to say of them, one line each."""

    signals: list[Signal]
    findings: list[str]


def read(graph: Graph, paths: Sequence[Path], why: str = "") -> Calibration:
    """What calibrates a network. `why`: how these recordings were chosen, for messages.

    RecordingError where none of them can: shorter than what the network needs for an output,
    silence, a level that one scale cannot hold.
    """
    chosen = f"; it calibrates: {why}" if why else ""
    signals, findings = [], []
    for path in paths:
        try:
            signal, found = _read(graph, path)
        except RecordingError as error:
            if len(paths) == 1:
                raise RecordingError(f"{error}{chosen}") from error
            findings.append(f"{error}; left out, others calibrate")
            continue
        signals.append(signal)
        findings += found
    if not signals:
        raise RecordingError("; ".join(findings) + chosen)
    return Calibration(signals, findings)


def _read(graph: Graph, path: Path) -> tuple[Signal, list[str]]:
    task = tasks.of(graph)
    signal = task.load_input(graph, path, datasets.CALIBRATION_SECONDS).signal
    samples, rate = signal.samples, float(graph.input.rate)
    least = needed(graph)
    if len(samples) < least:
        with task.stored(graph, path) as stored:
            found_samples = len(stored)
        raise RecordingError(
            f"{path}: {found_samples / rate:g} s ({found_samples} samples): expected at least"
            f" {least / rate:g} s ({least} samples), before which nothing comes out of"
            f" {graph.name}; give a longer recording"
        )
    try:
        level = examine(samples, rate, lambda index: task.electrode(graph, index))
    except RecordingError as error:
        raise RecordingError(f"{path}: {error}") from error
    found = list(level.findings)
    seconds = (len(samples) - least) / rate
    if seconds < SHORT_S:
        found.append(
            f"{seconds:.2g} s of signal behind the first output: ranges of so little rarely hold"
            f" for a session; expected {SHORT_S:g} s or more"
        )
    return replace(signal, samples=level.samples), [f"{path}: {words}" for words in found]


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


def refuse_shared(
    graph: Graph, calibration: Sequence[Path], heldout: Sequence[Path], why: str = ""
) -> None:
    """RecordingError where samples that calibrate are held out as well, under whatever name."""
    task = tasks.of(graph)
    windows = Windows(
        task.load_input(graph, path, datasets.CALIBRATION_SECONDS).samples for path in calibration
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

"""Real values for each frame or window: forces, angles, whatever was measured beside the EMG."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from compress import graph as g
from compress.data.own_recording import OwnRecording
from compress.data.recordings import Collection
from compress.errors import RecordingError
from compress.graph.samples import blocks
from compress.tasks.costs import CostWords
from compress.tasks.labelled import LabelledTask, as_json, run_size
from compress.tasks.recorded import Recorded, Shown
from compress.tasks.shape import Shape
from compress.tasks.statistics import pooled, sums_of_runs
from compress.tasks.task import Array, Runs
from compress.tasks.values import simulated
from compress.tasks.wiring import Wiring

if TYPE_CHECKING:
    from compress.report.drawing import Picture

NAME = "values"
_SAID = 12  # outputs of which the console says each


class Values(LabelledTask):
    """Frames are the values (frames, outputs) in the unit of the recordings' targets."""

    name = NAME
    metric, unit, points = "MAE", "", ""
    title = "Mean absolute error"
    usual = Shape(Fraction(1000), 8, 2)
    collection = simulated.collection_for(usual)

    def collection_for(self, shape: Shape) -> Collection:
        return simulated.collection_for(shape)

    def wiring(self, graph: g.Graph) -> Wiring:
        return Wiring(outputs="values in the unit of the recordings' targets")

    def target_of(self, graph: g.Graph, found: OwnRecording) -> Array | None:
        outputs = graph.output.features
        if found.target is not None and found.target.shape[1] != outputs:
            raise RecordingError(
                f"{found.path}: target: expected (samples, {outputs}) as the network has outputs,"
                f" found {found.target.shape}; give what they are for, each a column"
            )
        return found.target

    def runs(self, graph: g.Graph, frames: Array, recorded: Recorded) -> Runs:
        """Absolute errors, and how many values they are summed over."""
        if recorded.target is None:
            none = np.zeros(1)
            return none, none
        size, errors, amounts = run_size(graph, len(frames)), [], []
        for distance in self._distances(graph, frames, recorded, size):
            errors.append(sums_of_runs(np.nansum(distance, axis=1), size))
            amounts.append(sums_of_runs((~np.isnan(distance)).sum(1), size))
        return np.concatenate(errors), np.concatenate(amounts)

    def _distances(
        self, graph: g.Graph, frames: Array, recorded: Recorded, size: int = 1
    ) -> Iterator[Array]:
        """Absolute errors (n, outputs), NaN where nothing is known, in pieces of whole runs of
        `size` frames."""
        for found, target in self.beside(graph, frames, recorded, size):
            yield np.abs(found.astype(np.float64) - target)

    def details(
        self, graph: g.Graph, frames: Sequence[Array], recorded: Sequence[Recorded]
    ) -> dict[str, Any]:
        outputs = graph.output.features
        total, amounts = np.zeros(outputs), np.zeros(outputs, np.int64)
        for f, r in zip(frames, recorded, strict=True):
            for distance in self._distances(graph, f, r) if r.target is not None else ():
                total += np.nansum(distance, axis=0)
                amounts += (~np.isnan(distance)).sum(0)
        if not amounts.any():
            return {}
        means = np.where(amounts > 0, total / np.maximum(amounts, 1), np.nan)
        names = {"outputs": graph.provenance["classes"]} if "classes" in graph.provenance else {}
        return {"mae": as_json(means), "values": int(amounts.sum())} | names

    def amount(self, recorded: Sequence[Recorded]) -> tuple[int, str]:
        known = [r for r in recorded if r.target is not None]
        if not known:
            return super().amount(recorded)
        seconds = sum(
            (~np.isnan(rows)).any(1).sum() / r.rate for r in known for rows in blocks(r.target, 1)
        )
        return round(seconds), "labelled seconds"

    def trivial(
        self, graph: g.Graph, recorded: Sequence[Recorded], others: Sequence[Path]
    ) -> dict[str, float]:
        """MAE of saying the mean of other recordings, and of holding the first known values."""
        known = [target for target in self.others(graph, others) if len(target)]
        guesses: dict[str, Callable[[Array], Array]] = {"hold_first": _first}
        if known:
            mean = _mean(known)
            guesses = {"mean": lambda target: mean} | guesses
        found = {name: self._guessed(graph, recorded, guess) for name, guess in guesses.items()}
        return {name: error for name, error in found.items() if error is not None}

    def _guessed(
        self, graph: g.Graph, recorded: Sequence[Recorded], guess: Callable[[Array], Array]
    ) -> float | None:
        """The error of one frame that is said again and again, made of a recording's target."""
        outputs = graph.output.features
        frames = [
            np.broadcast_to(
                np.zeros(outputs) if r.target is None else guess(r.target),
                (int(len(r.samples) * graph.output.rate / graph.input.rate), outputs),
            )
            for r in recorded
        ]
        return pooled(*self._all_runs(graph, frames, recorded), self.factor)

    def say(self, details: dict[str, Any]) -> list[tuple[str, str]]:
        if not details:
            return []
        names = details.get("outputs", range(len(details["mae"])))
        each = [
            f"{name}: {error:.4g}"
            for name, error in zip(names, details["mae"], strict=True)
            if error is not None
        ]
        more = f" and {len(each) - _SAID} more" if len(each) > _SAID else ""
        return [("board, by output", f"{', '.join(each[:_SAID])}{more}")]

    def picture(self, shown: Shown) -> Picture | None:
        from compress.tasks.values import pictures  # matplotlib is slow to import

        return pictures.traces(shown)

    def costs(self) -> CostWords:
        return CostWords(
            stem=f"pareto-{NAME}",
            keys={"error": "mae", "low": "mae_low", "high": "mae_high", "amount": "values"},
            word="error",
            axis="mean absolute error, in the unit of the targets",
            predictors={
                "mean": "the mean of the calibration recordings",
                "hold_first": "the first known values, held",
            },
        )


def _mean(targets: Sequence[Array]) -> Array:
    """Of each output's known values; 0 where there is none."""
    total, count = np.zeros(targets[0].shape[1]), np.zeros(targets[0].shape[1], np.int64)
    for rows in (rows for target in targets for rows in blocks(target, 1)):
        total += np.nansum(rows, axis=0, dtype=np.float64)
        count += (~np.isnan(rows)).sum(0)
    return total / np.maximum(count, 1)


def _first(target: Array) -> Array:
    """Each output's first known value; 0 where there is none."""
    found = np.full(target.shape[1], np.nan)
    for rows in blocks(target, 1):
        first = rows[(~np.isnan(rows)).argmax(0), np.arange(target.shape[1])]
        found = np.where(np.isnan(found), first, found)
        if not np.isnan(found).any():
            break
    return np.nan_to_num(found)

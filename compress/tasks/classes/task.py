"""One class of several for each frame or window: gestures, movements, whatever was labelled."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from compress import graph as g
from compress.data.own_recording import OwnRecording
from compress.data.recordings import Collection
from compress.errors import GraphError, RecordingError
from compress.graph.samples import blocks
from compress.tasks import distances
from compress.tasks.classes import scores, simulated
from compress.tasks.costs import CostWords
from compress.tasks.labelled import LabelledTask, numbered, run_size
from compress.tasks.recorded import Recorded, Shown
from compress.tasks.shape import Shape
from compress.tasks.statistics import pooled, sums_of_runs
from compress.tasks.task import Array, Runs
from compress.tasks.wiring import Wiring

if TYPE_CHECKING:
    from compress.report.drawing import Picture

NAME = "classes"
_SAID = 12  # classes of which the console says each


class Classes(LabelledTask):
    """Frames are scores of the classes (frames, classes): whatever has the right arg-max, as
    logits, probabilities or their logarithms."""

    name = NAME
    metric, unit, points = "balanced error", "%", "points"
    title = "Balanced error (100 % less balanced accuracy)"
    factor = 100.0
    usual = Shape(Fraction(1000), 8, 6)
    collection = simulated.collection_for(usual)

    def check(self, graph: g.Graph) -> None:
        outputs, names = graph.output.features, graph.provenance.get("classes")
        if names is not None and len(names) != outputs:
            raise GraphError(
                f"{graph.name}: CLASSES: expected as many names as the network has outputs,"
                f" {outputs}, found {len(names)}"
            )
        if outputs < 2:
            raise GraphError(
                f"{graph.name}: expected a score for each of two classes or more, found {outputs}"
                " output; give each class one"
            )

    def wiring(self, graph: g.Graph) -> Wiring:
        return Wiring(
            outputs="scores of the classes: the largest is the one that is meant",
            names=tuple(graph.provenance.get("classes") or ()),
        )

    def collection_for(self, shape: Shape) -> Collection:
        return simulated.collection_for(shape)

    def target_of(self, graph: g.Graph, found: OwnRecording) -> Array | None:
        if found.label is None:
            return None
        for start, labels in numbered(found.label):
            beyond = np.flatnonzero(labels >= graph.output.features)
            if len(beyond):
                raise RecordingError(
                    f"{found.path}: label: expected classes 0…{graph.output.features - 1} of the"
                    f" network's outputs, or −1, found {labels[beyond[0]]} at sample"
                    f" {start + beyond[0]}; number the classes from 0, and write −1 where none"
                    " counts"
                )
        return found.label

    def agreement(self, first: Sequence[Array], second: Sequence[Array]) -> float | None:
        return distances.agreement(first, second)

    def runs(self, graph: g.Graph, frames: Array, recorded: Recorded) -> Runs:
        """Wrong decisions by the class that was right, and decisions, (runs, classes)."""
        if recorded.target is None:
            none = np.zeros((1, frames.shape[1]), np.int64)
            return none, none
        size = run_size(graph, len(frames))
        counts = (scores.counts_by_class(*p) for p in self.beside(graph, frames, recorded, size))
        errors, amounts = zip(
            *((sums_of_runs(e, size), sums_of_runs(a, size)) for e, a in counts), strict=True
        )
        return np.concatenate(errors), np.concatenate(amounts)

    def details(
        self, graph: g.Graph, frames: Sequence[Array], recorded: Sequence[Recorded]
    ) -> dict[str, Any]:
        pairs = [
            scores.decisions(*pair)
            for f, r in zip(frames, recorded, strict=True)
            if r.target is not None
            for pair in self.beside(graph, f, r)
        ]
        if not any(len(found) for found, _ in pairs):
            return {}
        outputs = graph.output.features
        matrix = sum(scores.confusion(*pair, outputs) for pair in pairs)
        return scores.summary(np.asarray(matrix), names_of(graph))

    def amount(self, recorded: Sequence[Recorded]) -> tuple[int, str]:
        known = [r for r in recorded if r.target is not None]
        if not known:
            return super().amount(recorded)
        seconds = sum((rows >= 0).sum() / r.rate for r in known for rows in blocks(r.target, 1))
        return round(seconds), "labelled seconds"

    def trivial(
        self, graph: g.Graph, recorded: Sequence[Recorded], others: Sequence[Path]
    ) -> dict[str, float]:
        """Balanced error in % of the class that is the most frequent in other recordings."""
        outputs = graph.output.features
        counts = np.zeros(outputs, np.int64)
        for label in self.others(graph, others):
            for rows in blocks(label, 1):
                counts += np.bincount(rows[rows >= 0], minlength=outputs)
        if not counts.any():
            return {}
        guess = np.eye(outputs)[counts.argmax()]
        frames = [
            np.broadcast_to(
                guess, (int(len(r.samples) * graph.output.rate / graph.input.rate), outputs)
            )
            for r in recorded
        ]
        found = pooled(*self._all_runs(graph, frames, recorded), self.factor)
        return {} if found is None else {"most_frequent_class": found}

    def say(self, details: dict[str, Any]) -> list[tuple[str, str]]:
        if not details:
            return []
        total = f"{details['balanced_accuracy']:.2f} % (of all frames {details['accuracy']:.2f} %)"
        each = [
            f"{name} {share:.0f}"
            for name, share in zip(details["classes"], details["recall"], strict=True)
            if share is not None
        ]
        more = f" and {len(each) - _SAID} more" if len(each) > _SAID else ""
        return [
            ("balanced accuracy", total),
            ("board, by class", f"{', '.join(each[:_SAID])}{more} %"),
        ]

    def picture(self, shown: Shown) -> Picture | None:
        from compress.tasks.classes import pictures  # matplotlib is slow to import

        return pictures.confusion(shown)

    def costs(self) -> CostWords:
        return CostWords(
            stem=f"pareto-{NAME}",
            keys={"amount": "frames"},
            word=self.metric,
            axis="balanced error, %",
            predictors={"most_frequent_class": "the most frequent class, always"},
        )


def names_of(graph: g.Graph) -> list[str]:
    """Of the classes, as the network's file names them, or their numbers."""
    named = graph.provenance.get("classes")
    return list(map(str, named or range(graph.output.features)))

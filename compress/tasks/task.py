"""What all tasks have: a recording as a network takes it, and the error of frames against what was
to come out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from compress import graph as g
from compress.data import datasets
from compress.data.recordings import Collection
from compress.errors import RecordingError
from compress.graph.samples import Signal, whole_steps
from compress.tasks.typing.session import SAMPLE_RATE

Array = g.Array


@dataclass(frozen=True)
class Recorded:
    """One recording from its beginning, whole steps: what goes in, and what a perfect network
    answers, in the task's type."""

    path: Path
    signal: Signal
    target: Any

    @property
    def samples(self) -> Array:
        """(n, features), real values."""
        return self.signal.samples

    @property
    def seconds(self) -> float:
        return len(self.samples) / SAMPLE_RATE


class Task(ABC):
    """Typing, pose, …. Frames are real values (frames, outputs), those of a start-up included."""

    name: ClassVar[str]
    metric: ClassVar[str]  # short name of the error
    unit: ClassVar[str]
    points: ClassVar[str]  # unit of a difference between two errors
    collection: ClassVar[Collection]  # its recordings
    array: ClassVar[str]  # shape of an input given as .npy, in words

    @abstractmethod
    def read(self, graph: g.Graph, path: Path, seconds: float | None = None) -> Recorded:
        """A recording; the first `seconds` only when given. RecordingError for one of another
        task."""

    def load_input(
        self, graph: g.Graph, path: Path, seconds: float | None = None, initial: Path | None = None
    ) -> Recorded:
        """A recording, or a `.npy` of the shape `array` says; whole steps of it, the first
        `seconds` only when given.

        `initial`: a `.npy` of the pose (joints,) in rad to begin with instead of the recording's
        own. A `.npy` has no target.
        """
        if path.suffix != ".npy":
            found = self.read(graph, path, seconds)
        else:
            try:
                samples = self.from_array(datasets.load_array(path))
            except ValueError as error:
                raise RecordingError(f"{path}: {error}") from error
            stop = len(samples) if seconds is None else round(seconds * SAMPLE_RATE)
            found = Recorded(
                path, Signal(whole_steps(graph, np.ascontiguousarray(samples[:stop]))), None
            )
        if initial is None:
            return found
        pose = datasets.load_array(initial)
        if pose.shape != (graph.output.features,) or not graph.provenance.get("initial_pose"):
            expected = (
                f"{graph.output.features} angles in rad"
                if graph.provenance.get("initial_pose")
                else "none for this network"
            )
            raise RecordingError(
                f"INITIAL={initial}: expected {expected}, found an array of shape {pose.shape}"
            )
        return replace(found, signal=Signal(found.samples, dict.fromkeys(graph.initial, pose)))

    @abstractmethod
    def from_array(self, array: Array) -> Array:
        """An input given as an array of the shape `array` says -> samples (n, features); ValueError
        for another shape."""

    def laid_out(self, graph: g.Graph, frames: Array) -> Array:
        """Frames as `infer` writes them."""
        return frames

    @abstractmethod
    def error(
        self, graph: g.Graph, frames: Sequence[Array], recorded: Sequence[Recorded]
    ) -> float | None:
        """The error in `unit`, pooled over recordings; None when there is nothing in them to get
        right."""

    @abstractmethod
    def interval(
        self, graph: g.Graph, frames: Sequence[Array], recorded: Sequence[Recorded]
    ) -> tuple[float, float]:
        """95 % bootstrap interval of the error."""

    @abstractmethod
    def difference(
        self,
        graph: g.Graph,
        first: Sequence[Array],
        second: Sequence[Array],
        recorded: Sequence[Recorded],
    ) -> tuple[float, float]:
        """95 % interval of error(second) − error(first), paired."""

    @abstractmethod
    def details(
        self, graph: g.Graph, frames: Sequence[Array], recorded: Sequence[Recorded]
    ) -> dict[str, Any]:
        """Everything else that is published for this task, as plain JSON."""

    @abstractmethod
    def amount(self, recorded: Sequence[Recorded]) -> tuple[int, str]:
        """How much the error was taken over: (4564, "characters")."""

    @abstractmethod
    def agreement(self, first: Sequence[Array], second: Sequence[Array]) -> float | None:
        """Share of frames in which two engines decide the same; None where nothing is decided."""

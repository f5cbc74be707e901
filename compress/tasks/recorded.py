"""A recording as a network takes it, and what is made of it in reports."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np

from compress import graph as g
from compress.data.clock import Segment
from compress.data.recording_file import SAMPLE_RATE
from compress.graph.samples import OnDisk, Signal

Array = g.Array


@dataclass(frozen=True)
class Recorded:
    """A stretch of a recording without a gap, whole steps, from its sample `start` on: what goes
    in, and what a perfect network answers, in the task's type. It is one stream: a network begins
    anew with it. rate: samples per second. scored: whether the error is taken on it; not on what
    says nothing of a perfect network, or only calibrates."""

    path: Path
    signal: Signal
    target: Any
    rate: float = SAMPLE_RATE
    scored: bool = True
    start: int = 0

    @property
    def begin_s(self) -> float:
        """Seconds of samples in the recording before this stretch."""
        return self.start / self.rate

    @property
    def name(self) -> str:
        """What reports call it: the file's name, and of a stretch behind a gap where it begins."""
        return self.path.name + (f", {self.begin_s:.3f} s on" if self.start else "")

    @property
    def samples(self) -> Array:
        """(n, features), real values; those of a long recording stay on disk."""
        return self.signal.samples

    def in_memory(self) -> Recorded:
        """The same with samples that are read: for what takes them in any order."""
        target = np.asarray(self.target) if isinstance(self.target, OnDisk) else self.target
        signal = replace(self.signal, samples=np.asarray(self.samples))
        return replace(self, signal=signal, target=target)

    @property
    def seconds(self) -> float:
        return len(self.samples) / self.rate


class Cut(NamedTuple):
    """A recording that is open: its stretches between gaps, and what each of them, or a beginning
    of it, is."""

    segments: Sequence[Segment]
    part: Callable[[Segment], Recorded]


class Followed(Protocol):
    """One stream of a network in a closed loop, sample by sample."""

    @property
    def mask(self) -> Array:
        """(samples,): where the target is known."""

    @property
    def error(self) -> Array:
        """(samples, outputs): absolute errors in the task's unit."""

    def pieces(self, size: int) -> Iterator[Any]:
        """The same in pieces of `size` samples, in memory."""

    def apart(self, other: Any) -> Array:
        """(samples, outputs): distance from another stream's outputs in the task's unit."""


@dataclass(frozen=True)
class Loop:
    """A network that is fed its own output, so that an error of rounding could grow with the
    stream (`make drift`).

    Args:
        allowed: how much more the integers may lose in the last minute than in the first, in the
            task's unit.
        says: what such a network says: "a pose".
        outputs: several of them: "poses".
        known: targets of samples that are scored: "known angles".
        split: split of the simulated set whose session is long enough.
    """

    allowed: float
    says: str
    outputs: str
    known: str
    split: str


@dataclass(frozen=True)
class Shown:
    """The first stretch of a run on a board, for a picture of it.

    Args:
        words: output words of the board, int16 (frames, outputs).
        origin: how figures from its recordings must be named.
        step_s: seconds between two steps, each of which gives `frames_per_step` frames.
        details: what the task says of the whole run.
    """

    graph: g.Graph
    part: Recorded
    words: Array
    origin: str
    step_s: float
    frames_per_step: int
    details: dict[str, Any] = field(default_factory=dict)

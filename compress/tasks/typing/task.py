"""Typing on a keyboard: emg2qwerty sessions, log-probabilities of characters, the character error
rate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from compress import graph as g
from compress.data import recordings
from compress.graph.samples import Signal, whole_steps
from compress.tasks.task import Array, Recorded, Task
from compress.tasks.typing import charset, scores
from compress.tasks.typing.session import BANDS, ELECTRODES, SAMPLE_RATE, Session


@dataclass(frozen=True)
class Typed:
    """What was typed: the text, and each key press (seconds from the first sample, character)."""

    text: str
    keys: list[tuple[float, str]]


class Typing(Task):
    """Frames are log-probabilities (frames, 99), or anything with the same arg-max."""

    name = "typing"
    metric, unit, points = "CER", "%", "points"
    collection = recordings.TYPING
    array = f"(samples, {BANDS}, {ELECTRODES})"

    def read(self, graph: g.Graph, path: Path, seconds: float | None = None) -> Recorded:
        with Session(path) as session:
            session.check()
            stop = (
                len(session) if seconds is None else min(len(session), round(seconds * SAMPLE_RATE))
            )
            samples = whole_steps(graph, session.emg(0, stop).reshape(stop, -1))
            end = len(samples) / SAMPLE_RATE
            origin = float(session.time(0, 1)[0])
            presses = [
                (float(k["start"]) - origin, charset.key_to_character(k["key"]))
                for k in session.keystrokes
            ]
            keys = [(at, character) for at, character in presses if character and 0.0 <= at < end]
            return Recorded(path, Signal(samples), Typed(session.text(0.0, end), keys))

    def from_array(self, array: Array) -> Array:
        if array.ndim != 3 or array.shape[1:] != (BANDS, ELECTRODES):
            raise ValueError(
                f"expected numbers of shape {self.array}, found {array.dtype} {array.shape}"
            )
        return array.reshape(len(array), -1)

    def error(
        self, graph: g.Graph, frames: Sequence[Array], recorded: Sequence[Recorded]
    ) -> float | None:
        return scores.score(frames, _texts(recorded)).cer if any(_texts(recorded)) else None

    def interval(
        self, graph: g.Graph, frames: Sequence[Array], recorded: Sequence[Recorded]
    ) -> tuple[float, float]:
        return scores.bootstrap_rate(frames, _texts(recorded))

    def difference(
        self,
        graph: g.Graph,
        first: Sequence[Array],
        second: Sequence[Array],
        recorded: Sequence[Recorded],
    ) -> tuple[float, float]:
        return scores.bootstrap_difference(first, second, _texts(recorded))

    def details(
        self, graph: g.Graph, frames: Sequence[Array], recorded: Sequence[Recorded]
    ) -> dict[str, Any]:
        return scores.score(frames, _texts(recorded)).as_dict() if any(_texts(recorded)) else {}

    def amount(self, recorded: Sequence[Recorded]) -> tuple[int, str]:
        return sum(len(text) for text in _texts(recorded)), "characters"

    def agreement(self, first: Sequence[Array], second: Sequence[Array]) -> float | None:
        return scores.agreement([np.asarray(f) for f in first], [np.asarray(f) for f in second])


def _texts(recorded: Sequence[Recorded]) -> list[str]:
    return [r.target.text for r in recorded]

"""Which points nobody beats, and how sure their error rates are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from compress.errors import TendonError
from compress.scores import RESAMPLES, SEED, segment_errors, segment_lengths

Counts = npt.NDArray[np.int64]


def non_dominated(points: Sequence[tuple[float, float]]) -> list[bool]:
    """Of (cost, error) pairs: which have no other as good in both and better in one. Equal points stand or fall together."""
    order = sorted(range(len(points)), key=points.__getitem__)
    on_front = [False] * len(points)
    best = (np.inf, np.inf)  # least error so far, and the cost it was first reached at
    for index in order:
        cost, error = points[index]
        if error < best[0]:
            best = (error, cost)
        on_front[index] = (error, cost) == best
    return on_front


@dataclass(frozen=True)
class Session:
    """Errors and target characters of one session, run by run of the target (`compress.scores.segment_errors`)."""

    errors: Counts
    characters: Counts

    @classmethod
    def of(cls, target: str, prediction: str) -> Session:
        return cls(segment_errors(target, prediction), segment_lengths(target))


def error_rate(sessions: Sequence[Session]) -> float:
    """All errors over all characters, in %."""
    characters = sum(int(s.characters.sum()) for s in sessions)
    if not characters:
        raise TendonError("error rate: expected at least one typed character in the held-out sessions, found none")
    return 100.0 * sum(int(s.errors.sum()) for s in sessions) / characters


def interval(sessions: Sequence[Session], resamples: int = RESAMPLES, seed: int = SEED) -> tuple[float, float]:
    """95 % percentile interval of the error rate in %, by a bootstrap over sessions.

    As many are drawn as there are, and in each of them as many runs of characters as it has: sessions alone are too few."""
    rng = np.random.default_rng(seed)
    drawn = rng.integers(0, len(sessions), (resamples, len(sessions)))
    errors, characters = np.zeros(resamples), np.zeros(resamples)
    for index, session in enumerate(sessions):
        runs = len(session.errors)
        for slot in drawn.T:
            rows = np.flatnonzero(slot == index)
            chosen = rng.integers(0, runs, (len(rows), runs))
            errors[rows] += session.errors[chosen].sum(1)
            characters[rows] += session.characters[chosen].sum(1)
    low, high = np.quantile(100.0 * errors / np.maximum(characters, 1), [0.025, 0.975])
    return float(low), float(high)

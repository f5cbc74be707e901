"""Which points nobody beats, and how sure their errors are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from compress.errors import TendonError
from compress.tasks import statistics
from compress.tasks.statistics import RESAMPLES, SEED

Sums = npt.NDArray[Any]


def non_dominated(points: Sequence[tuple[float, float]]) -> list[bool]:
    """Of (cost, error) pairs: which have no other as good in both and better in one. Equal points
    stand or fall together."""
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
    """Errors of one session and what they are taken over, run by run of the target, as the task
    says them: edit operations and characters, degrees summed over samples and the number of these,
    …. (runs,), or (runs, kinds) where kinds count alike."""

    errors: Sums
    amounts: Sums

    @classmethod
    def from_json(cls, stored: dict[str, Any]) -> Session:
        return cls(np.array(stored["errors"]), np.array(stored["amounts"]))

    def to_json(self) -> dict[str, Any]:
        """Plain numbers, exact."""
        return {"errors": self.errors.tolist(), "amounts": self.amounts.tolist()}


def pooled(sessions: Sequence[Session], factor: float) -> float:
    """`factor` × all errors over all they are taken over."""
    found = statistics.pooled([s.errors for s in sessions], [s.amounts for s in sessions], factor)
    if found is None:
        raise TendonError(
            "error: expected something to get right in the held-out sessions, found none; give"
            " longer ones"
        )
    return found


def interval(
    sessions: Sequence[Session], factor: float, resamples: int = RESAMPLES, seed: int = SEED
) -> tuple[float, float]:
    """95 % percentile interval of the pooled error, by a bootstrap over sessions.

    As many are drawn as there are, and in each of them as many runs as it has: sessions alone are
    too few."""
    rng = np.random.default_rng(seed)
    drawn = rng.integers(0, len(sessions), (resamples, len(sessions)))
    kinds = 1 if sessions[0].errors.ndim == 1 else sessions[0].errors.shape[1]
    errors, amounts = np.zeros((resamples, kinds)), np.zeros((resamples, kinds))
    for index, session in enumerate(sessions):
        runs = len(session.errors)
        for slot in drawn.T:
            rows = np.flatnonzero(slot == index)
            chosen = rng.integers(0, runs, (len(rows), runs))
            errors[rows] += session.errors[chosen].sum(1).reshape(-1, kinds)
            amounts[rows] += session.amounts[chosen].sum(1).reshape(-1, kinds)
    low, high = np.quantile(statistics.ratio(factor * errors, amounts), [0.025, 0.975])
    return float(low), float(high)

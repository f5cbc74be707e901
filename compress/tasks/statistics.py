"""Intervals of errors that are sums over runs: a percentile bootstrap that draws whole runs, since
errors of one burst are not independent."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.generic]
RUNS = 20  # of them at least: short recordings are drawn in shorter runs
RESAMPLES = 2000
SEED = 20240601


def resampled(
    errors: Sequence[Array],
    lengths: Sequence[Array],
    unit: float,
    resamples: int = RESAMPLES,
    seed: int = SEED,
) -> tuple[float, float]:
    """95 % percentile interval of `unit` × all errors / all lengths, over runs drawn with
    replacement, as many as there are."""
    e, n = np.concatenate(errors), np.concatenate(lengths)
    chosen = np.random.default_rng(seed).integers(0, len(n), (resamples, len(n)))
    rates = unit * e[chosen].sum(1) / np.maximum(n[chosen].sum(1), 1)
    low, high = np.quantile(rates, [0.025, 0.975])
    return float(low), float(high)


def sums_of_runs(values: Array, size: int) -> Array:
    """Sums of runs of `size` values (n,); the last run takes the rest; none of no values."""
    if not len(values):
        return values
    return np.add.reduceat(values, np.arange(max(1, len(values) // size)) * size)

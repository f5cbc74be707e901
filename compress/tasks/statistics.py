"""Errors that are sums over runs, and their intervals: a percentile bootstrap that draws whole
runs, since errors of one burst are not independent.

Errors and amounts are (runs,), or (runs, kinds) where kinds count alike however much there is of
each: the error is then the mean over the kinds that are there.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
RUNS = 20  # of them at least: short recordings are drawn in shorter runs
RESAMPLES = 2000
SEED = 20240601
AT_ONCE = 1 << 20  # runs that are drawn at once


def pooled(errors: Sequence[Array], amounts: Sequence[Array], unit: float) -> float | None:
    """`unit` × all errors / all amounts; None when there is nothing to get right."""
    e, n = (sum(_kinds(part).sum(0) for part in parts) for parts in (errors, amounts))
    return float(ratio(unit * np.asarray(e), np.asarray(n))) if np.any(n) else None


def resampled(
    errors: Sequence[Array],
    lengths: Sequence[Array],
    unit: float,
    resamples: int = RESAMPLES,
    seed: int = SEED,
) -> tuple[float, float]:
    """95 % percentile interval of `unit` × all errors / all lengths, over runs drawn with
    replacement, as many as there are."""
    e, n = (np.concatenate([_kinds(part) for part in parts]) for parts in (errors, lengths))
    rng, together, found = np.random.default_rng(seed), max(1, AT_ONCE // len(n)), []
    for start in range(0, resamples, together):
        # a draw takes half a number of the generator: an even count leaves none over
        chosen = rng.integers(0, len(n), (min(together, resamples - start), len(n)))
        sums = [np.stack([kind[chosen].sum(1) for kind in of.T], axis=1) for of in (e, n)]
        found.append(ratio(unit * sums[0], sums[1]))
    low, high = np.quantile(np.concatenate(found), [0.025, 0.975])
    return float(low), float(high)


def ratio(errors: Array, amounts: Array) -> Array:
    """Sums of errors over sums of amounts, (…, kinds) -> (…): the mean over the kinds of which
    there is some; 0 where there is nothing at all."""
    there = amounts > 0
    each = np.where(there, errors / np.where(there, amounts, 1), 0.0)
    return np.asarray(each.sum(-1) / np.maximum(there.sum(-1), 1))


def _kinds(part: Array) -> Array:
    """(runs,) or (runs, kinds) -> (runs, kinds)."""
    array = np.asarray(part)
    return array if array.ndim == 2 else array.reshape(-1, 1)


def sums_of_runs(values: Array, size: int, dtype: npt.DTypeLike | None = None) -> Array:
    """Sums of runs of `size` values (n, …), in `dtype` if given; the last run takes the rest; none
    of no values."""
    if not len(values):
        return values
    return np.add.reduceat(values, np.arange(max(1, len(values) // size)) * size, dtype=dtype)

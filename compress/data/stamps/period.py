"""By how much time stamps advance with each sample, and in which unit."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

SAME = 0.02  # periods are the same up to this share
_SAME_UNIT = 0.05  # stamps have a unit if their rate is then right up to this share
_SHARE, _MOST = 0.25, 0.5  # of neighbours: so many tell the expected period, so many another one
_SIZES = (16384, 4096, 512, 64)  # samples; packets of one stamp are told from longer stretches
UNITS = {
    "milliseconds": 1e3,
    "microseconds": 1e6,
    "nanoseconds": 1e9,
    "ticks of 100 ns": 1e7,
    "minutes": 1 / 60,
    "hours": 1 / 3600,
    "days": 1 / 86400,
}


def period_of(stamps: Array, rate: float) -> float:
    """By how much stamps advance with each sample, in their own unit. What many neighbours say is
    the period, and beyond it are gaps. Neighbours say nothing where packets carry one stamp or
    stamps jitter: then it is the median over longer stretches. Of these, what is nearest to the
    expected period is taken, in seconds or else another unit, if one is near."""
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        steps, found = np.diff(stamps), _medians(stamps)
        usual = float(np.median(steps)) if len(steps) else 0.0
        if usual > 0 and _share(steps, usual) >= _MOST:
            found.append(usual)
        else:
            found.append(float(stamps[-1] - stamps[0]) / max(1, len(steps)))
        found += _of_packets(stamps, steps)
        for per_s in (1.0, *UNITS.values(), rate):
            expected = per_s / rate
            near = steps[np.abs(steps / expected - 1.0) < SAME]
            told = [float(near.mean())] if 0 < _SHARE * len(steps) <= len(near) else []
            nearest = min([*told, *found], key=lambda period: abs(period / expected - 1.0))
            if abs(nearest / expected - 1.0) < SAME:
                return nearest
    usable = [period for period in found if 0 < period < np.inf]
    return min(usable, key=lambda period: abs(np.log(period * rate)), default=1.0 / rate)


def _share(steps: Array, period: float) -> float:
    """How many of the steps are about this one, as a share."""
    return float(np.mean(np.abs(steps / period - 1.0) < SAME))


def unit_of(advance: float, rate: float) -> tuple[str, float]:
    """The unit in which stamps advance by so much a sample, "" for seconds or an unknown one, and
    how many of it a second has."""
    for name, per_s in {"": 1.0, **UNITS, "sample numbers": rate}.items():
        if abs(advance * rate / per_s - 1.0) < _SAME_UNIT:
            return name, per_s
    return "", 1.0


def _of_packets(stamps: Array, steps: Array) -> list[float]:
    """Median advance a sample from one packet that carries one stamp to another, some packets on:
    a stretch that begins or ends inside a packet is wrong by up to one. None where most neighbours
    have stamps of their own."""
    begins = np.flatnonzero(steps) + 1
    found: list[float] = []
    if len(begins) > len(steps) / 2:
        return found
    apart = 1
    while apart < len(begins):
        advance = stamps[begins[apart:]] - stamps[begins[:-apart]]
        found.append(float(np.median(advance / (begins[apart:] - begins[:-apart]))))
        apart *= 2
    return found


def _medians(stamps: Array) -> list[float]:
    """Median advance a sample over stretches of some sizes."""
    found = []
    for size in _SIZES:
        spans = stamps[size::size] - stamps[:-size:size]
        if len(spans) > 2:
            found.append(float(np.median(spans)) / size)
    return found

"""Motor units: who is recruited, how fast it fires, how large it is.

Sources: Fuglevand, Winter, Patla, "Models of recruitment and rate coding organization in motor-unit
pools" (J Neurophysiol 1993): exponential thresholds and sizes, rates linear above threshold;
Henneman's size principle; Desmedt and Godaux (1977) for the higher rates of quick contractions;
interval variability of some 20 % (Clamann 1969).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from compress.data.simulator.muscles import GRID, MUSCLES

_TOP_THRESHOLD = 0.5  # share of the maximal excitation at which the last unit joins
_THRESHOLD_RANGE = 25.0  # last threshold over first
_SIZE_RANGE = 8.0  # largest action potential over smallest
_LOWEST, _HIGHEST, _GAIN = 10.0, 55.0, 110.0  # spikes/s, spikes/s, spikes/s per unit of excitation
_VARIATION = 0.2  # coefficient of variation of the intervals


@dataclass(frozen=True)
class Pool:
    """All motor units of one arm, muscle after muscle; each array is (units,).

    threshold: share of the maximal excitation; size: relative amplitude; angle in radians, depth in
    mm; velocity in mm/s of the conduction; offset: mm along the limb.
    """

    muscle: np.ndarray
    threshold: np.ndarray
    size: np.ndarray
    angle: np.ndarray
    depth: np.ndarray
    velocity: np.ndarray
    offset: np.ndarray


def pool(rng: np.random.Generator) -> Pool:
    """Draw one arm's anatomy."""
    muscle = np.repeat(np.arange(len(MUSCLES)), [m.units for m in MUSCLES])
    rank = np.concatenate([(np.arange(m.units) + rng.random(m.units)) / m.units for m in MUSCLES])
    angle = np.radians([m.angle for m in MUSCLES])[muscle] + np.radians(7.0) * rng.standard_normal(
        muscle.size
    )
    depth = np.array([m.depth for m in MUSCLES])[muscle] + 1.8 * rng.standard_normal(muscle.size)
    return Pool(
        muscle=muscle,
        threshold=_TOP_THRESHOLD / _THRESHOLD_RANGE * _THRESHOLD_RANGE**rank,
        size=_SIZE_RANGE**rank * np.exp(0.2 * rng.standard_normal(muscle.size)),
        angle=angle,
        depth=np.clip(depth, 4.0, 18.0),
        velocity=3600.0 + 1000.0 * rank + 150.0 * rng.standard_normal(muscle.size),
        offset=4.0 * rng.standard_normal(muscle.size),
    )


def fire(
    units: Pool, excitation: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Spikes of every unit: (time in seconds, unit), unordered.

    excitation: (muscles, time · GRID). A unit fires each time the integral of its rate passes the
    next point of a renewal process.
    """
    times, owners = [], []
    for unit in range(units.muscle.size):
        above = excitation[units.muscle[unit]] - np.float32(units.threshold[unit])
        rate = np.where(above > 0, np.minimum(_LOWEST + _GAIN * above, _HIGHEST), 0)
        phase = np.cumsum(rate, dtype=np.float64) / GRID
        intervals = 1.0 + _VARIATION * rng.standard_normal(int(phase[-1] * 1.2) + 8)
        points = rng.random() + np.cumsum(np.maximum(intervals, 0.3))
        points = points[points < phase[-1]]
        at = np.searchsorted(phase, points)
        part = (points - phase[at]) * GRID / rate[at]  # −1…0 of a grid step
        times.append((at + part + 1) / GRID)
        owners.append(np.full(points.size, unit))
    return np.concatenate(times), np.concatenate(owners)

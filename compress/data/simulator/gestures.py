"""What the hand is asked to do, stage by stage, and the movement that follows: quick reaches
between postures, and holds.

Stages follow those of emg2pose (Salter et al. 2024): free movement, fists, single fingers, pinches,
counting, abduction. Each reach has minimum jerk (Flash and Hogan 1985), lasts 0.2 to 1 s, and its
fingers start one after the other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from scipy.ndimage import gaussian_filter1d

from compress.data.simulator.hand import FINGERS, REST, Posture, angles
from compress.data.simulator.muscles import GRID
from compress.data.simulator.typist import INDEX, LITTLE, THUMB

_SHORTEST, _LONGEST = 0.2, 1.0  # s of a reach
# s by which a finger may start late; holds are longer, so that reaches of one finger never overlap
_STAGGER = 0.08
_BLUR = 0.025  # s: no finger's reach has a corner (−3 dB at 5.3 Hz)
_COUNTS: tuple[list[int], ...] = (
    [INDEX],
    [1, 2],
    [1, 2, 3],
    [1, 2, 3, 4],
    [0, 1, 2, 3, 4],
    [],
    [THUMB],
    [THUMB, LITTLE],
    [INDEX, LITTLE],
)


def free(rng: np.random.Generator) -> Posture:
    """Anything a hand can do: mostly a random posture, at times one of the other stages."""
    if rng.random() < 0.4:
        others = [stage for stage in STAGES.values() if stage is not free]
        return others[int(rng.integers(len(others)))](rng)
    flexion = np.clip(rng.uniform(0, 0.8) + rng.uniform(-0.5, 0.5, FINGERS), 0, 1)
    return Posture(
        flexion,
        rng.uniform(-0.8, 0.8, FINGERS),
        float(rng.uniform(-0.7, 1)),
        float(rng.uniform(0, 1)),
    )


def fist(rng: np.random.Generator) -> Posture:
    """Open, closed, half closed, hook or table top."""
    closed = float(rng.choice([0.0, 0.0, 0.5, 1.0, 1.0]))
    shape = float(rng.choice([-0.9, 0.0, 0.0, 0.0, 0.9])) if closed == 0.5 else 0.0
    return Posture(np.full(FINGERS, closed), np.full(FINGERS, shape), 0.6 * (1 - closed), closed)


def individual(rng: np.random.Generator) -> Posture:
    """One finger bends or stretches, the others rest."""
    flexion = np.full(FINGERS, REST)
    if rng.random() < 0.7:
        flexion[rng.integers(FINGERS)] = rng.choice([-0.05, 0.6, 0.9])
    return Posture(flexion, np.zeros(FINGERS), 0.2, 0.3)


def pinch(rng: np.random.Generator) -> Posture:
    """The thumb meets a finger tip, or both let go."""
    flexion, finger = np.full(FINGERS, 0.15), int(rng.integers(INDEX, LITTLE + 1))
    if rng.random() < 0.35:
        return Posture(flexion, np.zeros(FINGERS), 0.3, 0.2)
    flexion[[THUMB, finger]] = 0.55, 0.6
    return Posture(flexion, np.full(FINGERS, 0.2), 0.0, 0.5 + 0.5 * finger / LITTLE)


def counting(rng: np.random.Generator) -> Posture:
    """Some fingers stretched and the rest closed."""
    flexion = np.full(FINGERS, 0.9)
    flexion[_COUNTS[int(rng.integers(len(_COUNTS)))]] = 0.0
    return Posture(flexion, np.zeros(FINGERS), 0.4, 0.8 if flexion[THUMB] > 0 else 0.1)


def abduction(rng: np.random.Generator) -> Posture:
    """Nearly straight fingers, spread or together."""
    spread = float(rng.choice([-0.8, 0.0, 1.0, 1.0]))
    return Posture(
        np.full(FINGERS, 0.1 - 0.1 * max(spread, 0)),
        np.zeros(FINGERS),
        spread,
        0.2 if spread > 0 else 0.5,
    )


STAGES: dict[str, Callable[[np.random.Generator], Posture]] = {
    "FreeMovement": free,
    "FistOpen": fist,
    "IndividualFingers": individual,
    "FingerPinches": pinch,
    "CountingFingers": counting,
    "FingerAbduction": abduction,
}


def motion(stage: str, seconds: float, rng: np.random.Generator) -> np.ndarray:
    """Joint angles over time (20, seconds · GRID) in radians, smooth and within the joints'
    ranges."""
    starts, lengths, targets = (
        [np.full(FINGERS, -1.0)],
        [np.ones(FINGERS)],
        [angles(_relaxed()).reshape(FINGERS, 4)],
    )
    for start, lasts, target in _reaches(stage, seconds, rng):
        own = np.array(
            [
                (start + rng.uniform(0, _STAGGER), lasts * rng.uniform(0.8, 1.0))
                for _ in range(FINGERS)
            ]
        )
        starts.append(own[:, 0])
        lengths.append(own[:, 1])
        targets.append(target)
    time = np.arange(int(seconds * GRID)) / GRID
    each = zip(
        np.stack(starts, 1), np.stack(lengths, 1), np.stack(targets, 1), strict=True
    )  # (5, reaches) …, (5, reaches, 4)
    fingers = [_finger(time, *about) for about in each]
    return gaussian_filter1d(np.concatenate(fingers), _BLUR * GRID, axis=1, mode="nearest")


def _finger(
    time: np.ndarray, start: np.ndarray, length: np.ndarray, target: np.ndarray
) -> np.ndarray:
    """One finger's angles (4, n): at each time the latest reach that has begun leads from the
    target before to its own."""
    reach = np.searchsorted(start, time, side="right") - 1
    before, after = target[np.maximum(reach - 1, 0)].T, target[reach].T
    return before + (after - before) * _minimum_jerk((time - start[reach]) / length[reach])


def _reaches(
    stage: str, seconds: float, rng: np.random.Generator
) -> Iterator[tuple[float, float, np.ndarray]]:
    """(start in s, length in s, angles (5, 4) rad at the end), until the time is up."""
    now, pace = float(rng.uniform(0.3, 1.0)), float(rng.uniform(0.85, 1.2))
    while now < seconds:
        lasts = float(
            np.clip(0.42 * pace * np.exp(0.4 * rng.standard_normal()), _SHORTEST, _LONGEST)
        )
        yield now, lasts, angles(_as_done(STAGES[stage](rng), rng)).reshape(FINGERS, 4)
        now += lasts + _STAGGER + 0.1 + min(float(rng.exponential(0.3 * pace)), 1.5)


def _as_done(meant: Posture, rng: np.random.Generator) -> Posture:
    """Nobody takes a posture twice in the same way."""
    return Posture(
        meant.flexion + 0.06 * rng.standard_normal(FINGERS),
        meant.shape + 0.10 * rng.standard_normal(FINGERS),
        meant.spread + 0.10 * float(rng.standard_normal()),
        meant.opposition + 0.08 * float(rng.standard_normal()),
    )


def _relaxed() -> Posture:
    return Posture(np.full(FINGERS, REST), np.zeros(FINGERS), 0.2, 0.3)


def _minimum_jerk(part: np.ndarray) -> np.ndarray:
    """Share of the way after a share of the time, 0 before and 1 after the reach."""
    x = np.clip(part, 0, 1)
    return x**3 * (10 - 15 * x + 6 * x**2)

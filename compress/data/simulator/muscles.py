"""Which forearm muscles a key stroke drives, when and how hard.

Each finger has a flexor and an extensor slip (flexor digitorum superficialis and profundus,
extensor digitorum), the thumb its long flexor and abductor, the wrist four muscles. A stroke is a
reach (extensors lift and carry the finger, wrist muscles turn the hand), a press (the flexor, its
neighbours dragged along: "enslaving", Zatsiorsky, Li, Latash 2000) and a lift. Muscles are active
some 50 to 100 ms before the movement they cause (electromechanical delay, Cavanagh and Komi 1979).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter1d

from compress.data.simulator.typist import LITTLE, THUMB, Stroke

GRID = 250  # excitation values per second
TONE = 0.02  # posture: the share of maximal excitation that is always there
REACH, PRESS, LIFT = range(3)
_LAG = (
    -0.115,
    -0.05,
    0.085,
)  # s from the press (lift: from the release) to the middle of each burst
_WIDTH = (0.030, 0.026, 0.030)  # s, standard deviation of the bursts


@dataclass(frozen=True)
class Muscle:
    """A muscle in the forearm's cross-section.

    angle: degrees around the limb (0 = palm side, 90 = thumb side, 180 = back); depth: mm below the
    skin; units: motor units.
    """

    name: str
    angle: float
    depth: float
    units: int


FLEXOR = 0  # MUSCLES[FLEXOR + finger]
EXTENSOR = 5
MUSCLES = (
    Muscle("flexor pollicis longus", 45, 13, 16),
    Muscle("flexor of the index finger", 15, 10, 18),
    Muscle("flexor of the middle finger", -8, 7, 18),
    Muscle("flexor of the ring finger", -32, 8, 18),
    Muscle("flexor of the little finger", -55, 10, 16),
    Muscle("abductor and extensor of the thumb", 140, 8, 16),
    Muscle("extensor of the index finger", 172, 11, 16),
    Muscle("extensor of the middle finger", 184, 7, 18),
    Muscle("extensor of the ring finger", 200, 7, 18),
    Muscle("extensor of the little finger", 218, 8, 16),
    Muscle("flexor carpi radialis", 38, 6, 24),
    Muscle("flexor carpi ulnaris", -85, 6, 24),
    Muscle("extensor carpi radialis", 115, 7, 24),
    Muscle("extensor carpi ulnaris", 245, 6, 24),
)
FCR, FCU, ECR, ECU = range(10, 14)


@dataclass(frozen=True)
class Habit:
    """How constant a typist is: log-normal spread of each muscle's part in a stroke, and its timing
    in seconds."""

    spread: float = 0.60
    jitter: float = 0.018


def synergy(stroke: Stroke) -> np.ndarray:
    """Peak excitation (3 bursts, muscles) of one stroke, as shares of the maximum."""
    key, e = stroke.key, np.zeros((3, len(MUSCLES)))
    flexor, extensor = FLEXOR + key.finger, EXTENSOR + key.finger
    far, near = max(key.up, 0.0), max(-key.up, 0.0)
    ulnar, radial = max(key.out, 0.0), max(-key.out, 0.0)
    e[REACH, extensor] += 0.10 + 0.14 * far
    e[REACH, flexor] += 0.16 * near
    e[REACH, [ECR, ECU]] += 0.08 * far
    e[REACH, [ECU, FCU]] += 0.12 * min(ulnar, 2.5)
    e[REACH, [ECR, FCR]] += 0.16 * radial
    e[PRESS, flexor] += 0.30 + 0.05 * near
    e[PRESS, [FCR, FCU]] += 0.05
    e[PRESS, ECU] += 0.06 * min(ulnar, 2.5)
    e[PRESS, FCR] += 0.06 * radial
    if key.finger != THUMB:
        for neighbour in (key.finger - 1, key.finger + 1):
            if THUMB < neighbour <= LITTLE:
                e[:, FLEXOR + neighbour] += 0.15 * e[:, flexor]
                e[:, EXTENSOR + neighbour] += 0.15 * e[:, extensor]
    e[LIFT, extensor] += 0.22
    return e


def excitation(
    strokes: Sequence[Stroke], hand: int, seconds: float, habit: Habit, rng: np.random.Generator
) -> np.ndarray:
    """Excitation over time of one arm's muscles: float32 (muscles, seconds · GRID), shares of the
    maximum."""
    count = int(seconds * GRID)
    drive = np.zeros((3, len(MUSCLES), count))
    for stroke in (s for s in strokes if s.key.hand == hand):
        amount = synergy(stroke) * np.exp(habit.spread * rng.standard_normal((3, len(MUSCLES))))
        jitter = habit.jitter * rng.standard_normal(3)
        for burst, lag in enumerate(_LAG):
            moment = (stroke.end if burst == LIFT else stroke.start) + lag + jitter[burst]
            at = int(np.clip(round(moment * GRID), 0, count - 1))
            drive[burst, :, at] += amount[burst]
        if stroke.name == "Key.shift":
            _hold(drive[PRESS], stroke, amount[PRESS])
    total = np.full((len(MUSCLES), count), TONE)
    for burst, width in enumerate(_WIDTH):
        sigma = width * GRID
        total += gaussian_filter1d(drive[burst], sigma, axis=1, mode="constant") * (
            sigma * np.sqrt(2 * np.pi)
        )
    return total.astype(np.float32)


def _hold(drive: np.ndarray, stroke: Stroke, amount: np.ndarray) -> None:
    """A key that is held keeps its flexor at work, at a third of the stroke."""
    every = int(_WIDTH[PRESS] * GRID * 2)
    for at in range(int(stroke.start * GRID), int(stroke.end * GRID), every):
        drive[:, min(at, drive.shape[1] - 1)] += amount / 3

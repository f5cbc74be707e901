"""Which forearm muscles hold and move a hand: from joint angles to excitation.

A finger away from rest is held against the elasticity of its joints, and moved against their
damping and its mass; the flexor or the extensor supplies that torque, ahead of the movement by the
electromechanical delay (30 to 100 ms, Cavanagh and Komi 1979). The wrist is kept still against the
tendons that cross it. Muscles inside the hand (interossei, lumbricals, thenar) lie outside the
band: of abduction, of the shape of a finger and of opposition it sees only what forearm muscles
add.
"""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter1d

from compress.data.simulator import hand
from compress.data.simulator.muscles import (
    ECR,
    ECU,
    EXTENSOR,
    FCR,
    FCU,
    FLEXOR,
    GRID,
    MUSCLES,
    TONE,
)
from compress.data.simulator.typist import INDEX, LITTLE, RING, THUMB

_DAMPING, _MASS = (
    0.12,
    0.0025,
)  # s and s²: torque of flexion's speed and acceleration, over that of flexion itself
_FLEXOR, _EXTENSOR = 0.18, 0.30  # share of the maximal excitation per unit of torque
_TOP = 0.5  # no movement of a free hand asks for more
_DELAY = (0.05, 0.08)  # s
_UNSTEADY, _PERIOD = 0.15, 0.3  # log-normal spread of a muscle's part, and s over which it changes


def delays(anatomy: np.random.Generator) -> np.ndarray:
    """Electromechanical delay of each muscle, seconds (muscles,)."""
    return anatomy.uniform(*_DELAY, len(MUSCLES))


def excitation(motion: np.ndarray, delay: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Excitation over time, float32 (muscles, n), shares of the maximum, of a motion (20, n) in
    radians at GRID."""
    drive = synergy(motion)
    time = np.arange(motion.shape[1]) / GRID
    ahead = np.stack(
        [np.interp(time + late, time, row) for late, row in zip(delay, drive, strict=True)]
    )
    slow = gaussian_filter1d(rng.standard_normal(ahead.shape), _PERIOD * GRID, axis=1)
    slow *= np.sqrt(2 * _PERIOD * GRID * np.sqrt(np.pi))  # unit variance again
    asked = TONE + ahead * np.exp(_UNSTEADY * slow)
    return (_TOP * (1 - np.exp(-asked / _TOP))).astype(np.float32)


def synergy(motion: np.ndarray) -> np.ndarray:
    """What each muscle contributes to the motion (20, n) at the moment of its effect: (muscles, n),
    shares of the maximum."""
    flexion, shape, spread, opposition = hand.coordinates(motion)
    speed = np.gradient(flexion, 1 / GRID, axis=1)
    torque = flexion - hand.REST + _DAMPING * speed + _MASS * np.gradient(speed, 1 / GRID, axis=1)
    drive = np.zeros((len(MUSCLES), motion.shape[1]))
    drive[FLEXOR : FLEXOR + 5] = _FLEXOR * _pull(torque) + 0.05 * _pull(-shape)
    drive[EXTENSOR : EXTENSOR + 5] = _EXTENSOR * _pull(-torque) + 0.06 * _pull(shape)
    _spread(drive, spread)
    drive[EXTENSOR + THUMB] += 0.12 * _pull(opposition)
    drive[FCR] += 0.04 * _pull(opposition)
    _neighbours(drive)
    flexors, extensors = (
        drive[FLEXOR + INDEX : FLEXOR + 5].mean(0),
        drive[EXTENSOR + INDEX : EXTENSOR + 5].mean(0),
    )
    drive[[ECR, ECU]] += 0.5 * flexors
    drive[[FCR, FCU]] += 0.4 * extensors
    return drive


def _spread(drive: np.ndarray, spread: np.ndarray) -> None:
    """The extensors spread the fingers a little too, and the wrist is held against the hand's own
    abductors at its edges."""
    index, ring, little = spread[0], spread[2], spread[3]
    drive[EXTENSOR + INDEX] += 0.06 * _pull(index)
    drive[EXTENSOR + RING] += 0.04 * _pull(ring)
    drive[EXTENSOR + LITTLE] += 0.08 * _pull(little)
    drive[ECR] += 0.06 * _pull(index)
    drive[ECU] += 0.08 * _pull(little)
    drive[FCU] += 0.08 * _pull(-little)
    drive[FCR] += 0.06 * _pull(-index)


def _neighbours(drive: np.ndarray) -> None:
    """Slips of one muscle are not excited alone (Zatsiorsky, Li, Latash 2000)."""
    for first in (FLEXOR, EXTENSOR):
        own = drive[first + INDEX : first + 5].copy()
        drive[first + INDEX : first + LITTLE] += 0.12 * own[1:]
        drive[first + INDEX + 1 : first + 5] += 0.12 * own[:-1]


def _pull(torque: np.ndarray) -> np.ndarray:
    """Muscles only pull: the positive part, with a little of both sides at work around zero."""
    return (torque + np.sqrt(torque**2 + 0.08**2)) / 2

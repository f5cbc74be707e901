"""What a ring of 16 electrodes on the skin sees of the motor units below it.

A fibre's action potential is a current tripole travelling along the limb; in a volume conductor its
potential at an electrode falls with the distance, so that deep or far units are small, wide and
alike on neighbouring electrodes. Each electrode is a pair along the limb and reads the difference.
Sources: Merletti, Lo Conte, Avignone, Guglielminotti, "Modeling of surface myoelectric signals,
part I" (IEEE TBME 1999) for tripoles and detection; Farina and Merletti (2001) for the effect of
depth and anisotropy; emg2qwerty (Sivakumar et al. 2024) for two bands of 16 channels, 2 kHz and the
40 Hz high-pass.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_matrix

from compress.data.recording_file import ELECTRODES, SAMPLE_RATE
from compress.data.simulator.motor_units import Pool

RADIUS = 30.0  # mm, of the limb
PAIR = 12.0  # mm between the two poles of an electrode
ANISOTROPY = 2.5  # conductivity along the fibres over across
_TRIPOLE = (
    (0.0, 1.0),
    (3.2, -1.6),
    (8.5, 0.6),
)  # mm behind the front, relative current: their sum is zero
# mm: an electrode averages over its area, so that the nearest fibres do not tower above the rest
_CONTACT = 4.0
# share of a shift along the limb that arrives as delay: the fibres of a unit start at scattered
# places
_DELAY = 0.3
_LENGTH = 44  # samples of an action potential
_CHUNK = 30 * SAMPLE_RATE


@dataclass(frozen=True)
class Ring:
    """Where the band sits in one session: turned (radians) and moved along the limb (mm); gain of
    each electrode (16,)."""

    turn: float
    along: float
    gain: np.ndarray


def action_potentials(units: Pool, ring: Ring) -> np.ndarray:
    """Waveforms (units, samples, electrodes), float32, in the units of the recordings before
    calibration."""
    angle = ring.turn + 2 * np.pi * np.arange(ELECTRODES) / ELECTRODES
    inner = RADIUS - units.depth
    square = (
        RADIUS**2
        + inner[:, None] ** 2
        - 2 * RADIUS * inner[:, None] * np.cos(angle - units.angle[:, None])
    )
    across = ANISOTROPY * (square + _CONTACT**2)[:, None, :]
    travelled = (np.arange(_LENGTH) - _LENGTH / 2) / SAMPLE_RATE * units.velocity[:, None]
    front = (travelled + _DELAY * (units.offset - ring.along)[:, None])[..., None]
    wave = np.zeros((*front.shape[:2], ELECTRODES))
    for behind, current in _TRIPOLE:
        for pole, sign in ((-PAIR / 2, 1.0), (PAIR / 2, -1.0)):
            wave += sign * current / np.sqrt(across + (front - behind - pole) ** 2)
    taper = np.hanning(_LENGTH)[:, None] ** 0.5
    return (wave * taper * units.size[:, None, None] * ring.gain).astype(np.float32)


def render(times: np.ndarray, owners: np.ndarray, waves: np.ndarray, count: int) -> np.ndarray:
    """Sum every spike's action potential: float32 (count samples, electrodes). times in seconds,
    any order."""
    units, length, electrodes = waves.shape
    signal = np.zeros((count + length, electrodes), dtype=np.float32)
    starts = np.round(times * SAMPLE_RATE).astype(np.int64) - length // 2
    flat, lags = waves.reshape(units * length, electrodes), np.arange(length)
    for begin in range(-length, count, _CHUNK):
        chosen = (starts >= begin) & (starts < min(begin + _CHUNK, count))
        rows = (starts[chosen, None] - begin + lags).ravel()
        columns = (owners[chosen, None] * length + lags).ravel()
        spikes = csr_matrix(
            (np.ones(rows.size, np.float32), (rows, columns)), (_CHUNK + length, units * length)
        )
        part = spikes @ flat
        low, high = max(begin, 0), min(begin + _CHUNK + length, count + length)
        signal[low:high] += part[low - begin : high - begin]
    return signal[:count]

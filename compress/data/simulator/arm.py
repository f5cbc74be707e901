"""From the excitation of one arm's muscles to what its band records; shared by the typist and the
moving hand.

The anatomy belongs to the user and is the same in every session; where the band sits, how well it
touches, the noise and the strength of each muscle differ from session to session.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from compress.data.recording_file import ELECTRODES
from compress.data.simulator import artefacts, electrodes, motor_units

USER = "simulated0"
STEP, LIMIT = (
    1 / 64,
    32 - 1 / 64,
)  # the recorder's 12-bit converter, in the units of the published recordings
_SCALE = 250.0  # of all action potentials: brings the recordings to the published size


@dataclass(frozen=True)
class Conditions:
    """How hard the task is: spreads between sessions and the recorder's noise.

    turn: radians, and along: mm, of the bands; gain: log-normal spread over electrodes; noise:
    standard deviation of the electrode noise, in the units of the recordings; strength: log-normal
    spread of each muscle's part.
    """

    turn: float = 0.10
    along: float = 2.0
    gain: float = 0.15
    noise: float = 0.75
    strength: float = 0.2


def surroundings(conditions: Conditions, rng: np.random.Generator) -> artefacts.Surroundings:
    """Draw one session's noise and hum; the mains have 50 Hz."""
    return artefacts.Surroundings(
        conditions.noise * float(rng.uniform(0.8, 1.25)), float(rng.uniform(0.02, 0.12)), 50.0, 3.0
    )


def record(
    units: motor_units.Pool,
    excitation: np.ndarray,
    count: int,
    conditions: Conditions,
    around: artefacts.Surroundings,
    rng: np.random.Generator,
) -> np.ndarray:
    """One band's signal, float32 (count samples, 16), from excitation (muscles, time · GRID) as
    shares of the maximum."""
    times, owners = motor_units.fire(units, excitation, rng)
    ring = electrodes.Ring(
        turn=conditions.turn * float(rng.standard_normal()),
        along=conditions.along * float(rng.standard_normal()),
        gain=_SCALE * np.exp(conditions.gain * rng.standard_normal(ELECTRODES)),
    )
    signal = electrodes.render(times, owners, electrodes.action_potentials(units, ring), count)
    artefacts.add(signal, around, rng)
    return np.clip(
        np.round(artefacts.high_pass(signal) / np.float32(STEP)) * np.float32(STEP), -LIMIT, LIMIT
    )

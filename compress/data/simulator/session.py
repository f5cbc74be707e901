"""One simulated session, from a seed to a file in the published layout.

What belongs to the user and what differs from session to session is said in `arm`; of a typing
session also the text differs and how hard the keys are hit.
"""

from __future__ import annotations

import json
import zlib
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from compress.data import recording_file
from compress.data.simulator import arm, artefacts, motor_units, muscles
from compress.data.simulator.arm import USER
from compress.data.simulator.text import Writer
from compress.data.simulator.typist import Stroke, Typist
from compress.tasks.typing.session import BANDS, DTYPE, ELECTRODES, GROUP, SAMPLE_RATE

_EPOCH = 1_600_000_000


@dataclass(frozen=True)
class Conditions(arm.Conditions):
    """How hard typing is to read: the arm's conditions, and how constant the typist is."""

    habit: muscles.Habit = field(default_factory=muscles.Habit)


@dataclass(frozen=True)
class Recording:
    """emg: float32 (samples, 2, 16); strokes and prompts in seconds from the first sample."""

    emg: np.ndarray
    strokes: list[Stroke]
    prompts: list[tuple[str, float, float]]


def simulate(
    split: str, number: int, seconds: float, seed: int = 0, conditions: Conditions | None = None
) -> Recording:
    """Simulate session `number` of a split; the same arguments give the same samples."""
    conditions = conditions or Conditions()
    rng = np.random.default_rng([seed, zlib.crc32(split.encode()), number])
    anatomy = np.random.default_rng([seed, zlib.crc32(USER.encode())])
    typist = Typist(rng, speed=float(rng.uniform(0.92, 1.08)))
    strokes, prompts = typist.session(Writer(rng).prompts(split), seconds)
    emg = np.empty((int(seconds * SAMPLE_RATE), BANDS, ELECTRODES), np.float32)
    around = arm.surroundings(conditions, rng)
    for hand in range(BANDS):
        units = motor_units.pool(anatomy)
        emg[:, hand] = _arm(units, strokes, hand, seconds, conditions, around, rng)
    return Recording(emg, strokes, prompts)


def _arm(
    units: motor_units.Pool,
    strokes: list[Stroke],
    hand: int,
    seconds: float,
    conditions: Conditions,
    around: artefacts.Surroundings,
    rng: np.random.Generator,
) -> np.ndarray:
    """One band's signal, float32 (samples, 16)."""
    strength = np.exp(conditions.strength * rng.standard_normal(len(muscles.MUSCLES)))
    excitation = muscles.excitation(strokes, hand, seconds, conditions.habit, rng) * strength[
        :, None
    ].astype(np.float32)
    return arm.record(units, excitation, int(seconds * SAMPLE_RATE), conditions, around, rng)


def write(
    path: Path, recording: Recording, name: str, start: float = _EPOCH, **attributes: str
) -> None:
    """Write a recording as an emg2qwerty session with fletcher32 checksums, aside first, then
    renamed."""
    rows = np.empty(len(recording.emg), DTYPE)
    rows["time"] = start + np.arange(len(rows)) / SAMPLE_RATE
    rows["emg_left"], rows["emg_right"] = recording.emg[:, 0], recording.emg[:, 1]
    keystrokes = [
        {
            "key": s.name,
            "start": start + s.start,
            "end": start + s.end,
            "ascii": ord(s.character) if len(s.name) == 1 else 0,
        }
        for s in recording.strokes
    ]
    prompts = [
        {
            "name": "text_prompt",
            "start": start + begin,
            "end": start + end,
            "payload": {"text": text},
        }
        for text, begin, end in recording.prompts
    ]
    found = {
        "session_name": name,
        "user": USER,
        "condition": "on_keyboard",
        "duration_mins": len(rows) / SAMPLE_RATE / 60,
    }
    events = {"keystrokes": json.dumps(keystrokes), "prompts": json.dumps(prompts)}
    recording_file.write(path, GROUP, rows, found | events | attributes)

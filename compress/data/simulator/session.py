"""One simulated session, from a seed to a file in the published layout.

The anatomy belongs to the user and is the same in every session; where the bands sit, how well they touch, the noise, the hum,
the strength of the typing and the text differ from session to session.
"""

from __future__ import annotations

import json
import zlib
from dataclasses import dataclass, field
from pathlib import Path

import h5py
import numpy as np

from compress.data.session import BANDS, DATASET, DTYPE, ELECTRODES, GROUP, SAMPLE_RATE
from compress.data.simulator import artefacts, electrodes, motor_units, muscles
from compress.data.simulator.text import Writer
from compress.data.simulator.typist import Stroke, Typist
from compress.errors import RecordingError

USER = "simulated0"
STEP, LIMIT = 1 / 64, 32 - 1 / 64  # the recorder's 12-bit converter, in the units of the published recordings
_SCALE = 250.0  # of all action potentials: brings the recordings to the published size
_EPOCH = 1_600_000_000


@dataclass(frozen=True)
class Conditions:
    """How hard the task is: spreads between sessions and the recorder's noise.

    turn: radians, and along: mm, of the bands; gain: log-normal spread over electrodes; noise: standard deviation of the
    electrode noise, in the units of the recordings; strength: log-normal spread of each muscle's part.
    """

    turn: float = 0.10
    along: float = 2.0
    gain: float = 0.15
    noise: float = 0.75
    strength: float = 0.2
    habit: muscles.Habit = field(default_factory=muscles.Habit)


@dataclass(frozen=True)
class Recording:
    """emg: float32 (samples, 2, 16); strokes and prompts in seconds from the first sample."""

    emg: np.ndarray
    strokes: list[Stroke]
    prompts: list[tuple[str, float, float]]


def simulate(split: str, number: int, seconds: float, seed: int = 0, conditions: Conditions | None = None) -> Recording:
    """Simulate session `number` of a split; the same arguments give the same samples."""
    conditions = conditions or Conditions()
    rng = np.random.default_rng([seed, zlib.crc32(split.encode()), number])
    anatomy = np.random.default_rng([seed, zlib.crc32(USER.encode())])
    typist = Typist(rng, speed=float(rng.uniform(0.92, 1.08)))
    strokes, prompts = typist.session(Writer(rng).prompts(split), seconds)
    emg = np.empty((int(seconds * SAMPLE_RATE), BANDS, ELECTRODES), np.float32)
    around = artefacts.Surroundings(conditions.noise * float(rng.uniform(0.8, 1.25)), float(rng.uniform(0.02, 0.12)), 50.0, 3.0)
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
    excitation = muscles.excitation(strokes, hand, seconds, conditions.habit, rng) * strength[:, None].astype(np.float32)
    times, owners = motor_units.fire(units, excitation, rng)
    ring = electrodes.Ring(
        turn=conditions.turn * float(rng.standard_normal()),
        along=conditions.along * float(rng.standard_normal()),
        gain=_SCALE * np.exp(conditions.gain * rng.standard_normal(ELECTRODES)),
    )
    signal = electrodes.render(times, owners, electrodes.action_potentials(units, ring), int(seconds * SAMPLE_RATE))
    artefacts.add(signal, around, rng)
    return np.clip(np.round(artefacts.high_pass(signal) / np.float32(STEP)) * np.float32(STEP), -LIMIT, LIMIT)


def write(path: Path, recording: Recording, name: str, start: float = _EPOCH, **attributes: str) -> None:
    """Write a recording as an emg2qwerty session with fletcher32 checksums, aside first, then renamed."""
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
        {"name": "text_prompt", "start": start + begin, "end": start + end, "payload": {"text": text}}
        for text, begin, end in recording.prompts
    ]
    aside = path.with_name(f".{path.name}.tmp")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with h5py.File(aside, "w") as file:
            group = file.create_group(GROUP)
            group.create_dataset(
                DATASET,
                data=rows,
                chunks=(4096,),
                shuffle=True,
                compression="gzip",
                compression_opts=1,
                fletcher32=True,
            )
            group.attrs.update(session_name=name, user=USER, condition="on_keyboard", duration_mins=len(rows) / SAMPLE_RATE / 60)
            group.attrs.update(keystrokes=json.dumps(keystrokes), prompts=json.dumps(prompts), **attributes)
        aside.replace(path)
    except OSError as error:
        raise RecordingError(f"{path}: cannot be written: {error}; make room or choose another folder") from error
    finally:
        aside.unlink(missing_ok=True)

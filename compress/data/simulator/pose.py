"""One simulated emg2pose session: a hand that moves through one stage, and what the band on its
forearm records."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from compress.data import recording_file
from compress.data.recording_file import ELECTRODES, SAMPLE_RATE
from compress.data.simulator import arm, gestures, hand_muscles, motor_units
from compress.data.simulator.arm import USER
from compress.data.simulator.muscles import GRID, MUSCLES
from compress.tasks.pose.session import DTYPE, GROUP

SIDE = "left"  # the typist's left arm
_FINEST = (
    2.0**-14
)  # rad, 0.0035°: motion capture is not finer, and rounded angles take half the disk
# Between stages the band often stays where it is, so sessions differ less than those of the typist,
# who takes it off each time.
_CONDITIONS = arm.Conditions(turn=0.07, gain=0.12, strength=0.12)
_EPOCH = 1_600_000_000


@dataclass(frozen=True)
class PoseRecording:
    """emg: float32 (samples, 16); joint_angles: float32 (samples, 20) rad, all zero where motion
    capture failed."""

    stage: str
    emg: np.ndarray
    joint_angles: np.ndarray


def stage_of(number: int) -> str:
    """The stages take turns within a split."""
    return list(gestures.STAGES)[number % len(gestures.STAGES)]


def simulate(
    split: str, number: int, seconds: float, seed: int = 0, conditions: arm.Conditions | None = None
) -> PoseRecording:
    """Simulate session `number` of a split; the same arguments give the same samples."""
    conditions = conditions or _CONDITIONS
    rng = np.random.default_rng([seed, zlib.crc32(f"pose {split}".encode()), number])
    anatomy = np.random.default_rng([seed, zlib.crc32(USER.encode())])
    units, delay = motor_units.pool(anatomy), hand_muscles.delays(anatomy)
    motion = gestures.motion(stage_of(number), seconds, rng)
    strength = np.exp(conditions.strength * rng.standard_normal((len(MUSCLES), 1))).astype(
        np.float32
    )
    excitation = hand_muscles.excitation(motion, delay, rng) * strength
    count = int(seconds * SAMPLE_RATE)
    emg = arm.record(units, excitation, count, conditions, arm.surroundings(conditions, rng), rng)
    angles = _sampled(motion, count)
    if number % 4 == 1:
        _lose_track(angles, rng)
    return PoseRecording(stage_of(number), emg, angles)


def _sampled(motion: np.ndarray, count: int) -> np.ndarray:
    """Angles at the EMG's rate, float32 (count, 20)."""
    at, grid = np.arange(count) / SAMPLE_RATE, np.arange(motion.shape[1]) / GRID
    angles = np.stack([np.interp(at, grid, joint) for joint in motion], axis=1)
    return (np.round(angles / _FINEST) * _FINEST).astype(np.float32)


def _lose_track(angles: np.ndarray, rng: np.random.Generator) -> None:
    """Two to four times the cameras lose the markers, for up to 1.5 s: zeros, as published."""
    for _ in range(int(rng.integers(2, 5))):
        length = int(rng.uniform(0.2, 1.5) * SAMPLE_RATE)
        at = int(rng.integers(max(len(angles) - length, 1)))
        angles[at : at + length] = 0


def write(
    path: Path, recording: PoseRecording, name: str, start: float = _EPOCH, **attributes: str
) -> None:
    """Write a recording as an emg2pose session with fletcher32 checksums, aside first, then
    renamed."""
    rows = np.empty(len(recording.emg), DTYPE)
    rows["time"] = start + np.arange(len(rows)) / SAMPLE_RATE
    rows["joint_angles"], rows["emg"] = recording.joint_angles, recording.emg
    about = {
        "session": name,
        "filename": path.stem,
        "dataset": "simulated",
        "user": USER,
        "side": SIDE,
        "stage": recording.stage,
        "start": start,
        "end": start + len(rows) / SAMPLE_RATE,
        "sample_rate": float(SAMPLE_RATE),
        "num_channels": ELECTRODES,
    }
    recording_file.write(path, GROUP, rows, about | attributes)

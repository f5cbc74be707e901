"""Pose sessions in memory: sEMG and joint angles, windows of them, and the angles at the steps of a
rollout."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from compress.data.clock import Segment
from compress.errors import RecordingError
from compress.report.progress import Bar
from compress.tasks.pose.session import PoseSession


@dataclass(frozen=True)
class Tracked:
    """A stretch of a session without a gap, and what it is called. emg float32 (n, 16); angles
    float32 (n, 20) rad; known bool (n,): whether inverse kinematics found the angles."""

    name: str
    emg: np.ndarray
    angles: np.ndarray
    known: np.ndarray

    def at(self, samples: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Angles and whether they are known at these samples; beyond the end nothing is known."""
        inside = np.minimum(samples, len(self.angles) - 1)
        return self.angles[inside], self.known[inside] & (samples < len(self.angles))


@dataclass(frozen=True)
class PoseWindows:
    """A batch: emg float32 (batch, 16, samples); angles (batch, frames, 20) rad and known (batch,
    frames) at the frames."""

    emg: np.ndarray
    angles: np.ndarray
    known: np.ndarray


def load(paths: Sequence[Path], least: int = 0) -> list[Tracked]:
    """Read sessions whole, each stretch without a gap by itself, of those with gaps only stretches
    of `least` samples; RecordingError when no angles of a session are known."""
    bar = Bar(paths, desc="read recordings", unit="session")
    return [part for path in bar for part in _parts(path, least)]


def _parts(path: Path, least: int) -> list[Tracked]:
    with PoseSession(path) as session:
        session.check()
        known, segments = session.no_ik_failure(), session.segments
        if not known.any():
            raise RecordingError(
                f"{path}: expected joint angles, found only failures of inverse kinematics (all"
                " angles zero)"
            )
        if len(segments) > 1:
            segments = tuple(s for s in segments if len(s) >= least)
        return [_tracked(session, segment, known) for segment in segments]


def _tracked(session: PoseSession, segment: Segment, known: np.ndarray) -> Tracked:
    start, stop = segment.start, segment.stop
    where = f", sample {start} on" if start else ""
    return Tracked(
        session.path.name + where,
        session.emg(start, stop),
        session.joint_angles(start, stop),
        known[start:stop],
    )


def draw(
    sessions: Sequence[Tracked],
    frames: int,
    stride: int,
    left: int,
    batch: int,
    gain: float,
    rng: np.random.Generator,
) -> PoseWindows:
    """Random windows of so many frames after `left` samples of context, each electrode's gain
    varied by a log-normal factor."""
    samples = left + (frames - 1) * stride + 1
    sizes = np.array([max(len(s.emg) - samples + 1, 0) for s in sessions], dtype=np.float64)
    if not sizes.any():
        raise RecordingError(
            f"training needs a session of {samples} samples or more, found at most"
            f" {max(map(_length, sessions))}"
        )
    windows = []
    for _ in range(batch):
        session = sessions[int(rng.choice(len(sessions), p=sizes / sizes.sum()))]
        start = int(rng.integers(len(session.emg) - samples + 1))
        angles, known = session.at(start + left + stride * np.arange(frames))
        windows.append((session.emg[start : start + samples].T, angles, known))
    emg, angles, known = (np.stack(parts) for parts in zip(*windows, strict=True))
    emg = emg * np.exp(gain * rng.standard_normal((batch, emg.shape[1], 1))).astype(np.float32)
    return PoseWindows(emg, angles, known)


def _length(session: Tracked) -> int:
    return len(session.emg)

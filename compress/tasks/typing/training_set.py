"""Sessions in memory for training: pooled frames and the labels typed in any window of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from compress.errors import RecordingError
from compress.tasks.typing import charset
from compress.tasks.typing.session import BANDS, ELECTRODES, SAMPLE_RATE, Session

_BLOCK = 1 << 17


@dataclass(frozen=True)
class Labelled:
    """frames: float16 (frames, 2, 16), means of `pooling` samples; labels (n,) and the frame in
    which each key went down (n,)."""

    frames: np.ndarray
    labels: np.ndarray
    onsets: np.ndarray

    def typed(self, start: int, stop: int) -> np.ndarray:
        """Labels of the keys pressed in frames start…stop."""
        low, high = np.searchsorted(self.onsets, [start, stop])
        return self.labels[low:high]


@dataclass(frozen=True)
class Windows:
    """A batch: frames float32 (time, batch, 2, 16); targets int64 (sum of lengths,); lengths int64
    (batch,)."""

    frames: np.ndarray
    targets: np.ndarray
    lengths: np.ndarray


def load(path: Path, pooling: int) -> Labelled:
    """Read a session whole; the mean pooling that the networks begin with has no parameters, so it
    is done once here."""
    with Session(path) as session:
        session.check()
        if session.condition != "on_keyboard":
            raise RecordingError(
                f"{path}: expected keystrokes (condition on_keyboard), found condition"
                f" {session.condition!r}"
            )
        size = _BLOCK - _BLOCK % pooling
        blocks = [
            _pool(session.emg(start, start + size), pooling)
            for start in range(0, len(session), size)
        ]
        origin = float(session.time(0, 1)[0])
        typed = [
            (charset.key_to_character(k["key"]), k["start"] - origin) for k in session.keystrokes
        ]
    typed = [(c, t) for c, t in typed if c]
    onsets = np.array([t for _, t in typed]) * SAMPLE_RATE / pooling
    labels = charset.encode("".join(c for c, _ in typed))
    return Labelled(np.concatenate(blocks), labels, np.floor(onsets).astype(np.int64))


def draw(
    sessions: Sequence[Labelled], length: int, batch: int, gain: float, rng: np.random.Generator
) -> Windows:
    """Random windows of `length` frames, each electrode's gain varied by a log-normal factor."""
    sizes = np.array([max(len(s.frames) - length, 0) for s in sessions], dtype=np.float64)
    frames = np.empty((length, batch, BANDS, ELECTRODES), np.float32)
    targets = []
    for i in range(batch):
        session = sessions[int(rng.choice(len(sessions), p=sizes / sizes.sum()))]
        start = int(rng.integers(len(session.frames) - length))
        frames[:, i] = session.frames[start : start + length]
        targets.append(session.typed(start, start + length))
    frames *= np.exp(gain * rng.standard_normal((batch, BANDS, ELECTRODES))).astype(np.float32)
    return Windows(
        frames,
        np.concatenate(targets).astype(np.int64),
        np.array([len(t) for t in targets], dtype=np.int64),
    )


def _pool(emg: np.ndarray, pooling: int) -> np.ndarray:
    whole = len(emg) - len(emg) % pooling
    return emg[:whole].reshape(-1, pooling, BANDS, ELECTRODES).mean(1).astype(np.float16)

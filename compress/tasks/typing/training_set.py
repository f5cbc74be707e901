"""Sessions in memory for training: pooled frames and the labels typed in any window of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from compress.data.clock import Segment
from compress.errors import RecordingError
from compress.report.progress import Bar
from compress.tasks.typing import charset
from compress.tasks.typing.session import BANDS, ELECTRODES, Session

_BLOCK = 1 << 17


@dataclass(frozen=True)
class Labelled:
    """A stretch of a session without a gap. name: what it is called; frames: float16
    (frames, 2, 16), means of `pooling` samples; labels (n,) and the frame in which each key went
    down (n,)."""

    name: str
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


def load(paths: Sequence[Path], pooling: int) -> list[Labelled]:
    """Read sessions whole, each stretch without a gap by itself; the mean pooling that the networks
    begin with has no parameters, so it is done once here."""
    bar = Bar(paths, desc="read recordings", unit="session")
    return [part for path in bar for part in _parts(path, pooling)]


def _parts(path: Path, pooling: int) -> list[Labelled]:
    with Session(path) as session:
        session.check()
        if session.condition != "on_keyboard":
            raise RecordingError(
                f"{path}: expected keystrokes (condition on_keyboard), found condition"
                f" {session.condition!r}"
            )
        return [_labelled(session, segment, pooling) for segment in session.segments]


def _labelled(session: Session, segment: Segment, pooling: int) -> Labelled:
    blocks = segment.blocks(_BLOCK - _BLOCK % pooling)
    frames = np.concatenate([_pool(session.emg(*block), pooling) for block in blocks])
    keys = session.keys(segment.start, segment.stop)
    onsets = np.array([at for at, _ in keys]) / pooling
    labels = charset.encode("".join(character for _, character in keys))
    where = f", sample {segment.start} on" if segment.start else ""
    return Labelled(session.path.name + where, frames, labels, np.floor(onsets).astype(np.int64))


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

"""Which recordings calibrate and which are held out: the simulated set, or a folder of the user's own sessions."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from compress.data import recordings
from compress.data.session import SAMPLE_RATE, Session
from compress.errors import RecordingError

SUFFIXES = (".hdf5", ".h5")
CALIBRATION_SECONDS = 120.0


@dataclass(frozen=True)
class Dataset:
    """Disjoint sessions; `simulated` is true when any of them says so itself."""

    calibration: list[Path]
    heldout: list[Path]
    simulated: bool

    @property
    def origin(self) -> str:
        """How figures from these recordings must be named."""
        return "simulated recordings" if self.simulated else "recordings"


def find(data: Path | None, build: Path) -> Dataset:
    """Sessions under `data`, or the simulated ones (made when missing).

    A folder with `calibration` and `heldout` is taken as it is; of any other the first session by name calibrates
    and the rest are held out.
    """
    if data is None:
        root = build / "recordings"
        return Dataset(recordings.ensure(root, "calibration"), recordings.ensure(root, "heldout"), True)
    if not data.is_dir():
        raise RecordingError(f"{data}: expected a folder of emg2qwerty sessions (*.hdf5), found no such folder")
    if (data / "calibration").is_dir() and (data / "heldout").is_dir():
        calibration, heldout = sessions(data / "calibration"), sessions(data / "heldout")
    else:
        everything = sessions(data)
        if len(everything) < 2:
            raise RecordingError(
                f"{data}: expected at least 2 sessions, one to calibrate and others to score, found {len(everything)}"
            )
        calibration, heldout = everything[:1], everything[1:]
    return Dataset(calibration, heldout, any(is_simulated(p) for p in calibration + heldout))


def sessions(folder: Path) -> list[Path]:
    """Session files of a folder by name; RecordingError when there are none."""
    paths = sorted(p for p in folder.iterdir() if p.suffix in SUFFIXES)
    if not paths:
        raise RecordingError(f"{folder}: expected emg2qwerty sessions ({', '.join(SUFFIXES)}), found none")
    return paths


def is_simulated(path: Path) -> bool:
    """Whether the file says that a simulator wrote it."""
    with Session(path) as session:
        return session.user.startswith("simulated")


def samples(path: Path, seconds: float | None = None) -> np.ndarray:
    """A session's signal as float32 (samples, 32), feature = band·16 + electrode; the first `seconds` only when given."""
    with Session(path) as session:
        session.check()
        stop = len(session) if seconds is None else min(len(session), round(seconds * SAMPLE_RATE))
        return session.emg(0, stop).reshape(stop, -1)


def load_input(path: Path) -> np.ndarray:
    """One input as float32 (samples, 32): a recording, or a `.npy` of shape (samples, 2, 16)."""
    if path.suffix != ".npy":
        return samples(path)
    try:
        array = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise RecordingError(f"{path}: cannot be read as .npy: {error}") from error
    if array.ndim != 3 or array.shape[1:] != (2, 16) or array.dtype.kind not in "fiu":
        raise RecordingError(f"{path}: expected numbers of shape (samples, 2, 16), found {array.dtype} {array.shape}")
    bad = np.argwhere(~np.isfinite(array))
    if len(bad):
        raise RecordingError(f"{path}: {len(bad)} NaN or infinite values, first at sample {bad[0][0]}, band {bad[0][1]}")
    return array.astype(np.float32).reshape(len(array), -1)

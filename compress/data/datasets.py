"""Which recordings calibrate and which are held out: the simulated set, or a folder of the user's
own sessions."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from compress.data import metadata, recordings
from compress.data.recordings import Collection
from compress.errors import RecordingError
from compress.reading import arrays
from compress.reading.text import UnreadableError
from compress.reading.words import one_line

CALIBRATION_SECONDS = 120.0


@dataclass(frozen=True)
class Dataset:
    """Disjoint sessions; `simulated` is true when any of them says so itself. Not `scored`: one
    signal that calibrates and is compared on, whatever it says of what is right."""

    calibration: list[Path]
    heldout: list[Path]
    simulated: bool
    scored: bool = True

    @property
    def origin(self) -> str:
        """How figures from these recordings must be named."""
        return "simulated recordings" if self.simulated else "recordings"


def find(data: Path | None, build: Path, collection: Collection) -> Dataset:
    """Sessions under `data`, or the simulated ones of a collection (made when missing).

    A folder with `calibration` and `heldout` is taken as it is. Of one with a metadata.csv the
    first validation recording (or training, if there is none) calibrates and the test recordings
    are held out. Of any other the first session by name calibrates and the rest are held out.
    """
    if data is None:
        root = build / collection.folder
        calibration, heldout = (
            recordings.ensure(root, split, collection) for split in ("calibration", "heldout")
        )
        return Dataset(calibration, heldout, True)
    if not data.is_dir():
        raise RecordingError(
            f"{data}: expected a folder of {collection.group} sessions"
            f" (*{collection.suffixes[0]}), found no such"
            " folder"
        )
    if (data / "calibration").is_dir() and (data / "heldout").is_dir():
        calibration, heldout = (
            sessions(data / "calibration", collection),
            sessions(data / "heldout", collection),
        )
    elif (data / metadata.NAME).is_file():
        calibration, heldout = _published_splits(data / metadata.NAME)
    else:
        everything = sessions(data, collection)
        if len(everything) < 2:
            raise RecordingError(
                f"{data}: expected at least 2 sessions, one to calibrate and others to score, found"
                f" {len(everything)}"
            )
        calibration, heldout = everything[:1], everything[1:]
    return Dataset(
        calibration, heldout, any(collection.is_simulated(p) for p in calibration + heldout)
    )


def _published_splits(table: Path) -> tuple[list[Path], list[Path]]:
    found = metadata.splits(table)
    calibration = (found["val"] or found["train"])[:1]
    if not calibration or not found["test"]:
        there = ", ".join(f"{len(paths)} {split}" for split, paths in found.items())
        raise RecordingError(
            f"{table}: expected a val or train recording to calibrate and test ones to score, found"
            f" {there}"
        )
    return calibration, found["test"]


def sessions(folder: Path, collection: Collection) -> list[Path]:
    """Session files of a folder by name; RecordingError when there are none."""
    paths = sorted(p for p in folder.iterdir() if p.suffix in collection.suffixes)
    if not paths:
        raise RecordingError(
            f"{folder}: expected {collection.group} sessions ({', '.join(collection.suffixes)}),"
            " found none"
        )
    return paths


def load_array(path: Path) -> np.ndarray:
    """The numbers of a `.npy`, all finite; RecordingError says what else was found."""
    try:
        array = arrays.read(path)
    except UnreadableError as error:
        raise RecordingError(f"{path}: {error}") from error
    if array.dtype.kind not in "fiu" or not array.size:
        expected = "numbers" if array.size else "at least one number"
        raise RecordingError(
            f"{path}: expected {expected}, real ones, found"
            f" {one_line(f'{array.dtype} {array.shape}')}; convert it before it is saved"
        )
    with np.errstate(over="ignore"):
        array = array.astype(np.float32, copy=False)
    bad = np.argwhere(~np.isfinite(array))
    if len(bad):
        raise RecordingError(
            f"{path}: expected finite numbers within float32, found {len(bad)} that are not, the"
            f" first at {tuple(int(i) for i in bad[0])}; cut that part out"
        )
    return array

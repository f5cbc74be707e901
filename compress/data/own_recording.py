"""Recordings of one's own: a file of arrays, `.npz` or HDF5, read whole and never trusted.

    emg     (samples, electrodes), integers or floats: the numbers are taken as they are
    rate    samples per second, one number; of HDF5 also as an attribute of the file
    label   (samples,), integers: the class of each sample, −1 where none counts; optional
    target  (samples, outputs), numbers: what to say at each sample, NaN where none counts; optional
    time    (samples,), numbers: when each sample was recorded, seconds from any moment; optional:
            it tells where samples were lost (`clock`)

Pickled objects are not read, links are not followed. What else a file holds is not looked at, but
for `simulator`, by which a simulator says that it wrote it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from compress.data.clock import Clock, Harm, Segment, Timing, worst
from compress.data.recording_file import AGAIN, TO_DO, recorded_digest, verify_digest
from compress.errors import RecordingError
from compress.reading import arrays, hdf5
from compress.reading.limited import Refusal
from compress.reading.text import UnreadableError
from compress.reading.words import advised, one_line
from compress.report.said import once

Array = npt.NDArray[Any]
SUFFIXES = (".npz", ".hdf5", ".h5")
SIMULATOR = "simulator"
_NUMBERS = ("rate", "emg", "label", "target", "time")
_LAYOUT = "emg (samples, electrodes) and rate (Hz)"
_SAME_RATE = 1e-6  # a rate is the same up to this share of it: it may have gone through text


@dataclass(frozen=True)
class OwnRecording:
    """emg: float32 (samples, electrodes), finite; rate: Hz; label: int64 (samples,), −1 and more;
    target: float32 (samples, outputs), finite or NaN; timing: what the time stamps say."""

    path: Path
    emg: Array
    rate: float
    label: Array | None = None
    target: Array | None = None
    timing: Timing | None = None

    @property
    def segments(self) -> tuple[Segment, ...]:
        """The stretches between which samples were lost, as its `time` tells; else all of it."""
        return (
            (Segment(self.path, 0, len(self.emg)),)
            if self.timing is None
            else self.timing.segments(self.path)
        )

    def expect(self, rate: float, electrodes: int) -> OwnRecording:
        """The same recording; RecordingError unless it has this rate and so many electrodes."""
        if abs(self.rate - rate) > _SAME_RATE * rate:
            raise RecordingError(
                f"{self.path}: rate: expected {rate:g} Hz as the network has it, found"
                f" {self.rate:g}; resample the recording"
            )
        _check_electrodes(self.path, self.emg, electrodes)
        return self


def read(path: Path, electrodes: int | None = None) -> OwnRecording:
    """A recording, of so many electrodes if that is given; RecordingError says what of it was
    expected, what was found and what to do."""
    found = _arrays(path, _NUMBERS)
    missing = [name for name in ("emg", "rate") if name not in found]
    if missing:
        raise RecordingError(
            f"{path}: expected {_LAYOUT}, found no {' and no '.join(missing)}; save them under"
            " these names"
        )
    emg = _emg(path, found["emg"])
    if electrodes is not None:  # before labels are counted along the wrong dimension
        _check_electrodes(path, emg, electrodes)
    rate = _rate(path, found["rate"])
    return OwnRecording(
        path,
        emg,
        rate,
        _label(path, found["label"], len(emg)) if "label" in found else None,
        _target(path, found["target"], len(emg)) if "target" in found else None,
        _timing(path, found["time"], len(emg), rate) if "time" in found else None,
    )


def is_simulated(path: Path) -> bool:
    """Whether the file says that a simulator wrote it."""
    with _opened(path):
        if path.suffix.lower() == ".npz":
            return SIMULATOR in arrays.names(path)
        with hdf5.File(path) as file:
            return SIMULATOR in file.names() or SIMULATOR in file.attributes()


def write(path: Path, arrays: Mapping[str, Array | float], simulator: str) -> None:
    """Write a simulated recording as HDF5 with checksums, aside first, then renamed; RecordingError
    when it cannot."""
    import h5py

    aside = path.with_name(f".{path.name}.tmp")
    path.parent.mkdir(parents=True, exist_ok=True)
    packed: dict[str, Any] = {"compression": "gzip", "compression_opts": 1, "fletcher32": True}
    try:
        with h5py.File(aside, "w") as file:
            file.attrs[SIMULATOR] = simulator
            for name, array in arrays.items():
                file.create_dataset(name, data=array, **(packed if np.ndim(array) else {}))
        aside.replace(path)
    except OSError as error:
        raise RecordingError(
            f"{path}: cannot be written: {error}; make room or choose another folder"
        ) from error
    finally:
        aside.unlink(missing_ok=True)


# --- files ----------------------------------------------------------------------------------------


@contextmanager
def _opened(path: Path) -> Iterator[None]:
    """While a file is read: RecordingError for what cannot be."""
    if not path.is_file():
        raise RecordingError(f"{path}: no such recording")
    verify_digest(path, recorded_digest(path))
    try:
        yield
    except (Refusal, UnreadableError) as error:
        raise RecordingError(f"{path}: {advised(error, AGAIN)}") from error


def _arrays(path: Path, names: tuple[str, ...]) -> dict[str, Any]:
    """Those of the named arrays that the file has, whatever their dtype and shape."""
    with _opened(path):
        return (
            arrays.read_archive(path, names)
            if path.suffix.lower() == ".npz"
            else _hdf5(path, names)
        )


def _hdf5(path: Path, names: tuple[str, ...]) -> dict[str, Any]:
    """Arrays; the rate also as an attribute of the file."""
    with hdf5.File(path) as file:
        there, said = file.names(), file.attributes()
        found = {"rate": np.asarray(said["rate"])} if "rate" in said else {}
        return found | {name: _dataset(file, name) for name in names if name in there}


def _dataset(file: hdf5.File, name: str) -> Any:
    """One array that lies in this file itself."""
    try:
        return file.array(name).read()
    except Refusal as refusal:
        raise Refusal(f"{name}: {refusal}") from refusal


# --- what the arrays must be ----------------------------------------------------------------------


def _numbers(path: Path, name: str, value: Any, kinds: str = "iuf") -> Array:
    """An array of numbers of these kinds (numpy's letters)."""
    array = np.asarray(value)
    if array.dtype.kind not in kinds:
        expected = "integers" if kinds == "iu" else "integers or floats"
        raise RecordingError(
            f"{path}: {name}: expected {expected}, found"
            f" {one_line(f'{array.dtype} {array.shape}')}; convert it before it is saved"
        )
    return array


def _emg(path: Path, value: Any) -> Array:
    array = _numbers(path, "emg", value)
    if array.ndim != 2 or not array.size:
        raise RecordingError(
            f"{path}: emg: expected (samples, electrodes), found {array.shape}; one row for each"
            " sample"
        )
    with np.errstate(over="ignore"):  # what float32 cannot hold is found below
        emg = np.asarray(array, np.float32)
    bad = np.argwhere(~np.isfinite(emg))
    if len(bad):
        sample, electrode = (int(i) for i in bad[0])
        raise RecordingError(
            f"{path}: emg: expected finite numbers within float32, found {len(bad)} that are not,"
            f" the first at sample {sample}, electrode {electrode}; cut that part out"
        )
    return emg


def _check_electrodes(path: Path, emg: Array, electrodes: int) -> None:
    """RecordingError where a sample has not so many."""
    if emg.shape[1] != electrodes:
        do = "transpose it" if len(emg) == electrodes else "give the network's, each a column"
        raise RecordingError(
            f"{path}: emg: expected (samples, {electrodes}) as the network has it, found"
            f" {emg.shape}; {do}"
        )


def _rate(path: Path, value: Any) -> float:
    array = _numbers(path, "rate", value)
    rate = float(array.reshape(-1)[0]) if array.size == 1 else 0.0
    if not (np.isfinite(rate) and rate > 0):
        found = array.reshape(-1)[0] if array.size == 1 else f"shape {array.shape}"
        raise RecordingError(
            f"{path}: rate: expected one positive number, samples per second, found {found}; save"
            " the rate of emg"
        )
    return rate


def _label(path: Path, value: Any, samples: int) -> Array:
    array = _numbers(path, "label", value, "iu")
    if array.shape != (samples,):
        raise RecordingError(
            f"{path}: label: expected ({samples},), one for each sample of emg, found"
            f" {array.shape}; repeat or cut it to the samples"
        )
    label = array.astype(np.int64)
    wrong = np.flatnonzero(label < -1)
    if len(wrong):
        raise RecordingError(
            f"{path}: label: expected a class or −1 for none, found {array[wrong[0]]} at sample"
            f" {wrong[0]}; write −1 where no class counts"
        )
    return label


def _target(path: Path, value: Any, samples: int) -> Array:
    array = _numbers(path, "target", value)
    if array.ndim != 2 or len(array) != samples or not array.shape[1]:
        raise RecordingError(
            f"{path}: target: expected ({samples}, outputs), a row for each sample of emg, found"
            f" {array.shape}; interpolate it to the samples, each output a column"
        )
    with np.errstate(over="ignore"):
        target = np.asarray(array, np.float32)
    wrong = np.argwhere(np.isinf(target))
    if len(wrong):
        raise RecordingError(
            f"{path}: target: expected numbers within float32, or NaN where none counts, found"
            f" {len(wrong)} infinite ones, the first at sample {wrong[0][0]}; write NaN there"
        )
    return target


def _timing(path: Path, value: Any, samples: int, rate: float) -> Timing:
    array = _numbers(path, "time", value)
    if array.shape != (samples,):
        raise RecordingError(
            f"{path}: time: expected ({samples},), one for each sample of emg, found {array.shape};"
            " give each sample its time, or another name to this array"
        )
    stamps = Clock(rate)
    stamps.add(array)
    timing = stamps.timing()
    refused = worst(timing.findings, Harm.SIGNAL)
    if refused is not None:
        raise RecordingError(f"{path}: time: {refused.words}; {TO_DO[refused.kind]}")
    for finding in timing.findings:
        once(f"{path}: {finding.words}")
    return timing

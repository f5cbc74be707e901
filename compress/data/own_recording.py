"""Recordings of one's own: a file of arrays, `.npz` or HDF5, never trusted. What is long stays on
disk.

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

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from compress.data import on_disk
from compress.data.array_file import as_float32
from compress.data.clock import Clock, Harm, Segment, Timing, worst
from compress.data.own_file import SIMULATOR, OwnFile
from compress.data.recording_file import TO_DO, told
from compress.errors import RecordingError
from compress.graph.samples import OnDisk
from compress.reading.words import one_line
from compress.report.said import once

Array = npt.NDArray[Any]
SUFFIXES = (".npz", ".hdf5", ".h5")
_LAYOUT = "emg (samples, electrodes) and rate (Hz)"
_SAME_RATE = 1e-6  # a rate is the same up to this share of it: it may have gone through text


@dataclass(frozen=True)
class OwnRecording:
    """emg: float32 (samples, electrodes), finite; rate: Hz; label: int64 (samples,), −1 and more;
    target: float32 (samples, outputs), finite or NaN; timing: what the time stamps say. Long arrays
    are `OnDisk`: what is read of them later is known to be such numbers."""

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
        _check_electrodes(self.path, self.emg.shape, electrodes)
        return self


def read(path: Path, electrodes: int | None = None) -> OwnRecording:
    """A recording, of so many electrodes if that is given; RecordingError says what of it was
    expected, what was found and what to do. All of it is looked at, some rows at a time."""
    file = OwnFile(path)
    try:
        found = _read(file, electrodes)
    except BaseException:
        file.close()
        raise
    if any(isinstance(array, OnDisk) for array in (found.emg, found.label, found.target)):
        on_disk.keep(file)
    else:
        file.close()
    return found


def _read(file: OwnFile, electrodes: int | None) -> OwnRecording:
    path = file.path
    missing = [name for name in ("emg", "rate") if name not in file]
    if missing:
        raise RecordingError(
            f"{path}: expected {_LAYOUT}, found no {' and no '.join(missing)}; save them under"
            " these names"
        )
    emg = _emg(file, electrodes)
    rate = _rate(path, file)
    return OwnRecording(
        path,
        emg,
        rate,
        _label(file, len(emg)) if "label" in file else None,
        _target(file, len(emg)) if "target" in file else None,
        _timing(file, len(emg), rate) if "time" in file else None,
    )


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


# --- what the arrays must be ----------------------------------------------------------------------


def _expect_numbers(file: OwnFile, name: str, kinds: str = "iuf") -> None:
    """RecordingError where an array is not one of numbers of these kinds (numpy's letters)."""
    dtype = file.like(name).dtype
    if dtype.kind not in kinds:
        expected = "integers" if kinds == "iu" else "integers or floats"
        raise RecordingError(
            f"{file.path}: {name}: expected {expected}, found"
            f" {one_line(f'{dtype} {file.shape(name)}')}; convert it before it is saved"
        )


def _emg(file: OwnFile, electrodes: int | None) -> Array:
    path, shape = file.path, file.shape("emg")
    _expect_numbers(file, "emg")
    if len(shape) != 2 or not all(shape):
        raise RecordingError(
            f"{path}: emg: expected (samples, electrodes), found {shape}; one row for each sample"
        )
    bad, first = 0, (0, 0)
    for start, rows in file.blocks("emg"):
        places = np.argwhere(~np.isfinite(as_float32(rows)))
        if len(places) and not bad:
            first = start + int(places[0][0]), int(places[0][1])
        bad += len(places)
    if bad:
        raise RecordingError(
            f"{path}: emg: expected finite numbers within float32, found {bad} that are not,"
            f" the first at sample {first[0]}, electrode {first[1]}; cut that part out"
        )
    if electrodes is not None:  # before labels are counted along the wrong dimension
        _check_electrodes(path, shape, electrodes)
    return on_disk.stretch(file, "emg", 0, shape[0])


def _check_electrodes(path: Path, shape: tuple[int, ...], electrodes: int) -> None:
    """RecordingError where a sample has not so many."""
    if shape[1] != electrodes:
        do = "transpose it" if shape[0] == electrodes else "give the network's, each a column"
        raise RecordingError(
            f"{path}: emg: expected (samples, {electrodes}) as the network has it, found"
            f" {shape}; {do}"
        )


def _rate(path: Path, file: OwnFile) -> float:
    _expect_numbers(file, "rate")
    shape = file.shape("rate")
    value = file.read("rate").reshape(-1)[0] if math.prod(shape) == 1 else None
    rate = 0.0 if value is None else float(value)
    if not (np.isfinite(rate) and rate > 0):
        found = f"shape {shape}" if value is None else value
        raise RecordingError(
            f"{path}: rate: expected one positive number, samples per second, found {found}; save"
            " the rate of emg"
        )
    return rate


def _label(file: OwnFile, samples: int) -> Array:
    path, shape = file.path, file.shape("label")
    _expect_numbers(file, "label", "iu")
    if shape != (samples,):
        raise RecordingError(
            f"{path}: label: expected ({samples},), one for each sample of emg, found"
            f" {shape}; repeat or cut it to the samples"
        )
    for start, rows in file.blocks("label"):
        wrong = np.flatnonzero(rows.astype(np.int64) < -1)
        if len(wrong):
            raise RecordingError(
                f"{path}: label: expected a class or −1 for none, found {rows[wrong[0]]} at sample"
                f" {start + wrong[0]}; write −1 where no class counts"
            )
    return on_disk.stretch(file, "label", 0, samples)


def _target(file: OwnFile, samples: int) -> Array:
    path, shape = file.path, file.shape("target")
    _expect_numbers(file, "target")
    if len(shape) != 2 or shape[0] != samples or not shape[1]:
        raise RecordingError(
            f"{path}: target: expected ({samples}, outputs), a row for each sample of emg, found"
            f" {shape}; interpolate it to the samples, each output a column"
        )
    wrong, first = 0, 0
    for start, rows in file.blocks("target"):
        places = np.argwhere(np.isinf(as_float32(rows)))
        if len(places) and not wrong:
            first = start + int(places[0][0])
        wrong += len(places)
    if wrong:
        raise RecordingError(
            f"{path}: target: expected numbers within float32, or NaN where none counts, found"
            f" {wrong} infinite ones, the first at sample {first}; write NaN there"
        )
    return on_disk.stretch(file, "target", 0, samples)


def _timing(file: OwnFile, samples: int, rate: float) -> Timing:
    path, shape, dtype = file.path, file.shape("time"), file.like("time").dtype
    _expect_numbers(file, "time")
    if shape != (samples,):
        raise RecordingError(
            f"{path}: time: expected ({samples},), one for each sample of emg, found {shape};"
            " give each sample its time, or another name to this array"
        )
    stamps, largest = Clock(rate), dtype.type(0)
    for _, rows in file.blocks("time"):
        largest = np.maximum(largest, np.abs(rows).max())
        stamps.add(rows)
    timing = stamps.timing()
    apart = float(np.spacing(largest)) if dtype.kind == "f" else 0.0
    if not stamps.broken and dtype.itemsize < 8 and apart * rate > 1.0:
        raise RecordingError(
            f"{path}: time: expected a stamp for each sample, found {dtype}, which at"
            f" {largest:g} tells no less than {apart:g} s apart; save it as float64, or"
            " from the first sample on"
        )
    refused = worst(timing.findings, Harm.SIGNAL)
    if refused is not None:
        raise RecordingError(f"{path}: time: {refused.words}; {TO_DO[refused.kind]}")
    for finding in timing.findings:
        once(f"{path}: {told(finding)}")
    return timing

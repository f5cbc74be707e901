"""What every recording on disk shares: one HDF5 group with a compound dataset `timeseries`, read in
pieces and never trusted.

EMG stays on disk until it is asked for. A file that is damaged, foreign or not finite is refused
with what was expected, what was found and what to do. Each task's own reader says which group,
fields and attributes its files have.
"""

from __future__ import annotations

import hashlib
import math
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar, Self, TypeVar

import numpy as np

from compress.data import events
from compress.data.clock import Clock, Finding, Harm, Segment, Timing, worst
from compress.errors import RecordingError
from compress.reading import hdf5, text
from compress.reading.limited import Refusal
from compress.reading.words import advised, one_line, refuses_in_one_line
from compress.report.said import once

DATASET = "timeseries"
SAMPLE_RATE, ELECTRODES = 2000, 16
SUMS = "SHA256SUMS"
AGAIN = "copy or download it again"
_BLOCK = 1 << 16
_SHA256 = re.compile(r"[0-9a-fA-F]{64}")
Answer = TypeVar("Answer")
TO_DO = {  # about each kind of finding that is refused
    "number": "write the time of that sample",
    "stray": "write there the time between those beside it",
    "wrap": "add what it had counted from there on",
    "backwards": AGAIN,
    "far": "give all samples the time of one clock",
    "still": "store the time of each sample",
    "unit": "store seconds",
    "rate": "resample the recording to the network's rate",
    "lost": "cut that part out",
    "twice": "cut that part out",
    "halt": "cut that part out, or store the time of each sample",
    "apart": "store the labels by the clock of the samples",
}


class RecordingFile(ABC):
    """One open recording. Context manager; len() is its number of samples; RecordingError refuses a
    bad file.

    sha256: expected digest of the whole file in hex. Without it, a line for the file in
    `SHA256SUMS` beside it is used, if any. A subclass names the group, what its files are called,
    and the dtypes each field may have, and says what it reads of them.
    """

    GROUP: ClassVar[str]
    KIND: ClassVar[str]
    FIELDS: ClassVar[Mapping[str, tuple[np.dtype, ...]]]
    BY_TIME: ClassVar[bool] = False  # whether labels are taken by the samples' time stamps

    @refuses_in_one_line
    def __init__(self, path: str | Path, sha256: str | None = None, checked: bool = False) -> None:
        """`checked`: the digest was compared before."""
        self.path = Path(path)
        if not self.path.is_file():
            raise RecordingError(f"{self.path}: no such recording")
        expected = sha256 or recorded_digest(self.path)
        if not checked:
            verify_digest(self.path, expected)
        self._timing: Timing | None = None
        self._file = hdf5.File(self.path)
        try:
            self._series = self._timeseries()
            found = self._ask(self._file.attributes, self.GROUP)
            self.attributes: dict[str, Any] = self._checked_attributes(found)
        except RecordingError:
            self._file.close()
            raise
        except Exception as error:  # what checks meet in attributes that are not as they should be
            self._file.close()
            raise RecordingError(
                f"{self.path}: its attributes are damaged: {one_line(error)}; {AGAIN}"
            ) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give the file back; reading afterwards is an error."""
        self._file.close()

    def __len__(self) -> int:
        return int(self._series.shape[0])

    @property
    def seconds(self) -> float:
        """Length of the signal in seconds of 2 kHz samples."""
        return len(self) / SAMPLE_RATE

    def time(self, start: int = 0, stop: int | None = None) -> np.ndarray:
        """Recorded times of samples start…stop, float64 unix seconds."""
        return self._read_field("time", start, stop)

    def samples(self, start: int = 0, stop: int | None = None) -> np.ndarray:
        """Samples start…stop as a network takes them, float32 (n, electrodes): finite."""
        emg = self._finite_emg(start, stop)
        return emg.reshape(len(emg), math.prod(emg.shape[1:]))

    def _ends(self, start: int, stop: int | None) -> tuple[float, float]:
        """Time stamps of the first and the last of samples start…stop; none lies between the two
        where there is no sample."""
        stop = len(self) if stop is None else min(stop, len(self))
        if stop <= start:
            return math.inf, -math.inf
        return float(self.time(start, start + 1)[0]), float(self.time(stop - 1, stop)[0])

    def places(self, times: np.ndarray, start: int = 0, stop: int | None = None) -> np.ndarray:
        """Which of samples start…stop was being recorded at each of these times, which are in order
        and within the time stamps of these samples: float64, between two stamps in proportion."""
        stop = len(self) if stop is None else min(stop, len(self))
        found = np.full(len(times), float(start))
        for begin in range(start, stop, _BLOCK):
            stamps = self.time(begin, min(begin + _BLOCK, stop))
            later = np.searchsorted(times, stamps[0])
            found[later:] = begin + events.places(stamps, times[later:])
        return found

    @property
    def timing(self) -> Timing:
        """What the time stamps of all samples say (`clock`); read once, block by block."""
        if self._timing is None:
            stamps = Clock(SAMPLE_RATE)
            for start in range(0, len(self), _BLOCK):
                stamps.add(self.time(start, start + _BLOCK))
            self._timing = stamps.timing()
        return self._timing

    @property
    def segments(self) -> tuple[Segment, ...]:
        """The stretches between which samples were lost: one, in a recording without a gap. A
        stream begins anew with each."""
        return self.timing.segments(self.path)

    def look(self) -> None:
        """RecordingError for what the first block of stamps and the last one say of all of them:
        their rate, their unit, and labels of another time. Reads little."""
        stamps = Clock(SAMPLE_RATE)
        stamps.add(self.time(0, _BLOCK))
        least = Harm.LABELS if self.BY_TIME else Harm.SIGNAL
        findings = [*stamps.timing().findings, *self._labels_apart([self._ends(0, None)])]
        self._refuse(findings, least)

    def check(self, labels: bool = True) -> None:
        """Read everything once: RecordingError for damaged blocks, NaN or infinite samples, and
        time stamps by which the samples would be wrong, or the labels where these count. What else
        is to be known of the stamps is said, once."""
        stamps, bad, first = Clock(SAMPLE_RATE), 0, None
        for start, rows in self._blocks():
            stamps.add(rows["time"])
            if stamps.broken:
                break
            self._check_labels(rows, start)
            places = np.argwhere(~np.isfinite(self._emg(rows)))
            bad += len(places)
            if len(places) and first is None:
                first = (start + int(places[0][0]), tuple(int(i) for i in places[0][1:]))
        if first is not None:
            raise RecordingError(self._non_finite(bad, *first))
        self._timing = stamps.timing()
        least = Harm.LABELS if labels and self.BY_TIME else Harm.SIGNAL
        self._refuse(self._timing.findings, least)  # before stamps are compared with labels
        spans = [self._ends(segment.start, segment.stop) for segment in self.segments]
        findings = [*self._timing.findings, *self._labels_apart(spans)]
        self._refuse(findings, least)
        for finding in findings:
            once(f"warning: {self.path}: {told(finding)}")

    def _refuse(self, findings: Sequence[Finding], least: Harm) -> None:
        """RecordingError where the stamps do harm, from `least` on."""
        finding = worst(findings, least)
        if finding is not None:
            raise RecordingError(f"{self.path}: {finding.words}; {TO_DO[finding.kind]}")

    def _labels_apart(self, spans: Sequence[tuple[float, float]]) -> list[Finding]:
        """Labels with stamps of their own that do not lie within these spans of recorded time."""
        return []

    @abstractmethod
    def _emg(self, rows: np.ndarray) -> np.ndarray:
        """The EMG of some rows, float32 (n, …, 16)."""

    @abstractmethod
    def _electrode(self, place: tuple[int, ...]) -> str:
        """How to name the place of a sample among the electrodes."""

    @abstractmethod
    def _checked_attributes(self, found: dict[str, Any]) -> dict[str, Any]:
        """The attributes, checked as far as they are used."""

    @abstractmethod
    def _check_labels(self, rows: np.ndarray, start: int) -> None:
        """What must hold of the labels in a block that begins at sample `start`."""

    def _finite_emg(self, start: int, stop: int | None) -> np.ndarray:
        emg = self._emg(self._read(start, stop))
        if not np.isfinite(emg).all():
            places = np.argwhere(~np.isfinite(emg))
            raise RecordingError(
                self._non_finite(
                    len(places), start + int(places[0][0]), tuple(int(i) for i in places[0][1:])
                )
            )
        return emg

    def _blocks(self) -> Iterator[tuple[int, np.ndarray]]:
        for start in range(0, len(self), _BLOCK):
            yield start, self._read(start, start + _BLOCK)

    def _read(self, start: int, stop: int | None) -> np.ndarray:
        return self._read_of("", start, stop)

    def _read_field(self, name: str, start: int, stop: int | None) -> np.ndarray:
        """One field alone; the others are not kept."""
        return self._read_of(name, start, stop)

    def _read_of(self, field: str, start: int, stop: int | None) -> np.ndarray:
        stop = len(self) if stop is None else min(stop, len(self))
        try:
            return self._series.read(start, stop, field)
        except Refusal as refusal:
            raise RecordingError(
                f"{self.path}: samples {start}…{stop} ({start / SAMPLE_RATE:.3f} s on) cannot be"
                f" read: {refusal}; the file is damaged: {AGAIN}"
            ) from refusal

    def _ask(self, question: Callable[[str], Answer], name: str) -> Answer:
        """What the file says of something in it."""
        try:
            return question(name)
        except Refusal as refusal:
            raise RecordingError(f"{self.path}: {name}: {advised(refusal, AGAIN)}") from refusal

    def _timeseries(self) -> hdf5.Array:
        if self.GROUP not in self._ask(self._file.names, "/"):
            raise RecordingError(
                f"{self.path}: expected an HDF5 group {self.GROUP!r}; this is not an {self.KIND}"
            )
        there = self._ask(self._file.names, self.GROUP)
        if DATASET not in there:
            raise RecordingError(
                f"{self.path}: expected a dataset {self.GROUP}/{DATASET}, found"
                f" {one_line(', '.join(there)) or 'nothing'}"
            )
        series = self._ask(self._file.array, f"{self.GROUP}/{DATASET}")
        for name, allowed in self.FIELDS.items():
            found = series.dtype[name] if name in (series.dtype.names or ()) else None
            if found is None or found not in allowed:  # numpy holds None for float64
                expected = " or ".join(str(dtype) for dtype in allowed)
                raise RecordingError(
                    f"{self.path}: {DATASET}.{name}: expected {expected}, found"
                    f" {'no such field' if found is None else one_line(found)}"
                )
        if len(series.shape) != 1:
            raise RecordingError(
                f"{self.path}: {DATASET}: expected one dimension, found shape {series.shape}"
            )
        if series.shape[0] == 0:
            raise RecordingError(f"{self.path}: {DATASET}: zero length: there are no samples in it")
        return series

    def _check_present(self, found: dict[str, Any], wanted: tuple[str, ...]) -> None:
        """RecordingError when an attribute is missing."""
        missing = [name for name in wanted if name not in found]
        if missing:
            raise RecordingError(
                f"{self.path}: attributes missing: {', '.join(missing)}; this is not a whole"
                f" {self.KIND}"
            )

    def _non_finite(self, count: int, sample: int, place: tuple[int, ...]) -> str:
        return (
            f"{self.path}: expected finite EMG, found {count} NaN or infinite values, the first at"
            f" sample {sample} ({sample / SAMPLE_RATE:.4f} s), {self._electrode(place)}; record it"
            " again or cut that part out"
        )


def told(finding: Finding) -> str:
    """What is said of a finding that is not refused: with what to do, where it can do harm."""
    return finding.words + (f"; {TO_DO[finding.kind]}" if finding.harm is not Harm.NONE else "")


def fields(dtype: np.dtype) -> dict[str, tuple[np.dtype, ...]]:
    """Every field of a compound dtype with the one dtype that it may have."""
    return {name: (dtype[name],) for name in dtype.names or ()}


def recorded_digest(path: Path) -> str | None:
    """The digest that `SHA256SUMS` in the same folder records for this file, else None;
    RecordingError when what it records is none."""
    sums = path.parent / SUMS
    if not sums.is_file():
        return None
    try:
        lines = text.read(sums).splitlines()
    except text.UnreadableError as error:
        raise RecordingError(f"{sums}: {error}; {AGAIN}, or delete it") from error
    for line in lines:
        digest, _, name = line.strip().partition(" ")
        if name.lstrip(" *") == path.name:
            if not _SHA256.fullmatch(digest):
                raise RecordingError(
                    f"{sums}: {path.name}: expected a SHA-256 of 64 hexadecimal digits, found"
                    f" {one_line(digest)!r}; {AGAIN}, or delete it"
                )
            return digest.lower()
    return None


def file_digest(path: Path) -> str:
    """SHA-256 of a whole file, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def verify_digest(path: Path, expected: str | None) -> None:
    """Compare the file's SHA-256 with the recorded one; nothing to do when none was recorded."""
    if expected is None:
        return
    found = file_digest(path)
    if found != expected.lower():
        raise RecordingError(
            f"{path}: damaged or another file: expected SHA-256 {expected.lower()}, found {found}; "
            f"{AGAIN}, or correct {path.parent / SUMS}"
        )


def write(path: Path, group: str, rows: np.ndarray, attributes: Mapping[str, Any]) -> None:
    """Write rows as `group`/timeseries with fletcher32 checksums, aside first, then renamed;
    RecordingError when it cannot."""
    import h5py

    aside = path.with_name(f".{path.name}.tmp")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with h5py.File(aside, "w") as file:
            made = file.create_group(group)
            made.create_dataset(
                DATASET,
                data=rows,
                chunks=(min(4096, len(rows)),),
                shuffle=True,
                compression="gzip",
                compression_opts=1,
                fletcher32=True,
            )
            made.attrs.update(attributes)
        aside.replace(path)
    except OSError as error:
        raise RecordingError(
            f"{path}: cannot be written: {error}; make room or choose another folder"
        ) from error
    finally:
        aside.unlink(missing_ok=True)

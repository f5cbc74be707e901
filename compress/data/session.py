"""Reading emg2qwerty sessions: HDF5 files of two-handed surface EMG at 2 kHz with the keys that were typed.

Layout (emg2qwerty, Sivakumar et al., NeurIPS 2024): group `emg2qwerty` with a compound dataset `timeseries` of `time` (float64,
unix seconds), `emg_left` and `emg_right` (float32 × 16), and attributes. EMG stays on disk until it is asked for. Files that
cannot be trusted are refused with what was expected, what was found and what to do.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

import h5py
import numpy as np

from compress.data import charset
from compress.errors import RecordingError

GROUP, DATASET = "emg2qwerty", "timeseries"
SAMPLE_RATE, BANDS, ELECTRODES = 2000, 2, 16
DTYPE = np.dtype([("time", "<f8"), ("emg_left", "<f4", (ELECTRODES,)), ("emg_right", "<f4", (ELECTRODES,))])
SUMS = "SHA256SUMS"
_BLOCK = 1 << 16
_AGAIN = "copy or download it again"


class Session:
    """One open session. Context manager; len() is its number of samples; RecordingError refuses a bad file.

    sha256: expected digest of the whole file in hex. Without it, a line for the file in `SHA256SUMS` beside it is used, if any.
    """

    def __init__(self, path: str | Path, sha256: str | None = None) -> None:
        self.path = Path(path)
        if not self.path.is_file():
            raise RecordingError(f"{self.path}: no such recording")
        verify_digest(self.path, sha256 or recorded_digest(self.path))
        self._file = _open(self.path)
        try:
            group = self._file.get(GROUP)
            self._series = _timeseries(self.path, group)
            attributes = _attributes(self.path, group)
        except RecordingError:
            self._file.close()
            raise
        except (OSError, RuntimeError, KeyError, ValueError) as error:
            self._file.close()
            raise RecordingError(f"{self.path}: its structure is damaged: {error}; {_AGAIN}") from error
        self.name: str = str(attributes["session_name"])
        self.user: str = str(attributes["user"])
        self.condition: str = str(attributes["condition"])
        self.duration_mins: float = float(attributes["duration_mins"])
        self.keystrokes: list[dict[str, Any]] = attributes["keystrokes"]
        self.prompts: list[dict[str, Any]] = attributes["prompts"]
        self.attributes: dict[str, Any] = attributes

    def __enter__(self) -> Session:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
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

    def emg(self, start: int = 0, stop: int | None = None) -> np.ndarray:
        """Samples start…stop as float32 (n, 2 bands [left, right], 16 electrodes); NaN and infinities are refused."""
        rows = self._read(start, stop)
        emg = np.stack([rows["emg_left"], rows["emg_right"]], axis=1)
        _refuse_non_finite(self.path, emg, start)
        return emg

    def time(self, start: int = 0, stop: int | None = None) -> np.ndarray:
        """Recorded times of samples start…stop, float64 unix seconds."""
        return np.ascontiguousarray(self._read(start, stop)["time"])

    def text(self, start_s: float = 0.0, stop_s: float = math.inf) -> str:
        """What was typed from start_s up to stop_s, seconds after the first sample, in the characters of `charset`.

        Keystrokes count by their press, as published; sessions off the keyboard have only prompts, each ended by ⏎.
        """
        origin = float(self.time(0, 1)[0])
        keyboard = self.condition == "on_keyboard"
        events = self.keystrokes if keyboard else self.prompts
        chosen = [e for e in events if start_s <= e["start"] - origin < stop_s]
        return "".join(charset.key_to_character(e["key"]) if keyboard else _prompt(e) for e in chosen)

    def check(self) -> None:
        """Read everything once: RecordingError for damaged blocks, time running backwards, NaN or infinite samples."""
        before, bad, first = -math.inf, 0, None
        for start, rows in self._blocks():
            time = rows["time"]
            steps = np.diff(time, prepend=before) if start else np.diff(time, prepend=time[:1])
            wrong = np.flatnonzero(~(steps >= 0) | ~np.isfinite(time))
            if wrong.size:
                raise RecordingError(_backwards(self.path, start + int(wrong[0]), time[wrong[0]]))
            before = float(time[-1])
            emg = np.stack([rows["emg_left"], rows["emg_right"]], axis=1)
            places = np.argwhere(~np.isfinite(emg))
            bad += len(places)
            if len(places) and first is None:
                first = (start + int(places[0][0]), int(places[0][1]), int(places[0][2]))
        if first is not None:
            raise RecordingError(_non_finite(self.path, bad, first))

    def _blocks(self) -> Iterator[tuple[int, np.ndarray]]:
        for start in range(0, len(self), _BLOCK):
            yield start, self._read(start, start + _BLOCK)

    def _read(self, start: int, stop: int | None) -> np.ndarray:
        stop = len(self) if stop is None else min(stop, len(self))
        try:
            return self._series[start:stop]
        except (OSError, RuntimeError) as error:
            failed = self._series.fletcher32 and "filter" in str(error)
            reason = "the stored checksum does not match" if failed else str(error)
            raise RecordingError(
                f"{self.path}: samples {start}…{stop} ({start / SAMPLE_RATE:.3f} s on) cannot be read: {reason}; "
                f"the file is damaged: {_AGAIN}"
            ) from error


def recorded_digest(path: Path) -> str | None:
    """The digest that `SHA256SUMS` in the same folder records for this file, else None."""
    sums = path.parent / SUMS
    if not sums.is_file():
        return None
    for line in sums.read_text(encoding="utf-8", errors="replace").splitlines():
        digest, _, name = line.strip().partition(" ")
        if name.lstrip(" *") == path.name:
            return digest
    return None


def verify_digest(path: Path, expected: str | None) -> None:
    """Compare the file's SHA-256 with the recorded one; nothing to do when none was recorded."""
    if expected is None:
        return
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != expected.lower():
        raise RecordingError(
            f"{path}: damaged or another file: expected SHA-256 {expected.lower()}, found {found}; "
            f"{_AGAIN}, or correct {path.parent / SUMS}"
        )


def _open(path: Path) -> h5py.File:
    try:
        return h5py.File(path, "r")
    except (OSError, RuntimeError) as error:
        if path.stat().st_size == 0:
            reason = "the file is empty"
        elif "truncated" in str(error):
            reason = f"the file is truncated at {path.stat().st_size} bytes"
        else:
            reason = f"expected an HDF5 file, found something else or a damaged one ({error})"
        raise RecordingError(f"{path}: {reason}; {_AGAIN}") from error


def _timeseries(path: Path, group: Any) -> h5py.Dataset:
    if not isinstance(group, h5py.Group):
        raise RecordingError(f"{path}: expected an HDF5 group {GROUP!r}; this is not an emg2qwerty session")
    series = group.get(DATASET)
    if not isinstance(series, h5py.Dataset):
        raise RecordingError(f"{path}: expected a dataset {GROUP}/{DATASET}, found {', '.join(group) or 'nothing'}")
    for name in DTYPE.names or ():
        found = series.dtype.fields[name][0] if series.dtype.fields and name in series.dtype.fields else None
        if found is None or found != DTYPE[name]:
            raise RecordingError(f"{path}: {DATASET}.{name}: expected {DTYPE[name]}, found {found or 'no such field'}")
    if series.ndim != 1:
        raise RecordingError(f"{path}: {DATASET}: expected one dimension, found shape {series.shape}")
    if series.shape[0] == 0:
        raise RecordingError(f"{path}: {DATASET}: zero length: there are no samples in it")
    return series


def _attributes(path: Path, group: h5py.Group) -> dict[str, Any]:
    wanted = ("session_name", "user", "condition", "duration_mins", "keystrokes", "prompts")
    missing = [name for name in wanted if name not in group.attrs]
    if missing:
        raise RecordingError(f"{path}: attributes missing: {', '.join(missing)}; this is not a whole emg2qwerty session")
    found = dict(group.attrs.items())
    for name in ("keystrokes", "prompts"):
        try:
            found[name] = json.loads(found[name])
        except (TypeError, ValueError) as error:
            raise RecordingError(f"{path}: attribute {name}: expected JSON: {error}; {_AGAIN}") from error
        _check_events(path, name, found[name])
    if not isinstance(found["duration_mins"], int | float | np.number):
        raise RecordingError(f"{path}: attribute duration_mins: expected a number, found {found['duration_mins']!r}")
    return found


def _check_events(path: Path, name: str, events: Any) -> None:
    """What is read of them must be there: a finite start; of keystrokes also the key, and the order of time."""
    if not isinstance(events, list):
        raise RecordingError(f"{path}: attribute {name}: expected a list, found {type(events).__name__}")
    before = -math.inf
    for i, event in enumerate(events):
        start = event.get("start") if isinstance(event, dict) else None
        if not isinstance(start, int | float) or not math.isfinite(start):
            raise RecordingError(f"{path}: {name}[{i}]: expected a start in seconds, found {event!r}")
        if name == "keystrokes" and not isinstance(event.get("key"), str):
            raise RecordingError(f"{path}: {name}[{i}]: expected a key, found {event!r}")
        if name == "keystrokes" and start < before:
            raise RecordingError(f"{path}: {name}[{i}]: starts before the one in front of it; expected the order of time")
        before = start


def _prompt(event: dict[str, Any]) -> str:
    payload = event.get("payload")
    text = payload.get("text") if isinstance(payload, dict) else None
    if text is None:
        return ""
    text = charset.clean(text)
    return text if text.endswith("⏎") else text + "⏎"


def _refuse_non_finite(path: Path, emg: np.ndarray, start: int) -> None:
    if not np.isfinite(emg).all():
        places = np.argwhere(~np.isfinite(emg))
        raise RecordingError(_non_finite(path, len(places), (start + int(places[0][0]), int(places[0][1]), int(places[0][2]))))


def _non_finite(path: Path, count: int, first: tuple[int, int, int]) -> str:
    sample, band, electrode = first
    return (
        f"{path}: expected finite EMG, found {count} NaN or infinite values, the first at sample {sample} "
        f"({sample / SAMPLE_RATE:.4f} s), {('left', 'right')[band]} electrode {electrode}; record it again or cut that part out"
    )


def _backwards(path: Path, sample: int, value: float) -> str:
    return (
        f"{path}: expected time that never runs backwards, found {value!r} at sample {sample} "
        f"({sample / SAMPLE_RATE:.4f} s), before the one in front of it or not a number; {_AGAIN}"
    )

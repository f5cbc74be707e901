"""Long recordings that stay on disk while a network runs over them: opened again when rows are
asked for, a few of them at a time."""

from __future__ import annotations

import threading
from collections import OrderedDict
from pathlib import Path
from typing import Protocol

from compress.errors import RecordingError
from compress.graph.samples import Array, stays_on_disk

LARGE = 16 << 20  # bytes of what is read at once; more stays on disk
MOST = 16  # recordings that are open at a time: as many as are computed side by side
_of_thread = threading.local()


class Recording(Protocol):
    """A file that is open; what is read of it are methods, of (start, stop)."""

    path: Path

    def __init__(self, path: Path, *, checked: bool = False) -> None:
        """`checked`: the file was found whole before."""

    def close(self) -> None: ...


Opened = OrderedDict[tuple[type[Recording], Path, tuple[int, int, int]], Recording]


def stretch(recording: Recording, what: str, start: int, stop: int) -> Array:
    """Rows start…stop of an open recording, as its method `what` gives them: read where they are
    few, else an `OnDisk`, for which the recording need not stay open."""
    sample = getattr(recording, what)(start, min(start + 1, stop))
    count = max(0, stop - start)
    shape = (count, *sample.shape[1:])
    if count * sample[:1].nbytes <= LARGE:
        found: Array = getattr(recording, what)(start, stop)
        return found
    kind, path, version = type(recording), recording.path, _version(recording.path)

    def read(a: int, b: int) -> Array:
        rows: Array = getattr(_open(kind, path, version), what)(start + a, start + b)
        return rows

    return stays_on_disk(read, shape, sample.dtype)


def keep(recording: Recording) -> None:
    """It is open, and will be read again: it is not opened anew for that."""
    key = type(recording), recording.path, _version(recording.path)
    opened: Opened = _of_thread.__dict__.setdefault("opened", OrderedDict())
    if key in opened:
        recording.close()
    else:
        opened[key] = recording
    _close_oldest(opened)


def _open(kind: type[Recording], path: Path, version: tuple[int, int, int]) -> Recording:
    """The recording, which is whole: it was checked when it was read first."""
    opened: Opened = _of_thread.__dict__.setdefault("opened", OrderedDict())
    key = kind, path, version
    if key not in opened:
        if _version(path) != version:
            raise RecordingError(f"{path}: changed while it was read; start again")
        opened[key] = kind(path, checked=True)
        _close_oldest(opened)
    opened.move_to_end(key)
    return opened[key]


def _close_oldest(opened: Opened) -> None:
    while len(opened) > MOST:
        opened.popitem(last=False)[1].close()


def _version(path: Path) -> tuple[int, int, int]:
    try:
        found = path.stat()
    except OSError as error:
        raise RecordingError(f"{path}: is gone ({error.strerror}) while it was read") from error
    return found.st_ino, found.st_size, found.st_mtime_ns

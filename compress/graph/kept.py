"""What comes out of a network, kept until it is scored or written: in memory while it is little,
else in a temporary file, from which it is read some rows at a time."""

from __future__ import annotations

import os
import tempfile
import threading
import weakref
from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from compress.errors import TendonError
from compress.graph import Array
from compress.graph.samples import OnDisk, pieces, stays_on_disk
from compress.reading.arrays import Mapped

LARGE = 4 << 20  # bytes of one array; more lies in the file
AT_ONCE = 1 << 18  # bytes that are written at once


class _File:
    """An unnamed file for several arrays, gone when nothing holds one of them."""

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115  closed with this
        self._end = 0

    def reserve(self, size: int) -> int:
        """Where so many bytes begin that are nobody else's."""
        begin, self._end = self._end, self._end + size
        return begin

    def write(self, content: bytes, where: int) -> None:
        try:
            while content:
                written = os.pwrite(self._file.fileno(), content, where)
                content, where = content[written:], where + written
        except OSError as error:
            raise TendonError(
                f"{tempfile.gettempdir()}: what comes out of the network cannot be kept there:"
                f" {error.strerror or error}; make room, or set TMPDIR"
            ) from error

    def read(self, size: int, where: int) -> bytearray:
        found = bytearray()
        while len(found) < size:
            part = os.pread(self._file.fileno(), size - len(found), where + len(found))
            if not part:
                raise TendonError(f"{tempfile.gettempdir()}: a temporary file was cut off")
            found += part
        return found


_lock = threading.Lock()
_newest: weakref.ref[_File] | None = None  # one for all: files that are open are few


def _place(size: int) -> tuple[_File, int]:
    """A file, and where in it so many bytes are free."""
    global _newest
    with _lock:
        file = _newest() if _newest else None
        if file is None:
            file = _File()
            _newest = weakref.ref(file)
        return file, file.reserve(size)


class Kept:
    """An array (rows, …) whose rows come one behind the other. TendonError where there is no room
    for it on disk."""

    def __init__(self, rows: int, of: tuple[int, ...], dtype: npt.DTypeLike) -> None:
        """of: the shape of a row."""
        self.rows, self.done = rows, 0
        self._of, self._dtype = of, np.dtype(dtype)
        self._row_bytes = int(np.prod(of)) * self._dtype.itemsize
        self._whole: Array | None = None
        self._waiting: list[bytes] = []
        self._written = 0  # rows
        if rows * self._row_bytes <= LARGE:
            self._whole = np.empty((rows, *of), self._dtype)
        else:
            self._file, self._begin = _place(rows * self._row_bytes)

    def append(self, rows: Array) -> None:
        """The next ones (n, …)."""
        stop = self.done + len(rows)
        if stop > self.rows:
            raise ValueError(f"expected {self.rows} rows, found {stop}")
        if self._whole is not None:
            self._whole[self.done : stop] = rows
        else:
            self._waiting.append(np.ascontiguousarray(rows, self._dtype).tobytes())
        self.done = stop
        if (self.done - self._written) * self._row_bytes >= AT_ONCE:
            self._write()

    def array(self) -> Array:
        """What there is so far, (done, …): an array, or an `OnDisk`."""
        if self._whole is not None:
            return self._whole[: self.done]
        return stays_on_disk(self._read, (self.done, *self._of), self._dtype)

    def _write(self) -> None:
        if self._whole is None and self._waiting:
            where = self._begin + self._written * self._row_bytes
            self._file.write(b"".join(self._waiting), where)
        self._waiting, self._written = [], self.done

    def _read(self, start: int, stop: int) -> Array:
        self._write()
        size, where = (stop - start) * self._row_bytes, self._begin + start * self._row_bytes
        found = np.frombuffer(self._file.read(size, where), self._dtype)
        return found.reshape(stop - start, *self._of)


def keep(parts: Iterable[Array], count: int) -> Array:
    """So many arrays of one shape (n, …), one or more, one behind the other."""
    found: Kept | None = None
    for part in parts:
        if found is None:
            found = Kept(count * len(part), part.shape[1:], part.dtype)
        found.append(part)
    if found is None:
        raise ValueError("expected an array or more, found none")
    return found.array()


def joined(parts: list[Array]) -> Array:
    """Arrays (n, …) of one kind, each in memory or on disk, one behind the other."""
    if len(parts) == 1:
        return parts[0]
    found = Kept(sum(map(len, parts)), parts[0].shape[1:], parts[0].dtype)
    for part in parts:
        for rows in pieces(part):
            found.append(rows)
    return found.array()


def scaled(values: Array, scale: float) -> Array:
    """`scale` times the values, float64; of those that lie on disk where they are asked for."""
    if not isinstance(values, OnDisk):
        return scale * values
    return stays_on_disk(
        lambda start, stop: scale * np.asarray(values[start:stop]), values.shape, np.float64
    )


def mapped(array: Mapped) -> Array:
    """One that lies in a file: read where it is little."""
    if array.size <= LARGE:
        return array.read()
    return stays_on_disk(array.read, array.shape, array.dtype)

"""The arrays of a recording of one's own, `.npz` or HDF5, of which rows are read where they are
asked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol, Self

import numpy as np
import numpy.typing as npt

from compress.data.array_file import as_float32
from compress.data.recording_file import AGAIN, recorded_digest, verify_digest
from compress.errors import RecordingError
from compress.reading import arrays, hdf5
from compress.reading.limited import Refusal
from compress.reading.text import UnreadableError
from compress.reading.words import advised

Array = npt.NDArray[Any]
NAMES = ("rate", "emg", "label", "target", "time")
SIMULATOR = "simulator"  # by this name a file says that a simulator wrote it
PIECE = 1 << 22  # bytes that are looked at at once


class Stored(Protocol):
    """An array on disk."""

    @property
    def shape(self) -> tuple[int, ...]: ...

    @property
    def dtype(self) -> np.dtype: ...

    def read(self, start: int = 0, stop: int | None = None) -> Array:
        """Rows start…stop, or its one value."""


class OwnFile:
    """An open file. RecordingError says what of it cannot be read."""

    def __init__(self, path: Path, *, checked: bool = False) -> None:
        """`checked`: the digest was compared before."""
        self.path = path
        self._hdf5: hdf5.File | None = None
        with _refused(path):
            if not path.is_file():
                raise RecordingError(f"{path}: no such recording")
            if not checked:
                verify_digest(path, recorded_digest(path))
            if path.suffix.lower() == ".npz":
                self._arrays: Mapping[str, Stored] = arrays.mapped_members(path, NAMES)
            else:
                self._hdf5 = hdf5.File(path)
                try:
                    self._arrays = _datasets(self._hdf5)
                except Refusal:
                    self._hdf5.close()
                    raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Give the file back; nothing is read of it afterwards."""
        self._arrays = {}
        if self._hdf5 is not None:
            self._hdf5.close()

    def __contains__(self, name: str) -> bool:
        return name in self._arrays

    def like(self, name: str) -> Array:
        """No row of an array, or its one value as 0: shape and dtype are its own but for the
        length."""
        array = self._arrays[name]
        return np.zeros((0, *array.shape[1:]) if array.shape else (), array.dtype)

    def shape(self, name: str) -> tuple[int, ...]:
        return self._arrays[name].shape

    def read(self, name: str, start: int = 0, stop: int | None = None) -> Array:
        """Rows of an array as the file has them, or its one value."""
        with _refused(self.path):
            try:
                return self._arrays[name].read(start, stop)
            except Refusal as refusal:
                raise Refusal(f"{name}: {refusal}") from refusal

    def blocks(self, name: str) -> Iterator[tuple[int, Array]]:
        """All rows of an array, some at a time, and the number of the first."""
        array = self._arrays[name]
        row = int(np.prod(array.shape[1:])) * max(1, array.dtype.itemsize)
        size = max(1, PIECE // max(1, row))
        for start in range(0, array.shape[0], size):
            yield start, self.read(name, start, min(start + size, array.shape[0]))

    def emg(self, start: int, stop: int) -> npt.NDArray[np.float32]:
        """Samples start…stop, (n, electrodes)."""
        return self._floats("emg", start, stop)

    def target(self, start: int, stop: int) -> npt.NDArray[np.float32]:
        """What to say at these samples, (n, outputs)."""
        return self._floats("target", start, stop)

    def label(self, start: int, stop: int) -> npt.NDArray[np.int64]:
        """Classes of these samples, (n,)."""
        return self.read("label", start, stop).astype(np.int64)

    def _floats(self, name: str, start: int, stop: int) -> npt.NDArray[np.float32]:
        return as_float32(self.read(name, start, stop))


def is_simulated(path: Path) -> bool:
    """Whether the file says that a simulator wrote it."""
    with _refused(path):
        if not path.is_file():
            raise RecordingError(f"{path}: no such recording")
        verify_digest(path, recorded_digest(path))
        if path.suffix.lower() == ".npz":
            return SIMULATOR in arrays.names(path)
        with hdf5.File(path) as file:
            return SIMULATOR in file.names() or SIMULATOR in file.attributes()


@contextmanager
def _refused(path: Path) -> Iterator[None]:
    """RecordingError for what cannot be read of a file."""
    try:
        yield
    except (Refusal, UnreadableError) as error:
        raise RecordingError(f"{path}: {advised(error, AGAIN)}") from error


class _Value:
    """One number that was read."""

    def __init__(self, value: Any) -> None:
        self._value = np.asarray(value)
        self.shape, self.dtype = self._value.shape, self._value.dtype

    def read(self, start: int = 0, stop: int | None = None) -> Array:
        return self._value[start:stop] if self.shape else self._value


def _datasets(file: hdf5.File, names: Sequence[str] = NAMES) -> dict[str, Stored]:
    """Arrays in the file itself; the rate also as an attribute of it."""
    there, said = file.names(), file.attributes()
    found: dict[str, Stored] = {"rate": _Value(said["rate"])} if "rate" in said else {}
    for name in names:
        if name in there:
            try:
                found[name] = file.array(name)
            except Refusal as refusal:
                raise Refusal(f"{name}: {refusal}") from refusal
    return found

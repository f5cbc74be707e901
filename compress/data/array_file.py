"""Inputs that are given as a `.npy`: numbers, all finite, as float32. Those of a long recording
stay on disk."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from compress.data.on_disk import LARGE
from compress.errors import RecordingError
from compress.graph.samples import Array, stays_on_disk
from compress.reading import arrays
from compress.reading.text import UnreadableError
from compress.reading.words import one_line


def load(path: Path) -> Array:
    """The numbers of a `.npy`; RecordingError says what else was found."""
    with _refused(path):
        return _numbers(path, arrays.mapped(path), limit=arrays.LIMIT)


def load_samples(path: Path, form: Callable[[Array], Array]) -> Array:
    """The numbers of a `.npy` in the form (n, features) that `form` gives them, which may raise
    ValueError; more than LARGE bytes of them stay on disk. RecordingError."""
    with _refused(path):
        array = arrays.mapped(path)
        _check(path, array)
        shape = form(_none_of(array, array.shape)).shape
        by_rows = _are_rows_samples(array, form)
        if 4 * math.prod(shape) <= LARGE:
            return np.ascontiguousarray(form(_numbers(path, array)))
        _check_finite(path, array)

    def read(start: int, stop: int) -> Array:
        with _refused(path):
            view = array.view()
            part = form(view[start:stop]) if by_rows else form(view)[start:stop]
            return np.ascontiguousarray(as_float32(part))

    return stays_on_disk(read, shape)


def samples_of(array: object, form: Callable[[Array], Array], name: str) -> Array:
    """Numbers in memory in the form (n, features) that `form` gives them, float32, a copy of its
    own; RecordingError as `load_samples`, with a `name` in place of the file's."""
    try:
        found = np.asarray(array)
        _check_kind(name, found.dtype, found.shape, found.size)
        numbers = as_float32(found)
        bad = np.argwhere(~np.isfinite(numbers))
        if len(bad):
            raise RecordingError(_not_finite(name, len(bad), tuple(bad[0].tolist())))
        return np.ascontiguousarray(form(numbers))
    except (ValueError, TypeError, RuntimeError) as error:  # of what NumPy takes for no array
        raise RecordingError(f"{name}: {error}") from error


def _none_of(array: arrays.Mapped, shape: tuple[int, ...]) -> Array:
    """An array of this shape for which nothing is read."""
    return np.broadcast_to(np.zeros((), array.dtype), shape)


def _are_rows_samples(array: arrays.Mapped, form: Callable[[Array], Array]) -> bool:
    """Whether the first index of an array is the sample: then some rows of it can be brought into
    the form by themselves, which may need a copy. Any other form is a view of the whole."""
    try:
        return len(form(_none_of(array, (1, *array.shape[1:])))) == 1
    except ValueError:
        return False


@contextmanager
def _refused(path: Path) -> Iterator[None]:
    """UnreadableError and ValueError as RecordingError, with the file."""
    try:
        yield
    except (UnreadableError, ValueError) as error:
        raise RecordingError(f"{path}: {error}") from error


def _numbers(path: Path, array: arrays.Mapped, limit: int = 1 << 62) -> Array:
    """All of it, in memory."""
    _check(path, array)
    if array.size > limit:
        raise RecordingError(f"{path}: expected up to {limit} bytes of numbers, found {array.size}")
    _check_finite(path, array)
    return as_float32(array.read())


def _check(path: Path, array: arrays.Mapped) -> None:
    """RecordingError where these are no real numbers."""
    _check_kind(path, array.dtype, array.shape, array.size, " before it is saved")


def _check_kind(
    where: Path | str, dtype: np.dtype[Any], shape: tuple[int, ...], size: int, when: str = ""
) -> None:
    if dtype.kind not in "fiu" or not size:
        expected = "numbers" if size else "at least one number"
        raise RecordingError(
            f"{where}: expected {expected}, real ones, found {one_line(f'{dtype} {shape}')};"
            f" convert it{when}"
        )


def _check_finite(path: Path, array: arrays.Mapped) -> None:
    """RecordingError where one is not finite as float32."""
    count, first = arrays.not_finite(array)
    if count:
        raise RecordingError(_not_finite(path, count, first))


def _not_finite(where: Path | str, count: int, first: tuple[int, ...]) -> str:
    return (
        f"{where}: expected finite numbers within float32, found {count} that are not, the first at"
        f" {first}; cut that part out"
    )


def as_float32(part: Array) -> npt.NDArray[np.float32]:
    """In memory; what float32 cannot hold is infinite."""
    with np.errstate(over="ignore"):
        return np.array(part, np.float32, order="C")

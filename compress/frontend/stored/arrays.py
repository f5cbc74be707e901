"""NumPy's scalars and arrays in a pickle: numbers of plain types, from the bytes that
are stored."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import torch

from compress.frontend.stored.values import (
    Instance,
    Name,
    Storage,
    StoredTensor,
    contiguous,
    strided,
)

ARRAY, _TYPE = Name("numpy", "ndarray"), Name("numpy", "dtype")
_PLAIN = re.compile(r"[biufc]\d{1,2}|[?]|[US]\d{1,4}")


def dtype(text: Any, *_: Any) -> Instance:
    """The type, whose byte order its state says."""
    return Instance(_TYPE, (text,))


def _plain(of: Any) -> np.dtype[Any] | None:
    """A type of numbers or text; None for any other (objects, structures, times)."""
    if not isinstance(of, Instance) or of.of != _TYPE or len(of.arguments) != 1:
        raise ValueError("a NumPy value without a type")
    text = of.arguments[0]
    if not isinstance(text, str) or not _PLAIN.fullmatch(text):
        return None
    big = isinstance(of.state, tuple) and len(of.state) > 1 and of.state[1] == ">"
    try:
        found = np.dtype(text)
    except TypeError:  # no type of NumPy's, like f3
        return None
    return found.newbyteorder(">") if big else found


def scalar(of: Any, raw: Any = None) -> Any:
    """A number or text as Python has it; of another type its name alone."""
    kind = _plain(of)
    if kind is None or not isinstance(raw, bytes):
        return Name("numpy", "generic")
    if len(raw) != kind.itemsize:
        raise ValueError("a NumPy scalar of another size than its type")
    return np.frombuffer(raw, kind)[0].item() if raw else ""


def from_buffer(raw: Any, of: Any, shape: Any, order: Any) -> Instance:
    """An array of protocol 5."""
    return Instance(ARRAY, (), (1, shape, of, order == "F", raw))


def tensor(array: Instance) -> StoredTensor | None:
    """The array as a tensor, whose numbers are made of the stored bytes when they are asked for;
    None for one of another type than torch's. ValueError for one whose bytes are not as many as it
    says."""
    if not isinstance(array.state, tuple) or len(array.state) != 5:
        raise ValueError("an array of NumPy without its parts")
    _, shape, of, fortran, raw = array.state
    kind = _plain(of)
    if kind is None or kind.kind in "US" or not isinstance(raw, bytes):
        return None
    native = kind.newbyteorder("=")
    ours = getattr(torch, native.name, None)
    if not isinstance(ours, torch.dtype) or not _is_shape(shape):
        return None

    def read(begin: int, end: int) -> bytes:
        part = raw[begin:end]
        return part if kind == native else np.frombuffer(part, kind).astype(native).tobytes()

    steps = contiguous(shape[::-1])[::-1] if fortran else contiguous(shape)
    return strided(Storage(len(raw), ours, read), ours, 0, shape, steps)


def _is_shape(value: Any) -> bool:
    """Whether this is a tuple of whole numbers, as a file has to say it."""
    return isinstance(value, tuple) and all(type(size) is int and size >= 0 for size in value)


def is_one(value: Any) -> bool:
    """Whether this is an array of NumPy."""
    return isinstance(value, Instance) and value.of == ARRAY


def as_tensors(entries: dict[Any, Any]) -> dict[Any, Any]:
    """The entries of a state_dict with tensors in place of arrays, an array that stands there twice
    as one. Others stay, and arrays of types that torch does not have or that are damaged."""
    made: dict[int, Any] = {}

    def of(value: Any) -> Any:
        if not is_one(value):
            return value
        if id(value) not in made:
            try:
                made[id(value)] = tensor(value) or value
            except ValueError:
                made[id(value)] = value
        return made[id(value)]

    return {key: of(value) for key, value in entries.items()}

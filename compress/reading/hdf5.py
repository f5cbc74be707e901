"""HDF5 files, read by a process with limits: a damaged one is refused, whatever the HDF5 library
does with it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

from compress.reading.limited import Child, Refusal, Server
from compress.reading.words import one_line

LIMIT = 4 << 30  # bytes of what is read at once
_server = Server("compress.reading.hdf5_child", "the HDF5 library")


@dataclass(frozen=True)
class Array:
    """An array in a file, of which rows can be read. `checksums`: whether each chunk has one."""

    file: File
    name: str
    shape: tuple[int, ...]
    dtype: np.dtype
    checksums: bool

    def __len__(self) -> int:
        return self.shape[0]

    def read(self, start: int = 0, stop: int | None = None, field: str = "") -> np.ndarray:
        """Rows start…stop, as slices take them, or one field of them; of an array without
        dimensions its one value. Refusal when they are damaged or more than LIMIT bytes."""
        start, stop, _ = slice(start, stop).indices(self.shape[0] if self.shape else 1)
        dtype = self.dtype[field] if field else self.dtype
        shape = (max(0, stop - start), *self.shape[1:]) if self.shape else ()
        size = math.prod(shape) * dtype.itemsize
        if size > LIMIT:
            raise Refusal(f"expected up to {LIMIT} bytes at once, found {size}")
        found = np.empty(shape, dtype)  # of a field that is an array, its dimensions too
        if found.size:
            self.file.ask("rows", self.name, found, start=start, stop=stop, field=field)
        return found


class File:
    """An open file. Context manager; Refusal says in one line why something cannot be read."""

    def __init__(self, path: Path):
        self.path = path
        self._child: Child = _server.open(str(path.resolve()))

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
        """Give the file back; reading afterwards is refused."""
        self._child.close()

    def names(self, group: str = "/") -> list[str]:
        """What lies in a group."""
        return [str(name) for name in self.ask("names", group)]

    def attributes(self, group: str = "/") -> dict[str, Any]:
        """Every attribute of a group by name, as str, int, float, bool or lists of them."""
        return dict(self.ask("attributes", group))

    def array(self, name: str) -> Array:
        """The array at a path. It is one of numbers and lies in the file, all of it."""
        found = self.ask("array", name)
        try:
            dtype = np.lib.format.descr_to_dtype(_tupled(found["dtype"]))
            shape = tuple(int(n) for n in found["shape"])
            if dtype.hasobject or min(shape, default=0) < 0:
                raise ValueError
        except (KeyError, TypeError, ValueError) as error:
            raise Refusal("its type is none that can be read") from error
        return Array(self, name, shape, dtype, bool(found["checksums"]))

    def ask(self, what: str, name: str, into: np.ndarray | None = None, **more: Any) -> Any:
        """An answer of the process that reads the file."""
        try:
            return self._child.ask({"what": what, "name": name, **more}, into)
        except Refusal as refusal:
            raise Refusal(one_line(str(refusal))) from refusal


def _tupled(descr: Any) -> Any:
    """The description of a dtype as NumPy wants it: JSON has lists for its tuples."""
    if isinstance(descr, str):
        return descr
    fields = []
    for name, of, *shape in descr:
        named = name if isinstance(name, str) else tuple(name)
        fields.append((named, _tupled(of), *(tuple(part) for part in shape)))
    return fields

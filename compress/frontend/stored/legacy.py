"""Files of the old serialization (torch before 1.6, or `_use_new_zipfile_serialization=False`) and
plain pickles: pickles one after the other, then the bytes of each storage behind its length.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch

from compress.frontend.stored import pickled, tensors
from compress.frontend.stored.values import Refused, Storage

MAGIC = 0x1950A86A20F9469CFC6C
PROTOCOL = 1001
Part = Callable[[int, int], bytes]  # bytes begin…end of a file


@dataclass
class _Storages:
    """Where the bytes of each storage lie: known when all pickles have been read."""

    part: Part
    places: dict[Any, tuple[int, int]] = field(default_factory=dict)
    found: dict[Any, Storage] = field(default_factory=dict)
    itemsizes: dict[Any, int] = field(default_factory=dict)

    def persistent(self, identity: Any) -> Any:
        """("storage", class, key, device, elements, view), or ("module", class, …)."""
        if identity[0] == "module":
            return identity[1]
        _, kind, key, _, count, *view = identity
        if identity[0] != "storage" or not isinstance(key, str | int) or type(count) is not int:
            raise ValueError("a storage with an unknown id")
        if view and view[0] is not None:
            raise Refused("holds views of storages, as PyTorch before 0.4 wrote; write it again")
        dtype = tensors.dtype_of(kind)
        self.itemsizes.setdefault(key, dtype.itemsize)
        return self.found.setdefault((key, dtype), self._storage(key, dtype, count))

    def _storage(self, key: Any, dtype: torch.dtype, count: int) -> Storage:
        def read(begin: int, end: int) -> bytes:
            start, size = self.places[key]
            if not 0 <= begin <= end <= size:
                raise Refused("a tensor reaches beyond its storage: the file is damaged")
            return self.part(start + begin, start + end)

        return Storage(count * dtype.itemsize, dtype, read)

    def place(self, keys: Any, begin: int, size: int) -> None:
        """Find the bytes of each key, from `begin` on in a file of `size` bytes."""
        for key in keys:
            (count,) = struct.unpack("<q", self.part(begin, begin + 8))
            length = count * self.itemsizes[key]
            begin += 8
            if not 0 <= length <= size - begin:
                raise Refused("a storage reaches beyond the file: it is truncated or damaged")
            self.places[key] = begin, length
            begin += length
        self._check()

    def _check(self) -> None:
        for (key, _), storage in self.found.items():
            if storage.size > self.places[key][1]:
                raise Refused("a storage is shorter than its tensors say: the file is damaged")


def of_part(part: Part, size: int, most: int = pickled.MOST_OPCODES) -> Any:
    """What a file of `size` bytes holds."""
    file, storages = io.BytesIO(part(0, min(size, pickled.MOST_BYTES))), _Storages(part)
    first = pickled.loaded(file, storages.persistent, most)
    if first != MAGIC:
        return first  # a plain pickle
    if pickled.loaded(file, storages.persistent, most) != PROTOCOL:
        raise ValueError("another version of the old serialization")
    system = pickled.loaded(file, storages.persistent, most)
    if not isinstance(system, dict) or system.get("little_endian") is not True:
        raise Refused("was written on a big-endian machine; write it again on another one")
    found = pickled.loaded(file, storages.persistent, most)
    storages.place(pickled.loaded(file, storages.persistent, most), file.tell(), size)
    return found


def of_bytes(raw: Any, most: int) -> Any:
    """The same of a file inside of another."""
    if not isinstance(raw, bytes):
        raise ValueError("a file inside of another that is no bytes")
    return of_part(lambda begin, end: raw[begin:end], len(raw), most)

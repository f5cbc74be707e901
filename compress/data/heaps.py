"""Damaged global heaps of an HDF5 file, found before the library reads them.

Strings of variable length lie in global heaps: collections of objects that follow each other. HDF5 (2.0 and before) walks one
without looking whether it moves: behind an object that says it is 0 bytes long it stands still for ever. So the objects of every
collection are walked here first. Format: HDF5 File Format Specification, III.E, 8-byte lengths as all files here have.
"""

from __future__ import annotations

import mmap
import struct
from pathlib import Path

SIGNATURE = b"GCOL\x01\0\0\0"  # a collection of version 1
_HEADER = 16  # bytes of a collection's header, and of an object's
_FREE = 0  # index of the object that is free space; its size includes its header


def damaged_heap(path: Path) -> int | None:
    """Byte of the first object whose size is impossible, else None. Reads the file once; OSError when it cannot."""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        at = content.find(SIGNATURE)
        while at >= 0:
            bad = _damaged_object(content, at)
            if bad is not None:
                return bad
            at = content.find(SIGNATURE, at + 1)
    return None


def _damaged_object(content: mmap.mmap, at: int) -> int | None:
    """The same within one collection. One that ends behind the file's end is left to HDF5, which notices."""
    if at + _HEADER > len(content):
        return None
    end = at + struct.unpack_from("<Q", content, at + 8)[0]
    place = at + _HEADER
    while end <= len(content) and place + _HEADER <= end:
        index, size = struct.unpack_from("<H6xQ", content, place)
        length = size if index == _FREE else _HEADER + -(-size // 8) * 8
        if not _HEADER <= length <= end - place:
            return place
        place += length
    return None

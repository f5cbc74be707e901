"""NumPy's files, `.npy` and `.npz`, from people's disks. Nothing is allocated before the sizes that
a file claims are held against its own size and a limit; objects are never made."""

from __future__ import annotations

import ast
import math
import os
import struct
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np

from compress.reading.text import UnreadableError
from compress.reading.words import one_line

LIMIT = 4 << 30  # bytes of an array
MAGIC, ARCHIVE = b"\x93NUMPY", b"PK\x03\x04"
HEADER = 1 << 16  # bytes of the text that says what an array is
MEMBERS = 10_000
_PACKED = 1100  # deflate makes nothing smaller than to a 1032nd
_SUFFIX = ".npy"
_LENGTHS = {(1, 0): "<H", (2, 0): "<I", (3, 0): "<I"}  # of the header, by version of the format
_READS = 1 << 24  # bytes at once


@dataclass(frozen=True)
class Header:
    """What an array in a file is. `size`: its bytes."""

    dtype: np.dtype
    fortran: bool
    shape: tuple[int, ...]

    @property
    def size(self) -> int:
        return math.prod(self.shape) * self.dtype.itemsize

    def __str__(self) -> str:
        return one_line(f"{self.dtype} {self.shape}", 120)


def read(path: Path) -> np.ndarray:
    """The array of a `.npy`, whatever its numbers; UnreadableError."""
    with _opened(path) as (file, size):
        header = _npy_header(file, size)
        return _filled(file, header)


def mapped(path: Path) -> np.ndarray:
    """The array of a `.npy` as it lies on disk, read where it is looked at; UnreadableError."""
    with _opened(path) as (file, size):
        header = _npy_header(file, size, limit=1 << 62)
        if not header.size:
            return _filled(file, header)
        order: Any = "F" if header.fortran else "C"
        return np.memmap(path, header.dtype, "r", file.tell(), header.shape, order)


def names(path: Path) -> list[str]:
    """Of the arrays in an `.npz`; UnreadableError."""
    with _archive(path) as archive:
        return list(_members(archive))


def read_archive(path: Path, wanted: Sequence[str] | None = None) -> dict[str, np.ndarray]:
    """Those of the wanted arrays that an `.npz` has, or all; UnreadableError."""
    with _archive(path) as archive:
        there = _members(archive)
        chosen = there if wanted is None else [name for name in wanted if name in there]
        total = sum(there[name].file_size for name in chosen)
        if total > LIMIT:
            raise UnreadableError(
                f"expected arrays of up to {LIMIT} bytes together, found {total}; cut the file into"
                " several"
            )
        return {name: read_member(archive, there[name]) for name in chosen}


def read_member(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> np.ndarray:
    """The array that is one member of an archive; UnreadableError."""
    name = one_line(member.filename.removesuffix(_SUFFIX), 60)
    try:
        check_member(member)
        with archive.open(member) as file:
            header = _header(file, member.file_size)
            array = _filled(file, header)
            if file.read(1):
                raise UnreadableError("there are bytes behind its numbers")
            return array
    except UnreadableError as error:
        raise UnreadableError(f"{name}: {error}") from error
    except (OSError, EOFError, ValueError, RuntimeError, NotImplementedError) as error:
        raise UnreadableError(f"{name}: damaged: {one_line(error)}") from error
    except (zipfile.BadZipFile, zlib.error, struct.error) as error:
        raise UnreadableError(f"{name}: damaged: {one_line(error)}") from error


def check_member(member: zipfile.ZipInfo, limit: int = LIMIT) -> None:
    """UnreadableError unless a member is packed as NumPy does it and no larger than that."""
    if member.flag_bits & 1:
        raise UnreadableError("it is encrypted")
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise UnreadableError("packed in a way that NumPy does not write; save it again")
    if member.file_size > limit:
        raise UnreadableError(f"expected up to {limit} bytes, found {member.file_size}")
    if member.file_size > _PACKED * (member.compress_size + 64):
        raise UnreadableError(
            f"{member.file_size} bytes are said to lie in {member.compress_size}, which cannot be"
        )


# --- files ----------------------------------------------------------------------------------------


@contextmanager
def _opened(path: Path) -> Iterator[tuple[IO[bytes], int]]:
    """A file and its size, whatever goes wrong with it as UnreadableError."""
    try:
        if path.exists() and not path.is_file():
            raise UnreadableError("expected a file, found something else")
        with path.open("rb") as file:
            yield file, os.fstat(file.fileno()).st_size
    except FileNotFoundError as error:
        raise UnreadableError("there is no such file") from error
    except MemoryError as error:
        raise UnreadableError("there is not enough memory for it") from error
    except (OSError, ValueError) as error:
        reason = (isinstance(error, OSError) and error.strerror) or one_line(error)
        raise UnreadableError(f"cannot be read: {reason}") from error


@contextmanager
def _archive(path: Path) -> Iterator[zipfile.ZipFile]:
    with _opened(path) as (file, size):
        begin = file.read(len(MAGIC))
        if begin == MAGIC:
            raise UnreadableError(
                "expected an .npz archive of several arrays, found a single array; save it with"
                " numpy.savez under its name"
            )
        if not begin.startswith(ARCHIVE) and not begin.startswith(b"PK\x05\x06"):
            raise UnreadableError(f"expected an .npz archive of arrays, found {_kind(begin, size)}")
        file.seek(0)
        try:
            archive = zipfile.ZipFile(file)
        except (zipfile.BadZipFile, struct.error, ValueError, NotImplementedError) as error:
            raise UnreadableError(
                f"expected an .npz archive of arrays, found a damaged one: {one_line(error)}"
            ) from error
        with archive:
            yield archive


def _members(archive: zipfile.ZipFile) -> dict[str, zipfile.ZipInfo]:
    """By the names that the arrays were saved under."""
    entries = archive.infolist()
    if len(entries) > MEMBERS:
        raise UnreadableError(f"expected up to {MEMBERS} arrays, found {len(entries)}")
    found = {entry.filename.removesuffix(_SUFFIX): entry for entry in entries}
    if len(found) < len(entries):
        raise UnreadableError("two of its arrays have one name; save it again")
    return found


# --- headers --------------------------------------------------------------------------------------


def _npy_header(file: IO[bytes], size: int, limit: int = LIMIT) -> Header:
    begin = file.read(len(ARCHIVE))
    file.seek(0)
    if begin == ARCHIVE:
        raise UnreadableError(
            "expected one array, found an archive of several (.npz); save the one that is meant"
            " with numpy.save"
        )
    return _header(file, size, limit)


def _header(file: IO[bytes], size: int, limit: int = LIMIT) -> Header:
    """What the array in a file of so many bytes is; the file then stands at its numbers."""
    begin = _exactly(file, min(8, size))
    if begin[:6] != MAGIC or len(begin) < 8:
        raise UnreadableError(f"expected an array of NumPy (.npy), found {_kind(begin, size)}")
    version = (begin[6], begin[7])
    if version not in _LENGTHS:
        raise UnreadableError(
            f"expected version 1 to 3 of NumPy's format, found {version[0]}.{version[1]}"
        )
    (length,) = struct.unpack(_LENGTHS[version], _exactly(file, struct.calcsize(_LENGTHS[version])))
    begins = 8 + struct.calcsize(_LENGTHS[version]) + length
    if length > HEADER or begins > size:
        raise UnreadableError(f"its header is said to have {length} bytes, the file has {size}")
    header = _parsed(_exactly(file, length), "latin1" if version < (3, 0) else "utf-8")
    if header.size > limit:
        raise UnreadableError(
            f"expected up to {limit} bytes of numbers, found a header that claims {header.size},"
            f" {header}"
        )
    if header.size != size - begins:
        what = "it is cut off" if header.size > size - begins else "more than one array?"
        raise UnreadableError(
            f"its header claims {header.size} bytes of numbers, {header}, and"
            f" {size - begins} follow ({what})"
        )
    return header


def _parsed(header: bytes, encoding: str) -> Header:
    """A header is the text of a dict in Python, of which nothing is run."""
    try:
        content = ast.literal_eval(header.decode(encoding).strip())
        if set(content) != {"descr", "fortran_order", "shape"}:
            raise ValueError("keys")
        dtype = np.lib.format.descr_to_dtype(content["descr"])
        shape, fortran = content["shape"], content["fortran_order"]
        if not isinstance(dtype, np.dtype) or not isinstance(fortran, bool):
            raise ValueError("descr")
        if type(shape) is not tuple or any(type(n) is not int or n < 0 for n in shape):
            raise ValueError("shape")
    except Exception as error:  # SyntaxError, RecursionError, whatever NumPy meets in a type
        raise UnreadableError("its header does not describe an array of NumPy") from error
    if dtype.hasobject:
        raise UnreadableError(
            "expected numbers, found pickled Python objects, which are not read; save it with a"
            " dtype of numbers"
        )
    if len(shape) > 64 or math.prod(n for n in shape if n) * max(dtype.itemsize, 1) >= 1 << 62:
        raise UnreadableError(f"its header claims a shape that cannot be: {one_line(shape, 80)}")
    return Header(dtype, fortran, shape)


def _exactly(file: IO[bytes], count: int) -> bytes:
    found = b""
    while len(found) < count:
        part = file.read(count - len(found))
        if not part:
            raise UnreadableError("it is cut off")
        found += part
    return found


def _filled(file: IO[bytes], header: Header) -> np.ndarray:
    """The numbers that follow a header. Memory is taken as they come."""
    array = np.empty(header.shape[::-1] if header.fortran else header.shape, header.dtype)
    view = array.reshape(-1).view(np.uint8).data if header.size else memoryview(b"")
    while view:
        part = file.read(min(len(view), _READS))
        if not part:
            raise UnreadableError(f"it is cut off: {len(view)} bytes of its numbers are missing")
        view[: len(part)] = part
        view = view[len(part) :]
    return array.transpose() if header.fortran else array


def _kind(begin: bytes, size: int) -> str:
    if not size:
        return "an empty file"
    if begin.startswith(b"\x89HDF"):
        return "an HDF5 file"
    if begin.startswith(ARCHIVE):
        return "an archive of several (.npz)"
    return "pickled Python objects" if begin[:1] == b"\x80" else "something else"

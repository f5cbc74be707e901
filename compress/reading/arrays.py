"""NumPy's files, `.npy` and `.npz`, from people's disks. Nothing is allocated before the sizes that
a file claims are held against its own size and a limit; objects are never made."""

from __future__ import annotations

import ast
import errno
import math
import os
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
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
PIECE = 1 << 22  # bytes that are read at once


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


class Mapped:
    """An array in an open file, of which parts are read where they are asked for; nothing of it
    stays in memory. UnreadableError where the file changed meanwhile."""

    def __init__(self, file: IO[bytes], header: Header, begin: int) -> None:
        """begin: where its numbers begin in the file, which is closed when nothing holds this."""
        self._file, self._header, self._begin = file, header, begin
        self._version = _version(file)

    @property
    def shape(self) -> tuple[int, ...]:
        return self._header.shape

    @property
    def dtype(self) -> np.dtype:
        return self._header.dtype

    @property
    def size(self) -> int:
        """Bytes."""
        return self._header.size

    def view(self) -> np.ndarray:
        """All of it as it lies on disk. What was looked at stays in memory as long as the view."""
        if _version(self._file) != self._version:
            raise UnreadableError("changed while it was read; start again")
        if not self._header.size:
            return np.empty(self.shape, self.dtype)
        order: Any = "F" if self._header.fortran else "C"
        file: Any = self._file
        return np.memmap(file, self.dtype, "r", self._begin, self.shape, order)

    def read(self, start: int = 0, stop: int | None = None) -> np.ndarray:
        """Rows start…stop, as slices take them; of an array without dimensions its one value."""
        view = self.view()
        return np.array(view[start:stop] if self.shape else view)

    def in_order(self) -> Iterator[tuple[int, np.ndarray]]:
        """Its numbers, flat, as they follow each other in the file, some at a time, and the number
        of the first."""
        count, size = math.prod(self.shape), max(1, PIECE // max(1, self.dtype.itemsize))
        for start in range(0, count, size):
            yield start, self.view().reshape(-1, order="A")[start : start + size]

    def place(self, numbers: np.ndarray) -> tuple[int, ...]:
        """Where in the array the first of such numbers is, by its indices."""
        found = np.unravel_index(numbers, self.shape, "F" if self._header.fortran else "C")
        return min(zip(*(of.tolist() for of in found), strict=True), default=())


def not_finite(array: Mapped) -> tuple[int, tuple[int, ...]]:
    """How many numbers are not finite as float32, and the indices of the first. Reads all, a part
    at a time."""
    count, first = 0, list[tuple[int, ...]]()
    for start, part in array.in_order():
        with np.errstate(over="ignore"):
            bad = np.flatnonzero(~np.isfinite(np.array(part, np.float32)))
        if len(bad):
            count += len(bad)
            first.append(array.place(start + bad))
    return count, min(first, default=())


def mapped(path: Path) -> Mapped:
    """The array of a `.npy` as it lies on disk, however large; UnreadableError."""
    with _opened(path, stays=True) as (file, size):
        return Mapped(file, _npy_header(file, size, limit=1 << 62), file.tell())


def mapped_members(path: Path, wanted: Sequence[str]) -> dict[str, Mapped]:
    """Those of the wanted arrays that an `.npz` has, as they lie on disk; of packed ones, of up to
    LIMIT bytes together, a copy that is gone with them. UnreadableError."""
    with _archive(path, stays=True) as archive:
        there = _members(archive)
        chosen = [name for name in wanted if name in there]
        packed = sum(there[n].file_size for n in chosen if there[n].compress_type)
        if packed > LIMIT:
            raise UnreadableError(
                f"expected packed arrays of up to {LIMIT} bytes together, found {packed}; save it"
                " with numpy.savez, which does not pack"
            )
        return {name: _mapped_member(archive, there[name]) for name in chosen}


def _mapped_member(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> Mapped:
    with _of_member(member):
        check_member(member, limit=1 << 62)
        raw: Any = archive.fp
        copied: Any = tempfile.TemporaryFile() if member.compress_type else None  # noqa: SIM115
        with archive.open(member) as file:
            header = _header(file, member.file_size, limit=1 << 62)
            begin = file.tell()
            while part := file.read(PIECE):  # to its end: then its CRC is compared
                if copied is not None:
                    copied.write(part)
        if copied is not None:
            copied.flush()
            return Mapped(copied, header, 0)
        raw.seek(member.header_offset + 26)
        return Mapped(raw, header, raw.tell() + 4 + sum(struct.unpack("<HH", raw.read(4))) + begin)


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
    with _of_member(member):
        check_member(member)
        with archive.open(member) as file:
            header = _header(file, member.file_size)
            array = _filled(file, header)
            if file.read(1):
                raise UnreadableError("there are bytes behind its numbers")
            return array


@contextmanager
def _of_member(member: zipfile.ZipInfo) -> Iterator[None]:
    """Whatever goes wrong with a member as UnreadableError, which names it."""
    name = one_line(member.filename.removesuffix(_SUFFIX), 60)
    try:
        yield
    except UnreadableError as error:
        raise UnreadableError(f"{name}: {error}") from error
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise UnreadableError(f"{name}: damaged: {one_line(error)}") from error
        raise UnreadableError(
            f"{name}: is packed, and there is no room for {member.file_size} bytes of it in"
            f" {tempfile.gettempdir()}; make room, or set TMPDIR"
        ) from error
    except (EOFError, ValueError, RuntimeError, NotImplementedError) as error:
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
def _opened(path: Path, stays: bool = False) -> Iterator[tuple[IO[bytes], int]]:
    """A file and its size, whatever goes wrong with it as UnreadableError. `stays`: it is closed
    when nothing holds it any more."""
    try:
        if path.exists() and not path.is_file():
            raise UnreadableError("expected a file, found something else")
        file: IO[bytes] = path.open("rb")
        with nullcontext() if stays else file:
            yield file, os.fstat(file.fileno()).st_size
    except FileNotFoundError as error:
        raise UnreadableError("there is no such file") from error
    except MemoryError as error:
        raise UnreadableError("there is not enough memory for it") from error
    except (OSError, ValueError) as error:
        reason = (isinstance(error, OSError) and error.strerror) or one_line(error)
        raise UnreadableError(f"cannot be read: {reason}") from error


@contextmanager
def _archive(path: Path, stays: bool = False) -> Iterator[zipfile.ZipFile]:
    with _opened(path, stays) as (file, size):
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


def _version(file: IO[bytes]) -> tuple[int, int]:
    found = os.fstat(file.fileno())
    return found.st_size, found.st_mtime_ns


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
        part = file.read(min(len(view), PIECE))
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

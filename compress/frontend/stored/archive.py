"""Files as torch writes them: a zip archive with a pickle and the bytes of each storage, not
compressed and each with its checksum.

Bounded: the archive's directory, and the bytes of its entries, which lie one behind the other
within the file: no entry is larger than the file, however it is claimed.
"""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

from compress.frontend.stored import pickled, tensors
from compress.frontend.stored.values import Refused, Storage

_MOST_DIRECTORY = 16 << 20  # bytes: 200,000 entries
_END, _END_64, _LOCATOR_64 = b"PK\x05\x06", b"PK\x06\x06", b"PK\x06\x07"
_CHUNK = 1 << 20
_KINDS = (  # of archives with another content: what tells them, what they are, what to do
    (
        "/constants.pkl",
        "a TorchScript archive, which holds code; write its weights alone with"
        " torch.save(torch.jit.load(path).state_dict(), 'weights.pt')",
    ),
    (
        "serialized_exported_program.json",
        "an exported program; write its weights alone with"
        " torch.save(torch.export.load(path).state_dict, 'weights.pt')",
    ),
    (
        "archive_format",
        "an exported program; write its weights alone with"
        " torch.save(torch.export.load(path).state_dict, 'weights.pt')",
    ),
    (
        ".npy",
        "arrays of NumPy; write them as tensors with torch.save({key: torch.tensor(array), …},"
        " 'weights.pt')",
    ),
    (".distcp", "a packed folder; unpack it and give the file that is inside"),
    (".ckpt", "a packed checkpoint; unpack it and give the file that is inside"),
    (".pt", "a packed checkpoint; unpack it and give the file that is inside"),
    (".pth", "a packed checkpoint; unpack it and give the file that is inside"),
)


def contents(path: Path) -> Any:
    """What the archive's pickle holds; its tensors are read from the file when they are asked for.
    Refused says what is wrong with it, damage raises what it causes."""
    with path.open("rb") as file:
        _check_directory(file)
        with zipfile.ZipFile(file) as archive:
            root = _root(archive)
            begins = _begins(file, archive)
            _check_sums(file, archive, begins)
            raw = _entry(archive, f"{root}/data.pkl", pickled.MOST_BYTES)
            _check_order(archive, root)
    entries = {info.filename: info.file_size for info in archive.infolist()}

    def persistent(identity: Any) -> Storage:
        """("storage", class, key, device, elements)."""
        word, kind, key, _, count = identity
        if word != "storage" or not isinstance(key, str) or type(count) is not int:
            raise ValueError("a storage with an unknown id")
        name, dtype = f"{root}/data/{key}", tensors.dtype_of(kind)
        if not 0 <= count * dtype.itemsize <= entries[name]:
            raise Refused(f"storage {key[:20]!r} is shorter than it says: the file is damaged")
        return Storage(count * dtype.itemsize, dtype, _reader(path, begins[name], entries[name]))

    return pickled.loaded(io.BytesIO(raw), persistent)


def _reader(path: Path, start: int, size: int) -> Callable[[int, int], bytes]:
    def read(begin: int, end: int) -> bytes:
        if not 0 <= begin <= end <= size:
            raise Refused("a tensor reaches beyond its storage: the file is damaged")
        return part_of(path)(start + begin, start + end)

    return read


def part_of(path: Path) -> Callable[[int, int], bytes]:
    """A function that gives bytes begin…end of a file; Refused where they are not there."""

    def part(begin: int, end: int) -> bytes:
        with path.open("rb") as file:
            file.seek(begin)
            found = file.read(end - begin)
        if len(found) != end - begin:
            raise Refused("it ends too early: the file is truncated")
        return found

    return part


def _check_directory(file: IO[bytes]) -> None:
    """Refused for a directory that would take much memory: its entries take far more than its
    bytes."""
    size = file.seek(0, io.SEEK_END)
    file.seek(max(size - (1 << 16) - 22, 0))
    tail = file.read()
    end = tail.rfind(_END)
    if end < 0 or len(tail) < end + 22:
        raise Refused("a zip archive without an end: the file is truncated")
    length = struct.unpack_from("<L", tail, end + 12)[0]
    if tail[max(end - 20, 0) : end].startswith(_LOCATOR_64):
        file.seek(struct.unpack_from("<Q", tail, end - 12)[0] % (1 << 62))
        record = file.read(56)
        if record.startswith(_END_64) and len(record) == 56:
            length = struct.unpack_from("<Q", record, 40)[0]
    if length > _MOST_DIRECTORY:
        raise Refused(
            f"expected a directory of at most {_MOST_DIRECTORY >> 20} MiB in the archive, found"
            f" {length:,} bytes"
        )


def _begins(file: IO[bytes], archive: zipfile.ZipFile) -> dict[str, int]:
    """Where the bytes of each entry begin; Refused unless each is stored as it is, once, and they
    lie behind each other."""
    found: dict[str, int] = {}
    end = 0
    for info in sorted(archive.infolist(), key=lambda info: info.header_offset):
        if info.compress_type != zipfile.ZIP_STORED or info.flag_bits & 1:
            raise Refused(
                "a compressed or encrypted archive; write it again with torch.save, which does not"
                " compress"
            )
        file.seek(info.header_offset)
        header = file.read(30)
        if info.header_offset < end or len(header) < 30 or info.filename in found:
            raise Refused("entries of the archive lie over each other: the file is damaged")
        start = info.header_offset + 30 + sum(struct.unpack_from("<HH", header, 26))
        end = start + info.file_size
        if info.compress_size != info.file_size or end > archive.start_dir:
            raise Refused("an entry of the archive reaches beyond the file: it is damaged")
        found[info.filename] = start
    return found


def _root(archive: zipfile.ZipFile) -> str:
    """The folder in the archive that holds the pickle; Refused for an archive of another kind."""
    names = archive.namelist()
    for ending, words in _KINDS[:3]:
        if any(name.endswith(ending) for name in names):
            raise Refused(words)
    roots = [name.removesuffix("/data.pkl") for name in names if name.endswith("/data.pkl")]
    if len(roots) == 1:
        return roots[0]
    for ending, words in _KINDS[3:]:
        if any(name.endswith(ending) for name in names):
            raise Refused(words)
    raise Refused(
        "a zip archive without a data.pkl, so none of PyTorch's; give a file that torch.save wrote"
    )


def _check_sums(file: IO[bytes], archive: zipfile.ZipFile, begins: dict[str, int]) -> None:
    """Refused where a checksum does not match: torch itself does not look at them."""
    for info in archive.infolist():
        file.seek(begins[info.filename])
        left, crc = info.file_size, 0
        while left > 0 and (chunk := file.read(min(left, _CHUNK))):
            crc, left = zlib.crc32(chunk, crc), left - len(chunk)
        if crc != info.CRC:
            raise Refused(
                f"checksum of {info.filename[:60]!r} does not match its content: the file is"
                " damaged"
            )


def _entry(archive: zipfile.ZipFile, name: str, most: int) -> bytes:
    if archive.getinfo(name).file_size > most:
        raise Refused(f"expected at most {most >> 20} MiB in {name[:60]!r}, found more")
    return archive.read(name)


def _check_order(archive: zipfile.ZipFile, root: str) -> None:
    name = f"{root}/byteorder"
    if name in archive.namelist() and _entry(archive, name, 100) != b"little":
        raise Refused("was written on a big-endian machine; write it again on another one")

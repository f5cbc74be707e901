"""What reads HDF5 in a process with limits (`reading.limited`): the one module that opens such
files to read them.

Nothing is read but attributes and plain arrays of numbers that lie in the file itself: no links, no
virtual or external storage, no filter that is not built in. A dataset must have stored what it
claims to hold.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from compress.reading.limited import Answer, Refusal

BLOCK = 4 << 20  # bytes that are read at once
CACHE = 32 << 20  # bytes of chunks that stay unpacked
CHUNK = 256 << 20  # bytes of the largest chunk
PACKED = 1100  # gzip makes nothing smaller than to a 1032nd
ATTRIBUTES = 4096  # of a group
BUILT_IN = (1, 2, 3, 4, 5, 6, 32000)  # gzip, shuffle, fletcher32, szip, nbit, scale-offset, lzf


def serve(path: str) -> Callable[[dict[str, Any]], Answer]:
    """The answers about one file: what an array is, its rows, attributes of a group."""
    opened = _open(Path(path))
    known: dict[str, h5py.Dataset] = {}

    def answer(request: dict[str, Any]) -> Answer:
        what, name = request["what"], request["name"]
        if what == "names":
            return [str(key) for key in group_at(opened, name)], ()
        if what == "attributes":
            return attributes(group_at(opened, name)), ()
        if what == "array":
            known[name] = checked(_at(opened, name), Path(path).stat().st_size)
            return _description(known[name]), ()
        return None, _blocks(known[name], request["start"], request["stop"], request["field"])

    return answer


def _open(path: Path) -> h5py.File:
    try:
        return h5py.File(path, "r", rdcc_nbytes=CACHE)
    except Exception as error:
        said, size = " ".join(str(error).split()), path.stat().st_size
        if size == 0:
            raise Refusal("the file is empty") from error
        if "truncated" in said:
            raise Refusal(f"the file is truncated at {size} bytes") from error
        raise Refusal(
            f"expected an HDF5 file, found something else or a damaged one ({said})"
        ) from error


def _at(file: h5py.File, name: str) -> Any:
    """What lies at a path in the file itself; None where nothing does."""
    found: Any = file
    for part in (part for part in name.split("/") if part):
        if not isinstance(found, h5py.Group):
            return None
        link = found.get(part, getlink=True)
        if link is None:
            return None
        if not isinstance(link, h5py.HardLink):
            raise Refusal(
                "expected an array, found a link, which is not followed; store"
                " what it means under this name"
            )
        found = found[part]
    return found


def group_at(file: h5py.File, name: str) -> h5py.Group:
    """A group of the file; Refusal where there is none of this name."""
    found = _at(file, name)
    if not isinstance(found, h5py.Group):
        raise Refusal(f"there is no group {name!r}")
    return found


def checked(found: Any, size: int) -> h5py.Dataset:
    """An array of numbers that lies in a file of so many bytes, all of it."""
    if not isinstance(found, h5py.Dataset):
        kind = "a group" if isinstance(found, h5py.Group) else "nothing of this name"
        raise Refusal(f"expected an array, found {kind}; store the numbers themselves there")
    if found.is_virtual or found.external:
        raise Refusal(
            "expected an array in this file, found one that lies in another; copy the numbers into"
            " it"
        )
    if found.shape is None or found.dtype.hasobject:
        raise Refusal(
            f"expected an array of numbers, found {found.dtype} {found.shape}; store numbers"
        )
    _check_filters(found)
    _check_stored(found, size)
    return found


def _check_filters(found: h5py.Dataset) -> None:
    properties = found.id.get_create_plist()
    for index in range(properties.get_nfilters()):
        number, _, _, name = properties.get_filter(index)
        if number not in BUILT_IN:
            named = ascii(name.decode("utf-8", "replace"))[1:-1] or "no name"
            raise Refusal(
                f"packed by filter {number} ({named}), which is no part of HDF5 and is not read;"
                " pack it with gzip (h5repack -f GZIP=4)"
            )


def _check_stored(found: h5py.Dataset, size: int) -> None:
    """Nothing is made up: what was never written is no sample."""
    claimed = math.prod(found.shape) * found.dtype.itemsize
    stored = found.id.get_storage_size()
    if stored > size:
        raise Refusal(f"{stored} bytes of it are said to lie in a file of {size}")
    if found.chunks is not None:
        chunk = math.prod(found.chunks) * found.dtype.itemsize
        if chunk > CHUNK:
            raise Refusal(
                f"expected chunks of up to {CHUNK} bytes, found {chunk}; pack it in smaller ones"
                " (h5repack -l CHUNK=4096)"
            )
        pairs = zip(found.shape, found.chunks, strict=True)
        expected = math.prod(-(-n // m) for n, m in pairs)
        there = found.id.get_num_chunks() if claimed else 0
        if claimed and there != expected:
            raise Refusal(
                f"of the {expected} chunks of {found.shape} {there} were written; the rest was"
                " never recorded: cut it off"
            )
    if claimed > PACKED * stored:
        raise Refusal(f"{claimed} bytes are said to lie in {stored}, which cannot be")


def _description(found: h5py.Dataset) -> dict[str, Any]:
    return {
        "shape": list(found.shape),
        "dtype": np.lib.format.dtype_to_descr(plain(found.dtype)),
        "checksums": bool(found.fletcher32),
    }


def plain(dtype: np.dtype) -> np.dtype:
    """The same without what HDF5 says of it beside, such as names of an enumeration."""
    descr = np.lib.format.dtype_to_descr(dtype.newbyteorder("=") if not dtype.names else dtype)
    return np.lib.format.descr_to_dtype(descr)


def _blocks(found: h5py.Dataset, start: int, stop: int, field: str) -> Iterator[memoryview]:
    """Rows start…stop, or one field of them, in blocks of bytes; of an array without rows all."""
    if not found.shape:
        yield memoryview(np.asarray(found[()], plain(found.dtype)).tobytes())
        return
    row = found.dtype.itemsize * math.prod(found.shape[1:])
    step = max(1, BLOCK // max(1, row))
    for begin in range(start, stop, step):
        end = min(begin + step, stop)
        try:
            rows = _rows(found, begin, end, field)
        except Exception as error:
            raise Refusal(_reason(found, error)) from error
        yield rows.reshape(-1).view(np.uint8).data


def _rows(found: h5py.Dataset, begin: int, end: int, field: str) -> np.ndarray:
    if field:
        return np.ascontiguousarray(found.fields(field)[begin:end])
    rows = np.empty((end - begin, *found.shape[1:]), plain(found.dtype))
    if rows.size:
        found.read_direct(rows, np.s_[begin:end])
    return rows


def _reason(found: h5py.Dataset, error: Exception) -> str:
    if found.fletcher32 and "filter" in str(error):
        return "the stored checksum does not match"
    return " ".join(str(error).split()) or type(error).__name__


def attributes(group: h5py.Group) -> dict[str, Any]:
    """Every attribute by name, as str, int, float, bool or lists of them."""
    if len(group.attrs) > ATTRIBUTES:
        raise Refusal(f"expected up to {ATTRIBUTES} attributes, found {len(group.attrs)}")
    return {str(name): _value(value) for name, value in group.attrs.items()}


def _value(value: Any) -> Any:
    """As JSON has it."""
    if isinstance(value, bytes):
        return value.decode("utf-8", errors="replace")
    if isinstance(value, np.ndarray | np.generic):
        return _value(value.tolist())
    if isinstance(value, list | tuple):
        return [_value(v) for v in value]
    return value if isinstance(value, str | int | float | bool) else repr(value)

"""Pickles and archives written byte by byte: what no ordinary program writes."""

from __future__ import annotations

import pickle
import zipfile
from pathlib import Path
from typing import Any


def plain(value: Any) -> bytes:
    """The opcodes of a plain value."""
    return pickle.dumps(value, 2)[2:-1]


def call(module: str, name: str, *arguments: bytes) -> bytes:
    """A call of a class or function by its name."""
    return f"c{module}\n{name}\n(".encode() + b"".join(arguments) + b"tR"


def instance(module: str, name: str, state: bytes) -> bytes:
    """An object with a state."""
    return f"c{module}\n{name}\n)".encode() + b"\x81" + state + b"b"


def mapping(entries: dict[str, bytes]) -> bytes:
    """A dict of opcodes."""
    return b"}(" + b"".join(plain(key) + value for key, value in entries.items()) + b"u"


def tensor(shape: Any, stride: Any, key: str = "0", elements: int = 1, offset: int = 0) -> bytes:
    """A tensor of float32 on a storage."""
    storage = b"(" + plain("storage") + b"ctorch\nFloatStorage\n"
    storage += plain(key) + plain("cpu") + plain(elements) + b"tQ"
    parts = (plain(offset), plain(shape), plain(stride), plain(False))
    hooks = call("collections", "OrderedDict")
    return call("torch._utils", "_rebuild_tensor_v2", storage, *parts, hooks)


def pickled(value: bytes) -> bytes:
    """A whole pickle."""
    return b"\x80\x02" + value + b"."


def archive(path: Path, value: bytes, compression: int = zipfile.ZIP_STORED) -> Path:
    """A file as torch.save writes it, with one storage of four bytes."""
    with zipfile.ZipFile(path, "w", compression) as file:
        file.writestr("archive/data.pkl", pickled(value))
        file.writestr("archive/byteorder", "little")
        file.writestr("archive/data/0", b"\0\0\x80?")
        file.writestr("archive/version", "3\n")
    return path

"""Files of safetensors: a JSON header that says where each tensor lies, then the bytes. They hold
tensors by name and nothing else."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import torch

from compress.frontend.stored.archive import part_of
from compress.frontend.stored.values import Refused, Storage, StoredTensor, contiguous, strided

_MOST_HEADER = 16 << 20
_TYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U8": torch.uint8,
    "BOOL": torch.bool,
    "F8_E4M3": torch.float8_e4m3fn,
    "F8_E5M2": torch.float8_e5m2,
    "C64": torch.complex64,
}


def is_one(beginning: bytes, size: int) -> bool:
    """Whether a file that begins so is one: the length of a header within the file, and its
    brace."""
    if len(beginning) < 9 or beginning[8:9] != b"{":
        return False
    return 2 <= struct.unpack("<Q", beginning[:8])[0] <= size - 8


def contents(path: Path, size: int) -> dict[str, StoredTensor]:
    """Its tensors by their names; Refused says what is wrong with it."""
    part = part_of(path)
    (length,) = struct.unpack("<Q", part(0, 8))
    if length > _MOST_HEADER:
        raise Refused(
            f"expected a header of at most {_MOST_HEADER >> 20} MiB, found {length:,} bytes"
        )
    header = json.loads(part(8, 8 + length))
    header.pop("__metadata__", None)
    return {name: _tensor(path, said, 8 + length, size) for name, said in header.items()}


def _tensor(path: Path, said: Any, start: int, size: int) -> StoredTensor:
    dtype, shape = _TYPES[said["dtype"]], tuple(said["shape"])
    begin, end = said["data_offsets"]
    if not 0 <= begin <= end <= size - start:
        raise Refused("a tensor reaches beyond the file: it is truncated or damaged")
    part = part_of(path)

    def read(a: int, b: int) -> bytes:
        return part(start + begin + a, start + begin + b)

    return strided(Storage(end - begin, dtype, read), dtype, 0, shape, contiguous(shape))

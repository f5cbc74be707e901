"""What a file is, by how it begins, and what it holds; other things than checkpoints that people
give are refused by what they are, with the one thing to do."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from compress.errors import CheckpointError, printable
from compress.frontend.stored import archive, legacy, safetensors
from compress.frontend.stored.values import Refused

_PACKED = "unpack it with `{}` and give what is inside"
_OTHERS: tuple[tuple[bytes, str, str], ...] = (  # how it begins, what it is, what to do
    (b"version https://git-lfs", "a pointer of git-lfs", "fetch the file itself: git lfs pull"),
    (b"\x1f\x8b", "packed with gzip", _PACKED.format("gunzip")),
    (b"\xfd7zXZ", "packed with xz", _PACKED.format("unxz")),
    (b"BZh", "packed with bzip2", _PACKED.format("bunzip2")),
    (b"\x28\xb5\x2f\xfd", "packed with zstd", _PACKED.format("unzstd")),
    (b"7z\xbc\xaf", "packed with 7-Zip", _PACKED.format("7z x")),
    (b"Rar!", "packed with RAR", _PACKED.format("unrar x")),
    (b"\x89HDF\r\n\x1a\n", "an HDF5 file (a recording, or weights of Keras)", ""),
    (b"GGUF", "a GGUF file", ""),
    (b"\x93NUMPY", "an array of NumPy", ""),
    (b"%PDF", "a PDF", ""),
    (b"\x7fELF", "a program or library", ""),
)
# of protocols 0 and 1, which do not say so: the magic number of a file of the old serialization, a
# dict, or a class that is called
_OLD_PICKLE = re.compile(rb"L\d+L?\n\.|\(d[pq]?|\}[qr(.]|c[\w.]{1,100}\n[\w.]{1,100}\n")
_GIVE = "give the checkpoint that torch.save wrote, .ckpt, .pt or .pth"


def contents(path: Path) -> Any:
    """What a checkpoint file holds: plain values, `StoredTensor`, `Name` and `Instance`.
    CheckpointError says in a line what it is instead, what it asks for, or that it is damaged."""
    try:
        if path.is_dir():
            raise Refused(_folder(path))
        if not path.exists():
            raise CheckpointError(f"{path}: no such checkpoint")
        if not path.is_file():
            raise Refused(f"expected a file, found a device or pipe; {_GIVE}")
        return _contents(path)
    except Refused as error:
        raise CheckpointError(f"{path}: {printable(str(error))}") from error
    except CheckpointError:
        raise
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read: {error.strerror or error}") from error
    except Exception as error:  # damage raises whatever its reader meets first
        said = printable(next(iter(str(error).splitlines()), ""))[:100]
        raise CheckpointError(
            f"{path}: cannot be read, the file is damaged or truncated: {type(error).__name__}:"
            f" {said}"
        ) from error


def _contents(path: Path) -> Any:
    size = path.stat().st_size
    beginning = archive.part_of(path)(0, min(size, 1024))
    if beginning.startswith(b"PK\x03\x04"):
        return archive.contents(path)
    _refuse_others(beginning)
    if safetensors.is_one(beginning, size):
        return safetensors.contents(path, size)
    if beginning.startswith(b"\x80") or _OLD_PICKLE.match(beginning):
        return legacy.of_part(archive.part_of(path), size)
    raise Refused(
        f"expected a PyTorch zip archive; the file is damaged, truncated or something else; {_GIVE}"
    )


def _refuse_others(beginning: bytes) -> None:
    """Refused for what begins like something else."""
    if not beginning.strip(b"\x00"):
        raise Refused(f"expected a PyTorch zip archive, found an empty file; {_GIVE}")
    for start, what, todo in _OTHERS:
        if beginning.startswith(start):
            raise Refused(f"expected a PyTorch zip archive, found {what}; {todo or _GIVE}")
    if beginning.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<"):
        raise Refused(
            "expected a PyTorch zip archive, found a web page; fetch the file itself, with the"
            " link to its raw content"
        )
    if beginning[257:262] == b"ustar":
        raise Refused(f"expected a PyTorch zip archive, found a tar; {_PACKED.format('tar xf')}")
    if beginning[4:8] == b"TFL3":
        raise Refused(f"expected a PyTorch zip archive, found a TFLite model; {_GIVE}")
    # the first fields of a protocol buffer: version of the format, name of the producer
    if beginning[:1] == b"\x08" and beginning[2:3] in (b"\x12", b"\x3a", b"\x42"):
        raise Refused(
            "expected a PyTorch zip archive, found an ONNX model; give the checkpoint that it was"
            " exported from"
        )


def _folder(path: Path) -> str:
    """What a folder is, and how it becomes one file."""
    names = {entry.name for _, entry in zip(range(1000), path.iterdir(), strict=False)}
    said = "expected a file, found a folder"
    if "zero_to_fp32.py" in names or any(name.startswith("global_step") for name in names):
        return (
            f"{said} of DeepSpeed; join its parts with"
            " `python -m deepspeed.utils.zero_to_fp32 <folder> weights.pt`"
        )
    if ".metadata" in names or any(name.endswith(".distcp") for name in names):
        return (
            f"{said} of parts; join them with `python -m torch.distributed.checkpoint.format_utils"
            " dcp_to_torch <folder> weights.pt`"
        )
    if "data.pkl" in names:
        return f"{said}, an unpacked checkpoint; give the file that it was unpacked from"
    inside = sorted(name for name in names if name.endswith((".ckpt", ".pt", ".pth")))
    if inside:
        return f"{said}; give the checkpoint inside of it, like {inside[0][:60]!r}"
    return f"{said}; {_GIVE}"

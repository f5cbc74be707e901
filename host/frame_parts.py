"""Where the parts of a recording begin in the frames that `infer` writes one after the other: a
file beside them, which `decode` reads. Each part was a stream of its own, and is a text of its own.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO

import numpy as np
import numpy.typing as npt

from compress.errors import TendonError
from compress.files import read_json, sha256, write_json

Frames = npt.NDArray[np.generic]


def beside(path: Path) -> Path:
    """The file that says the parts of the frames in `path`."""
    return path.with_name(f"{path.name}.parts.json")


def write(path: Path, written: IO[bytes], parts: Sequence[tuple[str, int]]) -> None:
    """Name and number of frames of each part, in order; of one part there is nothing to say.
    `written`: the file that becomes `path`, which it is not yet: what was interrupted in between is
    noticed."""
    if len(parts) > 1:
        named = [{"name": name, "frames": count} for name, count in parts]
        written.seek(0)
        digest = hashlib.file_digest(written, "sha256").hexdigest()  # type: ignore[arg-type]
        write_json(beside(path), {"frames_sha256": digest, "parts": named})
    elif "frames_sha256" in read_json(beside(path)):
        beside(path).unlink()


def read(path: Path, frames: Frames) -> Iterator[tuple[str, Frames]]:
    """Each part with its name, "" of frames that are one stream; TendonError for a file that speaks
    of other frames."""
    file = beside(path)
    if not file.exists():
        yield "", frames
        return
    known = read_json(file)
    try:
        parts = [(str(part["name"]), int(part["frames"])) for part in known["parts"]]
        suits = known["frames_sha256"] == sha256(path)
    except (KeyError, TypeError, ValueError):
        parts, suits = [], False
    counts = [count for _, count in parts]
    if not suits or min(counts, default=0) < 0 or sum(counts) != len(frames):
        raise TendonError(
            f"{file}: expected the parts of the {len(frames)} frames in {path.name}, found those of"
            " others; run infer again, or remove this file where the frames are one stream"
        )
    for (name, count), stop in zip(parts, np.cumsum(counts), strict=True):
        yield name, frames[stop - count : stop]

"""What the artifacts of a network are made from, as the options of a command name it, and what
tells whether it is still the same."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from compress.errors import TendonError
from compress.files import sha256

DEFAULT = "default"  # takes a variable back to what it is where it is not given


@dataclass(frozen=True)
class Kept:
    """What a network was made from beside what options name.

    Args:
        network: SHA-256 of the whole checkpoint, of a network file made here; None: not known.
        calibrated: SHA-256 of the recordings of `data` that calibrated, by path; empty where others
            did.
        make: the command that makes it anew from what is there now.
    """

    network: str | None
    calibrated: Mapping[str, str]
    make: str


@dataclass(frozen=True)
class Sources:
    """Of one network. What is None, or empty, is not given: the shipped checkpoint (of a network
    file the weights that it gives), the simulated recordings, and what calibrates among them.

    Args:
        checkpoint: the user's, of the network before it is compressed.
        data: folder of sessions of the network's task.
        calibration: one recording or `.npy` to calibrate on instead.
        split: files that say which sessions of `data` train, validate and test.
        users: whose sessions of `data`.
        window: samples at a time, of a network that is not causal.
        kept: what else must be as it was, where what is there is to stay.
        apart: whether they are looked at beside a folder that was made from others.
    """

    checkpoint: Path | None = None
    data: Path | None = None
    calibration: Path | None = None
    split: tuple[Path, ...] = ()
    users: tuple[str, ...] = ()
    window: int | None = None
    kept: Kept | None = field(default=None, compare=False)
    apart: bool = field(default=False, compare=False)


GIVEN = tuple(f.name for f in fields(Sources) if f.compare)  # by options of these names


def identity(name: str, value: Any) -> Any:
    """JSON that tells whether a source is the same as another or has changed: path and SHA-256 of a
    file; the path of a folder, whose recordings count by themselves; a list of several; None where
    nothing is given. TendonError for what is not there."""
    if not value:
        return None
    if isinstance(value, tuple):
        return [identity(name, v) for v in value]
    if not isinstance(value, Path):
        return value
    try:
        path = value.expanduser().resolve()
        if path.is_dir():
            return {"path": str(path)}
        return {"path": str(path), "sha256": sha256(path)}
    except OSError as error:
        raise TendonError(
            f"{name.upper()}={value}: cannot be read: {error.strerror or error}"
        ) from error


def value_of(known: Any) -> Any:
    """What an identity is of."""
    if isinstance(known, dict):
        return Path(known["path"])
    return tuple(map(value_of, known)) if isinstance(known, list) else known


def digest_of(entries: Mapping[str, Any]) -> str:
    """Of what a record holds, whatever the order."""
    return hashlib.sha256(json.dumps(entries, sort_keys=True).encode()).hexdigest()


def is_sound(name: str, value: Any) -> bool:
    """Whether a value in a file can be the identity of a source."""
    if value is None:
        return True
    if name == "window":
        return isinstance(value, int)
    if name == "users":
        return isinstance(value, list) and all(isinstance(v, str) for v in value)
    paths = value if name == "split" else [value]
    return isinstance(paths, list) and all(
        isinstance(v, dict) and isinstance(v.get("path"), str) for v in paths
    )


def is_default(value: Any) -> bool:
    """Whether an option says that it is not given."""
    one = value[0] if isinstance(value, tuple) and len(value) == 1 else value
    return str(one) == DEFAULT


def same(a: Any, b: Any) -> bool:
    """Whether two identities are of the same source; a file by its content, wherever it lies."""
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, dict) and isinstance(b, dict) and "sha256" in a and "sha256" in b:
        return bool(a["sha256"] == b["sha256"])
    return bool(a == b)


def text(name: str, value: Any) -> str:
    """A source as an option gives it: DATA=folder."""
    several = value if isinstance(value, tuple) else (value,)
    words = [shown(one) if isinstance(one, Path) else str(one) for one in several]
    return (
        f"{name.upper()}={words[0]}" if len(words) == 1 else f'{name.upper()}="{",".join(words)}"'
    )


def shown(path: Path) -> str:
    """From the current folder where it lies below it."""
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)

"""Artifacts are believed by their content: beside each lies `<name>.sha256`, what was made, as
sha256sum writes it."""

from __future__ import annotations

import logging
import os
from pathlib import Path

from compress.files import replace_atomically, sha256

log = logging.getLogger(__name__)

SUFFIX = ".sha256"


def seal(artifact: Path, *others: Path) -> None:
    """Record the SHA-256 of an artifact, and of the files made with it, below its folder. The last
    step of making it."""
    entries = [
        f"{sha256(path)}  ".encode() + os.fsencode(path.relative_to(artifact.parent)) + b"\n"
        for path in (artifact, *others)
    ]
    replace_atomically(_record(artifact), b"".join(entries))


def forget(artifact: Path) -> None:
    """Delete an artifact and its record. The first step of making it again, where nobody else may
    just read it."""
    _record(artifact).unlink(missing_ok=True)
    artifact.unlink(missing_ok=True)


def is_whole(artifact: Path) -> bool:
    """Whether an artifact, and all made with it, is there as it was made; a line says what is not
    any more. Ask before asking what it was made from: what was replaced has another key, too."""
    found = damage(artifact)
    if found and (artifact.is_file() or _record(artifact).is_file()):
        log.warning(f"{found}: it is made again")
    return found == ""


def damage(artifact: Path) -> str:
    """What is wrong with an artifact, in a line; "" where nothing is."""
    entries = sealed(artifact)
    if artifact.name not in entries:
        return f"{artifact}: no SHA-256 of it is recorded"
    for name, expected in entries.items():
        path = artifact.parent / name
        try:
            found = sha256(path)
        except OSError:
            return f"{path}: missing since it was made"
        if found != expected:
            return (
                f"{path}: damaged or replaced since it was made (SHA-256 expected {expected[:12]},"
                f" found {found[:12]})"
            )
    return ""


def sealed(artifact: Path) -> dict[str, str]:
    """File -> SHA-256, of an artifact and what was made with it; empty where nothing is
    recorded."""
    try:
        lines = _record(artifact).read_bytes().splitlines()
    except OSError:
        return {}
    entries = (line.partition(b"  ") for line in lines)
    return {os.fsdecode(name): digest.decode("ascii", "replace") for digest, _, name in entries}


def _record(artifact: Path) -> Path:
    return artifact.with_name(f"{artifact.name}{SUFFIX}")

"""Writing files so that an interruption or a full disk leaves the old one or none, never half a
one."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import IO, Any

from compress.errors import TendonError
from compress.reading import text


def replace_atomically(path: Path, content: bytes) -> None:
    """Write aside in the same folder, then rename; TendonError names the file when the disk
    refuses."""
    write_atomically(path, lambda file: file.write(content))


def write_atomically(path: Path, write: Callable[[IO[bytes]], object]) -> None:
    """The same with what `write` puts into the file. TendonError for what is there and is no
    file."""
    aside: Path | None = None
    path = path.resolve() if path.is_symlink() else path  # a link stays one
    refuse_no_file(path, str(path))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(
            dir=path.parent, prefix=f".{path.name}.", suffix=".tmp", delete=False
        ) as file:
            aside = Path(file.name)
            write(file)
            file.flush()
            os.fsync(file.fileno())
        aside.chmod(0o644)
        aside.replace(path)
    except OSError as error:
        raise TendonError(
            f"{path}: cannot be written: {error.strerror or error}; nothing was changed"
        ) from error
    finally:
        if aside is not None:
            aside.unlink(missing_ok=True)


def refuse_no_file(path: Path, said: str) -> None:
    """TendonError where something is there that is no file to write; `said`: how the user named
    it."""
    if path.exists() and not path.is_file():
        raise TendonError(
            f"{said}: expected a file to write, found {'a folder' if path.is_dir() else 'a device'}"
        )


def refuse_output(path: Path) -> None:
    """TendonError for what OUTPUT= names and cannot be written: what is no file, in no folder. A
    folder that a slip made would not be found again."""
    refuse_no_file(path, f"OUTPUT={path}")
    if not path.parent.is_dir():
        raise TendonError(
            f"OUTPUT={path}: there is no folder {path.parent}: make it, or write elsewhere"
        )


def write_text(path: Path, text: str) -> None:
    """UTF-8, atomically; of a file's name that is none, an escape for each such byte."""
    replace_atomically(path, text.encode("utf-8", "backslashreplace"))


def write_json(path: Path, content: Any) -> None:
    """Indented JSON with a final newline, atomically. NaN is refused: it is not JSON."""
    parts = json.JSONEncoder(indent=1, allow_nan=False).iterencode(content)

    def write(file: IO[bytes]) -> None:
        for part in parts:
            file.write(part.encode())
        file.write(b"\n")

    write_atomically(path, write)


def read_json(path: Path) -> dict[str, Any]:
    """The object in a JSON file; empty where it is missing, unreadable or none."""
    try:
        content = text.read_json(path)
    except text.UnreadableError:
        return {}
    return content if isinstance(content, dict) else {}


def visible(paths: Iterable[Path]) -> list[Path]:
    """The files among these, by name, without hidden ones, which other systems leave beside them:
    `._a.c` beside `a.c`."""
    return sorted(path for path in paths if not path.name.startswith("."))


def sha256(path: Path) -> str:
    """Hex digest of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()

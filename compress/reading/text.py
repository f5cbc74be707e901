"""Text and JSON from files that nobody vouches for."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from compress.reading.words import one_line

LIMIT = 64 << 20  # bytes of a file of text


class UnreadableError(Exception):
    """Why something cannot be read, in one line of words that follow the name of the file."""


def read(path: Path, limit: int = LIMIT) -> str:
    """The text of a file in UTF-8 of up to so many bytes; UnreadableError."""
    content = read_bytes(path, limit)
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise UnreadableError(
            f"expected text in UTF-8, found the byte 0x{content[error.start]:02x} at {error.start}"
        ) from error


def read_bytes(path: Path, limit: int = LIMIT) -> bytes:
    """What is in a file of up to so many bytes; UnreadableError."""
    try:
        if path.exists() and not path.is_file():
            raise UnreadableError("expected a file, found something else")
        with path.open("rb") as file:
            content = file.read(limit + 1)
    except (OSError, ValueError) as error:  # ValueError: a name that no file can have
        reason = (isinstance(error, OSError) and error.strerror) or one_line(error)
        raise UnreadableError(f"cannot be read: {reason}") from error
    if len(content) > limit:
        raise UnreadableError(f"expected up to {limit} bytes, found a larger file")
    return content


def read_json(path: Path, limit: int = LIMIT) -> Any:
    """The content of a JSON file; UnreadableError, as `parsed` says."""
    return parsed(read(path, limit))


def parsed(content: str) -> Any:
    """The value of a text in JSON. What Python's reader takes beyond JSON is refused: numbers that
    are not finite, and a key that stands twice; and so is nesting of hundreds."""
    try:
        return json.loads(
            content, parse_constant=_constant, parse_float=_finite, object_pairs_hook=_object
        )
    except RecursionError as error:
        raise UnreadableError("expected JSON, found it nested hundreds of times") from error
    except ValueError as error:
        raise UnreadableError(f"expected JSON, found something else: {one_line(error)}") from error


def _constant(said: str) -> Any:
    raise ValueError(f"{said} is no number of JSON")


def _finite(said: str) -> float:
    value = float(said)
    if not math.isfinite(value):
        raise ValueError(f"{one_line(said, 40)} is too large for a number")
    return value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore
        raise ValueError(f"the key {one_line(twice, 40)!r} stands there twice")
    return found

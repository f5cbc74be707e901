"""Words from a file in a message."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from compress.errors import TendonError, printable

Found = TypeVar("Found")
Given = ParamSpec("Given")

LONGEST, MOST = 300, 50  # characters of a line, lines


def one_line(text: object, longest: int = LONGEST) -> str:
    """Whatever it is as one line: no control characters, no line breaks, not longer than that."""
    said = printable(" ".join(str(text)[: 8 * longest].split()))
    return said if len(said) <= longest else f"{said[: longest - 1]}…"


def counted(count: int, one: str, many: str = "") -> str:
    """1 frame, 1,200 frames. `many`: of a plural that is not made with s."""
    return f"{count:,} {noun(count, one, many)}"


def noun(count: int, one: str, many: str = "") -> str:
    """What there are so many of: frame, frames; is, are."""
    return one if count == 1 else many or f"{one}s"


def advised(said: object, advice: str) -> str:
    """What is wrong, and what to do about it where the words do not say so themselves."""
    return str(said) if ";" in str(said) else f"{said}; {advice}"


def refuses_in_one_line(reader: Callable[Given, Found]) -> Callable[Given, Found]:
    """A reader whose refusals repeat words of the file: they become one line."""
    return _worded(reader, lambda error: one_line(error, 3 * LONGEST))


def refuses_in_lines(reader: Callable[Given, Found]) -> Callable[Given, Found]:
    """A reader whose refusals list what it found in a file, a line each."""
    return _worded(reader, lines)


def lines(text: object) -> str:
    """Whatever it is in lines without control characters, not longer and not more than some."""
    found = str(text).split("\n")
    more = [f"and {len(found) - MOST} more"] if len(found) > MOST else []
    indents = ("  " if line.startswith("  ") else "" for line in found)
    said = [indent + one_line(line) for indent, line in zip(indents, found, strict=True)]
    return "\n".join(said[:MOST] + more)


def _worded(
    reader: Callable[Given, Found], words: Callable[[TendonError], str]
) -> Callable[Given, Found]:
    @functools.wraps(reader)
    def read(*given: Given.args, **named: Given.kwargs) -> Found:
        try:
            return reader(*given, **named)
        except TendonError as error:
            raise type(error)(words(error)) from error

    return read

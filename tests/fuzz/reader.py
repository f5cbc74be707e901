"""One reader of files as the mutation tests see it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from compress.errors import TendonError


@dataclass(frozen=True)
class Reader:
    """A reader and the files it reads.

    Args:
        name: unique among all readers.
        file: the name that a file of it has, with its suffix.
        make: writes a good file.
        read: reads one as a command does.
        refusals: the errors by which it may refuse a file, each in one line.
        tokens: bytes that mean something to it, which the mutator puts in.
        seconds: of wall time that one file may take.
        lines: whether a refusal lists what was found, a line each.
    """

    name: str
    file: str
    make: Callable[[Path], None]
    read: Callable[[Path], object]
    refusals: tuple[type[Exception], ...] = (TendonError,)
    tokens: tuple[bytes, ...] = ()
    seconds: float = 30.0
    lines: bool = False

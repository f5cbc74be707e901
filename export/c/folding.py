"""Lines of other languages within 100 columns: Makefiles, CMake files, Markdown."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Iterator

from export.c.text import WIDTH, ascii_of, indent_of

_BULLET = re.compile(r"\s*(?:- |# ?)?")
_WANTS_MORE = re.compile(r"(?: -\w|>|%s\\n')$")  # an option's letter, before what it is about
_QUOTED = re.compile(r"'[^']*'|\"(?:\\.|[^\"\\])*\"")
TITLE = 72  # characters of what a project is called


def title(text: str) -> str:
    """What a project is called, as it may stand in a comment of any of its files."""
    ascii_text = ascii_of(" ".join(text.split()))
    return ascii_text if len(ascii_text) <= TITLE else f"{ascii_text[: TITLE - 3]}..."


def makefile(lines: Iterable[str]) -> Iterator[str]:
    """A line goes on behind a backslash; a comment in another comment."""
    for line in lines:
        if line.lstrip().startswith("#"):
            yield from _prose(line)
        else:
            # make's tab in front counts as eight columns for a reader
            yield from _broken(line, " \\", "\t" if line.startswith("\t") else "    ")


def cmake(lines: Iterable[str]) -> Iterator[str]:
    """A blank between two arguments may be the end of a line."""
    for line in lines:
        if line.lstrip().startswith("#"):
            yield from _prose(line)
        else:
            yield from _broken(line, "", " " * indent_of(line) + "  ")


def markdown(lines: Iterable[str]) -> Iterator[str]:
    """Paragraphs and points of a list are wrapped; a command goes on behind a backslash."""
    for line in lines:
        if line.startswith("    "):
            yield from _broken(line, " \\", " " * 8)
        else:
            yield from _prose(line)


def _prose(line: str) -> Iterator[str]:
    """Words, below each other."""
    if len(line) <= WIDTH:
        yield line
        return
    begin = _BULLET.match(line)
    head = begin[0] if begin else ""
    below = head if "#" in head else " " * len(head)
    yield from textwrap.wrap(
        line, WIDTH, subsequent_indent=below, break_long_words=False, break_on_hyphens=False
    )


def _broken(line: str, mark: str, below: str) -> Iterator[str]:
    """Broken at blanks outside of quotes and brackets."""
    while len(line) > WIDTH:
        free = [i for i in _blanks(line) if i + len(mark) <= WIDTH]
        at = max((i for i in free if not _WANTS_MORE.search(line[:i])), default=0)
        if at <= indent_of(line):
            break
        yield line[:at] + mark
        line = below + line[at + 1 :]
    yield line


def _blanks(line: str) -> Iterator[int]:
    """Where a line may be broken."""
    inside = [range(found.start(), found.end()) for found in _QUOTED.finditer(line)]
    depth = 0
    for index, character in enumerate(line):
        if any(index in quoted for quoted in inside):
            continue
        depth += (line[index - 1 : index + 1] in ("$(", "${")) - (character in ")}" and depth > 0)
        if character == " " and not depth:
            yield index

"""Lines of C within 100 columns."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator

WIDTH = 100


def comment(text: str, indent: int = 0) -> Iterator[str]:
    """Words as a comment, on as many lines as they need. Only ASCII: a compiler may know no other
    characters."""
    room = WIDTH - indent - 6
    lines = textwrap.wrap(ascii_of(text), room, break_on_hyphens=False) or [""]
    for number, line in enumerate(lines):
        begin = "/* " if number == 0 else " * "
        yield " " * indent + begin + line + (" */" if number == len(lines) - 1 else "")


def manual(lines: Iterable[str]) -> Iterator[str]:
    """Lines that stand in one comment as they are; a line that is too long goes on below, as far
    in as its words begin."""
    for number, line in enumerate(lines):
        begin = "/* " if number == 0 else " * "
        text = ascii_of(line)
        inner = len(text) - len(text.lstrip()) + _hanging(text)
        wrapped = textwrap.wrap(
            text,
            WIDTH - 3,
            subsequent_indent=" " * inner,
            break_on_hyphens=False,
            drop_whitespace=True,
            replace_whitespace=False,
        )
        for row, part in enumerate(wrapped or [""]):
            yield ((begin if row == 0 else " * ") + part).rstrip()
    yield " */"


def _hanging(text: str) -> int:
    """How far in the words behind `name  words` begin, from where the line begins."""
    head, gap, _ = text.strip().partition("  ")
    rest = text.strip()[len(head) :]
    return len(head) + len(rest) - len(rest.lstrip()) if gap else 0


def listed(begin: str, parts: Iterable[str], end: str, indent: int) -> Iterator[str]:
    """`begin`, the parts separated by commas, `end`: on one line where that has room, else with the
    parts on lines of their own."""
    found = list(parts)
    whole = f"{begin}{', '.join(found)}{end}"
    if len(whole) <= WIDTH:
        yield whole
        return
    yield begin.rstrip()
    yield from filled(found, indent)
    yield " " * indent_of(begin) + end.lstrip()


def filled(parts: Iterable[str], indent: int, width: int = WIDTH) -> Iterator[str]:
    """Parts with commas behind them, as many as a line holds; a part may have lines of its own."""
    line = ""
    for word in (word for part in parts for word in f"{part},".split("\n")):
        if line and len(line) + len(word) + 1 > width:
            yield line
            line = ""
        line = f"{line} {word}" if line else f"{' ' * indent}{word}"
    if line:
        yield line


def call(text: str, indent: int) -> Iterator[str]:
    """A call or a declaration; where it is too long its arguments go on below the first."""
    if indent + len(text) <= WIDTH:
        yield " " * indent + text
        return
    name, _, arguments = text.partition("(")
    yield from textwrap.wrap(
        f"{name}({arguments}",
        WIDTH,
        initial_indent=" " * indent,
        subsequent_indent=" " * (indent + len(name) + 1),
        break_long_words=False,
        break_on_hyphens=False,
    )


def indent_of(line: str) -> int:
    """Blanks at the begin of a line."""
    return len(line) - len(line.lstrip())


def ascii_of(text: str) -> str:
    """The text with what is not ASCII replaced, as it may stand in a comment."""
    return text.encode("ascii", "replace").decode()


def string(text: str) -> str:
    """A C string of these characters in UTF-8, written in ASCII."""
    return f'"{"".join(_escaped(text))}"'


def strings(text: str, room: int) -> Iterator[str]:
    """The same in as many strings as it takes where one has so much room; C joins them."""
    part = ""
    for character in _escaped(text):
        if part and len(part) + len(character) + 2 > room:
            yield f'"{part}"'
            part = ""
        part += character
    yield f'"{part}"'


def _escaped(text: str) -> Iterator[str]:
    for byte in text.encode():
        plain = 32 <= byte < 127 and byte not in b'"\\?'
        yield chr(byte) if plain else f"\\{byte:03o}"


def define(name: str, value: object, says: str = "") -> Iterator[str]:
    """A macro, and what it means behind it, or before it where there is no room."""
    line = f"#define {name} {value}"
    if says and len(line) + len(says) + 7 <= WIDTH:
        yield f"{line} /* {says} */"
        return
    if says:
        yield from comment(says)
    yield line

"""Keeps C within the columns that a network's name made it exceed."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator

from export.c.text import WIDTH, indent_of

# comments and strings: a word of English is no name there, and a string is not broken
APART = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"', re.DOTALL)
CODE, BLOCK, LINE, STRING = ".*/s"

Marked = tuple[str, str]  # a line, and what each of its characters belongs to


def within(source: str) -> str:
    """C whose lines are broken at blanks, or behind a bracket, where they are too long. In a
    comment what is too much goes to the line below; a comment behind code goes above it."""
    left = deque(_marked(source))
    made: list[str] = []
    while left:
        line, marks = left.popleft()
        goes_on = bool(made) and made[-1].endswith("\\")
        if len(line) <= WIDTH:
            made.append(line)
        elif marks[-1] == LINE or (marks[-1] == BLOCK and _is_comment(line, marks)):
            made += _comment(line, marks, left)
        elif marks[-1] == BLOCK and line.endswith("*/") and not goes_on:
            _go_above(line, marks, left)
        else:
            made += _code(line, marks, goes_on)
    return "\n".join(made)


def _marked(source: str) -> Iterator[Marked]:
    marks = [CODE] * len(source)
    for found in APART.finditer(source):
        kind = {"/*": BLOCK, "//": LINE}.get(found[0][:2], STRING)
        marks[found.start() : found.end()] = kind * len(found[0])
    at = 0
    for line in source.split("\n"):
        yield line, "".join(marks[at : at + len(line)])
        at += len(line) + 1


def _is_comment(line: str, marks: str) -> bool:
    """Whether nothing else is in it."""
    return marks[indent_of(line) :].strip(marks[-1]) == ""


def _go_above(line: str, marks: str, left: deque[Marked]) -> None:
    begin, indent = len(marks.rstrip(marks[-1])), indent_of(line)
    code = line[:begin].rstrip()
    left.appendleft((code, marks[: len(code)]))
    left.appendleft((" " * indent + line[begin:], CODE * indent + marks[begin:]))


def _comment(line: str, marks: str, left: deque[Marked]) -> list[str]:
    """Its first part; the second is left to do, with the next line where that goes on."""
    if not _is_comment(line, marks):
        _go_above(line, marks, left)
        return []
    kind, indent = marks[-1], indent_of(line)
    at = indent + (line[indent : indent + 2] == "/*")
    begin = " " * at + ("// " if kind == LINE else "* ")
    cut = line.rfind(" ", len(begin), WIDTH + 1)
    if cut < 0:
        return [line]
    rest = begin + line[cut:].strip()
    following = left[0][0] if left else ""
    joins = not line.endswith("*/") and re.match(re.escape(begin) + r"\S", following)
    if joins and left[0][1][-1] == kind:
        left.popleft()
        rest += " " + following[len(begin) :]
    left.appendleft((rest, kind * len(rest)))
    return [line[:cut].rstrip()]


def _code(line: str, marks: str, goes_on: bool) -> list[str]:
    """All its parts. A line of the preprocessor (`goes_on`: with the line above) needs a backslash
    at the end, and may then be broken in a string too."""
    directive = goes_on or line.startswith("#")
    end, inside = (" \\", CODE + STRING) if directive else ("", CODE)
    indent = " " * (indent_of(line) + 4)
    made: list[str] = []
    while len(line) > WIDTH:
        least, most = indent_of(line) + 1, WIDTH - len(end)
        places = [at for at in range(least, most + 1) if marks[at] in inside]
        blanks = [at for at in places if line[at] == " " and line[at:].strip() != "\\"]
        brackets = [at + 1 for at in places if line[at] in "([" and at < most]
        if not blanks and not brackets:
            too_far = min(len(line) - WIDTH, indent_of(line))
            if not too_far:
                break
            line, marks = line[too_far:], marks[too_far:]
            continue
        cut = (blanks or brackets)[-1]
        before = "" if marks[cut] == STRING else indent
        made.append(line[:cut].rstrip() + end)
        rest = line[cut:].lstrip()
        line, marks = before + rest, CODE * len(before) + marks[len(marks) - len(rest) :]
    return [*made, line]

"""The documentation as a Markdown parser sees it: its links, headings, commands and paths."""

from __future__ import annotations

import itertools
import re
import shlex
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.token import Token

from tests.conftest import ROOT

TOP = ("bench", "compress", "docs", "export", "firmware", "host", "tests")
_MARKDOWN = MarkdownIt("commonmark").enable("table")
_PROMPTS = ("$ ", "> ")
_ASSIGNMENT = re.compile(r"[A-Z_]+=.*")


@dataclass(frozen=True)
class Shown:
    """A command that a page shows.

    Args:
        words: of it, as the shell takes them.
        variables: names that are set in front of it.
        folder: that a `cd` before it went to; None: the repository.
        in_text: whether it stands in a sentence, which may speak of any folder.
    """

    words: tuple[str, ...]
    variables: tuple[str, ...]
    folder: str | None
    in_text: bool

    def __str__(self) -> str:
        return shlex.join(self.words)


@dataclass(frozen=True)
class Page:
    path: Path

    def __str__(self) -> str:
        return self.path.relative_to(ROOT).as_posix()

    @cached_property
    def text(self) -> str:
        return self.path.read_text(encoding="utf-8")

    @cached_property
    def tokens(self) -> list[Token]:
        """Blocks, and in them what stands in a line."""
        blocks = _MARKDOWN.parse(self.text)
        return [each for block in blocks for each in (block, *(block.children or ()))]

    @property
    def links(self) -> Iterator[str]:
        """Of links and pictures, as they are written."""
        for token in self.tokens:
            for name in ("href", "src"):
                if name in token.attrs:
                    yield str(token.attrs[name])

    @cached_property
    def anchors(self) -> set[str]:
        """Of headings, as GitHub makes them."""
        found: list[str] = []
        for i, token in enumerate(self.tokens):
            if token.type == "heading_open":
                words = self.tokens[i + 1].children or ()
                found.append(slug("".join(word.content for word in words)))
        return {f"{a}-{n}" if (n := found[:i].count(a)) else a for i, a in enumerate(found)}

    @property
    def spans(self) -> Iterator[str]:
        """What stands between backticks."""
        yield from (t.content for t in self.tokens if t.type == "code_inline")

    @property
    def commands(self) -> Iterator[Shown]:
        for span in self.spans:
            yield from _shown([span], in_text=True)
        for token in self.tokens:
            if token.type in ("code_block", "fence"):
                yield from _shown(re.sub(r"\\\n\s*", "", token.content).splitlines())

    @property
    def paths(self) -> Iterator[str]:
        """Of the repository, in backticks and in commands; a `<name>` in them is any."""
        commands = (word for shown in self.commands for word in shown.words)
        for said in (*self.spans, *commands):
            for word in said.split("=")[-1:] if " " not in said else ():
                path = re.split(r"[:(#]", word)[0].rstrip(",.;")
                if (
                    path.split("/")[0] in TOP
                    and "/" in path
                    and not re.search(r"[^\w./<>*-]", path)
                ):
                    yield path


def slug(title: str) -> str:
    """The anchor of a heading: letters, digits, `_` and `-`; blanks become `-`."""
    kept = (c for c in title.strip().lower() if c in " -_" or unicodedata.category(c)[0] in "LNM")
    return "".join(kept).replace(" ", "-")


def _shown(lines: list[str], in_text: bool = False) -> Iterator[Shown]:
    folder: str | None = None
    for line in lines:
        for prompt in _PROMPTS:
            line = line.strip().removeprefix(prompt)
        for words in _commands(line, "();&" if in_text else "();|&"):
            names = [*itertools.takewhile(_ASSIGNMENT.fullmatch, words)]
            words = words[len(names) :]
            if words[:1] == ["cd"]:
                folder = None if words[1:] == ["-"] else "".join(words[1:])
            elif words:
                variables = (name.partition("=")[0] for name in names)
                yield Shown(tuple(words), tuple(variables), folder, in_text)


def _commands(line: str, marks: str) -> Iterator[list[str]]:
    """The simple commands of a line of the shell; `marks`: what stands between two."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars=marks)
    lexer.whitespace_split, lexer.commenters = True, "#"
    try:
        words = list(lexer)
    except ValueError:  # no line of a shell
        return
    for apart, command in itertools.groupby(words, lambda word: set(word) <= set(marks)):
        if not apart:
            yield list(command)


def pages() -> list[Page]:
    """README.md, docs/, and the READMEs of folders."""
    found = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    for top in TOP:
        if top != "docs":
            found += sorted((ROOT / top).rglob("README.md"))
    return [Page(path) for path in found if path.is_file()]

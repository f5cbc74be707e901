"""The examples of a project: programs that hold a network, and that a user takes as a beginning.

Their sources are in firmware/examples, about a network called `network` and a task called `task`.
A project gets those that suit it, with the names that its own have.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from compress import tasks
from export.boards import FIRMWARE
from export.c import text
from export.c.step import Model

FOLDER = "examples"
SOURCES = FIRMWARE / FOLDER
# task -> the header that says what its frames mean
READERS = {name: f"{name}.h" for name in tasks.TABLE}
PROGRAMS = {
    "file.c": "int16 samples from a file, int16 frames to another",
    "application.cpp": "the same in C++17: two streams that share an arena",
}
SHARED = {
    "samples_file.h": "reads a step's samples from a file",
    "own_samples.h": "words of a front end -> samples of the network; two buffers, and steps lost",
    "number_text.h": "numbers as text, without printf() and floating point",
}
# comments and strings: a word of English is no name there
_APART = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"', re.DOTALL)


def files(model: Model, board: str) -> dict[str, bytes]:
    """Path in a project for a board -> content."""
    task = tasks.of(model.graph).name
    taken = {name: name for name in (*PROGRAMS, *SHARED, READERS[task])}
    taken |= {f"{task}.c": "task.c"}
    taken |= {f"{board}/{path.name}": f"{board}/{path.name}" for path in _own(board)}
    names = {"network": model.identifier, "task": task}
    written = {
        f"{FOLDER}/{name}": renamed((SOURCES / source).read_text(encoding="ascii"), names)
        for name, source in taken.items()
    }
    written[f"{FOLDER}/README.md"] = "".join(f"{line}\n" for line in _readme(model, board, task))
    return {name: content.encode() for name, content in written.items()}


def _own(board: str) -> list[Path]:
    """Sources of a board's own programs."""
    return sorted((SOURCES / board).glob("*.c"))


def renamed(source: str, names: dict[str, str]) -> str:
    """C with other names for the words `network` and `task`: where they are a name of their own,
    where one begins with them, in either case, and where they are a header."""
    made, at = [], 0
    for found in _APART.finditer(source):
        words = _in_words(found[0], names)
        made += [_in_code(source[at : found.start()], names), _within(words)]
        at = found.end()
    return "".join([*made, _in_code(source[at:], names)])


def _within(comment: str) -> str:
    """A block comment whose lines a longer name has made too long: what is too much goes to the
    line below."""
    lines, made = comment.split("\n"), []
    while lines:
        line = lines.pop(0)
        if len(line) > text.WIDTH and not line.startswith('"'):
            cut = line.rindex(" ", 0, text.WIDTH + 1)
            line, rest = line[:cut], line[cut + 1 :]
            begin, _, words = lines[0].partition("* ") if lines else (" ", "", "")
            if words and not words.startswith(" "):
                lines[0] = f"{begin}* {rest} {words}"
            else:
                lines.insert(0, f"{begin.partition('*')[0]}* {rest}")
        made.append(line)
    return "\n".join(made)


def _in_words(words: str, names: dict[str, str]) -> str:
    for word, name in names.items():
        words = re.sub(rf"\b{word}(?=_\w|\.h\b)", name, words)
        words = re.sub(rf"\b{word.upper()}(?=_\w)", name.upper(), words)
    return words


def _in_code(code: str, names: dict[str, str]) -> str:
    code = _in_words(code, names)
    for word, name in names.items():
        code = re.sub(rf"\b{word}\b", name, code)
    return code


def _readme(model: Model, board: str, task: str) -> Iterator[str]:
    name, per_sample = model.identifier, model.graph.input.features
    yield f"# Examples of what holds {model.graph.name}"
    yield ""
    yield f"Take one, and change it: `model/{name}.h` is the manual of what they call."
    yield ""
    yield "    make BOARD=posix examples       # for this machine, into build/posix/examples"
    if _own(board):
        yield f"    make BOARD={board} examples  # for the board, into build/{board}/examples"
    yield ""
    yield f"- `{task}.c` what the network says, as text; `{task}.h` is the part of it for a device"
    yield from (f"- `{program}` {says}" for program, says in PROGRAMS.items())
    for path in _own(board):
        yield f"- `{board}/{path.name}` own samples by DMA -> step -> text on the serial"
        yield "  port; built, not run"
    yield from (f"- `{header}` {says}" for header, says in SHARED.items())
    yield ""
    yield f"A file of samples is int16, {per_sample} values a sample, nothing else; in Python"
    yield "`samples.astype(numpy.int16).tofile(path)`. Then"
    yield ""
    yield f"    build/posix/examples/{task} path"

"""The examples of a project: programs that hold a network, and that a user takes as a beginning.

Their sources are in firmware/examples, about a network called `network` and a task called `task`.
A project gets those that suit it, with the names that its own have.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator
from pathlib import Path

from compress import tasks
from compress.files import visible
from export.boards import FIRMWARE, load_board
from export.c import columns, folding, text
from export.c.step import Model

FOLDER = "examples"
EMULATED = "emulated"  # the folder of what every emulated board gets beside its own
SOURCES = FIRMWARE / FOLDER
PLAIN = "values"  # reads the frames of a task that has no header here
PROGRAMS = {
    "file.c": "int16 samples from a file, int16 frames to another",
    "application.cpp": "the same in C++17: two streams that share an arena",
}
RECEIVER, SENDER = "own_samples_serial.c", "send_samples.py"
OWN = {
    "own_samples_f446.c": "own samples by DMA -> step -> text on the serial port; built, not run",
    RECEIVER: "own samples over the serial line -> step -> text on it",
    SENDER: "the other end of that line",
}
SHARED = {
    "samples_file.h": "reads a step's samples from a file",
    "own_samples.h": "words of a front end -> samples of the network; two buffers, and steps lost",
    "number_text.h": "numbers as text, without printf() and floating point",
}


def files(model: Model, board: str) -> dict[str, bytes]:
    """Path in a project for a board -> content."""
    task = _reader(model)
    taken = {name: name for name in (*PROGRAMS, *SHARED, f"{task}.h")}
    taken |= {f"{task}.c": "task.c"}
    taken |= {f"{board}/{path.name}": f"{path.parent.name}/{path.name}" for path in _own(board)}
    names = {"network": model.identifier, "task": task}
    written = {
        f"{FOLDER}/{name}": renamed((SOURCES / source).read_text(encoding="ascii"), names)
        for name, source in taken.items()
    }
    written[f"{FOLDER}/README.md"] = "".join(
        f"{line}\n" for line in folding.markdown(_readme(model, board, task))
    )
    return {name: content.encode() for name, content in written.items()}


def _reader(model: Model) -> str:
    """The task whose header says what a frame means."""
    task = tasks.of(model.graph).name
    return task if (SOURCES / f"{task}.h").is_file() else PLAIN


def _own(board: str) -> list[Path]:
    """What is for a board alone."""
    folders = [board, EMULATED] if load_board(board).emulator else [board]
    return visible(path for folder in folders for path in (SOURCES / folder).glob("*.*"))


def renamed(source: str, names: dict[str, str]) -> str:
    """C with other names for the words `network` and `task`: where they are a name of their own,
    where one begins with them, in either case, and where they are a header."""
    made, at = [], 0
    for found in columns.APART.finditer(source):
        made += [_in_code(source[at : found.start()], names), _in_words(found[0], names)]
        at = found.end()
    return columns.within("".join([*made, _in_code(source[at:], names)]))


def _in_words(words: str, names: dict[str, str]) -> str:
    return _replaced(r"(?=_\w|\.h\b)", words, names)


def _in_code(code: str, names: dict[str, str]) -> str:
    return _replaced(r"(?=_\w|\b)", code, names)


def _replaced(behind: str, source: str, names: dict[str, str]) -> str:
    """All names at once: one may hold another's word."""
    upper = {word.upper(): name.upper() for word, name in names.items()}
    words = rf"\b(?:(?:{'|'.join(names)}){behind}|(?:{'|'.join(upper)})(?=_\w))"
    return re.sub(words, lambda found: (names | upper)[found[0]], source)


def _readme(model: Model, board: str, task: str) -> Iterator[str]:
    name, per_sample = model.identifier, model.graph.input.features
    own = [path.name for path in _own(board)]
    yield f"# Examples of what holds {model.graph.name}"
    yield ""
    yield f"Take one, and change it: `model/{name}.h` is the manual of what they call."
    yield ""
    yield "    make BOARD=posix examples     # for this machine, into build/posix/examples"
    if own:
        yield f"    make examples                 # for {board}, into build/{board}/examples"
    yield ""
    listed = {
        f"{task}.c": f"what the network says, as text; `{task}.h` is the part of it for a device",
        **PROGRAMS,
        **SHARED,
        **{f"{board}/{file}": OWN[file] for file in own},
    }
    for file, says in listed.items():
        yield from textwrap.wrap(f"- `{file}` {says}", text.WIDTH, subsequent_indent="  ")
    yield ""
    if load_board(board).prefix:
        yield from _readme_own(board)
    yield f"A file of samples is int16, low byte first, {per_sample} values a sample, nothing else;"
    yield "in Python `samples.astype('<i2').tofile(path)`. Then, from the folder above,"
    yield ""
    yield f"    build/posix/{FOLDER}/{task} path"
    yield from _readme_emulated(board)


def _readme_own(board: str) -> Iterator[str]:
    """How a program of the user's is built for the board."""
    yield f"`make examples` builds every `.c` and `.cpp` of `{FOLDER}/{board}/`, yours too: each is"
    yield "a program with its `main()`, with the port and without `app/`. C++ is without"
    yield "exceptions, RTTI and destructors of static objects."
    yield ""
    yield "`printf()` and `snprintf()` want system calls, which a board has none of. With gcc say"
    yield "`EXTRA=--specs=nosys.specs`, with clang add `$(call found,libnosys.a)` to `LIBRARIES` in"
    yield "`Makefile`; what `printf()` writes goes nowhere until you write `_write()`."
    yield ""


def _readme_emulated(board: str) -> Iterator[str]:
    emulator = load_board(board).emulator
    if emulator is None:
        return
    yield ""
    yield "and the same in QEMU, with the serial line as its standard input and output:"
    yield ""
    yield f"    python3 {FOLDER}/{board}/{SENDER} path \\"
    yield f"      {emulator.command} {' '.join(emulator.arguments)} \\"
    yield f"      -kernel build/{board}/{FOLDER}/{board}/{Path(RECEIVER).stem}.elf -serial stdio"
    if warned := emulator.warning:
        yield ""
        yield warned

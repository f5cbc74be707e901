"""What an image (ELF) says of an address in its code: the function, and the line of its source."""

from __future__ import annotations

import functools
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from elftools.elf.elffile import ELFFile
from elftools.elf.sections import SymbolTableSection

from compress.reading.words import one_line


@dataclass(frozen=True)
class Place:
    """`function` is "" where no symbol covers the address, `file` where the image has no lines
    (`line` is then 0)."""

    address: int
    function: str
    file: str
    line: int

    def __str__(self) -> str:
        lines = f"{self.file}:{self.line}" if self.file else ""
        if not self.function:
            return lines or f"0x{self.address:08x}"
        return f"{self.function} ({lines or f'0x{self.address:08x}, no line is known'})"


class Image:
    """An ELF image; ValueError when it is none."""

    def __init__(self, path: Path):
        self.path = path
        try:
            with path.open("rb") as file:
                elf = ELFFile(file)
                text = elf.get_section_by_name(".text")
                self.code_crc = 0 if text is None else zlib.crc32(text.data())
                code = range(0)
                if text is not None:
                    code = range(text["sh_addr"], text["sh_addr"] + text["sh_size"])
                self._functions = sorted(_functions(elf))
                self._lines = sorted(_lines(elf, code))
        except Exception as error:  # its reader meets anything in a damaged one
            raise ValueError(f"{path}: no image that can be read ({one_line(error)})") from error

    def place(self, address: int) -> Place:
        """Of one instruction; bit 0, which says Thumb in an address, is ignored."""
        at = address & ~1
        function = next((n for a, size, n in self._functions if a <= at < a + size), "")
        file, line = next(((f, n) for a, end, f, n in self._lines if a <= at < end), ("", 0))
        return Place(at, function, file, line)


@functools.lru_cache(maxsize=8)
def _read(path: Path, _changed: int) -> Image:
    return Image(path)


def read(path: Path) -> Image | None:
    """The image in a file, kept while the file stays as it is; None when it is none."""
    try:
        return _read(path, path.stat().st_mtime_ns)
    except (OSError, ValueError):
        return None


def _functions(elf: ELFFile) -> Iterator[tuple[int, int, str]]:
    """(address, size, name)."""
    table = elf.get_section_by_name(".symtab")
    if isinstance(table, SymbolTableSection):
        for symbol in table.iter_symbols():
            if symbol["st_info"]["type"] == "STT_FUNC":
                yield symbol["st_value"] & ~1, symbol["st_size"], symbol.name


def _lines(elf: ELFFile, code: range) -> Iterator[tuple[int, int, str, int]]:
    """(address, end, file, line) of every stretch of code that belongs to a line. Functions that
    the linker left out keep their lines, from address 0 on."""
    if not elf.has_dwarf_info():
        return
    info = elf.get_dwarf_info()
    for unit in info.iter_CUs():
        program = info.line_program_for_CU(unit)
        last, linked = None, False
        for state in () if program is None else (e.state for e in program.get_entries()):
            if state is None:
                continue
            if last is None:
                linked = state.address in code
            elif linked and last.address < state.address and last.line:
                yield last.address, state.address, _file(program, last.file), last.line
            last = None if state.end_sequence else state


def _file(program: Any, number: int) -> str:
    """Its path as the compiler was given it; without the folder that the project lies in."""
    version = program["version"]
    entry = program["file_entry"][number if version >= 5 else number - 1]
    folder = entry.dir_index - (version < 5)
    folders = program["include_directory"]
    parts = [folders[folder]] if 0 <= folder < len(folders) else []
    path = "/".join(p.decode("utf-8", "replace") for p in (*parts, entry.name))
    return path.removeprefix("./")

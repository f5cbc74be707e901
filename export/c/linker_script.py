"""The linker script of a board, written from its board.toml and the plan of what lies where.

sections.ld, which all Cortex-M boards share, says what goes into which section.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from export.boards import Description, Memory
from export.c.placement import COLD, HOTTEST_FIRST, Where


def lines(board: Description, where: Where, cold: Sequence[str] = ()) -> dict[str, Iterator[str]]:
    """File name -> lines of what sections.ld needs beside it. `where`: part -> region; `cold`: the
    tables that lie where `where` puts cold ones."""
    return {str(board.linker_script): _script(board, where), "cold_tables.ld": _cold_tables(cold)}


def _script(board: Description, where: Where) -> Iterator[str]:
    yield f"/* {board.title}: its memories,"
    yield " * and which of them holds which part of the program, planned before building. */"
    yield "MEMORY"
    yield "{"
    yield from (f"    {_region(name, memory)}" for name, memory in board.memory.items())
    yield "}"
    yield f"STACK_BYTES = DEFINED(STACK_BYTES) ? STACK_BYTES : {board.stack_bytes};"
    for part in sorted(HOTTEST_FIRST):
        yield f'REGION_ALIAS("{part.upper()}", {where[part].upper()})'
    yield f'REGION_ALIAS("COLD_TABLES", {where.get(COLD, where["tables"]).upper()})'
    yield "INCLUDE sections.ld"


def _region(name: str, memory: Memory) -> str:
    """One line of MEMORY. A region that holds nothing has no access flags, so that the linker puts
    nothing there by itself."""
    access = f" ({memory.access})" if memory.access else ""
    size = memory.size
    length = f"{size >> 10}K" if size % 1024 == 0 else str(size)
    return f"{name.upper()}{access} : ORIGIN = {memory.origin:#010x}, LENGTH = {length}"


def _cold_tables(cold: Sequence[str]) -> Iterator[str]:
    yield "/* Planned before building: the tables that lie apart from the others, because they are"
    yield " * read least often. */"
    yield from (f"*(.rodata.model_tables.{name})" for name in cold)

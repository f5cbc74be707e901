"""Which memory of a board holds what, decided before anything is built.

A program has six parts. `code` is everything executed, `tables` the network's constants; `stack`;
`buffers` the line's and the application's variables, one step of samples among them; `arena` the
activations of one step; `state` what is kept between steps. board.toml says which parts a region
may hold, regions in the order of preference, and the linker script follows.

Where the tables do not fit as a whole, a region for `cold tables` (an external flash) takes those
that are read least often, and they are a seventh part. A byte is as hot as it is often read
(streaming.py). Filling the inside from the hottest table on leaves the fewest reads outside:
exchanging a byte inside for one outside cannot lessen them, for none outside is hotter. That would
be exact if tables could be cut; a whole one that is hot and too large for what is left lies
outside, and colder ones take its room.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from compress.errors import TendonError
from export.boards import Description, load_board, names
from export.c.streaming import Table

CODE_ALLOWANCE = 24 * 1024  # kernels, application and port, before anything is built
BUFFER_ALLOWANCE = 7 * 1024  # ring, frames in and out, counts; samples and results come on top
HOTTEST_FIRST = (
    "stack",
    "arena",
    "state",
    "buffers",
    "code",
    "tables",
)  # how often a byte of each is touched in a step
COLD = "cold tables"
ALIGNMENT = 8  # of every table

Sizes = dict[str, int]  # part -> bytes
Where = dict[str, str]  # part -> region


class DoesNotFitError(TendonError):
    """A network is too large for a board's memory."""


@dataclass(frozen=True)
class Placement:
    """Every part's region and size; nothing overlaps, because the linker lays the parts of a region
    end to end.

    `cold`: the names of the tables that lie in the region for cold ones; none unless `where` has
    that part.
    """

    where: Where
    sizes: Sizes
    cold: tuple[str, ...] = ()

    def planned(self, region: str) -> int:
        """Bytes of a region that parts take."""
        return sum(size for part, size in self.sizes.items() if self.where[part] == region)


def part_sizes(
    board: Description,
    tables: int,
    arena: int,
    state: int,
    step_bytes: int,
    outputs: int,
    chunk: int = 1,
) -> Sizes:
    """Sizes of all parts. Network: bytes of tables, arena, state and one step of samples, outputs
    per frame, frames per step."""
    results = max(4, 2 * chunk) * (4 + 2 * outputs)  # as many as app/requests.h keeps
    return {
        "stack": board.stack_bytes,
        "arena": arena,
        "state": state,
        "buffers": BUFFER_ALLOWANCE + step_bytes + results,
        "code": CODE_ALLOWANCE,
        "tables": tables,
    }


def place(what: str, sizes: Sizes, board: Description, tables: Sequence[Table] = ()) -> Placement:
    """The first placement in the order of preference in which everything fits; the hottest part is
    asked first.

    `what`: the network's name; `tables`: what its part of that name consists of, all of it or
    nothing. Without them it is one piece, which may lie among cold tables as a whole.
    DoesNotFitError names the region, what is needed and what is there, and the boards that would
    do.
    """
    found = _first_that_fits(sizes, board, tables)
    if found is None:
        raise DoesNotFitError(
            f"{what} does not fit {board.name}: {_shortage(sizes, board)}."
            f" {_help(sizes, board, tables)}"
        )
    return found


def _first_that_fits(
    sizes: Sizes, board: Description, tables: Sequence[Table] = ()
) -> Placement | None:
    for regions in itertools.product(*(_choices(board, part) for part in HOTTEST_FIRST)):
        found = Placement(dict(zip(HOTTEST_FIRST, regions, strict=True)), sizes)
        if _fits(found, board):
            return found
    return _split(sizes, board, tables)


def _fits(placed: Placement, board: Description) -> bool:
    return all(placed.planned(name) <= memory.size for name, memory in board.memory.items())


def _split(sizes: Sizes, board: Description, tables: Sequence[Table]) -> Placement | None:
    """The hottest tables where tables are preferred, the others in a region for cold ones; without
    a list, all of them there."""
    outside = [name for name, memory in board.memory.items() if COLD in memory.holds]
    others = HOTTEST_FIRST[:-1]
    for *regions, inside, cold in itertools.product(
        *(_choices(board, part) for part in HOTTEST_FIRST), outside
    ):
        where = dict(zip(others, regions, strict=True))
        if not tables:
            found = Placement(where | {"tables": cold}, sizes)
        else:
            rest = Placement(where, {part: sizes[part] for part in others})
            found = _with_tables(
                rest, inside, cold, tables, board.memory[inside].size - rest.planned(inside)
            )
        if _fits(found, board):
            return found
    return None


def _with_tables(
    rest: Placement, inside: str, outside: str, tables: Sequence[Table], room: int
) -> Placement:
    """`rest` with as many tables in so many bytes inside as find room from the hottest on, and the
    others outside."""
    cold = coldest(tables, room)
    sizes = {"tables": 0, COLD: 0}
    for table in tables:
        sizes[COLD if table.name in cold else "tables"] += table.size
    return Placement(rest.where | {"tables": inside, COLD: outside}, rest.sizes | sizes, cold)


def coldest(tables: Sequence[Table], room: int) -> tuple[str, ...]:
    """Names of the tables, in their order, that find no place in so many bytes when the hottest
    comes first, of two equally hot ones the larger."""
    cold = set()
    for table in sorted(tables, key=lambda table: (-table.reads_per_second, -table.size)):
        padded = -(-table.size // ALIGNMENT) * ALIGNMENT
        if padded <= room:
            room -= padded
        else:
            cold.add(table.name)
    return tuple(table.name for table in tables if table.name in cold)


def first_choices(board: Description) -> Where:
    """Part -> the region it would like best; nothing for a board without limits."""
    return {part: _choices(board, part)[0] for part in HOTTEST_FIRST} if board.memory else {}


def boards_that_hold(sizes: Sizes, tables: Sequence[Table] = ()) -> list[str]:
    """Boards whose memory holds these parts, the smallest first. The stack is each board's own."""
    with_memory = [board for board in map(load_board, names()) if board.memory]
    holding = [
        board
        for board in with_memory
        if _first_that_fits(sizes | {"stack": board.stack_bytes}, board, tables)
    ]
    return [board.name for board in sorted(holding, key=lambda board: board.memory_bytes)]


def _choices(board: Description, part: str) -> list[str]:
    found = [name for name, memory in board.memory.items() if part in memory.holds]
    if not found:
        raise TendonError(f"{board.folder / 'board.toml'}: no region holds {part}")
    return found


def _shortage(sizes: Sizes, board: Description) -> str:
    """Every part that finds no room when each takes the first choice that has some; those with one
    choice come first."""
    left = {name: memory.size for name, memory in board.memory.items()}
    short = []
    for part in sorted(sizes, key=lambda p: (len(_choices(board, p)), HOTTEST_FIRST.index(p))):
        choices = _choices(board, part)
        choices = choices + [
            name
            for name, memory in board.memory.items()
            if part == "tables" and COLD in memory.holds
        ]
        fitting = [name for name in choices if left[name] >= sizes[part]]
        if fitting:
            left[fitting[0]] -= sizes[part]
        else:
            there = " and ".join(
                f"{name} has {left[name]:,} of {board.memory[name].size:,} available"
                for name in choices
            )
            short.append(
                f"{part} needs {sizes[part]:,} bytes, {there}:"
                f" {sizes[part] - max(left[n] for n in choices):,} too many"
            )
    return "; ".join(short)


def _help(sizes: Sizes, board: Description, tables: Sequence[Table]) -> str:
    """What would help: a network made smaller, where its tables are what is too large; other
    boards, and which of them keep cold tables in an external flash."""
    others = boards_that_hold(sizes, tables)
    smaller = "A smaller network helps"
    inside = max(board.memory[name].size for name in _choices(board, "tables"))
    if sizes["tables"] > inside - sizes["code"]:
        smaller += f" (make compress … FLASH={_in_units(inside)})"
    split = [
        name
        for name in others
        if any(COLD in memory.holds for memory in load_board(name).memory.values())
    ]
    where = (
        f"; {' and '.join(split)}: with an external flash for cold tables"
        if split and len(split) < len(others)
        else ""
    )
    return (
        f"{smaller}, or BOARD={' or '.join(others) or 'none: no board here is large enough'}{where}"
    )


def _in_units(size: int) -> str:
    """As FLASH= takes it: 2M, 512K."""
    return f"{size >> 20}M" if size % (1 << 20) == 0 else f"{size >> 10}K"

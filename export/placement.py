"""Which memory of a board holds what, decided before anything is built.

A program has six parts. `code` is everything executed, `tables` the network's constants; `stack`; `buffers` the line's and the
application's variables, one step of samples among them; `arena` the activations of one step; `state` what is kept between steps.
board.toml says which parts a region may hold, regions in the order of preference, and the linker script follows.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

from compress.errors import TendonError
from export.boards import Description, load_board, names

CODE_ALLOWANCE = 24 * 1024  # kernels, application and port, before anything is built
BUFFER_ALLOWANCE = 7 * 1024  # ring, frames in and out, counts; samples and results come on top
HOTTEST_FIRST = ("stack", "arena", "state", "buffers", "code", "tables")  # how often a byte of each is touched in a step

Sizes = dict[str, int]  # part -> bytes
Where = dict[str, str]  # part -> region


class DoesNotFitError(TendonError):
    """A network is too large for a board's memory."""


@dataclass(frozen=True)
class Placement:
    """Every part's region and size; nothing overlaps, because the linker lays the parts of a region end to end."""

    where: Where
    sizes: Sizes

    def planned(self, region: str) -> int:
        """Bytes of a region that parts take."""
        return sum(size for part, size in self.sizes.items() if self.where[part] == region)


def part_sizes(board: Description, tables: int, arena: int, state: int, step_bytes: int, outputs: int, chunk: int = 1) -> Sizes:
    """Sizes of all parts. Network: bytes of tables, arena, state and one step of samples, outputs per frame, frames per step."""
    results = max(4, 2 * chunk) * (4 + 2 * outputs)  # as many as app/requests.h keeps
    return {
        "stack": board.stack_bytes,
        "arena": arena,
        "state": state,
        "buffers": BUFFER_ALLOWANCE + step_bytes + results,
        "code": CODE_ALLOWANCE,
        "tables": tables,
    }


def place(what: str, sizes: Sizes, board: Description) -> Placement:
    """The first placement in the order of preference in which everything fits; the hottest part is asked first.

    DoesNotFitError names the region, what is needed and what is there, and the boards that would do. `what`: the network's name.
    """
    found = _first_that_fits(sizes, board)
    if found is None:
        raise DoesNotFitError(
            f"{what} does not fit {board.name}: {_shortage(sizes, board)}. A smaller network helps, or BOARD={_help(sizes)}"
        )
    return found


def _first_that_fits(sizes: Sizes, board: Description) -> Placement | None:
    for regions in itertools.product(*(_choices(board, part) for part in HOTTEST_FIRST)):
        found = Placement(dict(zip(HOTTEST_FIRST, regions, strict=True)), sizes)
        if all(found.planned(name) <= memory.size for name, memory in board.memory.items()):
            return found
    return None


def first_choices(board: Description) -> Where:
    """Part -> the region it would like best; nothing for a board without limits."""
    return {part: _choices(board, part)[0] for part in HOTTEST_FIRST} if board.memory else {}


def boards_that_hold(sizes: Sizes) -> list[str]:
    """Boards whose memory holds these parts, the smallest first. The stack is each board's own."""
    with_memory = [board for board in map(load_board, names()) if board.memory]
    holding = [board for board in with_memory if _first_that_fits(sizes | {"stack": board.stack_bytes}, board)]
    return [board.name for board in sorted(holding, key=lambda board: sum(m.size for m in board.memory.values()))]


def _choices(board: Description, part: str) -> list[str]:
    found = [name for name, memory in board.memory.items() if part in memory.holds]
    if not found:
        raise TendonError(f"{board.folder / 'board.toml'}: no region holds {part}")
    return found


def _shortage(sizes: Sizes, board: Description) -> str:
    """Every part that finds no room when each takes the first choice that has some; those with one choice come first."""
    left = {name: memory.size for name, memory in board.memory.items()}
    short = []
    for part in sorted(sizes, key=lambda p: (len(_choices(board, p)), HOTTEST_FIRST.index(p))):
        choices = _choices(board, part)
        fitting = [name for name in choices if left[name] >= sizes[part]]
        if fitting:
            left[fitting[0]] -= sizes[part]
        else:
            there = " and ".join(f"{name} has {left[name]:,} of {board.memory[name].size:,} available" for name in choices)
            short.append(f"{part} needs {sizes[part]:,} bytes, {there}: {sizes[part] - max(left[n] for n in choices):,} too many")
    return "; ".join(short)


def _help(sizes: Sizes) -> str:
    return " or ".join(boards_that_hold(sizes)) or "none: no board here is large enough"

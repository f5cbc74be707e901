"""Chips whose cycles are modelled: core, clock, caches, and what their memories make wait.
board.toml's `cycle_model` names one.

STM32F405: RM0090 section 3.5.2 "Adaptive real-time memory accelerator": lines of 128 bits, 64 of
    instructions, 8 of data, the next line of instructions prefetched; table 10: 5 wait states at
    150…168 MHz and 2.7…3.6 V.
STM32F401: RM0368 section 3.4, the same accelerator; 2 wait states at 60…84 MHz and 2.7…3.6 V.
STM32F446: RM0390 section 3.4, the same accelerator; 5 wait states at 150…180 MHz and 2.7…3.6 V.
STM32L4R5: RM0432 section 3.3: 5 wait states at 100…120 MHz; 1 KB of instruction lines, 256 bytes of
data lines; in dual-bank
    mode, as delivered, 64 bits a read. How a line of several reads fills is not said: modelled as
    if every read were a line.
STM32H723: RM0468, 3 wait states at 275 MHz of AXI; caches of 32 KB (DS13313). Otherwise as
STM32H743. STM32H735: the same memories at 520 MHz, and an external flash on the OCTOSPI: eight
lines, both edges of 100 MHz, a clock of 5.2
    core cycles. A line of 32 bytes is 16 clocks, 83 cycles, and the way through the interconnect 12
    (below): 95 where the line before was the last one read, as in a table, for then the interface
    goes on. It does so unasked and keeps 32 bytes (RM0468, OCTOSPI, memory-mapped mode): at least,
    what the core computes on a line meanwhile is not waited for, 25 cycles for the 32 products of
    one frame. At most, every line begins a command: 3 clocks of command and address, 20 of silence,
    216 cycles.
STM32H743: RM0433 section 4.3.8, 256-bit flash words and 4 wait states at 240 MHz of AXI, half the
    core's clock; Cortex-M7 TRM (DDI 0489) chapter 5: instruction cache of 2 ways, data cache of 4,
    lines of 32 bytes; DS12110: 16 KB each. The interconnect between core and memory is published
    nowhere in cycles. As modelled it takes 5 cycles of the AXI clock there and back, 3 to 8 are
    left open, and the word that was missed comes first: 2 · (5 + 1 + 4) core cycles for flash, 2 ·
    (5 + 1) for the SRAM. The caches replace at random; least recently used is what is simulated.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from elftools.elf.elffile import ELFFile
from elftools.elf.sections import SymbolTableSection

from bench.cycles.cost import NOTHING, Cost, exactly
from bench.cycles.counting import Cache, Counts, Memory, Region
from compress.errors import TendonError
from export.boards import Description, load_board
from export.c import placement
from export.c.streaming import Table

SECTIONS = {
    ".tables": "tables",
    ".cold_tables": "tables",
    ".stack": "stack",
    ".arena": "arena",
    ".state": "state",
    ".data": "buffers",
    ".bss": "buffers",
}


@dataclass(frozen=True)
class Chip:
    """One chip at its full clock. `memory` has no regions until an image is known: see of_image().

    `line`: core cycles of a line that a cache misses, by the memory it comes from; memories that
    are not named never make wait. `prefetches`: the flash reads the next line of instructions
    ahead. `board`: the board that says what the chip's memories hold; without one, everything but
    flash is RAM without waits. `larger`: the chip for what this one cannot hold.
    """

    name: str
    title: str
    core: str
    clock_hz: int
    memory: Memory
    line: dict[str, Cost] = field(default_factory=dict)
    prefetches: bool = False
    board: str | None = None
    larger: str | None = None

    def instruction_waits(self, counts: Counts) -> dict[str, Cost]:
        """Lines of instructions that were not there when they were needed."""
        line, ahead = self.line.get("flash", NOTHING), sum(counts.next_line_misses)
        jumped = line * counts.jumped_misses
        if not self.prefetches:
            return {"flash_instructions": jumped + line * ahead}
        late = sum(
            max(0, line.cycles + 1 - n) * count for n, count in enumerate(counts.next_line_misses)
        )
        return {"flash_instructions": jumped + Cost(late, 0, line.most * ahead)}

    def data_waits(self, counts: Counts) -> dict[str, Cost]:
        """Lines of data that were not there: loads wait; stores wait in their buffer, at most for
        the line."""
        waits: dict[str, Cost] = {}
        for region, seen in zip(
            self.memory.regions, counts.traffic, strict=False
        ):  # the last is everywhere else
            if region.name in self.line:
                line, name = self.line[region.name], f"{region.name}_data"
                stored = Cost(0, 0, line.most) * (seen.write_misses + seen.writebacks)
                waits[name] = waits.get(name, NOTHING) + line * seen.read_misses + stored
        return waits


ART = Memory(Cache(1, 64, 16), Cache(1, 8, 16))
L4_ART = Memory(Cache(1, 128, 8), Cache(1, 32, 8))
H7_CACHES = Memory(Cache(256, 2, 32), Cache(128, 4, 32))
H723_CACHES = Memory(Cache(512, 2, 32), Cache(256, 4, 32))
CHIPS = {
    chip.name: chip
    for chip in (
        Chip(
            "stm32f405",
            "STM32F405",
            "cortex-m4",
            168_000_000,
            ART,
            {"flash": exactly(5)},
            prefetches=True,
        ),
        Chip(
            "stm32f401",
            "STM32F401",
            "cortex-m4",
            84_000_000,
            ART,
            {"flash": exactly(2)},
            prefetches=True,
        ),
        Chip(
            "stm32f446",
            "STM32F446",
            "cortex-m4",
            180_000_000,
            ART,
            {"flash": exactly(5)},
            prefetches=True,
        ),
        Chip(
            "stm32l4r5",
            "STM32L4R5",
            "cortex-m4",
            120_000_000,
            L4_ART,
            {"flash": exactly(5)},
            prefetches=True,
        ),
        Chip(
            "stm32h743",
            "STM32H743",
            "cortex-m7",
            480_000_000,
            H7_CACHES,
            {"flash": Cost(20, 16, 26), "axi": Cost(12, 8, 18)},
            board="nucleo-h743zi2",
            larger="stm32h735",
        ),
        Chip(
            "stm32h735",
            "STM32H735 with octal flash",
            "cortex-m7",
            520_000_000,
            H723_CACHES,
            {"flash": Cost(18, 14, 24), "axi": Cost(12, 8, 18), "octospi": Cost(95, 58, 216)},
            board="stm32h735g-dk",
        ),
        Chip(
            "stm32h723",
            "STM32H723",
            "cortex-m7",
            550_000_000,
            H723_CACHES,
            {"flash": Cost(18, 14, 24), "axi": Cost(12, 8, 18)},
        ),
        Chip("cortex-m4", "Cortex-M4 without wait states", "cortex-m4", 24_000_000, ART),
    )
}


def of_image(
    board: Description, image: Path, name: str | None = None, tables: Sequence[Table] = ()
) -> Chip | None:
    """The chip that an emulated board's image is modelled on (the board's own, or the one named),
    its regions those of the image.

    `tables`: those of the network, of which a chip with an external flash keeps the hottest inside;
    else they are one piece. None where no chip is named, and where neither it nor the larger one it
    names can hold what the image holds.
    """
    name = name or (board.emulator.cycle_model if board.emulator else None)
    if name is None:
        return None
    if name not in CHIPS:
        raise TendonError(
            f"cycle_model = {name}: expected one of {', '.join(CHIPS)} (bench/cycles/chips.py)"
        )
    chip = CHIPS[name]
    if chip.board is None:
        flash = board.memory["flash"]
        return replace(
            chip,
            memory=replace(
                chip.memory, regions=(Region("flash", flash.origin, flash.size, cached=True),)
            ),
        )
    regions = _standing_for(load_board(chip.board), image, tables)
    if regions is None:
        return of_image(board, image, chip.larger, tables) if chip.larger else None
    return replace(chip, memory=replace(chip.memory, regions=regions))


def bare(name: str, ram: str) -> Chip:
    """A chip for programs of bench/bare/cores.py: code and constants in flash, everything else in
    its memory `ram`."""
    regions = (
        Region("flash", 0, 1 << 22, cached=True),
        Region(ram, 0x20000000, 1 << 22, cached=ram == "axi"),
    )
    return replace(CHIPS[name], memory=replace(CHIPS[name].memory, regions=regions))


def _parts(image: Path) -> dict[str, list[tuple[int, int]]]:
    """Part of the program (export/placement.py) -> address and bytes of its sections."""
    found: dict[str, list[tuple[int, int]]] = {part: [] for part in placement.HOTTEST_FIRST}
    with image.open("rb") as file:
        for section in ELFFile(file).iter_sections():
            if section["sh_flags"] & 2 and section["sh_size"]:  # SHF_ALLOC
                found[SECTIONS.get(section.name, "code")].append(
                    (section["sh_addr"], section["sh_size"])
                )
    return found


def _standing_for(
    board: Description, image: Path, tables: Sequence[Table]
) -> tuple[Region, ...] | None:
    """Every part of an emulated image as the memory that would hold it on the chip; None when the
    chip cannot."""
    parts = _parts(image)
    sizes = {part: sum(size for _, size in sections) for part, sections in parts.items()}
    try:
        placed = placement.place("the image", sizes, board, tables)
    except placement.DoesNotFitError:
        return None
    cold = [
        Region(placed.where[placement.COLD], *place, cached=True)
        for place in _stretches(image, placed.cold)
    ]
    whole = [
        Region(placed.where[part], origin, size, cached=not placed.where[part].endswith("tcm"))
        for part, sections in parts.items()
        for origin, size in sections
    ]
    return (*cold, *whole)  # the first that has an address counts it


def _stretches(image: Path, names: Collection[str]) -> Iterator[tuple[int, int]]:
    """Address and bytes of these tables, those that follow each other as one."""
    with image.open("rb") as file:
        symbols = ELFFile(file).get_section_by_name(".symtab")
        assert isinstance(symbols, SymbolTableSection), (
            "an image keeps its symbols; they are not loaded"
        )
        found = sorted(
            (int(s["st_value"]), int(s["st_size"]))
            for s in symbols.iter_symbols()
            if s.name in names
        )
    begin = end = 0
    for address, size in found:
        if address - end >= placement.ALIGNMENT:
            if end:
                yield begin, end - begin
            begin = address
        end = address + size
    if end:
        yield begin, end - begin

"""What an image takes of a board's memory, read from the ELF: by section, by region and by purpose,
against the plan.

A region counts every byte that is loaded or reserved there, so the initial values of .data count
where they are kept and where they are used. `flash` is all that a loader writes, in whatever
region; `ram` all that is reserved while running, stack included. What a program may take of a
region is all of it. Purposes come from the source file of each symbol (DWARF); `unnamed` is what no
symbol covers: string literals and padding.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from elftools.elf.elffile import ELFFile
from elftools.elf.sections import Section, SymbolTableSection

from compress.errors import TendonError
from compress.reading.words import one_line
from export.boards import Memory

LINE_BUFFERS = {"received", "decoder", "answer", "results", "samples"}


class FootprintError(TendonError):
    """An image cannot be read, differs from its plan, or does not fit its board."""


@dataclass(frozen=True)
class Symbol:
    """A named piece of memory; `source` is the file that defines it, relative to the project, or
    ""."""

    name: str
    address: int
    size: int
    source: str


@dataclass(frozen=True)
class Footprint:
    """Bytes. `regions` and `purposes` are region -> bytes and region -> purpose -> bytes; purposes
    of a region sum up to it."""

    flash: int
    ram: int
    sections: dict[str, int]
    regions: dict[str, int]
    purposes: dict[str, dict[str, int]]
    sizes: dict[str, int]

    def purpose(self, name: str) -> int:
        """Bytes of one purpose over all regions."""
        return sum(parts.get(name, 0) for parts in self.purposes.values())

    def as_dict(self) -> dict[str, Any]:
        """For the reports."""
        regions = {
            name: {"bytes": used, "size": self.sizes[name], "purposes": self.purposes[name]}
            for name, used in self.regions.items()
        }
        return {"sections": self.sections, "regions": regions}


def read(elf: Path, memory: dict[str, Memory]) -> Footprint:
    """Measure an ELF for a board with these regions; FootprintError when it is none or lies
    elsewhere."""
    try:
        with elf.open("rb") as file:
            image = ELFFile(file)
            symbols = list(_symbols(image))
            placed = [(s, _regions_of(s, image, memory, elf)) for s in _allocated(image)]
    except FootprintError:
        raise
    except Exception as error:  # its reader meets anything in a damaged one
        raise FootprintError(
            f"{elf}: expected an ELF image, found none that can be read ({one_line(error)}); run"
            " make firmware"
        ) from error
    regions = {
        name: sum(int(s["sh_size"]) for s, where in placed if name in where) for name in memory
    }
    purposes = {
        name: _purposes([s for s, where in placed if name in where], symbols) for name in memory
    }
    return Footprint(
        sum(int(s["sh_size"]) for s, _ in placed if s["sh_type"] != "SHT_NOBITS"),
        sum(
            int(s["sh_size"])
            for s, where in placed
            if s["sh_type"] == "SHT_NOBITS" or len(where) > 1
        ),
        {s.name: int(s["sh_size"]) for s, _ in placed},
        regions,
        purposes,
        {name: m.size for name, m in memory.items()},
    )


def functions_of(elf: Path, purposes: Container[str]) -> set[str]:
    """Names of the functions in an ELF that serve one of these purposes (`kernels`, `application`,
    `port`, …)."""
    with elf.open("rb") as file:
        return {s.name for s in _symbols(ELFFile(file)) if _purpose(s) in purposes}


def check_limits(footprint: Footprint, board: str) -> None:
    """FootprintError with the shortfall, the largest parts and what would help when a region holds
    more than it can."""
    for name, used in footprint.regions.items():
        size = footprint.sizes[name]
        if used > size:
            largest = sorted(footprint.purposes[name].items(), key=lambda item: -item[1])[:3]
            parts = ", ".join(f"{purpose} {size:,}" for purpose, size in largest)
            raise FootprintError(
                f"{board}: the image needs {used:,} bytes of {name}, available are {size:,}:"
                f" {used - size:,} too many ({parts}). {_help(footprint.purposes[name])}"
            )


def differences(footprint: Footprint, planned: dict[str, tuple[str, int]]) -> list[str]:
    """Where the image and the plan made before it was built disagree; `planned` is purpose ->
    (region, bytes)."""
    return [
        f"{purpose}: planned {size:,} bytes in {region}, the image has {_where(footprint, purpose)}"
        for purpose, (region, size) in planned.items()
        if footprint.purposes[region].get(purpose, 0) != size or footprint.purpose(purpose) != size
    ]


def _where(footprint: Footprint, purpose: str) -> str:
    found = [
        f"{parts[purpose]:,} in {name}"
        for name, parts in footprint.purposes.items()
        if purpose in parts
    ]
    return " and ".join(found) or "none"


def text(footprint: Footprint) -> str:
    """A table for the console."""
    lines = []
    for name, used in footprint.regions.items():
        size = footprint.sizes[name]
        lines.append(f"{name:6} {used:9,} of {size:9,} bytes ({used / size:4.0%})")
        for purpose, part in sorted(footprint.purposes[name].items(), key=lambda item: -item[1]):
            lines.append(f"       {part:9,}  {purpose}")
    return "\n".join(lines)


def _help(purposes: dict[str, int]) -> str:
    if "tables" in purposes or "kernels" in purposes:
        return (
            "A smaller network, or a board with more flash, would help; w4a16 halves the weights,"
            " w8a8 does not"
        )
    return (
        "Narrower layers, fewer states, a STACK_BYTES nearer the measured high-water mark, or a"
        " larger board would help"
    )


def _allocated(image: ELFFile) -> Iterator[Section]:
    for section in image.iter_sections():
        if section["sh_flags"] & 2 and section["sh_size"]:  # SHF_ALLOC
            yield section


def _regions_of(
    section: Section, image: ELFFile, memory: dict[str, Memory], elf: Path
) -> list[str]:
    """Where a section lies when running, and where it is loaded from when that is another
    region."""
    address = int(section["sh_addr"])
    addresses = [address]
    if section["sh_type"] != "SHT_NOBITS":
        addresses += [
            int(segment["p_paddr"]) + address - int(segment["p_vaddr"])
            for segment in image.iter_segments("PT_LOAD")
            if segment["p_vaddr"] <= address < segment["p_vaddr"] + segment["p_memsz"]
        ]
    found = [
        n
        for n, m in memory.items()
        if any(m.origin <= a and a + section["sh_size"] <= m.origin + m.size for a in addresses)
    ]
    if not any(memory[n].origin <= address < memory[n].origin + memory[n].size for n in found):
        known = ", ".join(f"{n} {m.origin:#x}…{m.origin + m.size:#x}" for n, m in memory.items())
        raise FootprintError(
            f"{elf}: {section.name} lies at {address:#x}, {section['sh_size']:,} bytes long,"
            f" outside the board's {known}; link it with the board's linker script"
        )
    return found


def _symbols(image: ELFFile) -> Iterator[Symbol]:
    sources = _sources(image)
    table = image.get_section_by_name(".symtab")
    if not isinstance(table, SymbolTableSection):
        raise FootprintError("the image has no symbols; build it with them, they are not loaded")
    for entry in table.iter_symbols():
        kind = entry["st_info"]["type"]
        if kind in ("STT_FUNC", "STT_OBJECT") and entry["st_size"]:
            address = int(entry["st_value"]) & ~(kind == "STT_FUNC")
            yield Symbol(entry.name, address, int(entry["st_size"]), sources.get(address, ""))


def _sources(image: ELFFile) -> dict[int, str]:
    """Address -> source file of everything DWARF describes with a fixed address at file or function
    level."""
    found: dict[int, str] = {}
    if not image.has_dwarf_info():
        return found
    for unit in image.get_dwarf_info().iter_CUs():
        name = unit.get_top_DIE().attributes["DW_AT_name"].value.decode("utf-8", "replace")
        for die in unit.iter_DIEs():
            if die.tag == "DW_TAG_subprogram" and "DW_AT_low_pc" in die.attributes:
                found[int(die.attributes["DW_AT_low_pc"].value) & ~1] = name
            elif die.tag == "DW_TAG_variable" and "DW_AT_location" in die.attributes:
                location = die.attributes["DW_AT_location"].value
                if (
                    isinstance(location, list) and len(location) == 5 and location[0] == 3
                ):  # DW_OP_addr
                    found[int.from_bytes(bytes(location[1:]), "little")] = name
    return found


def _purposes(sections: list[Section], symbols: list[Symbol]) -> dict[str, int]:
    """Purpose -> bytes of these sections, each byte counted once, largest first."""
    found: Counter[str] = Counter()
    for section in sections:
        named = (
            Counter({"stack": int(section["sh_size"])})
            if section.name == ".stack"
            else _named(section, symbols)
        )
        found += (
            Counter({"cold tables": named.pop("tables", 0)}) + named
            if section.name == ".cold_tables"
            else named
        )
    return dict(found.most_common())


def _named(section: Section, symbols: list[Symbol]) -> Counter[str]:
    """Bytes of one section by purpose; what no symbol covers is `unnamed`."""
    begin, size = int(section["sh_addr"]), int(section["sh_size"])
    inside = sorted(
        (s for s in symbols if begin <= s.address < begin + size),
        key=lambda s: (s.address, -s.size),
    )
    found: Counter[str] = Counter()
    end = begin
    for symbol in inside:
        found[_purpose(symbol)] += max(0, symbol.address + symbol.size - max(symbol.address, end))
        end = max(end, symbol.address + symbol.size)
    found["unnamed"] = size - sum(found.values())
    return found


def _purpose(symbol: Symbol) -> str:
    folder, _, file = symbol.source.removeprefix("./").partition("/")
    if folder in ("model", "app") and symbol.name in ("state", "arena"):
        return symbol.name
    if folder == "model":
        tables = file.removesuffix(".c")
        # of the file of tables, what is called like it only lists them
        return "tables" if tables.endswith("_tables") and symbol.name != tables else "model"
    if folder in ("app", "port") and symbol.name in LINE_BUFFERS:
        return "line buffers"
    return {"nn": "kernels", "app": "application", "port": "port"}.get(folder, "library")

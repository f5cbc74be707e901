"""What is known of a board before anything is built: firmware/port/<board>/board.toml."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from compress.errors import TendonError, UsageError
from compress.reading import text
from compress.reading.text import UnreadableError
from compress.reading.words import one_line, refuses_in_one_line

FIRMWARE = Path(__file__).parent.parent / "firmware"
# of kernels: for the instructions of Armv7E-M; for 128-bit vectors (Helium) where a layer suits
FAMILIES = ("dsp", "mve")
CHANGING = frozenset(("stack", "buffers", "arena", "state"))  # parts of a program that it writes


@dataclass(frozen=True)
class Memory:
    """One region: where it begins and how long it is, in bytes, and the parts of a program that may
    lie there (placement.py).

    `note`: what a program that is put there by hand has to know. `bytes_per_second`: what it gives
    a reader of ascending addresses at most, and by which `source`, where the core can ask for more
    (an external flash); None where a miss costs some cycles and nothing else.
    """

    origin: int
    size: int
    holds: tuple[str, ...] = ()
    bytes_per_second: int | None = None
    source: str = ""
    note: str = ""

    @property
    def access(self) -> str:
        """What a program does there, as a linker script says it: r, w, x; "" where nothing lies."""
        writes = "w" if not CHANGING.isdisjoint(self.holds) else ""
        runs = "x" if "code" in self.holds else ""
        return f"r{writes}{runs}" if self.holds else ""


@dataclass(frozen=True)
class Emulator:
    """How QEMU plays the board. `cycle_model`: the chip of bench/cycles/chips.py whose cycles are
    modelled, or None."""

    command: str
    arguments: list[str]
    cycle_model: str | None

    @property
    def warning(self) -> str:
        """What to say of QEMU's warning; "" where it has none."""
        unused = "QEMU warns that its network adapter has no peer: nothing here uses it."
        return unused if "-nic" in self.arguments else ""


@dataclass(frozen=True)
class Loading:
    """How an image gets onto the chip: scripts of OpenOCD, where it begins; in words, what to
    `connect` for that and where the serial boot loader in its ROM is reached, which may be the line
    the firmware speaks on."""

    openocd: list[str]
    connect: str
    boot_loader: str
    boots_on_its_line: bool
    address: int


@dataclass(frozen=True)
class Description:
    """One board. `prefix` of its compiler ("" is this machine's own), flags that choose the core,
    the family of `kernels` it wants (linear.py), folders of firmware/port it `shares`; `loading` is
    None where there is nothing to load onto; memory by region, those that are touched fastest first
    (none: no limits)."""

    name: str
    title: str
    status: str
    clock_hz: int
    baud: int
    prefix: str
    flags: list[str]
    kernels: str
    shares: list[str]
    link_flags: list[str]
    stack_bytes: int
    loading: Loading | None
    memory: dict[str, Memory]
    emulator: Emulator | None
    folder: Path

    @property
    def compiler(self) -> str:
        return f"{self.prefix}gcc"

    @property
    def port_folders(self) -> list[str]:
        """The folders its port is compiled from."""
        return [f"port/{name}" for name in (self.name, *self.shares)]

    @property
    def modelled(self) -> bool:
        """Whether its cycles are modelled where QEMU plays it."""
        return self.emulator is not None and self.emulator.cycle_model is not None

    @property
    def memory_bytes(self) -> int:
        """Of all regions."""
        return sum(memory.size for memory in self.memory.values())

    @property
    def linker_script(self) -> str | None:
        """Its name in the port's folder of a project, where it is written (linker_script.py); None
        where memory has no limits."""
        return "linker.ld" if self.memory else None

    @property
    def image(self) -> str:
        """File name of what runs on the board."""
        return "firmware.elf" if self.prefix else "firmware"


def names() -> list[str]:
    """Boards that have a port."""
    return sorted(path.parent.name for path in (FIRMWARE / "port").glob("*/board.toml"))


def chips() -> list[str]:
    """Boards that an image can be loaded onto. One whose description cannot be read is left out:
    what is wrong with it is said where it is named."""
    return [name for name in names() if _is_loaded(name)]


def _is_loaded(name: str) -> bool:
    try:
        return load_board(name).loading is not None
    except TendonError:
        return False


def emulated() -> list[Description]:
    """Boards that QEMU plays, the smallest memory first; of two alike the one whose cycles are
    modelled."""
    found = [board for board in map(load_board, names()) if board.emulator]
    return sorted(found, key=lambda board: (board.memory_bytes, not board.modelled))


def load_board(name: str) -> Description:
    """The description of a board; TendonError lists the boards there are, and says where one has
    the name of another, whose folder would be built for it."""
    path = FIRMWARE / "port" / name / "board.toml"
    if name not in names():
        raise UsageError(f"BOARD={name}: expected one of {', '.join(names())}")
    found = read_board(path)
    if found.name != name:
        raise TendonError(
            f"firmware/port/{name}/board.toml: name is {found.name}, expected {name}, the name of"
            " its folder"
        )
    return found


@refuses_in_one_line
def read_board(path: Path) -> Description:
    """The description in a board.toml; TendonError says what of it is missing or wrong."""
    try:
        content = tomllib.loads(text.read(path))
        return _describe(content, path.parent)
    except KeyError as error:
        raise TendonError(f"{path}: {error} is missing") from error
    except (AttributeError, TypeError, ValueError, RecursionError, UnreadableError) as error:
        raise TendonError(
            f"{path}: expected the description of a board in TOML: {one_line(error)}"
        ) from error


def _describe(content: dict[str, Any], folder: Path) -> Description:
    build, emulator, load = content["build"], content.get("emulator"), content.get("load")
    regions = {key: _region(m) for key, m in content.get("memory", {}).items()}
    return Description(
        name=content["name"],
        title=content["title"],
        status=content["status"],
        clock_hz=content["clock_hz"],
        baud=content["baud"],
        prefix=build["prefix"],
        flags=build["flags"],
        kernels=_family(build.get("kernels", FAMILIES[0]), folder),
        shares=build.get("shares", []),
        link_flags=build["link_flags"],
        stack_bytes=build.get("stack_bytes", 0),
        loading=Loading(**load, address=regions["flash"].origin) if load else None,
        memory=regions,
        emulator=Emulator(emulator["command"], emulator["arguments"], emulator.get("cycle_model"))
        if emulator
        else None,
        folder=folder,
    )


def _region(content: dict[str, Any]) -> Memory:
    bandwidth = content.get("bytes_per_second")
    return Memory(
        content["origin"],
        content["bytes"],
        tuple(content["holds"]),
        bandwidth,
        content["source"] if bandwidth else "",
        content.get("note", ""),
    )


def _family(name: str, folder: Path) -> str:
    if name not in FAMILIES:
        raise TendonError(
            f"{folder / 'board.toml'}: kernels = {name!r}: expected one of {', '.join(FAMILIES)}"
        )
    return name

"""What is known of a board before anything is built: firmware/port/<board>/board.toml."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from compress.errors import TendonError

FIRMWARE = Path(__file__).parent.parent / "firmware"


@dataclass(frozen=True)
class Memory:
    """One region: where it begins, how long it is, and what a network may use of it, all in bytes."""

    origin: int
    size: int
    limit: int


@dataclass(frozen=True)
class Emulator:
    """How QEMU plays the board. `line_bytes_per_s`: what its UART was measured to receive."""

    command: str
    arguments: list[str]
    line_bytes_per_s: int


@dataclass(frozen=True)
class Description:
    """One board. `prefix` of its compiler ("" is this machine's own), flags that choose the core, memory (none: no limits)."""

    name: str
    title: str
    status: str
    clock_hz: int
    baud: int
    prefix: str
    flags: list[str]
    link_flags: list[str]
    linker_script: str | None
    flash_commands: list[str]
    memory: dict[str, Memory]
    emulator: Emulator | None
    folder: Path

    @property
    def compiler(self) -> str:
        return f"{self.prefix}gcc"

    @property
    def image(self) -> str:
        """File name of what runs on the board."""
        return "firmware.elf" if self.prefix else "firmware"


def names() -> list[str]:
    """Boards that have a port."""
    return sorted(path.parent.name for path in (FIRMWARE / "port").glob("*/board.toml"))


def load_board(name: str) -> Description:
    """The description of a board; TendonError lists the boards there are."""
    path = FIRMWARE / "port" / name / "board.toml"
    if name not in names():
        raise TendonError(f"BOARD={name}: expected one of {', '.join(names())}")
    content = tomllib.loads(path.read_text())
    try:
        return _describe(content, path.parent)
    except KeyError as error:
        raise TendonError(f"{path}: {error} is missing") from error


def _describe(content: dict[str, Any], folder: Path) -> Description:
    build, emulator = content["build"], content.get("emulator")
    regions = {key: Memory(m["origin"], m["bytes"], m["limit"]) for key, m in content.get("memory", {}).items()}
    return Description(
        name=content["name"],
        title=content["title"],
        status=content["status"],
        clock_hz=content["clock_hz"],
        baud=content["baud"],
        prefix=build["prefix"],
        flags=build["flags"],
        link_flags=build["link_flags"],
        linker_script=build.get("linker_script"),
        flash_commands=build["flash_commands"],
        memory=regions,
        emulator=Emulator(emulator["command"], emulator["arguments"], emulator["line_bytes_per_s"]) if emulator else None,
        folder=folder,
    )

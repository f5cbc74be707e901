"""What lets PlatformIO build a project: platformio.ini, and in pio/ a platform of its own that
needs nothing from the network."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator

from export.boards import FIRMWARE, Description
from export.c.placement import Where
from export.c.project_files import (
    COMMON,
    LINK_CHECKS,
    SECTIONS,
    STANDARD,
    WARNINGS,
    apart,
    flags_seen,
    link_flags,
)
from export.version import GENERATOR

SOURCES = ("platform.py", "builder/main.py")
# Of PlatformIO's registry, fetched only where the system has none: GCC 12.3, as Debian 12's is
# 12.2, and OpenOCD 0.12.
PACKAGES = {
    "toolchain-gccarmnoneeabi": {
        "type": "toolchain",
        "owner": "platformio",
        "version": "~1.120301.0",
        "optional": True,
    },
    "tool-openocd": {
        "type": "uploader",
        "owner": "platformio",
        "version": "~3.1200.0",
        "optional": True,
    },
}


def sources() -> dict[str, bytes]:
    """The platform's Python, by path in the project."""
    return {f"pio/{name}": (FIRMWARE / "pio" / name).read_bytes() for name in SOURCES}


def texts(
    board: Description, where: Where, title: str, files: list[str]
) -> dict[str, Iterable[str]]:
    """File name -> lines, for a board with a cross compiler. `where`: part -> region; `files`:
    paths of the project's sources, sorted."""
    return {
        "platformio.ini": _ini(board, where, title, files),
        "pio/platform.json": [json.dumps(_manifest(), indent=2)],
    }


def _manifest() -> dict[str, object]:
    return {
        "name": "tendon",
        "title": "Tendon",
        "description": (
            "Builds a project of Tendon with arm-none-eabi-gcc: no framework, no library"
        ),
        "version": GENERATOR,
        "packages": PACKAGES,
    }


def _ini(board: Description, where: Where, title: str, files: list[str]) -> Iterator[str]:
    yield f"; Tendon {GENERATOR}: {title}"
    yield f"; pio run              builds .pio/build/{board.name}/firmware.elf, .bin and .map"
    if board.loading:
        yield "; pio run -t upload    and loads it with OpenOCD"
    yield (
        "; Its platform lies in pio/: arm-none-eabi-gcc and openocd are those of the PATH, or else"
        " PlatformIO's."
    )
    yield "[platformio]"
    yield "src_dir = ."
    yield "include_dir = port"
    yield "platforms_dir = .pio/platforms"
    yield ""
    yield f"[env:{board.name}]"
    yield "platform = symlink://pio"
    yield "lib_ldf_mode = off"
    folders = sorted(
        {f.rpartition("/")[0] for f in files if f.endswith(".c")}
        & {"model", "nn", "app", *board.port_folders}
    )
    yield f"build_src_filter = {' '.join(f'+<{folder}/*.c>' for folder in folders)}"
    yield f"custom_core_flags = {' '.join(board.flags)}"
    yield f"custom_link_flags = {link_flags(board)} {LINK_CHECKS}"
    yield "build_flags ="
    yield f"    {STANDARD} {WARNINGS['gcc']}"
    yield f"    {COMMON}"
    yield (
        f"    {' '.join(f'-I{folder}' for folder in ('model', 'nn', 'app', 'port', *board.port_folders))}"  # noqa: E501
    )
    yield f"    '-DAPP_COMPILER_FLAGS=\"{flags_seen(board)}\"'"
    if outside := apart(where):
        yield (
            f"custom_binary_flags = {' '.join(f'-R {SECTIONS[part]}' for part in outside.values())}"
        )
    if board.loading:
        yield f"custom_openocd = {' '.join(board.loading.openocd)}"
    if board.baud:
        yield f"monitor_speed = {board.baud}"

"""The compilers that build a project, and which of them this machine has.

A project's Makefile looks for clang in the same order.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from compress.errors import TendonError, UsageError
from export.boards import Description

COMPILERS = ("gcc", "clang")
OLDEST, NEWEST = 15, 24  # of clang: 14 needs minutes for one kernel; names that are looked for


def clang() -> str:
    """The clang that is meant: CLANG of the environment, else the newest with a version in its
    name, else the plain one."""
    names = [f"clang-{version}" for version in range(NEWEST, OLDEST - 1, -1)]
    return os.environ.get("CLANG") or next(filter(shutil.which, names), "clang")


def lld() -> str:
    """The linker of that clang, as -fuse-ld= names it."""
    return "lld" + Path(clang()).name.removeprefix("clang")


def have_clang() -> bool:
    """Whether that clang is there and new enough."""
    try:
        said = subprocess.run(
            [clang(), "-dumpversion"], capture_output=True, text=True, errors="replace", check=True
        )
        return int(said.stdout.split(".")[0]) >= OLDEST
    except (OSError, subprocess.CalledProcessError, ValueError):
        return False


def program(board: Description, compiler: str) -> str:
    """What compiles C for a board."""
    if compiler not in COMPILERS:
        raise UsageError(f"COMPILER={compiler}: expected {' or '.join(COMPILERS)}")
    return clang() if compiler == "clang" else board.compiler


def require(board: Description, compiler: str) -> None:
    """TendonError where something is missing: clang takes a board's headers, libraries and linker
    from gcc."""
    wanted = [program(board, compiler), *([board.compiler] if board.prefix else [])]
    for name in wanted:
        if shutil.which(name) is None:
            raise TendonError(f"{board.name}: the compiler {name} is not installed; run make tools")


def version(board: Description, compiler: str) -> str:
    """First line of the compiler's --version."""
    command = [program(board, compiler), "--version"]
    try:
        said = subprocess.run(
            command, capture_output=True, text=True, errors="replace", check=True
        ).stdout
    except (OSError, subprocess.CalledProcessError) as error:
        raise TendonError(
            f"{command[0]} cannot be run ({error}); `make tools` installs it"
        ) from error
    return said.splitlines()[0]


def refuse(compiler: str) -> None:
    """TFLite-Micro is linked as the library that its own build made."""
    if compiler != COMPILERS[0]:
        raise UsageError(
            f"COMPILER={compiler} FORMAT=tflm: expected {COMPILERS[0]}, which builds"
            " TFLite-Micro's library"
        )

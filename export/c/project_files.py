"""What the written files of a project say alike: flags, warnings, which bytes are loaded where."""

from __future__ import annotations

from export.boards import Description
from export.c.placement import COLD, Where

SECTIONS = {
    "tables": ".tables",
    COLD: ".cold_tables",
}  # of the parts that may lie in another memory than the code

STAMP = "port/cortex-m/stamp.sh"  # writes the CRC over an image into it
STANDARD = "-std=c11"
_STRICT = (
    "-Wall -Wextra -Werror -Wconversion -Wshadow -Wcast-qual -Wpointer-arith -Wstrict-prototypes"
    " -Wmissing-prototypes -Wold-style-definition -Wundef -Wvla -Wdouble-promotion -Wwrite-strings"
    " -Wformat=2"
)
# What a compiler is asked to complain of. A kernel may say at build time that its portable form was
# taken: that is no error.
WARNINGS = {
    "gcc": (
        f"{_STRICT} -Wcast-align=strict -Wlogical-op -Wduplicated-cond -Wredundant-decls -Walloca"
        " -Wno-error=cpp"
    ),
    "clang": (
        f"{_STRICT} -Wcast-align -Wimplicit-fallthrough -Wconditional-uninitialized -Wassign-enum"
        " -Wbad-function-cast -Wshadow-all -Wunreachable-code-aggressive -Wloop-analysis"
        " -Wnewline-eof -Wextra-semi -Wheader-hygiene -Wc++-compat -Wgnu -Wdate-time"
        " -Wno-error=#pragma-messages -Wno-error=#warnings"
    ),
}
# A section that no linker script names is an error: it would lie wherever the linker likes.
LINK_CHECKS = "-Wl,--gc-sections -Wl,--fatal-warnings -Wl,--orphan-handling=error"
# Of C++ on a board: nobody catches, and what is destroyed at the end of main() never is.
CXX_ON_BOARD = "-fno-exceptions -fno-rtti -fno-threadsafe-statics -fno-use-cxa-atexit"
COMMON = "-g -ffunction-sections -fdata-sections -fno-common"


def flags_seen(board: Description) -> str:
    """What HELLO says of the compiler: the core's flags, and that the kernels are built for
    speed."""
    return " ".join([*board.flags, "-O3 (kernels) -Os (the rest)"])


def link_flags(board: Description, root: str = "") -> str:
    """`root`: where the project lies, with its final slash; "" for the folder make runs in. -L is
    where INCLUDE looks."""
    script = f"-T {root}port/{board.name}/{board.linker_script}" if board.linker_script else ""
    return " ".join(
        filter(
            None,
            [*board.link_flags, *(f"-L{root}{folder}" for folder in board.port_folders), script],
        )
    )


def apart(where: Where) -> dict[str, str]:
    """File name -> part, of tables that lie in another memory than the code."""
    code = where.get("code")
    return {
        f"{section[1:]}.bin": part
        for part, section in SECTIONS.items()
        if where.get(part, code) != code
    }

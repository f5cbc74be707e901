"""What the written files of a project say alike: flags, warnings, linker scripts, which bytes are
loaded where."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from export.boards import Description
from export.c.placement import COLD, Where

PLACED = (
    "code",
    "tables",
    "stack",
    "buffers",
    "arena",
    "state",
)  # parts that the linker scripts know by an alias
SECTIONS = {
    "tables": ".tables",
    COLD: ".cold_tables",
}  # of the parts that may lie in another memory than the code

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


def placement(board: Description, where: Where) -> Iterator[str]:
    """The linker script that says which memory is which part's. `where`: part -> region."""
    yield (
        "/* Planned before building, by part: the linker scripts of this folder put each where this"
        " file says. */"
    )
    yield f"STACK_BYTES = DEFINED(STACK_BYTES) ? STACK_BYTES : {board.stack_bytes};"
    yield from (f'REGION_ALIAS("{part.upper()}", {where[part].upper()})' for part in PLACED)
    yield f'REGION_ALIAS("COLD_TABLES", {where.get(COLD, where["tables"]).upper()})'


def cold_tables(cold: Sequence[str]) -> Iterator[str]:
    """The part of a linker script that says which tables are cold ones, by name."""
    yield (
        "/* Planned before building: the tables that lie apart from the others, because they are"
        " read least often. */"
    )
    yield from (f"*(.rodata.model_tables.{name})" for name in cold)


def apart(where: Where) -> dict[str, str]:
    """File name -> part, of tables that lie in another memory than the code."""
    code = where.get("code")
    return {
        f"{section[1:]}.bin": part
        for part, section in SECTIONS.items()
        if where.get(part, code) != code
    }

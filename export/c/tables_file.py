"""`<name>_tables.h` and `<name>_tables.c`: the constants of a network."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from compress import graph as g
from export.c import text
from export.c.step import Model

C_TYPES = {
    "int8": "int8_t",
    "int16": "int16_t",
    "int32": "int32_t",
    "uint8": "uint8_t",
    "uint16": "uint16_t",
    "uint32": "uint32_t",
}


def header(model: Model) -> Iterator[str]:
    """Declarations of all tables, for the pass."""
    guard = f"{model.identifier.upper()}_TABLES_H"
    yield f"#ifndef {guard}"
    yield f"#define {guard}"
    yield "#include <stdint.h>"
    yield ""
    yield "#ifdef __cplusplus"
    yield 'extern "C" {'
    yield "#endif"
    for name, table in model.tables.items():
        yield from declared(f"extern const {C_TYPES[table.dtype.name]}", f"{name}[{table.size}];")
    yield "#ifdef __cplusplus"
    yield "}"
    yield "#endif"
    yield "#endif"


def source(model: Model) -> Iterator[str]:
    """Their content, and the list of them where there are any: C has no array of nothing."""
    name, upper = model.identifier, model.identifier.upper()
    yield f'#include "{name}_tables.h"'
    yield f'#include "{name}.h"'
    yield ""
    yield from placed_tables(f"{upper}_IN_TABLES")
    for table, values in model.tables.items():
        yield ""
        yield f"{upper}_IN_TABLES({table})"
        yield from declared(f"const {C_TYPES[values.dtype.name]}", f"{table}[{values.size}] = {{")
        yield from _values(values)
        yield "};"
    if not model.tables:
        return
    yield ""
    yield from declared(f"const {name}_table", f"{name}_tables[{upper}_TABLE_COUNT] = {{")
    for table in model.tables:
        line = f"    {{{table}, sizeof {table}}},"
        if len(line) <= text.WIDTH:
            yield line
        else:
            yield from (f"    {{{table},", f"     sizeof {table}}},")
    yield "};"


def declared(kind: str, what: str) -> Iterator[str]:
    """A declaration, on two lines where one is too long."""
    line = f"{kind} {what}"
    yield from [line] if len(line) <= text.WIDTH else [kind, f"    {what}"]


def placed_tables(macro: str) -> Iterator[str]:
    """A section of its own for every table, whatever computes the step; the macro gives its
    attributes unless a user did."""
    yield from text.comment(
        "A linker script chooses the memory of the tables by the sections that they have on an Arm"
        f" core. Define {macro}(table) to choose otherwise; the alignment must stay."
    )
    yield f"#ifndef {macro}"
    yield "#ifdef __arm__"
    yield f"#define {macro}(table) \\"
    yield '    __attribute__((aligned(8), section(".rodata.model_tables." #table)))'
    yield "#else"
    yield f"#define {macro}(table) __attribute__((aligned(8)))"
    yield "#endif"
    yield "#endif"


def _values(table: g.Array) -> Iterable[str]:
    unsigned = "u" if table.dtype.kind == "u" else ""
    return text.filled(
        (
            f"{value}{unsigned}" if value != -(2**31) else "-2147483647 - 1"
            for value in table.reshape(-1).tolist()
        ),
        4,
    )

"""Tables of this repository's own measurements, each as Markdown for a reader and as JSON: written
by the commands that measure, and only where they are asked to (`--record`, RECORD=1)."""

from __future__ import annotations

import argparse
import datetime
import re
import shlex
import subprocess
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from compress.files import write_json, write_text

FOLDER = Path(__file__).parent
WIDTH = 100
DASH = "–"
TABLES = tuple(  # which recording changes
    f":(top,exclude)bench/{name}" for name in ("results/*.md", "results/*.json", "cycles/*.json")
)
Cell = str | int | float | bool | None


@dataclass(frozen=True)
class Table:
    """Figures that stand together.

    Args:
        title: what they are of; "" where it is the only table.
        columns: name -> how its numbers are written, as `format` says; JSON has them whole.
        rows: one cell for each column; None: there is no such figure.
    """

    title: str
    columns: Mapping[str, str]
    rows: Sequence[Sequence[Cell]]

    def as_dict(self) -> dict[str, Any]:
        rows = [dict(zip(self.columns, row, strict=True)) for row in self.rows]
        return {"title": self.title, "rows": rows}


@dataclass(frozen=True)
class Measurement:
    """What a command measured.

    Args:
        name: of the two files, without what ends them.
        title: what was measured, in a line.
        figures: whether they are counted, modelled, emulated, native, of simulated recordings.
        tables: the figures themselves.
        made_with: what they depend on beside the code: compilers, emulator, recordings, ….
    """

    name: str
    title: str
    figures: str
    tables: Sequence[Table]
    made_with: Mapping[str, str] = field(default_factory=dict)


def record(args: argparse.Namespace, found: Measurement) -> Path | None:
    """Write a measurement's two files, each whole or not at all, in place of those before; returns
    the Markdown. Nothing, and None, where the command was not asked to record."""
    if getattr(args, "record", None) is None:
        return None
    path = FOLDER / f"{re.sub(r'[^A-Za-z0-9_.-]+', '-', found.name)}.md"
    about = {
        "command": args.record or shlex.join(["tendon", *args.arguments]),
        "date": datetime.date.today().isoformat(),
        "commit": _commit(),
        "figures": found.figures,
        **found.made_with,
    }
    tables = [table.as_dict() for table in found.tables]
    write_json(path.with_suffix(".json"), {"title": found.title, **about, "tables": tables})
    write_text(path, _markdown(found, about))
    print(f"recorded: {path}")
    return path


def emulator() -> str:
    """The version of QEMU that is found here; "none" where there is none."""
    return _said("qemu-system-arm", "--version") or "none"


def _commit() -> str:
    """The one that is checked out, and whether files were changed since, tables aside."""
    here = ("git", "-C", str(Path(__file__).parents[2]))
    commit = _said(*here, "rev-parse", "--short=12", "HEAD")
    if not commit:
        return "unknown: not a checkout of git"
    changes = _said(*here, "status", "--porcelain", "--", ":/", *TABLES)
    return f"{commit}, with changes" if changes else commit


def _said(*command: str) -> str:
    """The first line that a program says; "" where it fails."""
    try:
        done = subprocess.run(command, capture_output=True, check=True, text=True, errors="replace")
    except (OSError, subprocess.CalledProcessError):
        return ""
    return done.stdout.strip().partition("\n")[0].strip()


def _markdown(found: Measurement, about: Mapping[str, str]) -> str:
    lines = [f"# {found.title}", ""]
    lines += textwrap.wrap("Written by the command below. Do not edit: run it again.", WIDTH)
    cells = [[name, f"`{text}`" if name == "command" else text] for name, text in about.items()]
    lines += ["", *_grid([["", ""], *cells], [True, True])]
    for table in found.tables:
        lines += ["", *([f"## {table.title}", ""] if table.title else [])]
        numbers = list(zip(*table.rows, strict=True)) or [()] * len(table.columns)
        left = [any(isinstance(cell, str) for cell in column) for column in numbers]
        rows = [list(map(_cell, row, table.columns.values())) for row in table.rows]
        lines += _grid([list(table.columns), *rows], left)
    return "\n".join([*lines, ""])


def _cell(cell: Cell, form: str) -> str:
    if cell is None or cell == "":
        return DASH
    if isinstance(cell, bool):
        return "yes" if cell else "no"
    return cell if isinstance(cell, str) else format(cell, form)


def _grid(rows: Sequence[Sequence[str]], left: Sequence[bool]) -> list[str]:
    """A table of Markdown, its columns aligned also where they are read as text."""
    rows = [[cell.replace("\n", " ").replace("|", "\\|") for cell in row] for row in rows]
    widths = [max(3, *(len(row[i]) for row in rows)) for i in range(len(left))]
    if sum(widths) + 3 * len(widths) + 1 > WIDTH and len(left) == 2:
        widths[1] = 3  # a fact to a line, however long
    marks = [
        "-" * w if to_left else "-" * (w - 1) + ":" for w, to_left in zip(widths, left, strict=True)
    ]
    lines = [
        [
            c.ljust(w) if to_left else c.rjust(w)
            for c, w, to_left in zip(row, widths, left, strict=True)
        ]
        for row in (rows[0], marks, *rows[1:])
    ]
    return [f"| {' | '.join(line)} |" for line in lines]

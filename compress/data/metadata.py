"""The published metadata.csv of emg2pose: which recording belongs to which split.

Columns: user, session, stage, side, moving_hand, held_out_user, held_out_stage, split (train, val,
test), generalization, filename (without .hdf5, relative to the folder of the table). Smaller
downloads carry the table of the whole dataset, so files that are not there are left out.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path, PurePosixPath

from compress.errors import RecordingError
from compress.files import replace_atomically
from compress.reading import text
from compress.reading.text import UnreadableError
from compress.reading.words import refuses_in_one_line

NAME = "metadata.csv"
SPLITS = ("train", "val", "test")
_SUFFIX = ".hdf5"


@dataclass(frozen=True, kw_only=True)
class Row:
    """One recording, in the columns of the table and their order."""

    user: str
    session: str
    stage: str
    side: str
    moving_hand: bool = True
    held_out_user: bool = False
    held_out_stage: bool = False
    split: str
    generalization: str = ""
    filename: str


@refuses_in_one_line
def splits(path: Path) -> dict[str, list[Path]]:
    """Recordings that are there, by split (train, val, test), each sorted by name; RecordingError
    for a table that is not one."""
    found: dict[str, set[Path]] = {split: set() for split in SPLITS}
    owner: dict[str, str] = {}
    for line, row in enumerate(_rows(path), start=2):
        split, filename = row["split"] or "", row["filename"] or ""
        if split not in SPLITS:
            raise RecordingError(
                f"{path}: line {line}: split: expected one of {', '.join(SPLITS)}, found {split!r}"
            )
        if (
            not filename
            or PurePosixPath(filename).is_absolute()
            or ".." in PurePosixPath(filename).parts
        ):
            raise RecordingError(
                f"{path}: line {line}: filename: expected a name below {path.parent}, found"
                f" {filename!r}"
            )
        if owner.setdefault(filename, split) != split:
            raise RecordingError(
                f"{path}: line {line}: {filename} is in {split} and in {owner[filename]}: expected"
                " one split for each recording"
            )
        found[split].add(
            path.parent / (filename if filename.endswith(_SUFFIX) else filename + _SUFFIX)
        )
    there = {split: sorted(filter(_is_there, paths)) for split, paths in found.items()}
    if not any(there.values()):
        raise RecordingError(
            f"{path}: none of its {len(owner)} recordings lies beside it: expected"
            f" {next(iter(owner), '…')}{_SUFFIX} and others; unpack the dataset into that folder"
        )
    return there


def _is_there(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # a name that no file can have
        return False


@refuses_in_one_line
def counts(path: Path) -> dict[str, int]:
    """How many recordings the table lists in each split, be they there or not."""
    listed = {(row["split"], row["filename"]) for row in _rows(path)}
    return {split: sum(split == of for of, _ in listed) for split in SPLITS}


def write(path: Path, rows: Sequence[Row]) -> None:
    """Write the table atomically."""
    written = io.StringIO()
    table = csv.DictWriter(written, [field.name for field in fields(Row)], lineterminator="\n")
    table.writeheader()
    table.writerows(asdict(row) for row in rows)
    replace_atomically(path, written.getvalue().encode())


def _rows(path: Path) -> list[dict[str, str | None]]:
    """The table's lines; every line has what is read of it."""
    if not path.exists():
        raise RecordingError(f"{path}: no such table; expected the {NAME} that comes with emg2pose")
    try:
        table = csv.DictReader(io.StringIO(text.read(path), newline=""), strict=True)
        columns = table.fieldnames or []
        rows = list(table)
    except (UnreadableError, csv.Error) as error:
        raise RecordingError(
            f"{path}: expected a table of comma-separated text: {error}; download it again"
        ) from error
    missing = [name for name in ("split", "filename") if name not in columns]
    if missing:
        raise RecordingError(
            f"{path}: columns missing: {', '.join(missing)}; found"
            f" {', '.join(columns) or 'nothing'}"
        )
    return rows

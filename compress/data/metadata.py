"""The metadata.csv of a published data set: whose recording is whose, and to which split it
belongs.

emg2pose's has a line for each file: user, session, stage, side, moving_hand, held_out_user,
held_out_stage, split (train, val, test), generalization (user, stage, user_stage), filename
(without .hdf5, relative to the folder of the table). emg2qwerty's has a line for each session,
which is a file of this name: user, session, quality_check_tags, duration_mins, num_keystrokes,
num_prompts; it says nothing of splits. Other columns are not looked at.

Smaller downloads carry the table of the whole data set, so files that are not there are left out.
Tables that went through a spreadsheet are read too: with semicolons or tabs, a byte order mark,
any ends of lines, names of columns in capitals.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path, PurePosixPath, PureWindowsPath

from compress.errors import RecordingError
from compress.files import replace_atomically
from compress.reading.words import refuses_in_one_line

NAME = "metadata.csv"
SPLITS = ("train", "val", "test")
POSE_COLUMNS = ("split", "filename")  # what is read of emg2pose's
TYPING_COLUMNS = ("user", "session")  # what is read of emg2qwerty's
_SUFFIX = ".hdf5"
_LARGEST = 1 << 28  # bytes; emg2pose's has 5 MB
_WHOLE = re.compile(r"0*(\d+)(?:\.0*)?")


@dataclass(frozen=True, kw_only=True)
class Row:
    """One recording, in the columns of emg2pose's table and their order."""

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


@dataclass(frozen=True)
class Listed:
    """What a table says of one file: its name below the folder, without its ending if that is
    .hdf5; what it does not say is empty."""

    name: str
    user: str = ""
    split: str = ""
    generalization: str = ""


@dataclass(frozen=True)
class Table:
    """A table's files in its order, each once. `has_splits`: each says its split. `repeated`: lines
    that say again what another said."""

    path: Path
    files: tuple[Listed, ...]
    has_splits: bool
    repeated: int = 0

    def notes(self) -> list[str]:
        """What of the table does not count, in words."""
        if not self.repeated:
            return []
        return [f"{self.path.name} says {_lines(self.repeated)} twice, which counts once"]


@refuses_in_one_line
def read(path: Path, needed: Sequence[str] = POSE_COLUMNS) -> Table:
    """A table with these columns; RecordingError says in a line what is wrong with it.

    A file is named by the column filename, or where there is none by session. Split and filename
    are enough for any recordings.
    """
    columns, rows = _rows(path)
    enough = all(name in columns for name in POSE_COLUMNS)
    missing = [name for name in needed if name not in columns and not enough]
    if missing:
        raise RecordingError(
            f"{path}: columns missing: {', '.join(missing)}; found"
            f" {', '.join(columns) or 'nothing'}{_other_kind(needed, columns)}"
        )
    has_splits = "split" in columns
    found: dict[str, Listed] = {}
    for line, row in rows:
        if has_splits and row["split"] not in SPLITS:
            raise RecordingError(
                f"{path}: line {line}: split: expected one of {', '.join(SPLITS)}, found"
                f" {row['split']!r}"
            )
        file = _listed(path, line, row, "filename" if "filename" in columns else "session")
        _same(path, line, found.setdefault(file.name, file), file)
    return Table(path, tuple(found.values()), has_splits, len(rows) - len(found))


@refuses_in_one_line
def has_columns(path: Path, names: Sequence[str]) -> bool:
    """Whether a table has one of these columns."""
    return any(name in names for name in _rows(path)[0])


def none_there(table: Table) -> str:
    """The words for a table of which no file is there."""
    first = table.files[0].name if table.files else "…"
    return (
        f"{table.path}: none of its {len(table.files)} recordings lies beside it: expected"
        f" {first}{_SUFFIX} and others; unpack the dataset into that folder"
    )


def same_user(first: str, second: str) -> bool:
    """Whether two names are one user's: tables and split files lose zeros in front of numbers, and
    spreadsheets add a point."""
    return user_key(first) == user_key(second)


def user_key(name: str) -> str:
    """A name by which a user is the same however it was written."""
    number = _WHOLE.fullmatch(name.strip())
    return number[1] if number else name.strip()


def write(path: Path, rows: Sequence[Row]) -> None:
    """Write the table atomically."""
    written = io.StringIO()
    table = csv.DictWriter(written, [field.name for field in fields(Row)], lineterminator="\n")
    table.writeheader()
    table.writerows(asdict(row) for row in rows)
    replace_atomically(path, written.getvalue().encode())


def _listed(path: Path, line: int, row: dict[str, str], by: str) -> Listed:
    """One line, with a name that cannot lead out of the table's folder."""
    name = row[by]
    parts = PurePosixPath(name).parts
    if not name or PurePosixPath(name).is_absolute() or ".." in parts or _has_drive(name):
        raise RecordingError(
            f"{path}: line {line}: {by}: expected a name below {path.parent}, found {name!r}"
        )
    said = {key: row.get(key, "") for key in ("user", "split", "generalization")}
    for key, value in ({by: name} | said).items():
        if not value.isprintable():
            raise RecordingError(f"{path}: line {line}: {key}: expected a name, found {value!r}")
    return Listed(PurePosixPath(name).as_posix().removesuffix(_SUFFIX), **said)


def _has_drive(name: str) -> bool:
    return bool(PureWindowsPath(name).drive) or "\\" in name


def _same(path: Path, line: int, before: Listed, now: Listed) -> None:
    """A file may be listed twice only where both lines say the same."""
    for key in ("split", "user", "generalization"):
        first, second = getattr(before, key), getattr(now, key)
        if first != second:
            where = f"is in {second} and in {first}" if key == "split" else f"has {key} {second}"
            apart = "" if key == "split" else f" and {key} {first}"
            raise RecordingError(
                f"{path}: line {line}: {now.name} {where}{apart}: expected one {key} for each"
                " recording"
            )


def _other_kind(needed: Sequence[str], columns: Sequence[str]) -> str:
    """Which published table it looks like, if it is another than the one needed."""
    if "filename" in needed and {"user", "session"} <= set(columns) and "filename" not in columns:
        return (
            "; emg2qwerty's table has these, emg2pose's is expected: give DATA= a folder of pose"
            " recordings, or take the table away"
        )
    return ""


def _rows(path: Path) -> tuple[list[str], list[tuple[int, dict[str, str]]]]:
    """(names of columns, (number of line, cells by column) of every line that is not empty)."""
    text = _text(path)
    header = text.lstrip("\r\n").splitlines()[:1]
    separator = max(",;\t", key=(header[0] if header else "").count)
    try:
        table = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
        lines = [(table.line_num, cells) for cells in table if any(c.strip() for c in cells)]
    except csv.Error as error:
        raise RecordingError(
            f"{path}: expected a table of comma-separated text: {error}; download it again"
        ) from error
    if not lines:
        return [], []
    columns = [name.strip().lower() for name in lines[0][1]]
    twice = sorted({name for name in columns if name and columns.count(name) > 1})
    if twice:
        raise RecordingError(
            f"{path}: the column {twice[0]!r} stands there twice; expected it once"
        )
    for number, cells in lines[1:]:
        if len(cells) > len(columns) and any(c.strip() for c in cells[len(columns) :]):
            raise RecordingError(
                f"{path}: line {number}: expected {len(columns)} cells, found {len(cells)}; one"
                " with a separator in it needs quotes"
            )
    return columns, [
        (number, _row(columns, [cell.strip() for cell in cells])) for number, cells in lines[1:]
    ]


def _row(columns: list[str], cells: list[str]) -> dict[str, str]:
    """Cells by column; those that a short line lacks are empty."""
    return dict(zip(columns, [*cells, *[""] * (len(columns) - len(cells))], strict=False))


def _text(path: Path) -> str:
    """The file's text, UTF-8 or with a mark that says it is UTF-16."""
    try:
        if path.stat().st_size > _LARGEST:
            raise RecordingError(
                f"{path}: expected a table of at most {_LARGEST >> 20} MiB, found"
                f" {path.stat().st_size >> 20} MiB"
            )
        content = path.read_bytes()
    except FileNotFoundError as error:
        raise RecordingError(
            f"{path}: no such table; expected the {NAME} that comes with the data set"
        ) from error
    except OSError as error:
        raise RecordingError(f"{path}: cannot be read: {error}") from error
    wide = content.startswith((b"\xff\xfe", b"\xfe\xff"))
    try:
        return content.decode("utf-16" if wide else "utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise RecordingError(
            f"{path}: expected a table of comma-separated text in UTF-8: line {line} has the byte"
            f" 0x{content[error.start]:02x}; save it as UTF-8"
        ) from error


def _lines(count: int) -> str:
    return f"{count} line{'s' * (count != 1)}"

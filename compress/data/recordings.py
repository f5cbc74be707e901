"""The simulated sets on disk: which sessions there are, and making the ones that are missing.

    build/<folder of the collection>/{train,calibration,heldout,…}/*.hdf5

Which sets a task has, and how one of their sessions is made, its `Collection` says.
Each split folder holds a `SHA256SUMS` over its sessions, which the reader honours, so that damage
anywhere in a file is noticed. Sessions remember the simulator that made them; when it has changed
they are made again.
"""

from __future__ import annotations

import argparse
import functools
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from compress import artifacts, tasks
from compress.artifacts import locks
from compress.data.recording_file import SUMS, file_digest, recorded_digest
from compress.errors import RecordingError, UsageError
from compress.files import replace_atomically
from compress.reading import hdf5
from compress.reading.limited import Refusal
from compress.report.progress import Bar

log = logging.getLogger(__name__)

SEED = 20261121
_EPOCH, _APART = 1_700_000_000, 3600


@dataclass(frozen=True)
class Split:
    """How many sessions of how many seconds."""

    sessions: int
    seconds: float


Make = Callable[[Path, str, int, float, int, float, str], None]


SUFFIXES = (".hdf5", ".h5")  # of recordings, the first is written


@dataclass(frozen=True)
class Collection:
    """The recordings of one task.

    Args:
        name: of the task.
        folder: of the simulated sets under build.
        group: what its recordings are called; of HDF5 files also their group.
        is_simulated: whether a recording says that a simulator wrote it.
        splits: the simulated sets; none for a task that is not simulated.
        make: simulate and write one session: (path, split, number, seconds, seed, start in unix
            seconds, origin), a function, or a partial of one by keywords.
        table: name of a file beside the splits that lists them, and what writes it.
        suffixes: of the files that are recordings, the first is what names without one mean.
        origin_in: the HDF5 group whose attribute `simulator` holds the origin, where not `group`.
        user_of: who made a recording, as it says itself; None where recordings do not say it.
        columns: what a published metadata.csv of its recordings must say; none where none is
            published.
    """

    name: str
    folder: str
    group: str
    is_simulated: Callable[[Path], bool]
    splits: dict[str, Split] = field(default_factory=dict)
    make: Make | None = None
    table: tuple[str, Callable[[Path], None]] | None = None
    suffixes: tuple[str, ...] = SUFFIXES
    origin_in: str | None = None
    user_of: Callable[[Path], str] | None = None
    columns: tuple[str, ...] = ()


def ensure(root: Path, split: str, collection: Collection) -> list[Path]:
    """Paths of the split's sessions in order, simulating those that are missing, damaged or from
    another simulator."""
    if collection.make is None:
        raise RecordingError(
            f"{collection.name}: no recordings of it are simulated; expected a folder of"
            f" {collection.group} recordings in DATA="
        )
    if split not in collection.splits:
        raise RecordingError(
            f"split: expected one of {', '.join(collection.splits)}, found {split!r}"
        )
    if not _missing(root, split, collection):
        return _paths(root, split, collection)
    with locks.held(root.parent, root.name):  # another process may be at it
        return _simulate(root, split, collection)


def _paths(root: Path, split: str, collection: Collection) -> list[Path]:
    return [session_path(root, split, n) for n in range(collection.splits[split].sessions)]


def _missing(root: Path, split: str, collection: Collection) -> bool:
    """Whether anything of a split is to be written."""
    table = collection.table
    return bool(_todo(root, split, collection)) or (
        table is not None and not (root / table[0]).is_file()
    )


def _todo(root: Path, split: str, collection: Collection) -> list[int]:
    """Numbers of the sessions that are not there as this simulator makes them."""
    group = collection.origin_in or collection.group
    return [
        number
        for number, path in enumerate(_paths(root, split, collection))
        if not _current(path, group, _origin(collection, split, number))
    ]


def _simulate(root: Path, split: str, collection: Collection) -> list[Path]:
    """Write what is missing now."""
    assert collection.make is not None  # only a task with a simulator has sets
    plan, todo = collection.splits[split], _todo(root, split, collection)
    paths = _paths(root, split, collection)
    for number in Bar(
        todo, desc=f"simulate {collection.name} {split}", unit="session", disable=not todo
    ):
        start = _EPOCH + _APART * (100 * list(collection.splits).index(split) + number)
        origin = _origin(collection, split, number)
        collection.make(paths[number], split, number, plan.seconds, SEED, start, origin)
        _record(paths[number])
    if collection.table is not None:
        name, write = collection.table
        if todo or not (root / name).is_file():
            write(root)
    return paths


def run(args: argparse.Namespace) -> int:
    """Make the chosen splits and say where they are."""
    chosen = [
        tasks.named(name).collection for name in ([args.task] if args.task else tasks.names())
    ]
    known = sorted({split for collection in chosen for split in collection.splits})
    for split in args.splits or []:
        if split not in known:
            raise UsageError(f"--splits: expected some of {', '.join(known)}, found {split!r}")
    for collection in chosen:
        root = args.build / collection.folder
        for split in (name for name in collection.splits if name in (args.splits or known)):
            paths = ensure(root, split, collection)
            minutes = len(paths) * collection.splits[split].seconds / 60
            log.info(
                f"{collection.name} {split}: {len(paths)} simulated sessions, {minutes:.1f} min, in"
                f" {root / split}"
            )
    return 0


def session_path(root: Path, split: str, number: int) -> Path:
    """Where a session of a split lies."""
    return root / split / f"{split}-{number:02d}.hdf5"


def _origin(collection: Collection, split: str, number: int) -> str:
    """Hash of everything a session is made from: the simulator's code, seed and place in the
    plan. Reading is no part of it."""
    plan = f"{SEED} {collection.name} {split} {number} {collection.splits[split]}"
    assert collection.make is not None  # only a task with a simulator has sets
    make = collection.make
    if isinstance(make, functools.partial):
        plan, make = f"{plan} {make.keywords}", make.func
    made_by = f"{make.__module__}:{make.__name__}"
    code = artifacts.code_hash(made_by, without=("compress.tasks", "compress.tasks.*"))
    return artifacts.key(plan=plan, code=code)


def _current(path: Path, group: str, origin: str) -> bool:
    """Whether the file is whole and was made by this simulator."""
    try:
        recorded = recorded_digest(path) if path.is_file() else None
        if recorded is None or file_digest(path) != recorded:
            return False
        with hdf5.File(path) as file:
            return bool(file.attributes(group).get("simulator") == origin)
    except (Refusal, RecordingError):
        return False


def _record(path: Path) -> None:
    """Put the file's digest into SHA256SUMS, in the format of sha256sum."""
    sums = path.parent / SUMS
    said = sums.read_text(encoding="utf-8", errors="replace") if sums.is_file() else ""
    lines: Sequence[str] = said.splitlines()
    kept = [line for line in lines if not line.endswith(f"  {path.name}")]
    entry = f"{file_digest(path)}  {path.name}"
    replace_atomically(
        sums, ("\n".join(sorted([*kept, entry], key=lambda x: x[66:])) + "\n").encode()
    )

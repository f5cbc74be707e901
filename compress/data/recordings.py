"""The simulated sets on disk: which sessions there are, and making the ones that are missing.

    build/recordings/{train,calibration,heldout}/*.hdf5             typing: emg2qwerty sessions
    build/pose-recordings/{train,calibration,heldout,long}/*.hdf5   pose: emg2pose sessions, and
    their metadata.csv

Each split folder holds a `SHA256SUMS` over its sessions, which the reader honours, so that damage
anywhere in a file is noticed. Sessions remember the simulator that made them; when it has changed
they are made again.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
from tqdm import tqdm

from compress import artifacts
from compress.data import metadata
from compress.data.recording_file import SUMS, file_digest, recorded_digest
from compress.data.simulator import pose as simulated_pose
from compress.data.simulator import session as simulated_typing
from compress.errors import RecordingError
from compress.files import replace_atomically
from compress.tasks.pose import session as pose_session
from compress.tasks.typing import session

SEED = 20261121
_EPOCH, _APART = 1_700_000_000, 3600


@dataclass(frozen=True)
class Split:
    """How many sessions of how many seconds."""

    sessions: int
    seconds: float


@dataclass(frozen=True)
class Collection:
    """One kind of recordings: its folder under build, the HDF5 group of its files, its splits, how
    one session is made and read.

    make(path, split, number, seconds, start in unix seconds, origin) simulates and writes one
    session.
    """

    name: str
    folder: str
    group: str
    splits: dict[str, Split]
    make: Callable[[Path, str, int, float, float, str], None]
    reader: Callable[[Path], Any]  # Session or PoseSession


def _make_typing(
    path: Path, split: str, number: int, seconds: float, start: float, origin: str
) -> None:
    recording = simulated_typing.simulate(split, number, seconds, SEED)
    simulated_typing.write(path, recording, path.stem, start, simulator=origin)


def _make_pose(
    path: Path, split: str, number: int, seconds: float, start: float, origin: str
) -> None:
    recording = simulated_pose.simulate(split, number, seconds, SEED)
    simulated_pose.write(path, recording, path.stem, start, simulator=origin)


TYPING = Collection(
    "typing",
    "recordings",
    session.GROUP,
    {"train": Split(18, 240.0), "calibration": Split(1, 120.0), "heldout": Split(5, 200.0)},
    _make_typing,
    session.Session,
)
POSE = Collection(
    "pose",
    "pose-recordings",
    pose_session.GROUP,
    {
        "train": Split(24, 75.0),
        "calibration": Split(1, 60.0),
        "heldout": Split(5, 60.0),
        "long": Split(1, 610.0),
    },
    _make_pose,
    pose_session.PoseSession,
)
COLLECTIONS = {collection.name: collection for collection in (TYPING, POSE)}
_PUBLISHED = {
    "train": "train",
    "calibration": "val",
    "heldout": "test",
}  # our splits in the words of metadata.csv


def ensure(root: Path, split: str, collection: Collection = TYPING) -> list[Path]:
    """Paths of the split's sessions in order, simulating those that are missing, damaged or from
    another simulator."""
    if split not in collection.splits:
        raise RecordingError(
            f"split: expected one of {', '.join(collection.splits)}, found {split!r}"
        )
    plan = collection.splits[split]
    paths = [_path(root, split, number) for number in range(plan.sessions)]
    origins = [_origin(collection, split, number) for number in range(plan.sessions)]
    todo = [
        number
        for number, path in enumerate(paths)
        if not _current(path, collection.group, origins[number])
    ]
    for number in tqdm(
        todo, desc=f"simulate {collection.name} {split}", unit="session", disable=not todo
    ):
        start = _EPOCH + _APART * (100 * list(collection.splits).index(split) + number)
        collection.make(paths[number], split, number, plan.seconds, start, origins[number])
        _record(paths[number])
    if collection is POSE and (todo or not (root / metadata.NAME).is_file()):
        _write_metadata(root)
    return paths


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `python -m compress recordings`."""
    names = sorted({split for collection in COLLECTIONS.values() for split in collection.splits})
    parser.add_argument(
        "--task", choices=list(COLLECTIONS), help="which kind of recordings to make (default: all)"
    )
    parser.add_argument(
        "--build",
        type=Path,
        default=Path("build"),
        help="where the folders go (default: %(default)s)",
    )
    parser.add_argument(
        "--splits", nargs="+", choices=names, default=names, help="which to make (default: all)"
    )


def run(args: argparse.Namespace) -> int:
    """Make the chosen splits and say where they are."""
    for collection in [COLLECTIONS[args.task]] if args.task else COLLECTIONS.values():
        root = args.build / collection.folder
        for split in (name for name in collection.splits if name in args.splits):
            paths = ensure(root, split, collection)
            minutes = len(paths) * collection.splits[split].seconds / 60
            print(
                f"{collection.name} {split}: {len(paths)} simulated sessions, {minutes:.1f} min, in"
                f" {root / split}"
            )
    return 0


def _path(root: Path, split: str, number: int) -> Path:
    return root / split / f"{split}-{number:02d}.hdf5"


def _write_metadata(root: Path) -> None:
    """List the pose sessions that are there as the published metadata.csv does; the long one
    belongs to no split."""
    rows = [
        metadata.Row(
            user=simulated_pose.USER,
            session=f"{split}-{number:02d}",
            stage=simulated_pose.stage_of(number),
            side=simulated_pose.SIDE,
            split=published,
            filename=f"{split}/{split}-{number:02d}",
        )
        for split, published in _PUBLISHED.items()
        for number in range(POSE.splits[split].sessions)
        if _path(root, split, number).is_file()
    ]
    metadata.write(root / metadata.NAME, rows)


def _origin(collection: Collection, split: str, number: int) -> str:
    """Hash of everything a session is made from: the simulator's code, seed and place in the
    plan. Reading is no part of it."""
    plan = f"{SEED} {collection.name} {split} {number} {collection.splits[split]}"
    made_by = f"{collection.make.__module__}:{collection.make.__name__}"
    code = artifacts.code_hash(made_by, without=("compress.tasks", "compress.tasks.*"))
    return artifacts.key(plan=plan, code=code)


def _current(path: Path, group: str, origin: str) -> bool:
    """Whether the file is whole and was made by this simulator."""
    recorded = recorded_digest(path) if path.is_file() else None
    if recorded is None or file_digest(path) != recorded:
        return False
    with h5py.File(path, "r") as file:
        return bool(file[group].attrs.get("simulator") == origin)


def _record(path: Path) -> None:
    """Put the file's digest into SHA256SUMS, in the format of sha256sum."""
    sums = path.parent / SUMS
    lines: Sequence[str] = sums.read_text().splitlines() if sums.is_file() else []
    kept = [line for line in lines if not line.endswith(f"  {path.name}")]
    entry = f"{file_digest(path)}  {path.name}"
    replace_atomically(
        sums, ("\n".join(sorted([*kept, entry], key=lambda x: x[66:])) + "\n").encode()
    )

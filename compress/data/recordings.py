"""The simulated set on disk: which sessions there are, and making the ones that are missing.

    build/recordings/{train,calibration,heldout}/*.hdf5

Each split folder holds a `SHA256SUMS` over its sessions, which the reader honours, so that damage anywhere in a file is noticed.
Sessions remember the simulator that made them; when it has changed they are made again.
"""

from __future__ import annotations

import argparse
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import h5py
from tqdm import tqdm

from compress.data import simulator
from compress.data.session import GROUP, SUMS, recorded_digest
from compress.data.simulator.session import simulate, write
from compress.errors import RecordingError
from compress.files import replace_atomically

SEED = 20261121
_EPOCH, _APART = 1_700_000_000, 3600


@dataclass(frozen=True)
class Split:
    """How many sessions of how many seconds."""

    sessions: int
    seconds: float


SPLITS = {"train": Split(18, 240.0), "calibration": Split(1, 120.0), "heldout": Split(5, 200.0)}


def ensure(root: Path, split: str) -> list[Path]:
    """Paths of the split's sessions in order, simulating those that are missing, damaged or from another simulator."""
    if split not in SPLITS:
        raise RecordingError(f"split: expected one of {', '.join(SPLITS)}, found {split!r}")
    paths = [root / split / f"{split}-{number:02d}.hdf5" for number in range(SPLITS[split].sessions)]
    todo = [number for number, path in enumerate(paths) if not _current(path, split, number)]
    for number in tqdm(todo, desc=f"simulate {split}", unit="session", disable=not todo):
        recording = simulate(split, number, SPLITS[split].seconds, SEED)
        start = _EPOCH + _APART * (100 * list(SPLITS).index(split) + number)
        write(paths[number], recording, paths[number].stem, start, simulator=_origin(split, number))
        _record(paths[number])
    return paths


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `python -m compress recordings`."""
    parser.add_argument("--out", type=Path, default=Path("build/recordings"), help="folder for the splits")
    parser.add_argument("--splits", nargs="+", choices=list(SPLITS), default=list(SPLITS), help="which to make")


def run(args: argparse.Namespace) -> int:
    """Make the chosen splits and say where they are."""
    for split in args.splits:
        paths = ensure(args.out, split)
        minutes = len(paths) * SPLITS[split].seconds / 60
        print(f"{split}: {len(paths)} simulated sessions, {minutes:.1f} min, in {args.out / split}")
    return 0


def _code() -> bytes:
    """The simulator's source, read when it is imported: later edits do not belong to what this process simulates."""
    return b"".join(path.read_bytes() for path in sorted(Path(simulator.__file__).parent.glob("*.py")))


_CODE = _code()


def _origin(split: str, number: int) -> str:
    """Hash of everything a session is made from: the simulator's code, seed and place in the plan."""
    return hashlib.sha256(f"{SEED} {split} {number} {SPLITS[split]}".encode() + _CODE).hexdigest()


def _current(path: Path, split: str, number: int) -> bool:
    """Whether the file is whole and was made by this simulator."""
    recorded = recorded_digest(path) if path.is_file() else None
    if recorded is None or _digest(path) != recorded:
        return False
    with h5py.File(path, "r") as file:
        return bool(file[GROUP].attrs.get("simulator") == _origin(split, number))


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _record(path: Path) -> None:
    """Put the file's digest into SHA256SUMS, in the format of sha256sum."""
    sums = path.parent / SUMS
    lines: Sequence[str] = sums.read_text().splitlines() if sums.is_file() else []
    kept = [line for line in lines if not line.endswith(f"  {path.name}")]
    replace_atomically(sums, ("\n".join(sorted([*kept, f"{_digest(path)}  {path.name}"], key=lambda x: x[66:])) + "\n").encode())

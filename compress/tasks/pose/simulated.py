"""The recordings of the task, and the simulated sets of them: emg2pose sessions with their
metadata.csv, and a long one."""

from __future__ import annotations

from pathlib import Path

from compress.data import metadata
from compress.data.recordings import Collection, Split, session_path
from compress.tasks.pose.session import GROUP, PoseSession

LONG = "long"
_PUBLISHED = {
    "train": "train",
    "calibration": "val",
    "heldout": "test",
}  # our splits in the words of metadata.csv


def _make(
    path: Path, split: str, number: int, seconds: float, seed: int, start: float, origin: str
) -> None:
    from compress.data.simulator import pose  # needs scipy, which is slow to import

    recording = pose.simulate(split, number, seconds, seed)
    pose.write(path, recording, path.stem, start, simulator=origin)


def _user_of(path: Path) -> str:
    with PoseSession(path) as session:
        return session.user


def _is_simulated(path: Path) -> bool:
    with PoseSession(path) as session:
        return session.simulated


def _write_metadata(root: Path) -> None:
    """List the sessions that are there as the published metadata.csv does; the long one belongs to
    no split."""
    from compress.data.simulator import pose

    rows = [
        metadata.Row(
            user=pose.USER,
            session=f"{split}-{number:02d}",
            stage=pose.stage_of(number),
            side=pose.SIDE,
            split=published,
            filename=f"{split}/{split}-{number:02d}",
        )
        for split, published in _PUBLISHED.items()
        for number in range(COLLECTION.splits[split].sessions)
        if session_path(root, split, number).is_file()
    ]
    metadata.write(root / metadata.NAME, rows)


COLLECTION = Collection(
    "pose",
    "pose-recordings",
    GROUP,
    _is_simulated,
    {
        "train": Split(24, 75.0),
        "calibration": Split(1, 60.0),
        "heldout": Split(5, 60.0),
        LONG: Split(1, 610.0),
    },
    _make,
    (metadata.NAME, _write_metadata),
    user_of=_user_of,
    columns=metadata.POSE_COLUMNS,
)

"""The recordings of the task, and the simulated sets of them: emg2qwerty sessions."""

from __future__ import annotations

from pathlib import Path

from compress.data.metadata import TYPING_COLUMNS
from compress.data.recordings import Collection, Split
from compress.tasks.typing.session import GROUP, Session


def _make(
    path: Path, split: str, number: int, seconds: float, seed: int, start: float, origin: str
) -> None:
    from compress.data.simulator import session  # needs scipy, which is slow to import

    recording = session.simulate(split, number, seconds, seed)
    session.write(path, recording, path.stem, start, simulator=origin)


def _user_of(path: Path) -> str:
    with Session(path) as session:
        return session.user


def _is_simulated(path: Path) -> bool:
    return _user_of(path).startswith("simulated")


COLLECTION = Collection(
    "typing",
    "recordings",
    GROUP,
    _is_simulated,
    {"train": Split(18, 240.0), "calibration": Split(1, 120.0), "heldout": Split(5, 200.0)},
    _make,
    user_of=_user_of,
    columns=TYPING_COLUMNS,
)

"""Which sessions a training learns from, and which it validates with: the simulated ones, those of
a folder, or those that a split file lists."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from compress.data import listing, metadata, recordings, session_files, splits
from compress.data.listing import TRAIN, VAL
from compress.data.metadata import Table
from compress.data.recordings import Collection
from compress.errors import RecordingError, UsageError
from compress.reading.words import counted, noun


@dataclass(frozen=True)
class TrainingSessions:
    """Sessions in order. `validation` is empty where nothing says which they are. `source`: where
    they come from, in words; `test`: left alone; `notes`: lines about what is not used."""

    train: tuple[Path, ...]
    validation: tuple[Path, ...]
    source: str
    test: tuple[Path, ...] = ()
    notes: tuple[str, ...] = ()
    split: str | None = None  # hash of the split file's lists

    def with_validation(self, count: int) -> TrainingSessions:
        """Where nothing says which sessions validate: the last `count` of those to train on."""
        if self.validation:
            return self
        if len(self.train) <= count:
            raise RecordingError(
                f"training needs more than {count} session{'s' * (count > 1)}, {count} of them for"
                f" validation; found {len(self.train)} ({self.source})"
            )
        which = "session of train does" if count == 1 else f"{count} sessions of train do"
        note = f"nothing says which sessions validate, so the last {which}"
        return replace(
            self,
            train=self.train[:-count],
            validation=self.train[-count:],
            notes=(note, *self.notes),
        )

    def text(self) -> str:
        """What a user reads before the training begins."""
        lines = [f"training on {_counted(self.train)}, from {self.source}"]
        if self.validation:
            lines.append(f"validating with {_counted(self.validation)}")
        if self.test:
            lines.append(f"left for testing: {_counted(self.test)}")
        return "\n".join([*lines, *self.notes])


def find(
    data: Path | None,
    split: Path | None,
    build: Path,
    collection: Collection,
    users: Sequence[str] = (),
) -> TrainingSessions:
    """Sessions of `data`, or of the simulated train split (made when missing); of these `users`, if
    any are asked for.

    With a split file `data` is the folder of its sessions. Without one: a folder with `train` (and
    `val`) is taken as it is; of one with a metadata.csv the train and val recordings; of any other
    every session in it.
    """
    if data is None:
        if split is not None:
            raise UsageError(
                f"SPLIT={split}: expected DATA=folder too, in which the sessions of the split are"
            )
        if users:
            raise UsageError(
                f"USERS={' '.join(users)}: expected DATA=folder too, in which their sessions are"
            )
        paths = recordings.ensure(build / collection.folder, "train", collection)
        return TrainingSessions(tuple(paths), (), "the simulated recordings")
    if not data.is_dir():
        raise RecordingError(
            f"{data}: expected a folder of {collection.group} sessions (*{collection.suffixes[0]}),"
            " found no such folder"
        )
    found = _listed(data, split, collection) if split else _in_folder(data, collection)
    if users:
        chosen = listing.of(data, collection, [split] if split else []).of_users(users, collection)
        found = _among(found, {session.path for session in chosen.sessions}, users)
    return replace(found, notes=(*found.notes, *_unused(data, found, collection)))


def _among(found: TrainingSessions, paths: set[Path], users: Sequence[str]) -> TrainingSessions:
    """The sessions that are some of these paths, of these users."""
    train, validation, test = (
        tuple(path for path in sessions if path in paths)
        for sessions in (found.train, found.validation, found.test)
    )
    if not train:
        raise RecordingError(
            f"USERS={' '.join(users)}: expected sessions of them to train on in {found.source},"
            f" found none of {len(found.train)}"
        )
    source = f"{', '.join(users)} in {found.source}"
    return replace(found, train=train, validation=validation, test=test, source=source)


def _listed(data: Path, split: Path, collection: Collection) -> TrainingSessions:
    lists = splits.read(split)
    found = splits.locate(split, lists, data, collection.suffixes)
    train, val, test = (tuple(paths) for paths in found.values())
    return TrainingSessions(train, val, f"{split} in {data}", test, split=lists.sha256)


def _in_folder(data: Path, collection: Collection) -> TrainingSessions:
    if (data / "train").is_dir():
        val = listing.in_folder(data / "val", collection) if (data / "val").is_dir() else []
        train = listing.in_folder(data / "train", collection)
        return TrainingSessions(tuple(train), tuple(val), str(data / "train"))
    table, notes = listing.read_table(data, collection)
    if table is not None and table.has_splits:
        return _of_table(table, collection)
    if (data / "heldout").is_dir() and not session_files.directly(data, collection.suffixes):
        raise RecordingError(
            f"{data}: expected {collection.group} sessions, found none; expected them there, or a"
            f" folder train, or a {metadata.NAME}, or SPLIT=file"
        )
    try:
        paths = listing.in_folder(data, collection)
    except RecordingError as error:
        raise RecordingError(
            f"{error}; expected them there, or a folder train, or a {metadata.NAME}, or SPLIT=file"
        ) from error
    return TrainingSessions(tuple(paths), (), str(data), notes=tuple(notes))


def _of_table(table: Table, collection: Collection) -> TrainingSessions:
    """Train and val of a metadata.csv; smaller downloads lack most of what it lists."""
    found = listing.by_table(table, collection)
    if not found.of(TRAIN):
        raise RecordingError(f"{table.path}: expected train recordings, found {found.counts()}")
    absent = Counter(session.split for session in found.missing)
    notes = table.notes() + [
        f"{table.path.name} lists"
        f" {counted(len(found.of(name)) + absent[name], f'{name} recording')},"
        f" {len(found.of(name))} {noun(len(found.of(name)), 'is', 'are')} there"
        for name in (TRAIN, VAL)
        if absent[name]
    ]
    train, val, test = (tuple(s.path for s in found.of(name)) for name in metadata.SPLITS)
    return TrainingSessions(train, val, str(table.path), test, tuple(notes))


def _unused(data: Path, found: TrainingSessions, collection: Collection) -> list[str]:
    """Session files that lie there and belong to none of the three."""
    used = {path.resolve() for path in (*found.train, *found.validation, *found.test)}
    others = [
        path
        for path in session_files.below(data, collection.suffixes)
        if path.resolve() not in used
    ]
    if not others:
        return []
    folders = Counter(path.parent.relative_to(data).as_posix() for path in others)
    places = [f"{count} in {data / folder}" for folder, count in sorted(folders.items())]
    names = session_files.some([path.name for path in others])
    return [f"not used: {', '.join(places)} ({names})"]


def _counted(paths: Sequence[Path]) -> str:
    count = f"{len(paths)} session{'s' * (len(paths) != 1)}"
    return f"{count} ({session_files.some([path.name for path in paths])})"

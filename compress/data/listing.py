"""What a folder of the user's holds: each recording with its split, its user and the kind of
generalization that it is a test of, as split files, the published metadata.csv or folders say it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from compress.data import metadata, session_files, splits
from compress.data.metadata import Listed, Table
from compress.data.recordings import Collection
from compress.data.session_files import Index, some
from compress.data.splits import SessionLists
from compress.errors import RecordingError
from compress.reading.words import noun
from compress.report.progress import Bar

TRAIN, VAL, TEST = metadata.SPLITS
FOLDERS = {"train": TRAIN, "val": VAL, "calibration": VAL, "test": TEST, "heldout": TEST}


@dataclass(frozen=True)
class Session:
    """A recording. split: train, val, test, or empty where nothing says it. What is not known of
    user and generalization is empty."""

    path: Path
    split: str = ""
    user: str = ""
    generalization: str = ""

    @property
    def name(self) -> str:
        """In messages."""
        return f"{self.path.stem}{f' ({self.split})' if self.split else ''}"


@dataclass(frozen=True)
class Listing:
    """Sessions in order. source: what says so, in words; missing: listed, but not there;
    all_of_val: every session of val is meant to calibrate, not some; notes: lines on what does not
    count."""

    sessions: tuple[Session, ...]
    source: str
    missing: tuple[Session, ...] = ()
    all_of_val: bool = False
    notes: tuple[str, ...] = ()

    @property
    def has_splits(self) -> bool:
        return any(session.split for session in (*self.sessions, *self.missing))

    def of(self, split: str) -> list[Session]:
        return [session for session in self.sessions if session.split == split]

    def counts(self) -> str:
        """How many sessions are there: 0 train, 1 val, 2 test."""
        return ", ".join(f"{len(self.of(split))} {split}" for split in metadata.SPLITS)

    def of_users(self, users: Sequence[str], collection: Collection) -> Listing:
        """The sessions of these users alone; RecordingError for one who has none."""
        known = with_users(self, collection)
        wanted = {metadata.user_key(user): user for user in users}
        listed = {metadata.user_key(s.user): s.user for s in (*known.sessions, *known.missing)}
        strangers = [user for key, user in wanted.items() if key not in listed]
        if strangers:
            there = some(sorted(filter(None, listed.values()))) or "sessions that name no user"
            raise RecordingError(
                f"USERS={', '.join(strangers)}: expected users of {self.source}, found {there}"
            )
        kept, missing = (
            tuple(s for s in sessions if metadata.user_key(s.user) in wanted)
            for sessions in (known.sessions, known.missing)
        )
        return replace(known, sessions=kept, missing=missing)


def of(data: Path, collection: Collection, split: Sequence[Path] = ()) -> Listing:
    """What a folder holds: by `split` files; else by its folders calibration and heldout; else by
    its metadata.csv; else each session in it; else by folders train, val and test; else each
    session below it."""
    if not data.is_dir():
        raise RecordingError(
            f"{data}: expected a folder of {collection.group} sessions"
            f" (*{collection.suffixes[0]}), found no such folder"
        )
    if split:
        return _by_splits(data, collection, split)
    if (data / "calibration").is_dir() and (data / "heldout").is_dir():
        folders = [("calibration", VAL), ("heldout", TEST)]
        folders += [("train", TRAIN)] * (data / "train").is_dir()
        sessions = [
            Session(path, split)
            for name, split in folders
            for path in in_folder(data / name, collection)
        ]
        return Listing(tuple(sessions), str(data), all_of_val=True)
    table, notes = read_table(data, collection)
    if table is not None and table.has_splits:
        return replace(by_table(table, collection), notes=tuple(notes))
    if session_files.directly(data, collection.suffixes):
        return _flat(data, collection, table, notes)
    return _by_folders(data, collection) or _flat(data, collection, table, notes)


def _by_folders(data: Path, collection: Collection) -> Listing | None:
    """Folders that are called as splits are; None without them."""
    there = [(split, data / name) for name, split in FOLDERS.items() if (data / name).is_dir()]
    found = [(split, session_files.below(path, collection.suffixes)) for split, path in there]
    sessions = tuple(Session(path, split) for split, paths in found for path in paths)
    return Listing(sessions, str(data)) if sessions else None


def splits_of(path: Path, collection: Collection) -> dict[str, list[Path]]:
    """Recordings that are there, by the split of a metadata.csv, each sorted by name;
    RecordingError for a table that is not one."""
    found = by_table(metadata.read(path, collection.columns), collection)
    return {split: [s.path for s in found.of(split)] for split in metadata.SPLITS}


def read_table(data: Path, collection: Collection) -> tuple[Table | None, list[str]]:
    """The metadata.csv of a folder, if there is one that says something of its recordings; and
    lines on what of it does not count."""
    path = data / metadata.NAME
    if not path.is_file():
        return None, []
    if not collection.columns:
        if not metadata.has_columns(path, ("filename", "session")):
            return None, [f"{path} names no recordings (column filename or session): not used"]
        return (table := metadata.read(path, ())), table.notes()
    return (table := metadata.read(path, collection.columns)), table.notes()


def in_folder(folder: Path, collection: Collection) -> list[Path]:
    """Session files of a folder by name, or where there are none of those below it; RecordingError
    when there are none at all."""
    paths = session_files.directly(folder, collection.suffixes) or session_files.below(
        folder, collection.suffixes
    )
    if not paths:
        lost = session_files.dangling(folder, collection.suffixes)
        found = f"only links that lead nowhere: {some([p.name for p in lost])}" if lost else "none"
        raise RecordingError(
            f"{folder}: expected {collection.group} sessions ({', '.join(collection.suffixes)}),"
            f" found {found}"
        )
    return paths


def with_users(listing: Listing, collection: Collection) -> Listing:
    """The same with the user that each file names, where nothing else does."""
    unknown = [session for session in listing.sessions if not session.user]
    if collection.user_of is None or not unknown:
        return listing
    few = len(unknown) < 20
    bar = Bar(unknown, desc="reading users", unit="session", leave=False, disable=few)
    users = {session.path: _printable(collection.user_of(session.path)) for session in bar}
    return replace(
        listing,
        sessions=tuple(replace(s, user=s.user or users.get(s.path, "")) for s in listing.sessions),
    )


def _printable(name: str) -> str:
    """A name as a file says it, without what would move a terminal's cursor."""
    return "".join(c if c.isprintable() else "�" for c in name).strip()


def _by_splits(data: Path, collection: Collection, files: Sequence[Path]) -> Listing:
    """Of several files each session once; RecordingError where they contradict each other."""
    index = Index(data, collection.suffixes)
    there: dict[str, Session] = {}
    missing: dict[str, Session] = {}
    said_by: dict[str, Path] = {}
    for file in files:
        lists = splits.read(file, trains=False)
        for session, found in _of_lists(lists, index):
            name = session.path.as_posix()
            before = (there | missing).get(name, session)
            if before.split != session.split and TEST in (before.split, session.split):
                raise RecordingError(
                    f"{file}: {session.path.stem} is in {session.split}, and in"
                    f" {said_by[name]} in {before.split}: expected what is tested in no other list"
                )
            said_by.setdefault(name, file)
            (there if found else missing).setdefault(name, session)
        _expect_a_test(file, lists, index)
    source = some([str(file) for file in files])
    return Listing(tuple(there.values()), source, tuple(missing.values()))


def _of_lists(lists: SessionLists, index: Index) -> Iterable[tuple[Session, bool]]:
    """(session, whether it is there) in order of the lists."""
    for split, names in lists.items():
        for name in names:
            path = index.file(name)
            where = path or index.folder / f"{name}{index.suffixes[0]}"
            yield Session(where, split, lists.users.get(name, "")), path is not None


def _expect_a_test(file: Path, lists: SessionLists, index: Index) -> None:
    """A file that is asked for is scored by some of its own."""
    if lists.test and not any(index.file(name) for name in lists.test):
        raise RecordingError(
            f"{file}: none of its {len(lists.test)} test sessions is in {index.folder}:"
            f" {some(lists.test)}; add recordings, or leave the file out"
        )


def by_table(table: Table, collection: Collection) -> Listing:
    """The sessions of a table with splits, by name; RecordingError when none is there."""
    index = Index(table.path.parent, collection.suffixes)
    found = [(file, index.file(file.name)) for file in table.files]
    if not any(path for _, path in found):
        raise RecordingError(metadata.none_there(table))
    sessions = sorted((_listed(f, p) for f, p in found if p), key=lambda s: s.path)
    ending = collection.suffixes[0]
    missing = (_listed(f, index.folder / f"{f.name}{ending}") for f, p in found if not p)
    return Listing(tuple(sessions), str(table.path), tuple(missing))


def _listed(file: Listed, path: Path) -> Session:
    return Session(path, file.split, file.user, file.generalization)


def _flat(data: Path, collection: Collection, table: Table | None, notes: Sequence[str]) -> Listing:
    """Every session in a folder; nothing says what calibrates."""
    paths, more = session_files.once(in_folder(data, collection))
    said = [*notes, *_not_counted(data, collection, paths, more)]
    by_stem = {Path(file.name).name: file for file in table.files} if table else {}
    sessions = [
        _listed(found, path)
        if (found := by_stem.get(path.stem))
        else _unlisted(data, path, collection)
        for path in paths
    ]
    stems = {path.stem for path in paths}
    lost = [f for stem, f in by_stem.items() if stem not in stems]
    if table is not None:
        beside = [session.name for session in sessions if session.path.stem not in by_stem]
        if beside:
            is_not = "session is" if len(beside) == 1 else "sessions are"
            said.append(f"{len(beside):,} {is_not} not in {table.path.name}: {some(beside)}")
    missing = (_listed(f, data / f"{f.name}{collection.suffixes[0]}") for f in lost)
    return Listing(tuple(sessions), str(data), tuple(missing), notes=tuple(said))


def _unlisted(data: Path, path: Path, collection: Collection) -> Session:
    """A session that no table names. A recording that cannot say whose it is belongs to the user
    whose folder it lies in."""
    above = path.relative_to(data).parts[:-1]
    return Session(path, user=above[0] if above and collection.user_of is None else "")


def _not_counted(
    data: Path, collection: Collection, paths: Sequence[Path], more: Sequence[Path]
) -> list[str]:
    """Lines on files that are named as recordings and are not among them."""
    said = []
    if more:
        names = some([path.name for path in more])
        said.append(f"links to sessions that are there anyway: {names}")
    lost = session_files.dangling(data, collection.suffixes)
    if lost:
        names = some([path.name for path in lost])
        leads = noun(len(lost), "link leads", "links lead")
        is_out = noun(len(lost), "is", "are")
        said.append(f"{len(lost):,} {leads} to no file and {is_out} left out: {names}")
    inside = {path.resolve() for path in paths}
    others = session_files.below(data, collection.suffixes)
    deeper = [p for p in others if p.resolve() not in inside]
    if deeper:
        names = some([p.relative_to(data).as_posix() for p in deeper])
        said.append(f"not used, {len(deeper):,} more in folders below {data}: {names}")
    return said

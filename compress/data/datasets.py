"""Which recordings calibrate and which are held out: the simulated set, or a folder of the user's
own sessions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from compress.data import listing, recordings
from compress.data.listing import TEST, TRAIN, VAL, Listing, Session
from compress.data.metadata import user_key
from compress.data.recordings import Collection
from compress.data.session_files import some
from compress.errors import RecordingError, UsageError
from compress.reading.words import counted

CALIBRATION_SECONDS = 120.0
CALIBRATION_USERS = 8  # one session of each calibrates; of more, the first ones


@dataclass(frozen=True)
class Dataset:
    """Disjoint sessions; `simulated` is true when any of them says so itself. Not `scored`: one
    signal that calibrates and is compared on, whatever it says of what is right.

    train: those that a network may learn from, where something says which; users, generalization:
    of each held-out session, empty where that is not known, and of no session where nothing is;
    why: how what calibrates was chosen, in words; notes: lines on that, and on what is not there.
    """

    calibration: list[Path]
    heldout: list[Path]
    simulated: bool
    scored: bool = True
    train: tuple[Path, ...] = ()
    users: tuple[str, ...] = ()
    generalization: tuple[str, ...] = ()
    why: str = ""
    notes: tuple[str, ...] = ()

    @property
    def user_of(self) -> dict[Path, str]:
        """Whose each held-out session is, where that is known."""
        return dict(zip(self.heldout, self.users, strict=False))

    @property
    def generalizes(self) -> dict[Path, str]:
        """Over what each held-out session generalizes, where that is known."""
        return dict(zip(self.heldout, self.generalization, strict=False))

    @property
    def origin(self) -> str:
        """How figures from these recordings must be named."""
        return "simulated recordings" if self.simulated else "recordings"


def find(
    data: Path | None,
    build: Path,
    collection: Collection,
    split: Sequence[Path] = (),
    users: Sequence[str] = (),
) -> Dataset:
    """Sessions under `data`, or the simulated ones of a collection (made when missing).

    Where `split` files, or a metadata.csv of emg2pose's kind, say what is for what, one session of
    val of each user calibrates (of train, if there is none), and those of test are held out. A
    folder with `calibration` and `heldout` is taken as it is. Of any other the first session by
    name calibrates, or the first of each of the `users` asked for, and the rest are held out.
    """
    if data is None:
        _refuse_without_data(split, users)
        root = build / collection.folder
        calibration, heldout = (
            recordings.ensure(root, part, collection) for part in ("calibration", "heldout")
        )
        return Dataset(calibration, heldout, True, why="the simulated calibration set")
    whole = listing.of(data, collection, split)
    chosen = whole.of_users(users, collection) if users else whole
    found = _by_split(chosen, whole, users) if whole.has_splits else _by_order(chosen, users)
    simulated = any(collection.is_simulated(p) for p in found.calibration + found.heldout)
    return replace(_with_groups(found, chosen, collection), simulated=simulated)


def _refuse_without_data(split: Sequence[Path], users: Sequence[str]) -> None:
    for name, given in (("SPLIT", [*map(str, split)]), ("USERS", users)):
        if given:
            raise UsageError(
                f"{name}={' '.join(given)}: expected DATA=folder too, in which the sessions are"
            )


def _by_split(chosen: Listing, whole: Listing, users: Sequence[str]) -> Dataset:
    """val, or else train, calibrates; test is held out."""
    heldout, notes = chosen.of(TEST), [*chosen.notes]
    pool = chosen
    if users and not (chosen.of(VAL) or chosen.of(TRAIN)):
        pool = whole
        notes.append("no val or train session of these users is there: others' calibrate")
    calibration = pool.of(VAL) if pool.all_of_val else _first_of_each(pool, bool(users))
    if not calibration or not heldout:
        of = f" of {', '.join(users)}" if users else ""
        raise RecordingError(
            f"{chosen.source}: expected a val or train recording to calibrate and test ones{of} to"
            f" score, found {chosen.counts()}{_absent(chosen)}"
        )
    _expect_each(users, heldout, "test")
    which = f"the first {calibration[0].split} session of each user in {chosen.source}"
    return Dataset(
        [s.path for s in calibration],
        [s.path for s in heldout],
        False,
        train=tuple(s.path for s in pool.of(TRAIN)),
        why=f"in {chosen.source}/calibration" if pool.all_of_val else which,
        notes=tuple([*notes, *_of_missing(chosen, heldout)]),
    )


def _first_of_each(pool: Listing, every: bool) -> list[Session]:
    """The first session of val, or else of train, of each user: of every one, or of some."""
    first: dict[str, Session] = {}
    for session in [*pool.of(VAL), *pool.of(TRAIN)]:
        first.setdefault(user_key(session.user), session)
    of_val = [s for s in first.values() if s.split == VAL]
    chosen = of_val or [*first.values()]  # users of train alone wait until nobody has val
    return chosen if every else chosen[:CALIBRATION_USERS]


def _by_order(chosen: Listing, users: Sequence[str]) -> Dataset:
    """The first session by name calibrates, or the first of each user asked for."""
    sessions = list(chosen.sessions)
    if users:
        first = {user_key(s.user): s for s in reversed(sessions)}
        calibration = [s for s in sessions if first[user_key(s.user)] is s]
        _expect_each(users, [s for s in sessions if s not in calibration], "a second")
    else:
        calibration = sessions[:1]
        if len(sessions) < 2:
            raise RecordingError(
                f"{chosen.source}: expected at least 2 sessions, one to calibrate and others to"
                f" score, found {len(sessions)}{_absent(chosen)}"
            )
    heldout = [s for s in sessions if s not in calibration]
    which = "the first session of each user" if users else "the first session"
    why = f"{which} by name in {chosen.source}"
    names = some([session.path.name for session in calibration])
    others = f"{len(heldout):,} {'is' if len(heldout) == 1 else 'are'} held out"
    do = "does" if len(calibration) == 1 else "do"
    said = (
        f"of USERS={','.join(users)} {names} calibrate{'s' * (do == 'does')}, {why}, and {others}"
        if users
        else f"nothing says which sessions calibrate: {names} {do}, {why}, and {others};"
        f" {'USERS= or ' if any(s.user for s in sessions) else ''}SPLIT= chooses others"
    )
    return Dataset(
        [s.path for s in calibration],
        [s.path for s in heldout],
        False,
        why=why,
        notes=(*chosen.notes, *_of_missing(chosen, heldout), said),
    )


def _expect_each(users: Sequence[str], heldout: Sequence[Session], what: str) -> None:
    """Each user who was asked for is scored."""
    there = {user_key(session.user) for session in heldout}
    lacking = [user for user in users if user_key(user) not in there]
    if lacking:
        raise RecordingError(
            f"USERS={', '.join(lacking)}: expected {what} session of each to score, found none;"
            " add recordings, or leave them out"
        )


def _of_missing(chosen: Listing, heldout: Sequence[Session]) -> list[str]:
    """Lines on sessions that are listed and not there."""
    if not chosen.missing:
        return []
    count = len(chosen.sessions) + len(chosen.missing)
    lines = [
        f"{chosen.source} lists {counted(count, 'session')}, {len(chosen.sessions):,}"
        f" {'is' if len(chosen.sessions) == 1 else 'are'} there; missing:"
        f" {some([s.name for s in chosen.missing])}"
    ]
    untested = [s for s in chosen.missing if s.split == TEST]
    if untested:
        lines.append(
            f"scores are of the {counted(len(heldout), 'test session')} there, not of all"
            f" {len(heldout) + len(untested):,}"
        )
    return lines


def _absent(chosen: Listing) -> str:
    names = some([session.name for session in chosen.missing])
    is_listed = "is listed" if len(chosen.missing) == 1 else "are listed"
    return f"; {len(chosen.missing):,} more {is_listed} and not there: {names}" if names else ""


def _with_groups(found: Dataset, chosen: Listing, collection: Collection) -> Dataset:
    """The same with users and generalization of the held-out sessions."""
    known = {s.path: s for s in chosen.sessions}
    heldout = tuple(known[path] for path in found.heldout)
    named = listing.with_users(Listing(heldout, chosen.source), collection).sessions
    written: dict[str, str] = {}  # a user is one, however a table and split files write the name
    users = tuple(written.setdefault(user_key(s.user), s.user) for s in named)
    kinds = tuple(session.generalization for session in named)
    return replace(
        found, users=users if any(users) else (), generalization=kinds if any(kinds) else ()
    )

"""Split files of the published kinds: which sessions train, validate and test.

A file is one of emg2qwerty's `config/user/*.yaml` or looks like one:

    # @package _global_
    user: user0
    dataset:
      train:
      - user: 89335547
        session: 2021-06-03-1622765527-keystrokes-dca-study@1-0efbe614
      val: …
      test: …

Other keys are not looked at. A file without lists whose `defaults` say `user: NAME`, as the
published `config/base.yaml`, means `user/NAME.yaml` beside it. emg2pose's files of
`config/data_split` have the lists at the top, of names alone. A session is a file `<session>.hdf5`
in the folder of recordings or below it.

YAML is read as nodes, from which no object is ever made: names stay the text that they are, be it
like a number or a date, and a key that stands twice is found instead of losing what it held first.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import yaml

from compress.data import session_files
from compress.data.recordings import SUFFIXES
from compress.data.session_files import some
from compress.errors import RecordingError
from compress.reading import text
from compress.reading.text import UnreadableError
from compress.reading.words import counted, noun, refuses_in_one_line

_LARGEST = 1 << 20  # bytes of a file; the published ones have a tenth of it
LISTS = ("train", "val", "test")
_NULL = "tag:yaml.org,2002:null"


@dataclass(frozen=True)
class SessionLists:
    """Names of sessions, in the order of the file. users: whose they are, of those that say it."""

    train: tuple[str, ...]
    val: tuple[str, ...]
    test: tuple[str, ...]
    users: Mapping[str, str] = field(default_factory=dict, compare=False)

    def items(self) -> list[tuple[str, tuple[str, ...]]]:
        """(name of the list, sessions) of train, val and test."""
        return [(name, getattr(self, name)) for name in LISTS]

    @property
    def sha256(self) -> str:
        """Of the lists alone: a comment, an order of keys or a user's name changes nothing."""
        return hashlib.sha256(json.dumps(self.items()).encode()).hexdigest()


@refuses_in_one_line
def read(path: Path, trains: bool = True) -> SessionLists:
    """The lists of a split file; RecordingError says in one line what is wrong with it, and, of one
    that `trains`, that it lists nothing to train on."""
    root = _mapping(path, _compose(path), "the file")
    at_top = any(name in root for name in LISTS) and "dataset" not in root
    dataset, where = root.get("dataset"), "" if at_top else "dataset."
    lists = root if at_top else {}
    if dataset and not _is_null(dataset):
        lists = _mapping(path, dataset, "dataset")
    if not any(name in lists for name in LISTS):
        chosen = _default_user(path, root)
        if chosen is not None:
            return read(chosen, trains)
        raise RecordingError(_no_lists(path, root, lists))
    users: dict[str, str] = {}
    train, val, test = (_sessions(path, where, n, lists.get(n), users) for n in LISTS)
    found = SessionLists(train, val, test, users)
    _refuse_repeats(path, found)
    if trains and not found.train:
        raise RecordingError(f"{path}: {where}train: expected sessions to train on, found none")
    return found


def _no_lists(path: Path, root: dict[str, yaml.Node], lists: dict[str, yaml.Node]) -> str:
    if "metadata_file" in root:
        return (
            f"{path}: it says that the table of the data set has the splits, which is read without"
            " SPLIT=; leave it out"
        )
    return (
        f"{path}: expected a split of emg2qwerty's kind: dataset with lists train, val and"
        f" test, found {_keys('dataset.', lists) or _keys('', root) or 'nothing'}"
    )


def locate(
    path: Path, lists: SessionLists, folder: Path, suffixes: tuple[str, ...] = SUFFIXES
) -> dict[str, list[Path]]:
    """The files of the lists in a folder or below it; RecordingError names the sessions that are
    not there, or are there twice."""
    found = present(lists, folder, suffixes)
    missing = [
        f"{session} ({name})"
        for name, listed in lists.items()
        for session in listed
        if session not in found
    ]
    if missing:
        count = sum(len(listed) for _, listed in lists.items())
        raise RecordingError(
            f"{path}: {len(missing)} of its {counted(count, 'session')}"
            f" {noun(len(missing), 'is', 'are')} not in {folder}: {some(missing)};"
            " add the recordings, or take the sessions out of the split"
        )
    return {name: [found[session] for session in listed] for name, listed in lists.items()}


def present(
    lists: SessionLists, folder: Path, suffixes: tuple[str, ...] = SUFFIXES
) -> dict[str, Path]:
    """The files of those sessions that are in a folder or below it; RecordingError names one that
    is there twice."""
    index = session_files.Index(folder, suffixes)
    found = {s: index.file(s) for _, names in lists.items() for s in names}
    return {session: file for session, file in found.items() if file}


def _compose(path: Path) -> yaml.Node | None:
    """The file's one document as nodes; None when it is empty."""
    if not path.exists():
        raise RecordingError(f"{path}: no such split file")
    try:
        content = text.read(path, _LARGEST)
        document: yaml.Node | None = yaml.compose(content, Loader=yaml.SafeLoader)
    except (UnreadableError, yaml.YAMLError, RecursionError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise RecordingError(f"{path}: cannot be read as YAML: {reason}") from error
    return document


def _mapping(path: Path, node: yaml.Node | None, what: str) -> dict[str, yaml.Node]:
    """Keys and nodes of a mapping; a key that stands twice is refused, and so is a merge, which
    would bring lists in unseen."""
    if not isinstance(node, yaml.MappingNode):
        raise RecordingError(
            f"{path}:{_place(node)} {what}: expected keys and values, found {_kind(node)}"
        )
    found: dict[str, yaml.Node] = {}
    for key, value in node.value:
        if not isinstance(key, yaml.ScalarNode) or key.value == "<<":
            raise RecordingError(
                f"{path}:{_place(key)} {what}: expected plain keys, found {_kind(key)}"
            )
        if key.value in found:
            raise RecordingError(
                f"{path}:{_place(key)} {what}: the key {key.value!r} stands there twice; expected"
                " it once"
            )
        found[str(key.value)] = value
    return found


def _sessions(
    path: Path, where: str, name: str, node: yaml.Node | None, users: dict[str, str]
) -> tuple[str, ...]:
    """Names of one list, and in `users` whose they are; an empty one may also be left out or
    null."""
    if node is None or _is_null(node):
        return ()
    if not isinstance(node, yaml.SequenceNode):
        raise RecordingError(
            f"{path}:{_place(node)} {where}{name}: expected a list of sessions, found {_kind(node)}"
        )
    return tuple(_session(path, where + name, entry, users, not where) for entry in node.value)


def _session(path: Path, name: str, entry: yaml.Node, users: dict[str, str], plain: bool) -> str:
    """The session of `{user: …, session: …}`, or of a name alone where it may be `plain`."""
    if plain and isinstance(entry, yaml.ScalarNode):
        session: yaml.Node | None = entry
        user: yaml.Node | None = None
    else:
        keys = _mapping(path, entry, name)
        session, user = keys.get("session"), keys.get("user")
    said = session.value if isinstance(session, yaml.ScalarNode) and not _is_null(session) else ""
    parts = PurePosixPath(said).parts
    if not said or PurePosixPath(said).is_absolute() or ".." in parts:
        raise RecordingError(
            f"{path}:{_place(entry)} {name}: expected an entry with session: the name of a"
            f" recording, found {said or _kind(session)}"
        )
    found = PurePosixPath(said).as_posix()
    if isinstance(user, yaml.ScalarNode) and not _is_null(user):
        users[found] = user.value
    return found


def _refuse_repeats(path: Path, lists: SessionLists) -> None:
    """Each session belongs to one list, once."""
    counts = Counter(session for _, listed in lists.items() for session in listed)
    repeated = [session for session, count in counts.items() if count > 1]
    if repeated:
        first = " and ".join(n for n, listed in lists.items() for s in listed if s == repeated[0])
        raise RecordingError(
            f"{path}: expected each session once, in one of train, val and test; {len(repeated)}"
            f" stand there twice, the first in {first}: {some(repeated)}"
        )


def _default_user(path: Path, root: dict[str, yaml.Node]) -> Path | None:
    """The file that `defaults: [user: NAME]` means."""
    defaults = root.get("defaults")
    if not isinstance(defaults, yaml.SequenceNode):
        return None
    for entry in defaults.value:
        chosen = _mapping(path, entry, "defaults") if isinstance(entry, yaml.MappingNode) else {}
        user = chosen.get("user")
        if isinstance(user, yaml.ScalarNode) and user.value == PurePosixPath(user.value).name:
            return path.parent / "user" / f"{user.value}.yaml"
    return None


def _is_null(node: yaml.Node) -> bool:
    return isinstance(node, yaml.ScalarNode) and node.tag == _NULL


def _kind(node: yaml.Node | None) -> str:
    """What a node is, in words."""
    if node is None or _is_null(node):
        return "nothing"
    if isinstance(node, yaml.ScalarNode):
        return f"the text {node.value[:40]!r}"
    return "a list" if isinstance(node, yaml.SequenceNode) else "keys and values"


def _place(node: yaml.Node | None) -> str:
    return "" if node is None else f" line {node.start_mark.line + 1}:"


def _keys(prefix: str, found: dict[str, yaml.Node]) -> str:
    return some([prefix + key for key in found])

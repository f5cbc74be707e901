"""Split files of emg2qwerty's kind: which sessions train, validate and test.

A file is one of the published `config/user/*.yaml` or looks like one:

    # @package _global_
    user: user0
    dataset:
      train:
      - user: 89335547
        session: 2021-06-03-1622765527-keystrokes-dca-study@1-0efbe614
      val: …
      test: …

Other keys are not looked at. A file without lists whose `defaults` say `user: NAME`, as the
published `config/base.yaml`, means `user/NAME.yaml` beside it. A session is a file `<session>.hdf5`
in the folder of recordings or below it.

YAML is read as nodes, from which no object is ever made: names stay the text that they are, be it
like a number or a date, and a key that stands twice is found instead of losing what it held first.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path, PurePosixPath

import yaml

from compress.data.recordings import SUFFIXES
from compress.errors import RecordingError
from compress.reading import text
from compress.reading.text import UnreadableError
from compress.reading.words import refuses_in_one_line

_LARGEST = 1 << 20  # bytes of a file; the published ones have a tenth of it
_SHOWN = 5  # names in a message; the rest are counted
_NULL = "tag:yaml.org,2002:null"


@dataclass(frozen=True)
class SessionLists:
    """Names of sessions, in the order of the file."""

    train: tuple[str, ...]
    val: tuple[str, ...]
    test: tuple[str, ...]

    def items(self) -> list[tuple[str, tuple[str, ...]]]:
        """(name of the list, sessions) of train, val and test."""
        return [(field.name, getattr(self, field.name)) for field in fields(self)]

    @property
    def sha256(self) -> str:
        """Of the lists alone: a comment, an order of keys or a user's name changes nothing."""
        return hashlib.sha256(json.dumps(self.items()).encode()).hexdigest()


@refuses_in_one_line
def read(path: Path) -> SessionLists:
    """The lists of a split file; RecordingError says in one line what is wrong with it."""
    root = _mapping(path, _compose(path), "the file")
    dataset = root.get("dataset")
    lists = _mapping(path, dataset, "dataset") if dataset and not _is_null(dataset) else {}
    names = [field.name for field in fields(SessionLists)]
    if not any(name in lists for name in names):
        chosen = _default_user(path, root)
        if chosen is not None:
            return read(chosen)
        raise RecordingError(
            f"{path}: expected a split of emg2qwerty's kind: dataset with lists train, val and"
            f" test, found {_keys('dataset.', lists) or _keys('', root) or 'nothing'}"
        )
    found = SessionLists(*(_sessions(path, name, lists.get(name)) for name in names))
    _refuse_repeats(path, found)
    if not found.train:
        raise RecordingError(f"{path}: dataset.train: expected sessions to train on, found none")
    return found


def locate(
    path: Path, lists: SessionLists, folder: Path, suffixes: tuple[str, ...] = SUFFIXES
) -> dict[str, list[Path]]:
    """The files of the lists in a folder or below it; RecordingError names the sessions that are
    not there, or are there twice."""
    there: dict[str, list[Path]] = {}
    for file in files(folder, suffixes):
        there.setdefault(file.stem, []).append(file)
    found = {
        name: [_file(folder, s, there, suffixes) for s in listed] for name, listed in lists.items()
    }
    missing = [
        f"{session} ({name})"
        for name, listed in lists.items()
        for session, file in zip(listed, found[name], strict=True)
        if file is None
    ]
    if missing:
        count = sum(len(listed) for _, listed in lists.items())
        raise RecordingError(
            f"{path}: {len(missing)} of its {count} sessions are not in {folder}: {some(missing)};"
            " add the recordings, or take the sessions out of the split"
        )
    return {name: [file for file in chosen if file] for name, chosen in found.items()}


def files(folder: Path, suffixes: tuple[str, ...] = SUFFIXES) -> list[Path]:
    """Every session file in a folder or below it, by name."""
    return sorted(p for p in folder.rglob("*") if p.suffix in suffixes and p.is_file())


def some(names: Sequence[str]) -> str:
    """The first names, and how many more there are."""
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more


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


def _sessions(path: Path, name: str, node: yaml.Node | None) -> tuple[str, ...]:
    """Names of one list; an empty one may also be left out or null."""
    if node is None or _is_null(node):
        return ()
    if not isinstance(node, yaml.SequenceNode):
        raise RecordingError(
            f"{path}:{_place(node)} dataset.{name}: expected a list of sessions, found"
            f" {_kind(node)}"
        )
    return tuple(_session(path, name, entry) for entry in node.value)


def _session(path: Path, name: str, entry: yaml.Node) -> str:
    """The session of `{user: …, session: …}`."""
    session = _mapping(path, entry, f"dataset.{name}").get("session")
    said = session.value if isinstance(session, yaml.ScalarNode) and not _is_null(session) else ""
    parts = PurePosixPath(said).parts
    if not said or PurePosixPath(said).is_absolute() or ".." in parts:
        raise RecordingError(
            f"{path}:{_place(entry)} dataset.{name}: expected an entry with session: the name of a"
            f" recording, found {said or _kind(session)}"
        )
    return PurePosixPath(said).as_posix()


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


def _file(
    folder: Path, session: str, there: dict[str, list[Path]], suffixes: tuple[str, ...]
) -> Path | None:
    """The one file of a session: in the folder itself, or else somewhere below."""
    direct = folder / f"{session}{suffixes[0]}"
    with contextlib.suppress(OSError):  # a name that no file can have
        if direct.is_file():
            return direct
    found = there.get(PurePosixPath(session).name, [])
    names = {p: "/" + p.relative_to(folder).as_posix() for p in found}
    found = [p for p in found if names[p].removesuffix(p.suffix).endswith(f"/{session}")]
    if len(found) > 1:
        raise RecordingError(
            f"{session}: expected one recording of this name in {folder}, found"
            f" {', '.join(names[p][1:] for p in found)}"
        )
    return found[0] if found else None


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

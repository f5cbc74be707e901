"""A network's folder under build remembers what it was made from, in `sources.json`.

Commands go on with that. Only those that begin anew, `quantize` and `export`, replace it by what
their options name.
"""

from __future__ import annotations

import hashlib
import json
import shlex
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from compress.artifacts.folder import COMPRESSED, SHIPPED, Folder
from compress.artifacts.sources import (
    DEFAULT,
    GIVEN,
    Kept,
    Sources,
    identity,
    is_default,
    same,
    shown,
    text,
    value_of,
)
from compress.errors import TendonError, UsageError
from compress.files import read_json, sha256, write_json

NAME = "sources.json"
VERSION = 1


class SourcesError(UsageError):
    """A folder was made from something else than a command is to go on with."""


def resolve(folder: Folder, asked: Mapping[str, Any], begins: bool, looks: bool = False) -> Sources:
    """What a command works from: what it asks for, else what the folder was made from. Says which.

    Args:
        asked: what options give, by the names of `Sources`; the text `default`: what counts where
            nothing is given. What is None is not asked for.
        begins: whether the command may replace what the folder was made from. SourcesError where it
            may not, and asks for another, or where a file changed or is gone.
        looks: whether the command makes nothing that a board runs. It may look at another
            checkpoint or window, beside what is there.
    """
    wanted = {
        name: None if is_default(value) else value
        for name, value in asked.items()
        if value not in (None, ())
    }
    anew = begins and "checkpoint" in wanted
    known = None if anew and _damaged(folder) else _known(folder)
    if known is None:
        sources = _sources({name: value for name, value in wanted.items() if value is not None})
        if not begins:
            _check_unknown(folder, sources)
        return sources
    now = {name: identity(name, value) for name, value in wanted.items()}
    others = [n for n, value in now.items() if not _same(folder, n, known.get(n), value)]
    known = _without_what_fell(known, wanted, others)
    stale = {name: why for name in GIVEN if name not in wanted and (why := _stale(name, known))}
    values = {name: wanted.get(name, value_of(known.get(name))) for name in GIVEN}
    sources = _sources({name: value for name, value in values.items() if value})
    gone = [name for name, why in stale.items() if why == _GONE]
    if looks and others and not gone:
        asked_for = " ".join(text(name, wanted[name] or DEFAULT) for name in others)
        print(
            f"{shown(folder.root)} was made from {describe(folder, known)} and stays as it is: this"
            f" looks at {asked_for} beside it"
        )
        return replace(sources, apart=True)
    if gone or (not begins and (others or stale)):
        raise SourcesError(_refusal(folder, known, wanted, others, stale))
    if others or stale:
        print(_replaced(folder, known, sources, stale))
        return sources
    if any(known.get(name) and name not in wanted for name in GIVEN) or not wanted:
        print(f"{shown(folder.root)}: goes on with {describe(folder, known)}, as it was made")
    if begins:
        return sources
    return replace(sources, kept=Kept(known.get("network"), known["calibrated"], _make(folder)))


def _without_what_fell(
    known: Mapping[str, Any], wanted: Mapping[str, Any], others: list[str]
) -> dict[str, Any]:
    """Other data has other splits and users, other splits have other users: what was remembered of
    them does not hold for these."""
    fell = {"data": ("split", "users"), "split": ("users",)}
    gone = {name for other in others for name in fell.get(other, ()) if name not in wanted}
    return {name: value for name, value in known.items() if name not in gone}


def remember(
    folder: Folder,
    sources: Sources,
    checkpoint: Path | None,
    calibrated: Mapping[str, str] | None = None,
) -> None:
    """Store what a network is made from now; `checkpoint`: the whole one, None where a compressed
    one was read alone; `calibrated`: see `Kept`, None where that has not come to it yet."""
    said = {name: identity(name, getattr(sources, name)) for name in GIVEN}
    before = read_json(folder.root / NAME)
    if calibrated is None:
        calibrated = before.get("calibrated", {}) if before.get("data") == said["data"] else {}
    content = {name: value for name, value in said.items() if value is not None}
    network = before.get("network")
    if checkpoint is not None:
        network = None if folder.network is None else sha256(checkpoint)
    content |= {"version": VERSION, "network": network, "calibrated": dict(calibrated)}
    content["digest"] = _digest(content)
    if not before:
        print(f"{shown(folder.root)}: made from {describe(folder, content)}")
    if content != before:
        write_json(folder.root / NAME, content)


def remembered(folder: Folder) -> bool:
    """Whether it is known what a folder was made from."""
    return _known(folder) is not None


def _damaged(folder: Folder) -> bool:
    """Whether a record is there and cannot be believed; says so."""
    try:
        _known(folder)
    except SourcesError:
        print(f"{shown(folder.root / NAME)}: damaged; it is written anew from what is named now")
        return True
    return False


def check_calibrated(
    folder: Folder, sources: Sources | None, calibrated: Mapping[str, str]
) -> None:
    """SourcesError where other recordings calibrate than did, or one has changed, and what is there
    is to stay."""
    kept = sources.kept if sources else None
    if kept is None or not kept.calibrated or dict(kept.calibrated) == dict(calibrated):
        return
    old, new = kept.calibrated, calibrated
    changed = [Path(p).name for p in new if p in old and old[p] != new[p]]
    what = (
        f"{', '.join(changed)} has changed since"
        if changed
        else f"{_names(new)} calibrates now, {_names(old)} did"
    )
    raise SourcesError(
        f"{shown(folder.root)}: {what}; `{kept.make}` makes it anew from what is there now, another"
        " BUILD= leaves it as it is"
    )


def describe(folder: Folder, known: Mapping[str, Any]) -> str:
    """What a folder was made from, in words."""
    given = [text(name, value_of(known[name])) for name in GIVEN if known.get(name)]
    if not known.get("checkpoint"):
        file = folder.network
        whole = "the shipped network" if file is None else f"the weights that {file.title} gives"
        given.insert(0, whole)
    if not known.get("data") and not known.get("calibration"):
        given.append("the simulated recordings")
    return ", ".join(given)


_GONE = "is gone"


def _known(folder: Folder) -> dict[str, Any] | None:
    """What is remembered; None where nothing is. SourcesError where the record is not what was
    written: what is missing in it would count as not given."""
    path = folder.root / NAME
    if not path.exists():
        return None
    content = read_json(path)
    digest = content.pop("digest", None)
    whole = content.get("version") == VERSION and isinstance(content.get("calibrated"), dict)
    sound = whole and all(_sound(name, content.get(name)) for name in GIVEN)
    if not sound or digest != _digest(content):
        raise SourcesError(
            f"{shown(path)}: damaged, or of another version: what this network was made from is not"
            f" known. `make quantize MODEL={folder.model} CHECKPOINT=… DATA=…` makes it anew from"
            f" what that names ({DEFAULT}: the shipped ones); another BUILD= leaves it as it is"
        )
    return content


def _digest(content: Mapping[str, Any]) -> str:
    """Of the entries, whatever their order."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _sound(name: str, value: Any) -> bool:
    """Whether a value in a file can be the identity of a source."""
    if value is None:
        return True
    if name == "window":
        return isinstance(value, int)
    if name == "users":
        return isinstance(value, list) and all(isinstance(v, str) for v in value)
    paths = value if name == "split" else [value]
    return isinstance(paths, list) and all(
        isinstance(v, dict) and isinstance(v.get("path"), str) for v in paths
    )


def _check_unknown(folder: Folder, sources: Sources) -> None:
    """SourcesError for a folder that remembers nothing and holds a graph of another checkpoint."""
    from compress import graph as g  # numpy

    whole = sources.checkpoint or SHIPPED / f"{folder.model}.ckpt"
    if folder.network is not None or not whole.is_file():
        return
    for path in sorted(folder.root.glob("*/graph.npz")):
        made = g.provenance(path).get("checkpoint")
        if path.parent.name != COMPRESSED and made not in (None, sha256(whole)):
            raise SourcesError(
                f"{shown(path)}: was made from another checkpoint than {shown(whole)}, and it is"
                f" not known from which; `{_make(folder)} CHECKPOINT=…` makes it anew (CHECKPOINT="
                f"{DEFAULT}: the shipped one), another BUILD= leaves it as it is"
            )


def _same(folder: Folder, name: str, known: Any, now: Any) -> bool:
    """As `same`; the shipped checkpoint is the same whether it is named or not."""
    shipped = SHIPPED / f"{folder.model}.ckpt"
    if name == "checkpoint" and folder.network is None and shipped.is_file():
        known, now = (identity(name, shipped) if v is None else v for v in (known, now))
    return same(known, now)


def _sources(values: Mapping[str, Any]) -> Sources:
    return Sources(**values)


def _stale(name: str, known: Mapping[str, Any]) -> str | None:
    """Why a remembered source cannot be gone on with; None where it is as it was."""
    value = known.get(name)
    try:
        now = identity(name, value_of(value))
    except TendonError:
        return _GONE
    return None if same(value, now) else "has changed since"


def _refusal(
    folder: Folder,
    known: Mapping[str, Any],
    wanted: Mapping[str, Any],
    others: list[str],
    stale: Mapping[str, str],
) -> str:
    """What stands against going on, and what to do."""
    where, make = shown(folder.root), _make(folder)
    for name, why in sorted(stale.items(), key=lambda item: item[1] != _GONE):
        source = f"{where}: was made from {text(name, value_of(known[name]))}, which {why}"
        if why == _GONE:
            return (
                f"{source}; put it back, or say from what to make it anew: `{make}"
                f" {name.upper()}=…`, {name.upper()}={DEFAULT} for what counts without one"
            )
        return (
            f"{source}; `{make}` makes it anew from what is there now, another BUILD= leaves it as"
            " it is"
        )
    asked = " ".join(text(name, wanted[name] or DEFAULT) for name in others)
    was = describe(folder, known)
    now = ""
    if all(_path(known.get(name)) == _path(identity(name, wanted[name])) for name in others):
        was, now = "what it was then", " as it is now"  # the same file, changed
    return (
        f"{where}: was made from {was}, not from {asked}{now}; only quantize and export replace"
        f" that: `{make} {asked}`, or give another BUILD="
    )


def _path(known: Any) -> Any:
    """Where a source lies, whatever is in it."""
    return value_of(known) if isinstance(known, dict | list) else None


def _replaced(
    folder: Folder, known: Mapping[str, Any], sources: Sources, stale: Mapping[str, str]
) -> str:
    now = {name: identity(name, getattr(sources, name)) for name in GIVEN}
    before, after = describe(folder, known), describe(folder, now)
    if before == after:
        return f"{shown(folder.root)}: made anew from {after}, which has changed since"
    return f"{shown(folder.root)}: was made from {before}; made anew from {after}"


def _make(folder: Folder) -> str:
    build = "" if folder.build == Path("build") else f" BUILD={shlex.quote(str(folder.build))}"
    return f"make quantize MODEL={shlex.quote(str(folder.network or folder.model))}{build}"


def _names(calibrated: Mapping[str, str]) -> str:
    return ", ".join(Path(p).name for p in calibrated)

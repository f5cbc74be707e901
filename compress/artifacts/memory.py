"""A network's folder under build remembers what it was made from, in `sources.json`.

Commands go on with that. Only those that begin anew, `quantize` and `export`, replace it by what
their options name, and write that down first (`intention`): until it was made, commands that do not
name it refuse.
"""

from __future__ import annotations

import contextlib
import logging
import shlex
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from compress.artifacts import intention
from compress.artifacts.folder import COMPRESSED, SHIPPED, Folder
from compress.artifacts.sources import (
    DEFAULT,
    GIVEN,
    Kept,
    Sources,
    digest_of,
    identity,
    is_default,
    is_sound,
    same,
    shown,
    text,
    value_of,
)
from compress.errors import TendonError, UsageError
from compress.files import read_json, sha256, write_json
from compress.frontend.own.claimed import claim

log = logging.getLogger(__name__)

NAME = "sources.json"
VERSION = 1


class SourcesError(TendonError):
    """What a folder was made from is gone, has changed, or is not known."""


class OtherSourcesError(SourcesError, UsageError):
    """A command names something else than a folder was made from, or is to be made from."""


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
    wanted = _wanted(asked)
    anew = begins and "checkpoint" in wanted
    known = None if anew and _is_damaged(folder) else _known(folder)
    _refuse_pending(folder, known or {}, wanted)
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
        log.info(
            f"{shown(folder.root)} was made from {describe(folder, known)} and stays as it is: this"
            f" looks at {asked_for} beside it"
        )
        return replace(sources, apart=True)
    if gone or (not begins and (others or stale)):
        error = OtherSourcesError if _is_another(known, now, others, stale) else SourcesError
        raise error(_refusal(folder, known, wanted, others, stale))
    if others or stale:  # said by `remember`, once it was made
        return sources
    if any(known.get(name) and name not in wanted for name in GIVEN) or not wanted:
        log.info(f"{shown(folder.root)}: goes on with {describe(folder, known)}, as it was made")
    if begins:
        return sources
    return replace(sources, kept=Kept(known.get("network"), known["calibrated"], _make(folder)))


def intend(folder: Folder, asked: Mapping[str, Any], begins: bool) -> Mapping[str, Any]:
    """Write down what a command is to make a network from, before anything is read of it; returns
    what is asked for, with what else was to be made since an earlier command that did not come to
    it. Options and `begins` as in `resolve`. A command that does not begin anew begins where
    nothing was made yet."""
    wanted = _wanted(asked)
    known = {}
    with contextlib.suppress(SourcesError):
        known = _known(folder) or {}
    if not wanted or (known and not begins):
        return asked
    try:
        before = _pending(folder, known)
    except SourcesError:
        if not begins or "checkpoint" not in wanted:
            raise
        before = {}
    if not begins and not before.keys() <= wanted.keys():
        return asked
    if folder.network is not None:
        claim(folder.root, folder.network)
    meant = intention.merged(before, wanted)
    if any(_differs(folder, name, known, value) for name, value in meant.items()):
        intention.write(folder, meant)
    else:
        intention.drop(folder)
    added = {name: value for name, value in meant.items() if name not in wanted}
    if added:
        log.info(f"{shown(folder.root)}: {_words(added)} too, as it was to be made from")
    return dict(asked) | {n: DEFAULT if v is None else v for n, v in added.items()}


def _wanted(asked: Mapping[str, Any]) -> dict[str, Any]:
    """What is asked for; None: what counts where it is not given."""
    return {
        name: None if is_default(value) else value
        for name, value in asked.items()
        if value not in (None, ())
    }


def _pending(folder: Folder, known: Mapping[str, Any]) -> dict[str, Any]:
    """What was to be made and was not yet, by name. SourcesError where that cannot be read."""
    try:
        meant = intention.read(folder)
    except intention.DamagedError as error:
        raise SourcesError(
            f"{shown(folder.root / intention.NAME)}: damaged: what this network was to be made from"
            f" is not known; `{_make(folder)} CHECKPOINT=… DATA=…` says it again ({DEFAULT}: the"
            " shipped ones)"
        ) from error
    return {n: v for n, v in meant.items() if _differs(folder, n, known, v)}


def _differs(folder: Folder, name: str, known: Mapping[str, Any], value: Any) -> bool:
    """Whether a source is another than what is known, or cannot be read."""
    try:
        return not _same(folder, name, known.get(name), identity(name, value))
    except TendonError:
        return True


def _refuse_pending(folder: Folder, known: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
    """SourcesError where something was to be made, never was, and is not named now."""
    pending = _pending(folder, known)
    if pending.keys() <= wanted.keys():
        return
    make, meant = _make(folder), _words(pending)
    back = _words({name: value_of(known.get(name)) for name in pending})
    raise OtherSourcesError(
        f"{shown(folder.root)}: was to be made from {meant}, and that was never done: type"
        f" `{make} {meant}` again, or `{make} {back}` for"
        f" {'what it was made from' if known else 'what counts without'}"
    )


def _words(values: Mapping[str, Any]) -> str:
    """Sources as options give them."""
    return " ".join(text(name, DEFAULT if v in (None, ()) else v) for name, v in values.items())


def _without_what_fell(
    known: Mapping[str, Any], wanted: Mapping[str, Any], others: list[str]
) -> dict[str, Any]:
    """Other data has other splits and users, other splits have other users: what was remembered of
    them does not hold for these."""
    gone = {n for other in others for n in intention.FALL.get(other, ()) if n not in wanted}
    return {name: value for name, value in known.items() if name not in gone}


def remember(
    folder: Folder,
    sources: Sources,
    checkpoint: Path | None,
    calibrated: Mapping[str, str] | None = None,
) -> None:
    """Store what a network is made from now; `checkpoint`: the whole one, None where a compressed
    one was read alone; `calibrated`: see `Kept`, None where that has not come to it yet."""
    record = folder.root / NAME
    damaged = _is_damaged(folder)
    before = {} if damaged else read_json(record)
    said = {
        name: _kept_path(folder, name, before.get(name), identity(name, getattr(sources, name)))
        for name in GIVEN
    }
    if calibrated is None:
        calibrated = before.get("calibrated", {}) if before.get("data") == said["data"] else {}
    content = {name: value for name, value in said.items() if value is not None}
    network = before.get("network")
    if checkpoint is not None:
        network = None if folder.network is None else sha256(checkpoint)
    content |= {"version": VERSION, "network": network, "calibrated": dict(calibrated)}
    content["digest"] = digest_of(content)
    if damaged:
        log.warning(f"{shown(record)}: was damaged; written anew")
    if content != before:
        write_json(record, content)
        for line in _became(folder, before, content):
            log.info(line)
    with contextlib.suppress(intention.DamagedError):
        if not any(_differs(folder, n, content, v) for n, v in intention.read(folder).items()):
            intention.drop(folder)


def remembered(folder: Folder) -> bool:
    """Whether it is known what a folder was made from."""
    return _known(folder) is not None


def _is_damaged(folder: Folder) -> bool:
    """Whether a record is there and cannot be believed."""
    try:
        _known(folder)
    except SourcesError:
        return True
    return False


def _kept_path(folder: Folder, name: str, before: Any, now: Any) -> Any:
    """The identity to store: of the same content elsewhere the one that is known, while it is there
    as it was; else the new one, and that is said."""
    if before is None or now is None or before == now or not same(before, now):
        return now
    if _stale(name, {name: before}) is None:
        return before
    old, new = (text(name, value_of(known)) for known in (before, now))
    log.info(f"{shown(folder.root)}: {new} holds what {old} held, and is remembered instead")
    return now


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
    sound = whole and all(is_sound(name, content.get(name)) for name in GIVEN)
    if not sound or digest != digest_of(content):
        raise SourcesError(
            f"{shown(path)}: damaged, or of another version: what this network was made from is not"
            f" known. `make quantize MODEL={folder.model} CHECKPOINT=… DATA=…` makes it anew from"
            f" what that names ({DEFAULT}: the shipped ones); another BUILD= leaves it as it is"
        )
    return content


def _check_unknown(folder: Folder, sources: Sources) -> None:
    """SourcesError for a folder that remembers nothing and holds a graph of another checkpoint."""
    from compress import graph as g  # numpy

    whole = sources.checkpoint or SHIPPED / f"{folder.model}.ckpt"
    if folder.network is not None or not whole.is_file():
        return
    for path in sorted(folder.root.glob("*/graph.npz")):
        made = g.provenance(path).get("checkpoint")
        if path.parent.name != COMPRESSED and made not in (None, sha256(whole)):
            raise OtherSourcesError(
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
    if _are_same_files(known, {name: identity(name, wanted[name]) for name in others}):
        was, now = "what it was then", " as it is now"  # the same file, changed
    return (
        f"{where}: was made from {was}, not from {asked}{now}; only quantize and export replace"
        f" that: `{make} {asked}`, or give another BUILD="
    )


def _is_another(
    known: Mapping[str, Any], now: Mapping[str, Any], others: list[str], stale: Mapping[str, str]
) -> bool:
    """Whether a command names other sources, and not the same files, one of which has changed or is
    gone."""
    return not stale and not _are_same_files(known, {name: now[name] for name in others})


def _are_same_files(known: Mapping[str, Any], now: Mapping[str, Any]) -> bool:
    return all(_path(known.get(name)) == _path(value) for name, value in now.items())


def _path(known: Any) -> Any:
    """Where a source lies, whatever is in it."""
    return value_of(known) if isinstance(known, dict | list) else None


def _became(folder: Folder, before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """What there is to say of what a folder is made from now: nothing where that is the same."""
    where, after = shown(folder.root), describe(folder, now)
    if not before:
        return [f"{where}: made from {after}"]
    changed = [name for name in GIVEN if not _same(folder, name, before.get(name), now.get(name))]
    if not changed:
        return []
    was = describe(folder, before)
    if was == after:
        return [f"{where}: made anew from {after}, which has changed since"]
    return [f"{where}: was made from {was}; made anew from {after}"]


def _make(folder: Folder) -> str:
    build = "" if folder.build == Path("build") else f" BUILD={shlex.quote(str(folder.build))}"
    return f"make quantize MODEL={shlex.quote(str(folder.network or folder.model))}{build}"


def _names(calibrated: Mapping[str, str]) -> str:
    return ", ".join(Path(p).name for p in calibrated)

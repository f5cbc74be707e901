"""What a network is to be made from is written down before it is made, in `intended.json`: whatever
ends the command that begins it, no later one takes another network for the one that was meant.

It holds until what it names was made, or until another command that begins anew names the same
sources differently.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from compress.artifacts.folder import Folder
from compress.artifacts.sources import GIVEN, digest_of, is_sound, value_of
from compress.files import read_json, write_json

NAME = "intended.json"
VERSION = 1
FALL = {"data": ("split", "users"), "split": ("users",)}  # what does not hold for another one


class DamagedError(Exception):
    """A record of an intention that is not what was written."""


def read(folder: Folder) -> dict[str, Any]:
    """Name -> value of each source that was named, None: as it is where it is not given; empty
    where nothing is to be made."""
    path = folder.root / NAME
    if not path.exists():
        return {}
    content = read_json(path)
    digest, asked = content.pop("digest", None), content.get("asked")
    sound = content.get("version") == VERSION and isinstance(asked, dict)
    if not sound or digest != digest_of(content):
        raise DamagedError
    assert isinstance(asked, dict)
    if not all(name in GIVEN and is_sound(name, value) for name, value in asked.items()):
        raise DamagedError
    return {name: value_of(value) for name, value in asked.items()}


def write(folder: Folder, asked: Mapping[str, Any]) -> None:
    """Replace what was written down."""
    content: dict[str, Any] = {
        "version": VERSION,
        "asked": {name: _stored(value) for name, value in asked.items()},
    }
    write_json(folder.root / NAME, content | {"digest": digest_of(content)})


def drop(folder: Folder) -> None:
    """It was made, or is not meant any more."""
    (folder.root / NAME).unlink(missing_ok=True)


def merged(before: Mapping[str, Any], asked: Mapping[str, Any]) -> dict[str, Any]:
    """What was to be made, changed by what is asked for now. Other data has other splits and users:
    those that were meant for others fall."""
    fell = {
        name
        for one, names in FALL.items()
        if one in asked and asked[one] != before.get(one)
        for name in names
    }
    return {name: value for name, value in before.items() if name not in fell} | dict(asked)


def _stored(value: Any) -> Any:
    """JSON of a value that may name what is not there."""
    if isinstance(value, tuple):
        return [_stored(one) for one in value]
    if isinstance(value, Path):
        return {"path": str(value.expanduser().absolute())}
    return value

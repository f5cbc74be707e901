"""What SPLIT= and USERS= say: several files or users in one word, as a shell hands it over."""

from __future__ import annotations

from collections.abc import Sequence
from glob import glob, has_magic
from pathlib import Path

from compress.data.session_files import is_aside
from compress.errors import RecordingError


def split_files(words: Sequence[str]) -> tuple[Path, ...]:
    """The files that an option means: a path, several between blanks or commas, or patterns as
    config/user/user*.yaml; RecordingError for a pattern that no file has."""
    found: list[Path] = []
    for word in words:
        whole = Path(word).expanduser()
        if whole.exists():
            found.append(whole)
            continue
        parts = word.split(",") if "," in word else word.split()
        for part in filter(None, map(str.strip, parts)):
            found += _matching(str(Path(part).expanduser()))
    return tuple(dict.fromkeys(found))


def user_names(words: Sequence[str]) -> tuple[str, ...]:
    """The users that an option means, between blanks or commas, each once."""
    return tuple(dict.fromkeys(" ".join(words).replace(",", " ").split()))


def _matching(part: str) -> list[Path]:
    if Path(part).exists() or not has_magic(part):
        return [Path(part)]
    paths = [p for p in map(Path, sorted(glob(part))) if p.is_file() and not is_aside(p.name)]
    if not paths:
        raise RecordingError(f"SPLIT={part}: expected split files of this pattern, found none")
    return paths

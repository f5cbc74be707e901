"""Which files of a folder are recordings: by their ending, be it in capitals or not, and none of
those that a file manager or an unpacked archive leaves beside them.

A link counts as what it leads to. Folders that are links are gone into as well, each once.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path, PurePosixPath

from compress.errors import RecordingError

# of macOS's archives, Windows' bins, Synology's indexes: their files are named as the real ones are
ASIDE = frozenset({"__MACOSX", "$RECYCLE.BIN", "System Volume Information", "@eaDir", "#recycle"})
SHOWN = 5  # names in a message; the rest are counted


def is_aside(name: str) -> bool:
    """Whether a file or folder of this name is nobody's recording: hidden, as the companions
    `._a.hdf5` and `~$a.hdf5` of a file are, or a system's own."""
    return name.startswith((".", "~$")) or name in ASIDE


def is_recording(path: Path, suffixes: Sequence[str]) -> bool:
    """Whether a name is one of a recording."""
    return path.suffix.lower() in suffixes and not is_aside(path.name)


def directly(folder: Path, suffixes: Sequence[str]) -> list[Path]:
    """The recordings of a folder by name, without those below it."""
    return sorted(p for p in folder.iterdir() if is_recording(p, suffixes) and p.is_file())


def below(folder: Path, suffixes: Sequence[str]) -> list[Path]:
    """The recordings in a folder and below it, by name."""
    names = (p for p in _walk(folder) if is_recording(p, suffixes))
    return sorted(p for p in names if p.is_file())


def dangling(folder: Path, suffixes: Sequence[str]) -> list[Path]:
    """Links in a folder or below it that are named as recordings and lead to no file."""
    names = (p for p in _walk(folder) if is_recording(p, suffixes))
    return sorted(p for p in names if p.is_symlink() and not p.exists())


class Index:
    """The recordings in a folder and below it, by the names that tables and split files call them:
    without their ending, with folders or without."""

    def __init__(self, folder: Path, suffixes: Sequence[str]) -> None:
        self.folder, self.suffixes = folder, suffixes
        self.files = below(folder, suffixes)
        self._named: dict[str, list[Path]] = {}
        for path in self.files:
            self._named.setdefault(path.stem, []).append(path)

    def file(self, name: str) -> Path | None:
        """The one file of a name, in the folder itself, or else below it; None when there is none,
        RecordingError when there are several."""
        last = PurePosixPath(name).name
        found = [p for p in self._named.get(last, []) if f"/{self._name(p)}".endswith(f"/{name}")]
        exact = [p for p in found if self._name(p) == name]
        found = [p for p in exact if p.suffix.lower() == self.suffixes[0]] or exact or found
        found, _ = once(found)
        if len(found) > 1:
            there = ", ".join(p.relative_to(self.folder).as_posix() for p in found)
            raise RecordingError(
                f"{name}: expected one recording of this name in {self.folder}, found {there}"
            )
        return found[0] if found else None

    def _name(self, path: Path) -> str:
        return path.relative_to(self.folder).as_posix().removesuffix(path.suffix)


def once(paths: Iterable[Path]) -> tuple[list[Path], list[Path]]:
    """(each file under its first name, further names of the same files)."""
    first: dict[Path, Path] = {}
    more = []
    for path in paths:
        if first.setdefault(path.resolve(), path) != path:
            more.append(path)
    return list(first.values()), more


def some(names: Sequence[str]) -> str:
    """The first names, and how many more there are."""
    more = f" and {len(names) - SHOWN:,} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more


def _walk(folder: Path) -> Iterator[Path]:
    """Every file below a folder; what the folder itself lies in does not matter."""
    been: set[str] = set()
    for root, folders, files in os.walk(folder, followlinks=True):
        real = os.path.realpath(root)
        if real in been:
            folders.clear()
            continue
        been.add(real)
        folders[:] = sorted(name for name in folders if not is_aside(name))
        yield from (Path(root, name) for name in files)

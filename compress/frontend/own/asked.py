"""Who describes a network, as messages say it: a network file by the names in it, or a call by its
arguments."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from compress.frontend.own.named import NetworkFile


@dataclass(frozen=True)
class Asked:
    """`where`: what an error begins with; `title`: what the network is called in it; `file`: where
    the user wrote it, if that is known; `by_file`: whether what describes it stands in that
    file."""

    where: str
    title: str
    file: Path | None = None
    by_file: bool = True

    def name(self, key: str) -> str:
        """How a field of the description is given: WINDOW, or window."""
        return key.upper() if self.by_file else key

    @property
    def window(self) -> str:
        """What gives a network its window."""
        names = f"{self.name('window')} and {self.name('stride')}"
        return f"{names} in the file" if self.by_file else names


def of_file(file: NetworkFile) -> Asked:
    """A network file describes its network."""
    return Asked(str(file.path), file.path.name, file.path)

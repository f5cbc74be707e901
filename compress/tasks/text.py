"""What a task knows whose frames are read as text: log-probabilities of characters, and of the
blank of CTC as the last class. The decoders themselves lie in `host`; they are handed the alphabet.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.generic]


@dataclass(frozen=True)
class Alphabet:
    """The characters of classes 0, 1, …; class `blank` is none of them.

    keys: what a character model calls each. delete: the character that takes back the one before
    it, "" where none does.
    """

    characters: tuple[str, ...]
    keys: tuple[str, ...]
    delete: str = ""

    @cached_property
    def blank(self) -> int:
        """The last class."""
        return len(self.characters)

    @cached_property
    def classes(self) -> int:
        """Values of a frame."""
        return len(self.characters) + 1

    @cached_property
    def delete_label(self) -> int:
        """The class that takes back a character, -1 for none."""
        return self.characters.index(self.delete) if self.delete else -1


class Text(ABC):
    """Texts are strings of the alphabet; predictions and targets are one text for each session."""

    alphabet: ClassVar[Alphabet]
    metric: ClassVar[str]  # short name of the error of a text
    unit: ClassVar[str]
    written: ClassVar[str]  # how the target came about: "typed"
    heading: ClassVar[str]  # over targets and what was read of them
    remark: ClassVar[str] = ""  # what a reader of such texts must know

    @abstractmethod
    def of(self, target: Any) -> str:
        """The text of a recording's target; "" where it has none."""

    @abstractmethod
    def read(self, frames: Array) -> str:
        """The text of the best path of frames (frames, classes), in any monotonic unit."""

    @abstractmethod
    def runs(self, target: str, prediction: str) -> tuple[Array, Array]:
        """Errors in each run of the target's characters, and how many characters it has."""

    @abstractmethod
    def error(self, predictions: Sequence[str], targets: Sequence[str]) -> float:
        """The error in `unit`, pooled over sessions."""

    @abstractmethod
    def details(self, predictions: Sequence[str], targets: Sequence[str]) -> dict[str, Any]:
        """Everything else that is published of it."""

    @abstractmethod
    def interval(self, predictions: Sequence[str], targets: Sequence[str]) -> tuple[float, float]:
        """95 % bootstrap interval of the error."""

    @abstractmethod
    def difference(
        self, first: Sequence[str], second: Sequence[str], targets: Sequence[str]
    ) -> tuple[float, float]:
        """95 % interval of error(second) − error(first), paired."""

    @abstractmethod
    def corpus(self, prompts: int, seed: int) -> Iterator[list[str]]:
        """Runs of keys, as a character model hears them, of so many training prompts."""

"""Text that grows as frames arrive: greedy CTC, one frame at a time."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from compress.tasks.text import Alphabet


class StreamDecoder:
    """Greedy CTC over frames (a value for each class of the alphabet in any monotonic unit, float
    or the board's int16 words), as published.

    `text` is what has been read so far and `times` the index of the frame at which each of its
    characters appeared. Nothing is ever taken back: a character is final the moment it appears, so
    the delay is that of the network alone.
    """

    def __init__(self, alphabet: Alphabet) -> None:
        self._alphabet = alphabet
        self.reset()

    def reset(self) -> None:
        """Forget the text, as at the start of a session."""
        self.text = ""
        self.times: list[int] = []
        self.frames = 0
        self._previous = self._alphabet.blank

    def push(self, frame: npt.ArrayLike) -> str:
        """Takes one frame (classes,); returns the character it adds, or ""."""
        label = int(np.argmax(frame))
        new = label not in (self._alphabet.blank, self._previous)
        self._previous = label
        added = self._alphabet.characters[label] if new else ""
        if new:
            self.text += added
            self.times.append(self.frames)
        self.frames += 1
        return added

    def extend(self, frames: Iterable[npt.ArrayLike]) -> str:
        """Takes several frames; returns the characters they add."""
        return "".join([self.push(frame) for frame in frames])

    def finish(self) -> str:
        """The text; nothing of it was open."""
        return self.text

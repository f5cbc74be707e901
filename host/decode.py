"""Text that grows as frames arrive: the greedy decoder of `compress.tasks.typing.scores`, one frame
at a time."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from compress.tasks.typing.charset import BLANK, CHARSET


class StreamDecoder:
    """Greedy CTC over frames (99 values in any monotonic unit, float or the board's int16 words),
    as published.

    `text` is what has been read so far and `times` the index of the frame at which each of its
    characters appeared. Nothing is ever taken back: a character is final the moment it appears, so
    the delay is that of the network alone.
    """

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget the text, as at the start of a session."""
        self.text = ""
        self.times: list[int] = []
        self.frames = 0
        self._previous = BLANK

    def push(self, frame: npt.ArrayLike) -> str:
        """Takes one frame (99,); returns the character it adds, or ""."""
        label = int(np.argmax(frame))
        new = label not in (BLANK, self._previous)
        self._previous = label
        if new:
            self.text += CHARSET[label]
            self.times.append(self.frames)
        self.frames += 1
        return CHARSET[label] if new else ""

    def extend(self, frames: Iterable[npt.ArrayLike]) -> str:
        """Takes several frames; returns the characters they add."""
        return "".join([self.push(frame) for frame in frames])

    def finish(self) -> str:
        """The text; nothing of it was open."""
        return self.text

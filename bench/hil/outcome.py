"""A finished run, between the one who ran it and those who show it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from bench.hil.schema import Report
from compress.graph import Graph
from compress.tasks import Recorded


@dataclass(frozen=True)
class Outcome:
    """A finished run: its report, and what the pictures need beside it."""

    report: Report
    parts: list[Recorded]
    words: list[npt.NDArray[np.int16]]
    graph: Graph

    @property
    def frames(self) -> list[npt.NDArray[Any]]:
        """The board's words as real values."""
        return [float(self.graph.output.scale or 1.0) * words for words in self.words]

    @property
    def start_up(self) -> int:
        """Frames that mean nothing yet."""
        return self.graph.start_up

    @property
    def left_context(self) -> int:
        """Samples before the first frame that means something."""
        return self.graph.left_context

    @property
    def output_rate(self) -> float:
        """Frames a second."""
        return float(self.graph.output.rate)

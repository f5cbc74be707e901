"""A finished run, between the one who ran it and those who show it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bench.hil.schema import Report
from compress.graph import Graph
from compress.tasks.recorded import Recorded


@dataclass(frozen=True)
class Outcome:
    """A finished run: its report, and what the pictures need beside it."""

    report: Report
    parts: list[Recorded]
    words: list[npt.NDArray[np.int16]]
    graph: Graph

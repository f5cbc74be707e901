"""The float stream graph in numpy (float64): what the integers approximate, and the engine that
calibration listens to."""

from __future__ import annotations

import numpy as np

from compress.graph import Array, Graph
from compress.interpreter.base import Interpreter


class FloatInterpreter(Interpreter):
    """Executes Dense, LayerNorm, …

    `watch_states`: `state_peak[tensor]` collects the largest magnitude of each channel's state, for
    which every frame has to be seen.
    """

    def __init__(self, graph: Graph, batch: int = 1, watch_states: bool = False) -> None:
        self.state_peak: dict[str, Array] = {}
        super().__init__(graph, batch)
        if watch_states:
            for name, memory in self.memories.items():
                memory.watch = lambda peak, name=name: self._see(name, peak)  # type: ignore[misc]

    def _see(self, name: str, peak: Array) -> None:
        self.state_peak[name] = np.maximum(self.state_peak.get(name, 0.0), peak)

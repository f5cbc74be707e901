"""What calibration recordings show: how large each tensor and each state gets in the float graph."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

import numpy as np

from compress import graph as g
from compress.floating import FloatMachine
from compress.samples import whole_steps

Array = g.Array


@dataclass
class Ranges:
    """Largest magnitude of each tensor (for a GLU's input: of each half) and of each state-space channel."""

    tensor: dict[str, float] = field(default_factory=dict)
    gate: dict[str, float] = field(default_factory=dict)
    state: dict[str, Array] = field(default_factory=dict)
    sha256: str = ""

    def see(self, name: str, x: Array) -> None:
        self.tensor[name] = max(self.tensor.get(name, 0.0), float(np.abs(x).max(initial=0.0)))


def observe(graph: g.Graph, recordings: list[Array]) -> Ranges:
    """Run every calibration recording (time, features), float, through the float graph and note the extremes."""
    ranges, digest = Ranges(), hashlib.sha256()
    glu_inputs = {op.inputs[0] for op in graph.ops if isinstance(op, g.Glu)}

    def tap(op: g.Op, y: Array) -> None:
        if op.output in glu_inputs:
            y, gate = np.split(y, 2, axis=-1)
            ranges.gate[op.output] = max(ranges.gate.get(op.output, 0.0), float(np.abs(gate).max()))
        ranges.see(op.output, y)

    for recording in recordings:
        samples = whole_steps(graph, recording)
        digest.update(np.ascontiguousarray(samples, dtype=np.float32).tobytes())
        ranges.see(graph.input.name, samples)
        machine = FloatMachine(graph)
        machine.run(samples[None].astype(np.float64), tap)
        for name, peak in machine.state_peak.items():
            ranges.state[name] = np.maximum(ranges.state.get(name, 0.0), peak)
    ranges.sha256 = digest.hexdigest()
    return ranges

"""What calibration recordings show in the float graph: how large each tensor and each state gets,
what each matrix multiplies."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from compress import graph as g
from compress.graph.samples import Signal, as_signal, whole_steps
from compress.interpreter.float import FloatInterpreter
from compress.quantization.rounding import Moments, moments

Array = g.Array


@dataclass
class Ranges:
    """Largest magnitude of each tensor (for the input of a GLU, and for poses beside velocities: of
    each half) and of each state-space channel.

    `moments`: of the inputs of each band of a convolution or dense layer, by the name of its
    output.
    """

    tensor: dict[str, float] = field(default_factory=dict)
    gate: dict[str, float] = field(default_factory=dict)
    state: dict[str, Array] = field(default_factory=dict)
    moments: dict[str, list[Moments]] = field(default_factory=dict)
    sha256: str = ""

    def see(self, name: str, x: Array) -> None:
        self.tensor[name] = max(self.tensor.get(name, 0.0), float(np.abs(x).max(initial=0.0)))

    def see_products(self, op: g.Dense, x: Array) -> None:
        """x (1, time, features): a stretch of the input of `op`; windows over both ends of it are
        left out."""
        bands, _, kernel, width = op.weight.shape
        groups = x[0].reshape(-1, bands * width)
        windows = sliding_window_view(groups, kernel, 0)[
            :: op.frames_per_output
        ]  # (windows, features, kernel)
        known = self.moments.setdefault(op.output, [moments(kernel * width) for _ in range(bands)])
        for band, seen in enumerate(known):
            seen.see(
                windows[:, band * width : (band + 1) * width]
                .transpose(0, 2, 1)
                .reshape(len(windows), -1)
            )


def observe(graph: g.Graph, recordings: Sequence[Array | Signal], products: bool = True) -> Ranges:
    """Run every calibration recording (time, features), float, through the float graph and note
    what it shows.

    `products`: also what each matrix multiplies, which takes longest and only 4-bit weights and
    low-rank factors ask for.
    """
    ranges, digest = Ranges(), hashlib.sha256()
    halved = {
        op.inputs[0]
        for op in graph.ops
        if isinstance(op, g.Glu) or (isinstance(op, g.Integrate) and op.position_steps)
    }
    matrices = [op for op in graph.ops if isinstance(op, g.Dense)] if products else []

    def see(name: str, x: Array) -> None:
        for op in matrices:
            if op.inputs[0] == name:
                ranges.see_products(op, x)

    def tap(op: g.Op, y: Array) -> None:
        see(op.output, y)
        if op.output in halved:
            y, gate = np.split(y, 2, axis=-1)
            ranges.gate[op.output] = max(ranges.gate.get(op.output, 0.0), float(np.abs(gate).max()))
        ranges.see(op.output, y)

    for recording in recordings:
        signal = as_signal(recording)
        samples = whole_steps(graph, signal.samples)
        digest.update(np.ascontiguousarray(samples, dtype=np.float32).tobytes())
        ranges.see(graph.input.name, samples)
        see(graph.input.name, samples[None])
        machine = FloatInterpreter(graph, watch_states=True)
        if signal.initial is not None:
            digest.update(np.asarray(signal.initial, np.float32).tobytes())
            machine.begin_at(signal.initial[None])
        machine.run(samples[None].astype(np.float64), tap)
        for name, peak in machine.state_peak.items():
            ranges.state[name] = np.maximum(ranges.state.get(name, 0.0), peak)
    ranges.sha256 = digest.hexdigest()
    return ranges

"""Between the float signal and the int16 samples that go over the line."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from compress.graph import Array, Graph


@dataclass(frozen=True)
class Signal:
    """A recording as a network takes it: samples (time, features), and the pose (joints,) in rad
    that tracking begins with."""

    samples: Array
    initial: Array | None = None


def as_signal(recording: Array | Signal) -> Signal:
    """Samples alone begin with no pose."""
    return recording if isinstance(recording, Signal) else Signal(recording)


def whole_steps(graph: Graph, signal: Array) -> Array:
    """The samples (time, features) that make whole steps of the network, from the first on."""
    return signal[: len(signal) // graph.samples_per_step * graph.samples_per_step]


def to_int16(graph: Graph, signal: Array) -> Array:
    """Real samples -> the nearest int16 steps of the graph's input scale; beyond the range they
    saturate."""
    tensor = graph.input
    return np.clip(np.round(signal / float(tensor.scale or 1.0)), tensor.lo, tensor.hi).astype(
        np.int16
    )


def to_real(graph: Graph, output: Array) -> Array:
    """Output words -> float32 (log-probabilities, angles, …)."""
    return (output * float(graph.output.scale or 1.0)).astype(np.float32)

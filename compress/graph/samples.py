"""Between the float signal and the int16 samples that go over the line."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from compress.errors import GraphError
from compress.graph import Array, Graph

Initial = Mapping[str, Array]  # name of a graph's extra input -> what a stream begins with


@dataclass(frozen=True)
class Signal:
    """A recording as a network takes it: samples (time, features), and real values (features,) of
    the extra inputs that it begins with, where the network has some and they are known."""

    samples: Array
    initial: Initial | None = None


def as_signal(recording: Array | Signal) -> Signal:
    """Samples alone begin with zeros."""
    return recording if isinstance(recording, Signal) else Signal(recording)


def whole_steps(graph: Graph, signal: Array) -> Array:
    """The samples (time, features) that make whole steps of the network, from the first on."""
    return signal[: len(signal) // graph.samples_per_step * graph.samples_per_step]


def to_int16(graph: Graph, signal: Array) -> Array:
    """Real samples -> the nearest int16 steps of the graph's input scale; beyond the range they
    saturate."""
    return graph.input.integers(signal).astype(np.int16)


def to_real(graph: Graph, output: Array) -> Array:
    """Output words -> float32 (log-probabilities, angles, …)."""
    return graph.output.real(output).astype(np.float32)


def check_initial(graph: Graph, initial: Initial) -> None:
    """GraphError where these values are not for the graph's extra inputs."""
    for name, value in initial.items():
        expected = graph.initial.get(name)
        if expected is None:
            known = ", ".join(graph.initial) or "none"
            raise GraphError(
                f"{graph.name}: begins with no {name!r}; it has these extra inputs: {known}"
            )
        if np.shape(value)[-1:] != (expected.features,):
            raise GraphError(
                f"{graph.name}: {name!r}: expected {expected.features} values, found"
                f" {np.shape(value)}"
            )

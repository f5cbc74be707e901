"""Between the float signal and the int16 samples that go over the line."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np

from compress.errors import GraphError
from compress.graph import Array, Graph

Initial = Mapping[str, Array]  # name of a graph's extra input -> what a stream begins with


BLOCK = 1 << 15  # samples that are read at once from a recording that stays on disk
VALUES = 1 << 18  # of frames that are taken at once


class OnDisk:
    """Rows (n, …) of a recording that are read where they are needed: it has the length, shape and
    dtype of an array, and a slice of it reads nothing. `np.asarray` and any other index read."""

    def __init__(
        self, read: Callable[[int, int], Array], shape: tuple[int, ...], dtype: Any = np.float32
    ) -> None:
        """read: rows start…stop."""
        self._read, self.shape, self.dtype = read, shape, np.dtype(dtype)

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def size(self) -> int:
        return int(np.prod(self.shape))

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index: Any) -> Any:
        if not isinstance(index, slice) or index.step not in (None, 1):
            return np.asarray(self)[index]
        start, stop, _ = index.indices(len(self))
        stop = max(start, stop)
        rows = (stop - start, *self.shape[1:])
        return OnDisk(lambda a, b: self._read(start + a, start + b), rows, self.dtype)

    def __iter__(self) -> Iterator[Any]:
        """Rows, read some at a time."""
        for rows in pieces(cast(Array, self)):
            yield from rows

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        return np.asarray(self._read(0, len(self)), dtype)

    def astype(self, dtype: Any) -> Array:
        """All of it, read."""
        return np.asarray(self).astype(dtype)


def stays_on_disk(
    read: Callable[[int, int], Array], shape: tuple[int, ...], dtype: Any = np.float32
) -> Array:
    """An `OnDisk`, under the type of the arrays in whose place it stands."""
    return cast(Array, OnDisk(read, shape, dtype))


def blocks(samples: Array, step: int) -> Iterator[Array]:
    """Arrays of whole steps, one after the other, of samples (n, features) that may lie on disk;
    what is left over is in none."""
    size, end = max(1, BLOCK // step) * step, len(samples) // step * step
    for start in range(0, end, size):
        yield np.asarray(samples[start : min(start + size, end)])


def pieces(frames: Array) -> Iterator[Array]:
    """Arrays of some rows (n, …), one after the other, of frames that may lie on disk: as many rows
    at a time whatever the type of their numbers."""
    size = max(1, VALUES // max(1, math.prod(frames.shape[1:])))
    for start in range(0, len(frames), size):
        yield np.asarray(frames[start : start + size])


class SideBySide:
    """Signals of different lengths as one batch (signals, time, features), padded with zeros behind
    the whole steps of each; made where it is asked for. `form`: what becomes of samples."""

    def __init__(
        self,
        signals: Sequence[Signal],
        step: int,
        form: Callable[[Array], Array] = lambda samples: samples,
    ) -> None:
        self.signals, self._form = signals, form
        self.steps = [len(signal.samples) // step for signal in signals]
        features = signals[0].samples.shape[-1]
        self.shape = (len(signals), max(self.steps) * step, features)
        self._ends = [steps * step for steps in self.steps]

    @property
    def ndim(self) -> int:
        return 3

    def __getitem__(self, index: tuple[slice, slice]) -> Array:
        """[:, start:stop], read and made."""
        every, part = index
        assert every == slice(None)
        start, stop, _ = part.indices(self.shape[1])
        rows = [
            np.asarray(signal.samples[min(start, end) : min(stop, end)])
            for signal, end in zip(self.signals, self._ends, strict=True)
        ]
        batch = np.zeros((len(rows), stop - start, self.shape[2]), rows[0].dtype)
        for row, found in zip(batch, rows, strict=True):
            row[: len(found)] = found
        return self._form(batch)


@dataclass(frozen=True)
class Signal:
    """A recording as a network takes it: samples (time, features), which may lie on disk
    (`stays_on_disk`), and real values (features,) of the extra inputs that it begins with, where
    the network has some and they are known."""

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
    return graph.input.integers(np.asarray(signal)).astype(np.int16)


def words_of(graph: Graph, signal: Array) -> Array:
    """`to_int16` of samples that may lie on disk, and then the words do too."""
    if isinstance(signal, np.ndarray):
        return to_int16(graph, signal)
    return stays_on_disk(
        lambda start, stop: to_int16(graph, np.asarray(signal[start:stop])), signal.shape, np.int16
    )


def clipped(samples: Array, limits: Array) -> Array:
    """Samples (n, features), which may lie on disk, held to ±limits (features,)."""
    if isinstance(samples, np.ndarray):
        return np.clip(samples, -limits, limits)
    return stays_on_disk(
        lambda start, stop: np.clip(np.asarray(samples[start:stop]), -limits, limits),
        samples.shape,
        samples.dtype,
    )


def to_real(graph: Graph, output: Array) -> Array:
    """Output words -> float32 (log-probabilities, angles, …); of those that lie on disk where they
    are asked for."""
    if isinstance(output, OnDisk):
        return stays_on_disk(
            lambda start, stop: to_real(graph, np.asarray(output[start:stop])), output.shape
        )
    found = np.empty(output.shape, np.float32)
    for start in range(0, len(output), BLOCK):
        found[start : start + BLOCK] = graph.output.real(output[start : start + BLOCK])
    return found


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

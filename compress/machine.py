"""Running a stream graph in numpy, chunk by chunk, many recordings side by side; shared by float and integer arithmetic."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator

import numpy as np
from tqdm import tqdm

from compress.errors import GraphError
from compress.graph import Array, Graph, IntStateSpace, Op, OverCopies, StateSpace, Window

Tap = Callable[[Op, Array], None]
BLOCK = 16  # frames that a float state space takes at once (scan.py): whole blocks make a chunk
CHUNK_STEPS = 128  # of all recordings together: what is worked on at once stays near the processor


class Machine(ABC):
    """State of one graph for a batch of streams. Frames are (batch, time, features)."""

    def __init__(self, graph: Graph, batch: int = 1) -> None:
        self.graph, self.batch = graph, batch
        self.last_use = {name: i for i, op in enumerate(graph.ops) for name in op.inputs}
        self.reset()

    def reset(self) -> None:
        """All state to zero."""
        self.state: dict[str, Array] = {}
        self.steps = 0

    @abstractmethod
    def apply(self, op: Op, inputs: list[Array]) -> Array:
        """One operator over a chunk; keeps its state in `self.state[op.output]`."""

    def run(self, samples: Array, tap: Tap | None = None, progress: str = "") -> Array:
        """samples (batch, time, features), time a multiple of samples_per_step -> (batch, frames, outputs).

        `progress`: words for a progress bar; none without.
        """
        step = self.graph.samples_per_step
        expected = (self.batch, self.graph.input.features)
        if samples.ndim != 3 or (samples.shape[0], samples.shape[2]) != expected or samples.shape[1] % step:
            raise GraphError(
                f"expected samples (batch {expected[0]}, a multiple of {step}, {expected[1]}), found {samples.shape}"
            )
        begin = max(0, self.graph.start_up - self.steps)
        size = step * max(BLOCK, CHUNK_STEPS // self.batch // BLOCK * BLOCK)
        todo = [*_chunks(samples[:, : step * begin], step), *_chunks(samples[:, step * begin :], size)]
        bar = tqdm(todo, desc=progress, unit="chunk", leave=False, disable=not progress)
        chunks = [self._chunk(c, tap) for c in bar]
        empty = np.zeros((self.batch, 0, self.graph.output.features))
        return np.concatenate(chunks, axis=1) if chunks else empty

    def _chunk(self, samples: Array, tap: Tap | None) -> Array:
        live = {self.graph.input.name: samples}
        for index, op in enumerate(self.graph.ops):
            live[op.output] = self.apply(op, [live[name] for name in op.inputs])
            if tap is not None:
                tap(op, live[op.output])
            for name in op.inputs:
                if self.last_use[name] == index:
                    live.pop(name, None)
        self.steps += samples.shape[1] // self.graph.samples_per_step
        if self.steps <= self.graph.start_up:
            self._forget_states()
        return live[self.graph.output.name]

    def _forget_states(self) -> None:
        """State spaces begin with the first valid frame: what they take in during a step of the start-up is gone after it."""
        for op in self.graph.ops:
            if isinstance(op, StateSpace | IntStateSpace):
                self.state.pop(op.output, None)

    def window(self, op: Window, x: Array) -> Array:
        """The windows of a chunk; keeps the frames that later ones reach back to."""
        past = self.state.get(op.output, np.zeros((x.shape[0], op.history, x.shape[2]), x.dtype))
        y, self.state[op.output] = windows_of(op, past, x)
        return y


def windows_of(op: Window, past: Array, x: Array) -> tuple[Array, Array]:
    """past (batch, history, features), x (batch, time, features) -> (batch, time / s, frames·features), and the next past."""
    frames = np.concatenate([past, x], axis=1)
    first = op.history + op.frames_per_output - op.lag - op.frames  # frame of the first window
    index = first + np.arange(0, x.shape[1], op.frames_per_output)[:, None] + np.arange(op.frames)
    return frames[:, index].reshape(x.shape[0], len(index), -1), frames[:, frames.shape[1] - op.history :]


def copies(x: Array, op: OverCopies) -> Array:
    """x (batch, time, features) as (batch, time, bands, copies, n)."""
    return x.reshape(*x.shape[:2], op.bands, op.copies, -1)


def _chunks(samples: Array, size: int) -> Iterator[Array]:
    for start in range(0, samples.shape[1], size):
        yield samples[:, start : start + size]


def side_by_side(recordings: list[Array], step: int) -> tuple[Array, list[int]]:
    """Recordings (time, features) of different lengths as one zero-padded batch, and the whole steps in each."""
    steps = [len(r) // step for r in recordings]
    batch = np.zeros((len(recordings), max(steps) * step, recordings[0].shape[-1]), dtype=recordings[0].dtype)
    for row, recording, n in zip(batch, recordings, steps, strict=True):
        row[: n * step] = recording[: n * step]
    return batch, steps


def trim(output: Array, steps: list[int]) -> list[Array]:
    """Each recording's own frames of an output (batch, frames, values) of `side_by_side` input."""
    return [row[:n] for row, n in zip(output, steps, strict=True)]

"""Running a stream graph in numpy, chunk by chunk, many recordings side by side; shared by float
and integer arithmetic."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from tqdm import tqdm

from compress.errors import GraphError
from compress.graph import (
    RECURRENT,
    Array,
    DelayedConcat,
    Graph,
    GroupReduce,
    Im2Col,
    Integrate,
    Op,
    Tile,
    Unfold1d,
)
from compress.graph.samples import Signal

Tap = Callable[[Op, Array], None]
BLOCK = 16  # frames that a float state space takes at once (scan.py): whole blocks make a chunk
FRAMES = " frames"  # key of an integration's count, behind its tensor's name
CHUNK_SAMPLES = (
    12288  # of all recordings together: what is worked on at once stays near the processor
)


class Interpreter(ABC):
    """State of one graph for a batch of streams. Frames are (batch, time, features)."""

    def __init__(self, graph: Graph, batch: int = 1) -> None:
        self.graph, self.batch = graph, batch
        self.last_use = {name: i for i, op in enumerate(graph.ops) for name in op.inputs}
        self.integrals = {op.output: op for op in graph.ops if isinstance(op, Integrate)}
        self.reset()

    def reset(self) -> None:
        """All state to zero, poses too."""
        self.state: dict[str, Array] = {}
        self.before: dict[
            str, Array
        ] = {}  # the newest frame (batch, 1, features) of what a DelayedConcat names
        self.initial: Array | None = None
        self.steps = 0

    def begin_at(self, pose: Array) -> None:
        """Poses (batch, joints) that the streams begin with, in the output's units (integers:
        rounded to its steps).

        GraphError when the network does not integrate a pose. Only before the first sample.
        """
        if not self.integrals or self.graph.output.features != pose.shape[-1]:
            raise GraphError(
                f"{self.graph.name}: a network that begins with no pose, or not with one of"
                f" {pose.shape[-1]} angles"
            )
        self.initial = np.asarray(pose).reshape(self.batch, -1)

    def begin_with(self, signals: Sequence[Signal]) -> None:
        """Begin each stream with the pose its signal brings, where they bring one."""
        poses = [signal.initial for signal in signals]
        if any(pose is not None for pose in poses):
            self.begin_at(np.stack([np.asarray(pose) for pose in poses]))

    def initial_of(self, op: Integrate) -> Array:
        """Pose (batch, joints) that this operator's streams begin with."""
        given = self.initial
        return (
            given
            if given is not None
            else np.zeros((self.batch, self.graph.tensors[op.output].features))
        )

    @abstractmethod
    def pose_before(self, op: Integrate) -> Array:
        """The newest pose (batch, joints) of an integration, the initial one before the first
        frame."""

    @abstractmethod
    def apply(self, op: Op, inputs: list[Array]) -> Array:
        """One operator over a chunk; keeps its state in `self.state[op.output]`."""

    def run(self, samples: Array, tap: Tap | None = None, progress: str = "") -> Array:
        """samples (batch, time, features), time a multiple of samples_per_step -> (batch, frames,
        outputs).

        `progress`: words for a progress bar; none without.
        """
        step = self.graph.samples_per_step
        expected = (self.batch, self.graph.input.features)
        if (
            samples.ndim != 3
            or (samples.shape[0], samples.shape[2]) != expected
            or samples.shape[1] % step
        ):
            raise GraphError(
                f"expected samples (batch {expected[0]}, a multiple of {step}, {expected[1]}),"
                f" found {samples.shape}"
            )
        begin = max(0, self.graph.start_up_steps - self.steps)
        together = max(1, CHUNK_SAMPLES // step // self.batch)
        size = step * (together // BLOCK * BLOCK or together)
        todo = [
            *_chunks(samples[:, : step * begin], step),
            *_chunks(samples[:, step * begin :], size),
        ]
        bar = tqdm(todo, desc=progress, unit="chunk", leave=False, disable=not progress)
        chunks = [self._chunk(c, tap) for c in bar]
        empty = np.zeros((self.batch, 0, self.graph.output.features))
        return np.concatenate(chunks, axis=1) if chunks else empty

    def _chunk(self, samples: Array, tap: Tap | None) -> Array:
        live, loop = {self.graph.input.name: samples}, self.graph.loop
        for index, op in enumerate(self.graph.ops):
            if index not in loop:
                live[op.output] = self.apply(op, [live[name] for name in op.inputs])
            elif index == loop.start:
                live |= self._frame_by_frame(self.graph.ops[loop.start : loop.stop], live)
            if tap is not None:
                tap(op, live[op.output])
            for name in op.inputs:
                if self.last_use[name] == index:
                    live.pop(name, None)
        self.steps += samples.shape[1] // self.graph.samples_per_step
        if self.steps <= self.graph.start_up_steps:
            self._forget_states()
        return live[self.graph.output.name]

    def _frame_by_frame(self, ops: tuple[Op, ...], live: dict[str, Array]) -> dict[str, Array]:
        """The tensors of a loop over a chunk, every operator on one frame before the next frame."""
        frames: dict[str, list[Array]] = {op.output: [] for op in ops}
        named = {name for op in ops if isinstance(op, DelayedConcat) for name in op.previous}
        for t in range(live[ops[0].inputs[0]].shape[1]):
            now: dict[str, Array] = {}
            for op in ops:
                now[op.output] = self.apply(
                    op, [now[n] if n in now else live[n][:, t : t + 1] for n in op.inputs]
                )
                frames[op.output].append(now[op.output])
            self.before |= {name: now[name] for name in named}
        return {name: np.concatenate(parts, axis=1) for name, parts in frames.items()}

    def join(self, op: DelayedConcat, x: Array) -> Array:
        """One frame beside the frames before of the tensors that it names."""
        parts = [x]
        for name, width in zip(op.previous, op.widths, strict=True):
            if name in self.integrals:
                parts.append(self.pose_before(self.integrals[name])[:, None])
            else:
                parts.append(self.before.get(name, np.zeros((self.batch, 1, width), x.dtype)))
        return np.concatenate(parts, axis=-1)

    def _forget_states(self) -> None:
        """Recurrent state begins with the first valid frame: what it took in during a step of the
        start-up is gone after it."""
        self.before.clear()
        for op in self.graph.ops:
            if isinstance(op, RECURRENT):
                self.state.pop(op.output, None)
                self.state.pop(f"{op.output}{FRAMES}", None)

    def window(self, op: Unfold1d, x: Array) -> Array:
        """The windows of a chunk; keeps the frames that later ones reach back to."""
        past = self.state.get(op.output, np.zeros((x.shape[0], op.history, x.shape[2]), x.dtype))
        y, self.state[op.output] = windows_of(op, past, x)
        return y


def windows_of(op: Unfold1d, past: Array, x: Array) -> tuple[Array, Array]:
    """past (batch, history, features), x (batch, time, features) -> (batch, time / s,
    frames·features), and the next past."""
    frames = np.concatenate([past, x], axis=1)
    first = op.history + op.frames_per_output - op.lag - op.frames  # frame of the first window
    index = first + np.arange(0, x.shape[1], op.frames_per_output)[:, None] + np.arange(op.frames)
    seen = (
        frames[:, index].reshape(x.shape[0], *index.shape, op.bands, -1).swapaxes(2, 3)
    )  # (batch, window, bands, frames, n)
    return seen.reshape(x.shape[0], len(index), -1), frames[:, frames.shape[1] - op.history :]


def patches_of(op: Im2Col, x: Array) -> Array:
    """What a convolution sees of each window, enlarged by factor and copies: x (batch, time,
    width·n) -> (batch, time·factor, width·copies·kernel_frames·kernel_columns·n)."""
    before = [(op.kernel_frames - 1) // 2, (op.kernel_columns - 1) // 2]
    after = [op.kernel_frames - 1 - before[0], op.kernel_columns - 1 - before[1]]
    image = x.reshape(x.shape[0], -1, op.frames, op.width, x.shape[2] // op.width)
    image = image.repeat(op.factor, axis=2).repeat(op.copies, axis=3)
    padded = np.pad(image, [(0, 0), (0, 0), *zip(before, after, strict=True), (0, 0)])
    seen = sliding_window_view(
        padded, (op.kernel_frames, op.kernel_columns), (2, 3)
    )  # (…, frames, width, n, kf, kc)
    return seen.transpose(0, 1, 2, 3, 5, 6, 4).reshape(x.shape[0], x.shape[1] * op.factor, -1)


def repeat_of(op: Tile, x: Array) -> Array:
    """Nearest-neighbour upsampling of frames and columns: x (batch, time, width·n) -> (batch,
    time·factor, width·copies·n)."""
    columns = x.reshape(*x.shape[:2], op.width, -1).repeat(op.copies, axis=2)
    return columns.reshape(*x.shape[:2], -1).repeat(op.factor, axis=1)


def copies(x: Array, op: GroupReduce) -> Array:
    """x (batch, time, features) as (batch, time, bands, copies, n)."""
    return x.reshape(*x.shape[:2], op.bands, op.copies, -1)


def _chunks(samples: Array, size: int) -> Iterator[Array]:
    for start in range(0, samples.shape[1], size):
        yield samples[:, start : start + size]


def side_by_side(recordings: list[Array], step: int) -> tuple[Array, list[int]]:
    """Recordings (time, features) of different lengths as one zero-padded batch, and the whole
    steps in each."""
    steps = [len(r) // step for r in recordings]
    batch = np.zeros(
        (len(recordings), max(steps) * step, recordings[0].shape[-1]), dtype=recordings[0].dtype
    )
    for row, recording, n in zip(batch, recordings, steps, strict=True):
        row[: n * step] = recording[: n * step]
    return batch, steps


def trim(output: Array, steps: list[int], chunk: int = 1) -> list[Array]:
    """Each recording's own frames of an output (batch, frames, values) of `side_by_side` input;
    `chunk` frames a step."""
    return [row[: n * chunk] for row, n in zip(output, steps, strict=True)]

"""Running a stream graph in numpy, chunk by chunk, many recordings side by side."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from compress.errors import GraphError
from compress.graph import Array, Graph, Memory, Op
from compress.graph.samples import SideBySide, Signal, check_initial
from compress.ops.scan import BLOCK

Tap = Callable[[Op, Array], None]
CHUNK_SAMPLES = (
    12288  # of all recordings together: what is worked on at once stays near the processor
)


class Interpreter:
    """State of one graph for a batch of streams. Frames are (batch, time, features).

    What an operator computes, its record says; what it keeps lies in its `Memory`. Here is only the
    order: operators one after the other, loops frame by frame, and how a stream begins.
    """

    DTYPE: ClassVar[npt.DTypeLike] = np.float64  # what is computed in

    def __init__(self, graph: Graph, batch: int = 1) -> None:
        self.graph, self.batch = graph, batch
        self.begins = graph.begins
        self.last_use = {name: i for i, op in enumerate(graph.ops) for name in op.inputs}
        self.memories = {
            op.output: Memory(batch, graph.target(op), recall=self._recall) for op in graph.ops
        }
        self.reset()

    def reset(self) -> None:
        """All state to zero, what streams begin with too."""
        for memory in self.memories.values():
            memory.kept.clear()
            memory.state.clear()
            memory.initial = {}
        self.before: dict[str, Array] = {}  # newest frame (batch, 1, features) of what is recalled
        self.steps = 0

    def begin_at(self, initial: Mapping[str, Array]) -> None:
        """Real values (batch, features) of the graph's extra inputs. GraphError where it has no
        such input. Only before the first sample."""
        check_initial(self.graph, initial)
        shaped = {
            name: self.initial_values(name, np.asarray(value).reshape(self.batch, -1))
            for name, value in initial.items()
        }
        for memory in self.memories.values():
            memory.initial = shaped

    def shorten_start_up(self) -> None:
        """Recurrent state that begins with a later step begins with step 1. Only before the first
        sample."""
        self.begins = {name: min(step, 1) for name, step in self.graph.begins.items()}

    def initial_values(self, name: str, values: Array) -> Array:
        """Real values of an extra input as this arithmetic holds them."""
        return values

    def begin_with(self, signals: Sequence[Signal]) -> None:
        """Begin each stream with what its signal brings, where they bring something."""
        given = [signal.initial or {} for signal in signals]
        names = {name for initial in given for name in initial}
        if names:
            self.begin_at(
                {n: np.stack([np.asarray(initial[n]) for initial in given]) for n in names}
            )

    def run(self, samples: Array | SideBySide, tap: Tap | None = None) -> Array:
        """samples (batch, time, features), time a multiple of samples_per_step -> (batch, frames,
        outputs)."""
        frames = samples.shape[1] // self.graph.samples_per_step * self.graph.chunk
        made = np.empty((self.batch, frames, self.graph.output.features), self.DTYPE)
        for start, found in self.chunks(samples, tap):
            made[:, start : start + found.shape[1]] = found
        return made

    def chunks(
        self, samples: Array | SideBySide, tap: Tap | None = None, progress: str = ""
    ) -> Iterator[tuple[int, Array]]:
        """The same chunk by chunk: the number of its first frame, and (batch, frames, outputs). Of
        samples that lie on disk a chunk at a time is read.

        `progress`: words for a progress bar; none without.
        """
        from compress.report.progress import Bar

        step = self.graph.samples_per_step
        expected = (self.batch, self.graph.input.features)
        found = (samples.shape[0], samples.shape[2]) if samples.ndim == 3 else None
        if found != expected or samples.shape[1] % step:
            raise GraphError(
                f"expected samples (batch {expected[0]}, a multiple of {step}, {expected[1]}),"
                f" found {samples.shape}"
            )
        # state begins with a step, so the steps before the last begin are taken one by one
        last = max([self.graph.start_up_steps, *self.begins.values()])
        begin = max(0, last - self.steps)
        together = max(1, CHUNK_SAMPLES // step // self.batch)
        size = step * (together // BLOCK * BLOCK or together)
        end, begin = samples.shape[1], min(step * begin, samples.shape[1])
        starts = [*range(0, begin, step), *range(begin, end, size), end]
        todo = itertools.pairwise(starts)
        bar = Bar(
            todo,
            desc=progress,
            unit="chunk",
            leave=False,
            disable=not progress,
            total=len(starts) - 1,
        )
        for start, stop in bar:
            chunk = np.asarray(samples[:, start:stop]).astype(self.DTYPE, copy=False)
            yield start // step * self.graph.chunk, self._chunk(chunk, tap)

    def _chunk(self, samples: Array, tap: Tap | None) -> Array:
        live = {self.graph.input.name: samples}
        for in_loop, indices in self.graph.stretches():
            ops = [self.graph.ops[index] for index in indices]
            if in_loop:
                live |= self._frame_by_frame(ops, live)
            else:
                live[ops[0].output] = self._run(ops[0], [live[name] for name in ops[0].inputs])
            if ops[0].makes_windows:
                live[ops[0].output] = self._apart(live[ops[0].output])
            for index, op in zip(indices, ops, strict=True):
                if tap is not None:
                    tap(op, self._in_a_row(live[op.output]))
                for name in op.inputs:
                    if self.last_use[name] == index:
                        live.pop(name, None)
        self.steps += samples.shape[1] // self.graph.samples_per_step
        self._forget()
        return self._in_a_row(live[self.graph.output.name])

    def _apart(self, windows: Array) -> Array:
        """Windows (batch, steps·frames, features) as recordings of their own, (batch·steps, frames,
        features): what comes after the first operator begins anew with each."""
        frames = self.graph.frames_per_step(self.graph.ops[0].output)
        apart = windows.reshape(-1, frames, windows.shape[2])
        self.before = {}
        for op in self.graph.ops[1:]:
            known = self.memories[op.output]
            self.memories[op.output] = Memory(
                len(apart),
                known.target,
                recall=self._recall,
                watch=known.watch,
                derived=known.derived,
            )
        return apart

    def _in_a_row(self, frames: Array) -> Array:
        """The frames of each recording one after the other: (batch, time, features)."""
        return frames.reshape(self.batch, -1, frames.shape[2])

    def _run(self, op: Op, inputs: list[Array]) -> Array:
        return op.run(inputs, self.memories[op.output])

    def _frame_by_frame(self, ops: list[Op], live: dict[str, Array]) -> dict[str, Array]:
        """The tensors of a loop over a chunk, every operator on one frame before the next frame."""
        frames: dict[str, list[Array]] = {op.output: [] for op in ops}
        named = {name for op in ops for name in op.previous_names}
        for t in range(live[ops[0].inputs[0]].shape[1]):
            now: dict[str, Array] = {}
            for op in ops:
                inputs = [now[n] if n in now else live[n][:, t : t + 1] for n in op.inputs]
                now[op.output] = self._run(op, inputs)
                frames[op.output].append(now[op.output])
            self.before |= {name: now[name] for name in named}
        return {name: np.concatenate(parts, axis=1) for name, parts in frames.items()}

    def _recall(self, name: str) -> Array | None:
        """The frame before (batch, 1, features) of a tensor, None before the first."""
        op = self.graph.ops[self.graph.maker[name]]
        recalled = op.recalled(self.memories[name])
        return self.before.get(name) if recalled is None else recalled

    def _forget(self) -> None:
        """Recurrent state begins with its first valid frame: what it took in during the steps
        before is gone after each of them."""
        for op in self.graph.ops:
            if op.recurrent and self.steps <= self.begins[op.output]:
                self.memories[op.output].state.clear()
                for name in op.previous_names:
                    self.before.pop(name, None)

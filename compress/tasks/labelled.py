"""What tasks share whose recordings are one's own: arrays of samples with a label or a target for
each of them (`compress/data/own_recording.py`), for networks of any rate and shape."""

from __future__ import annotations

from abc import abstractmethod
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from compress import graph as g
from compress.data import own_file, own_recording
from compress.data.clock import Segment
from compress.data.overlap import OfSamples, Stored
from compress.data.own_recording import OwnRecording
from compress.data.recordings import Collection, Make, Split
from compress.graph.samples import BLOCK, Signal, blocks
from compress.tasks.recorded import Cut, Recorded
from compress.tasks.shape import Shape, label_samples
from compress.tasks.statistics import RUNS
from compress.tasks.task import Array, Task

GROUP = "EMG"  # what such recordings are called


class LabelledTask(Task):
    """`Recorded.target` is what the recording says of its samples, (samples, …), or None where it
    says nothing; then there is no error."""

    array = "(electrodes, samples)"
    frames_last = True
    usual: ClassVar[Shape]  # of the networks that the simulated set is for when none is given

    @contextmanager
    def cut(self, graph: g.Graph, path: Path, labels: bool) -> Iterator[Cut]:
        found = own_recording.read(path, graph.input.features)
        found.expect(float(graph.input.rate), graph.input.features)
        target = self.target_of(graph, found)
        yield Cut(found.segments, lambda segment: self._part(found, target, segment))

    def _part(self, found: OwnRecording, target: Array | None, segment: Segment) -> Recorded:
        span = slice(segment.start, segment.stop)
        known = None if target is None else target[span]
        signal = Signal(found.emg[span])
        return Recorded(found.path, signal, known, found.rate, start=segment.start)

    @abstractmethod
    def target_of(self, graph: g.Graph, found: OwnRecording) -> Array | None:
        """What a perfect network says at each sample, (samples, …); None where nothing is known.
        RecordingError where that is nothing this network could say."""

    def opened(self, graph: g.Graph, path: Path) -> AbstractContextManager[Stored]:
        return nullcontext(OfSamples(own_recording.read(path, graph.input.features).emg))

    def from_array(self, array: Array) -> Array:
        if array.ndim != 2:
            raise ValueError(
                f"expected numbers of shape {self.array}, found {array.dtype} {array.shape}"
            )
        return array.T

    def beside(
        self, graph: g.Graph, frames: Array, recorded: Recorded, size: int = 1
    ) -> Iterator[tuple[Array, Array]]:
        """Frames that have a sample of their own, (n, outputs), and what is known of these samples,
        (n, …): the frames of the start-up are left out. In pieces, one or more, of whole runs of
        `size` frames; the last takes the rest."""
        first, last = (
            bisect_left(range(len(frames)), bound, key=lambda f: label_samples(graph, f + 1, f)[0])
            for bound in (0, len(recorded.target))
        )
        runs, together = max(1, (last - first) // size), max(1, BLOCK // size)
        for run in range(0, runs, together):
            start = first + run * size
            stop = last if run + together >= runs else start + together * size
            at = label_samples(graph, stop, start)
            begin, end = (int(at[0]), int(at[-1]) + 1) if len(at) else (0, 0)
            yield np.asarray(frames[start:stop]), rows_at(recorded.target[begin:end], at - begin)

    def others(self, graph: g.Graph, paths: Sequence[Path]) -> list[Array]:
        """What is known in other recordings, of those that say something."""
        electrodes = graph.input.features
        found = [
            own_recording.read(path, electrodes) for path in paths if path.suffix.lower() != ".npy"
        ]
        known = [self.target_of(graph, recording) for recording in found]
        return [target for target in known if target is not None]


def rows_at(known: Array, samples: Array) -> Array:
    """What is known of these samples, which are in order."""
    found = np.empty((len(samples), *known.shape[1:]), known.dtype)
    at = 0
    for start, rows in numbered(known):
        end = int(np.searchsorted(samples, start + len(rows)))
        found[at:end] = rows[samples[at:end] - start]
        at = end
    return found


def numbered(known: Array) -> Iterator[tuple[int, Array]]:
    """What is known, some samples at a time, and the number of the first."""
    start = 0
    for rows in blocks(known, 1):
        yield start, rows
        start += len(rows)


def run_size(graph: g.Graph, frames: int) -> int:
    """Frames in a run: those of a second, or fewer in a short recording."""
    return max(1, min(round(graph.output.rate), frames // RUNS))


def collection(task: str, shape: Shape, make: Make, splits: dict[str, Split]) -> Collection:
    """Recordings of a task for networks of this shape, with the simulated sets that `make` gives,
    in a folder of their own."""
    name = f"{float(shape.rate):g}Hz-{shape.electrodes}-{shape.outputs}"
    return Collection(
        name=task,
        folder=f"{task}-recordings/{name}",
        group=GROUP,
        is_simulated=own_file.is_simulated,
        splits=splits,
        make=make,
        suffixes=own_recording.SUFFIXES,
        origin_in="/",
    )


def as_json(values: Array) -> list[Any]:
    """Numbers as JSON has them: null for what is none."""
    return [None if np.isnan(v) else float(v) for v in np.asarray(values, np.float64)]

"""What all tasks have: how recordings are read, the error of frames against what was to come out,
and what reports say and draw of it.

A name with its units, a collection of recordings, `cut` and `from_array` (what goes in) and `runs`
(where it errs) make a task. Everything else has a default that suits plain values or classes.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, ClassVar

import numpy as np

from compress import graph as g
from compress.data import array_file
from compress.data.overlap import OfSamples, Stored
from compress.data.recordings import Collection
from compress.errors import GraphError, RecordingError
from compress.graph import npy
from compress.graph.samples import Signal, whole_steps
from compress.tasks import shape as layout
from compress.tasks.costs import CostWords
from compress.tasks.recorded import Cut, Followed, Loop, Recorded, Shown
from compress.tasks.shape import Shape
from compress.tasks.statistics import pooled, resampled
from compress.tasks.stretches import least_samples, taken, too_short
from compress.tasks.text import Text
from compress.tasks.wiring import Wiring

if TYPE_CHECKING:
    from compress.report.drawing import Picture

Array = g.Array
Runs = tuple[Array, Array]


class Task(ABC):
    """Frames are real values (frames, outputs), those of a start-up included."""

    name: ClassVar[str]
    metric: ClassVar[str]  # short name of the error
    unit: ClassVar[str]
    points: ClassVar[str]  # unit of a difference between two errors
    collection: ClassVar[Collection]  # its recordings, those of the usual network where they differ
    network: ClassVar[Shape | None] = None  # the shape that its networks have, where there is one
    array: ClassVar[str]  # shape of an input given as .npy, in words
    factor: ClassVar[float] = 1.0  # sums of `runs` × this is the error in `unit`
    text: ClassVar[Text | None] = None  # of a task whose frames are read as text
    loop: ClassVar[Loop | None] = None  # of a task with networks in a closed loop
    frames_last: ClassVar[bool] = False  # whether the published code has (outputs, frames)
    # whether the published forward over a whole recording gives what a stream gives
    whole: ClassVar[bool] = True

    # --- networks ---------------------------------------------------------------------------------

    def check(self, graph: g.Graph) -> None:
        """GraphError where a network does not suit the task: it takes or gives something else."""
        found = Shape.of(graph)
        if self.network is not None and found != self.network:
            raise GraphError(
                f"{graph.name}: networks of the task {self.name} have {self.network}, found"
                f" {found}; change the network, or its task"
            )

    def collection_for(self, shape: Shape) -> Collection:
        """The recordings that networks of this shape take; those that are simulated have its rate,
        electrodes and outputs."""
        return self.collection

    def wiring(self, graph: g.Graph) -> Wiring:
        """How a device must feed such a network, and read it."""
        return Wiring()

    # --- recordings -------------------------------------------------------------------------------

    @abstractmethod
    def cut(self, graph: g.Graph, path: Path, labels: bool) -> AbstractContextManager[Cut]:
        """A recording that is open, at its gaps (`clock`). RecordingError for one of another task,
        and where its time stamps do not suit: where `labels` count, also for stamps by which those
        would be wrong."""

    def parts(
        self,
        graph: g.Graph,
        path: Path,
        seconds: float | None = None,
        labels: bool = True,
        one: bool = False,
        whole: bool = True,
    ) -> list[Recorded]:
        """A recording as the stretches between its gaps, in order (`stretches`); of the first
        `seconds` of samples only when given. `one`: only the longest stretch, and its first
        `seconds`. `whole`: whole steps of each, of those that give an output. `labels`, and
        RecordingError: as `cut` says."""
        with self.cut(graph, path, labels) as found:
            return [found.part(s) for s in taken(graph, found.segments, seconds, one, whole)]

    def look(self, path: Path) -> None:
        """RecordingError for what a glance at a recording that is to be scored tells of it, before
        anything is computed."""
        return None

    def read(self, graph: g.Graph, path: Path, seconds: float | None = None) -> Recorded:
        """The longest stretch of a recording, which is all of one without a gap; its first
        `seconds` only when given."""
        return self.parts(graph, path, seconds, one=True)[0]

    def first_steps(self, graph: g.Graph, path: Path, steps: int, scored: bool = True) -> Array:
        """Samples (n, features) of the first `steps` steps of a recording, or of fewer that it
        has. One that is not scored may be a `.npy` as well."""
        count, step = steps * graph.samples_per_step, graph.samples_per_step
        # what a stream begins with may belong to the sample behind the left context
        least = max(count, graph.left_context + 1) + step
        read = self.read if scored else self.load_input
        return np.asarray(read(graph, path, least / float(graph.input.rate)).samples[:count])

    @contextmanager
    def stored(self, graph: g.Graph, path: Path) -> Iterator[Stored]:
        """A recording, or a `.npy`, whose samples are read where they are asked for."""
        if path.suffix.lower() == ".npy":
            yield OfSamples(self._load_array(graph, path, None).samples)
            return
        with self.opened(graph, path) as stored:
            yield stored

    def opened(self, graph: g.Graph, path: Path) -> AbstractContextManager[Stored]:
        """A recording of the task, not looked at but for what is asked of it."""
        parts = self.parts(graph, path, labels=False)
        return nullcontext(OfSamples(np.concatenate([np.asarray(p.samples) for p in parts])))

    def electrode(self, graph: g.Graph, index: int) -> str:
        """What a value of a sample is called in messages."""
        return f"electrode {index}"

    @abstractmethod
    def from_array(self, array: Array) -> Array:
        """An input given as an array of the shape `array` says -> samples (n, features); ValueError
        for another shape."""

    def begins_with(self, graph: g.Graph) -> tuple[tuple[int, ...], str] | None:
        """Shape and words of what a stream of this network begins with; None where that is the zero
        state."""
        return None

    def inputs(
        self,
        graph: g.Graph,
        path: Path,
        seconds: float | None = None,
        initial: Path | None = None,
        whole: bool = True,
        labels: bool = False,
    ) -> list[Recorded]:
        """A recording's stretches, whatever its labels are unless `labels` count, or a `.npy` of
        the shape `array` says; whole steps of it where `whole`, the first `seconds` only when
        given.

        `initial`: a `.npy` of what to begin with (`begins_with`) instead of the recording's own;
        behind a gap its own counts. A `.npy` has no target.
        """
        found = (
            self.parts(graph, path, seconds, labels, whole=whole)
            if path.suffix.lower() != ".npy"
            else [self._load_array(graph, path, seconds, whole)]
        )
        return found if initial is None else [self._begun(graph, found[0], initial), *found[1:]]

    def load_input(self, graph: g.Graph, path: Path, seconds: float | None = None) -> Recorded:
        """As `inputs`, the longest stretch alone."""
        if path.suffix.lower() == ".npy":
            return self._load_array(graph, path, seconds)
        return self.parts(graph, path, seconds, labels=False, one=True)[0]

    def _begun(self, graph: g.Graph, found: Recorded, initial: Path) -> Recorded:
        value, expected = array_file.load(initial), self.begins_with(graph)
        if expected is None or value.shape != expected[0]:
            raise RecordingError(
                f"INITIAL={initial}: expected"
                f" {expected[1] if expected else 'none for this network'}, found an array of shape"
                f" {value.shape}"
            )
        begin = dict.fromkeys(graph.initial, value)
        return replace(found, signal=Signal(found.samples, begin))

    def _load_array(
        self, graph: g.Graph, path: Path, seconds: float | None, whole: bool = True
    ) -> Recorded:
        samples = array_file.load_samples(path, lambda array: self._form(graph, array))
        return self._given(graph, path, samples, seconds, whole)

    def of_array(
        self,
        graph: g.Graph,
        array: object,
        name: str,
        seconds: float | None = None,
        whole: bool = True,
    ) -> Recorded:
        """An array in memory as the same of a `.npy`, called `name` in messages: whole steps of it
        where `whole`, of the first `seconds` only when given."""
        samples = array_file.samples_of(array, lambda found: self._form(graph, found), name)
        return self._given(graph, Path(name), samples, seconds, whole)

    def _form(self, graph: g.Graph, array: Array) -> Array:
        """Samples (n, features) of an array; ValueError for another shape."""
        own = layout.is_own(graph)
        return layout.samples_of(graph, array) if own else self.from_array(array)

    def _given(
        self, graph: g.Graph, path: Path, samples: Array, seconds: float | None, whole: bool
    ) -> Recorded:
        rate = float(graph.input.rate)
        stop = len(samples) if seconds is None else round(seconds * rate)
        given = Recorded(path, Signal(samples[:stop]), None, rate, scored=False)
        return self.streamed(graph, given) if whole else given

    def streamed(self, graph: g.Graph, part: Recorded) -> Recorded:
        """The whole steps of a part, which a stream takes; RecordingError where they give no
        output."""
        if len(part.samples) < least_samples(graph):
            raise RecordingError(too_short(graph, part.path, len(part.samples)))
        return replace(part, signal=replace(part.signal, samples=whole_steps(graph, part.samples)))

    # --- what comes out ---------------------------------------------------------------------------

    def save(
        self, file: IO[bytes], graph: g.Graph, parts: Sequence[Array], begun: bool = False
    ) -> tuple[int, ...]:
        """Write the frames of streams one after the other as a `.npy`, some at a time: in the
        layout of a user's own forward, or as published, without those of the start-up, which
        `begun` frames do not have. Returns its shape."""
        cut = [part if begun else part[graph.start_up :] for part in parts]
        return npy.write(file, cut, layout.is_own(graph) or self.frames_last)

    def agreement(self, first: Sequence[Array], second: Sequence[Array]) -> float | None:
        """Share of frames in which two engines decide the same; None where nothing is decided."""
        return None

    # --- how good it is ---------------------------------------------------------------------------

    @abstractmethod
    def runs(self, graph: g.Graph, frames: Array, recorded: Recorded) -> Runs:
        """Errors in one recording, summed run by run (a second, some characters, …), and how much
        each run has to get right: the bootstrap draws whole runs. Both (runs,), or (runs, kinds)
        where kinds count alike however often they come: the error is the mean over them."""

    def error(
        self, graph: g.Graph, frames: Sequence[Array], recorded: Sequence[Recorded]
    ) -> float | None:
        """The error in `unit`, pooled over recordings; None when there is nothing in them to get
        right."""
        return pooled(*self._all_runs(graph, frames, recorded), self.factor)

    def interval(
        self, graph: g.Graph, frames: Sequence[Array], recorded: Sequence[Recorded]
    ) -> tuple[float, float]:
        """95 % bootstrap interval of the error, where there is one."""
        return resampled(*self._all_runs(graph, frames, recorded), self.factor)

    def difference(
        self,
        graph: g.Graph,
        first: Sequence[Array],
        second: Sequence[Array],
        recorded: Sequence[Recorded],
    ) -> tuple[float, float]:
        """95 % interval of error(second) − error(first), paired, where there are errors."""
        (a, amounts), (b, _) = (self._all_runs(graph, f, recorded) for f in (first, second))
        return resampled([y - x for x, y in zip(a, b, strict=True)], amounts, self.factor)

    def _all_runs(
        self, graph: g.Graph, frames: Sequence[Array], recorded: Sequence[Recorded]
    ) -> tuple[list[Array], list[Array]]:
        found = [self.runs(graph, f, r) for f, r in zip(frames, recorded, strict=True)]
        return [errors for errors, _ in found], [amounts for _, amounts in found]

    def details(
        self, graph: g.Graph, frames: Sequence[Array], recorded: Sequence[Recorded]
    ) -> dict[str, Any]:
        """Everything else that is published for this task, as plain JSON."""
        return {}

    def published_figures(
        self, graph: g.Graph, frames: Sequence[Array], recorded: Sequence[Recorded]
    ) -> dict[str, float]:
        """What the published test of such recordings prints of a group of them, by its names, in
        its order and its units; nothing where none is published."""
        return {}

    def amount(self, recorded: Sequence[Recorded]) -> tuple[int, str]:
        """How much the error was taken over: (4564, "characters")."""
        return round(sum(r.seconds for r in recorded)), "seconds"

    def trivial(
        self, graph: g.Graph, recorded: Sequence[Recorded], others: Sequence[Path]
    ) -> dict[str, float]:
        """Errors over the same recordings of predictors that read no sEMG, by name; `others`:
        recordings that they may learn from."""
        return {}

    def followed(self, graph: g.Graph, frames: Array, recorded: Recorded) -> Followed:
        """A whole stream sample by sample; of a task with a `loop`."""
        raise NotImplementedError(f"{self.name} has no closed loop")

    # --- what reports say and draw of it ----------------------------------------------------------

    @property
    def headline(self) -> str:
        """The error over its figures."""
        return self.metric[0].upper() + self.metric[1:]

    @property
    def title(self) -> str:
        """The error over a picture of it."""
        return self.headline

    def say(self, details: dict[str, Any]) -> list[tuple[str, str]]:
        """`details` of a board for the console: names and values of rows."""
        return []

    def picture(self, shown: Shown) -> Picture | None:
        """What a person looks at first in a run, if there is anything to draw."""
        return None

    def costs(self) -> CostWords:
        """The words of its report of error against cost."""
        return CostWords(
            stem=f"pareto-{self.name}",
            keys={},
            word=self.metric,
            axis=f"{self.metric}, {self.unit}",
        )

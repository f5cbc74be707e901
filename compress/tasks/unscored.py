"""A task on recordings on which no error is taken: there is none, and nothing about one."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from compress import graph as g
from compress.data.overlap import Stored
from compress.tasks.recorded import Cut, Recorded
from compress.tasks.task import Array, Runs, Task
from compress.tasks.wiring import Wiring


class Unscored(Task):
    """Another task, for such recordings: it reads and compares as that one does."""

    def __init__(self, task: Task) -> None:
        self._task = task
        self.name, self.metric, self.unit = task.name, task.metric, task.unit  # type: ignore[misc]
        self.points, self.array = task.points, task.array  # type: ignore[misc]
        self.collection = task.collection  # type: ignore[misc]

    def wiring(self, graph: g.Graph) -> Wiring:
        return self._task.wiring(graph)

    def cut(self, graph: g.Graph, path: Path, labels: bool) -> AbstractContextManager[Cut]:
        return self._task.cut(graph, path, labels)

    def opened(self, graph: g.Graph, path: Path) -> AbstractContextManager[Stored]:
        return self._task.opened(graph, path)

    def electrode(self, graph: g.Graph, index: int) -> str:
        return self._task.electrode(graph, index)

    def from_array(self, array: Array) -> Array:
        return self._task.from_array(array)

    def agreement(self, first: Sequence[Array], second: Sequence[Array]) -> float | None:
        return self._task.agreement(first, second)

    def runs(self, graph: g.Graph, frames: Array, recorded: Recorded) -> Runs:
        raise AssertionError(f"{recorded.path}: no error is taken on it")

    def error(
        self, graph: g.Graph, frames: Sequence[Array], recorded: Sequence[Recorded]
    ) -> float | None:
        return None

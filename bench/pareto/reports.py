"""The reports of a sweep, one per task: what the error of its networks is called, and which figures
of a point it has. The words come from the task.

Everything else of a report is the same for all: points, fronts, table, pictures, page.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from compress import tasks
from compress.tasks.task import Task

COSTS = {
    "macs_per_s": "multiply-accumulates per second of signal",
    "instructions_per_s": "executed instructions per second of signal",
    "flash": "bytes of flash",
    "ram": "bytes of RAM",
}
SHARED = (
    "Filled: measured here, on the held-out sessions. Pale bars: 95 % intervals of a bootstrap over"
    " sessions; all points share the sessions, so differences are surer than the bars. "
)
IMAGE = "of the linked image, on the smallest emulated board that holds it."
COUNTED = "Counted on the emulated core; not cycles."


@dataclass(frozen=True)
class Report:
    """One task's. `factor`: errors over amounts × this is the error in the task's unit. `keys`:
    attribute of a point -> its key in JSON and CSV, where they differ; `absent`: attributes that
    have none. `published`: decoder -> attribute of `models.Published`. `predictors`: those that
    read no sEMG, in words. `word`, `axis`: the error in prose and on an axis; the rest are
    sentences for readers."""

    task: Task
    stem: str
    factor: float
    keys: Mapping[str, str]
    absent: frozenset[str]
    published: Mapping[str, str]
    predictors: Mapping[str, str]
    word: str
    axis: str
    runs: str
    work: str
    how_to_read: str
    captions: dict[str, str]
    notes: tuple[str, ...] = ()

    @property
    def metric(self) -> str:
        return self.task.metric

    @property
    def unit(self) -> str:
        return self.task.unit

    @property
    def decodes(self) -> bool:
        """Whether a point has a decoder, which may need a character model."""
        return self.task.text is not None

    @property
    def amount_is(self) -> str:
        """What an error is taken over."""
        return self.keys.get("amount", "amount")

    @property
    def about(self) -> str:
        """Name of the file with what its points share: sweep.json beside pareto.json."""
        return f"{self.stem.replace('pareto', 'sweep', 1)}.json"


def of(task: Task) -> Report:
    """The report of one task."""
    words = task.costs()
    return Report(
        task,
        stem=words.stem,
        factor=task.factor,
        keys=words.keys,
        absent=frozenset() if task.text is not None else frozenset({"decoder", "lm"}),
        published=words.published,
        predictors=words.predictors,
        word=words.word,
        axis=words.axis,
        runs=words.runs,
        work=words.work,
        how_to_read=SHARED + words.how_to_read,
        captions={
            "macs_per_s": words.macs,
            "instructions_per_s": f"{COUNTED} {words.instructions}",
            "flash": f"Weights, code and constants {IMAGE}",
            "ram": f"State, arena, line buffers and stack {IMAGE}",
        },
        notes=words.notes,
    )


def every() -> list[Report]:
    """One for each task, in the order of their table."""
    return [of(tasks.named(name)) for name in tasks.names()]

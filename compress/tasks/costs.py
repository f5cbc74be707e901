"""What a report of error against cost (`make pareto`) says of a task's error. Everything else of
such a report is the same for all tasks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class CostWords:
    """Words of one task's report.

    Args:
        stem: name of its files, `pareto…`.
        keys: what `error`, `low`, `high` and `amount` of a point are called in JSON and CSV.
        word: the error in prose.
        axis: the error on an axis, with its unit.
        runs: what the bootstrap draws together within a session.
        work: what counts as multiply-accumulate.
        how_to_read: which marks of the pictures mean what, where that differs between tasks.
        macs, instructions: captions of the pictures against these costs.
        published: decoder ("" where there is none) -> attribute of `Published` with its error.
        predictors: key of a trivial predictor -> what it is, in words.
        notes: more that a reader of the table must know.
    """

    stem: str
    keys: Mapping[str, str]
    word: str
    axis: str
    runs: str = "runs of one second"
    work: str = "one MAC per weight and output frame"
    how_to_read: str = (
        "What costs nearly the same is moved apart. Dark line and rings: the Pareto front of what"
        " was measured here."
    )
    macs: str = ""
    instructions: str = "Mean over steps after the start-up."
    published: Mapping[str, str] = field(default_factory=lambda: {"": "value"})
    predictors: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

"""Fine-tuning a compressed network of classes: the whole network's probabilities frame by frame."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from compress.graph import Graph
from compress.tasks import distilled
from compress.tasks.classes.training import logarithms
from compress.tasks.supervised import Recipe

BY_DEFAULT = False  # minutes of tuning are for who asks

recipe = distilled.recipe


def possible(model: object) -> bool:
    """Whether this network is tuned here: any module is."""
    return isinstance(model, nn.Module)


def tune(
    student: Any,
    teacher: Any,
    bits: Mapping[str, int],
    sessions: Sequence[Path],
    recipe: Recipe,
    state: Path,
    origin: str,
    threads: int,
    graph: Graph,
) -> int:
    """Tune `student` in place; returns the steps."""
    return distilled.tune(
        student, teacher, bits, sessions, recipe, state, origin, threads, graph, _apart
    )


def _apart(found: Tensor, expected: Tensor) -> Tensor:
    """Divergence from the expected probabilities (batch, frames, classes), per frame."""
    student, teacher = (
        logarithms(scores).log_softmax(-1).flatten(0, 1) for scores in (found, expected)
    )
    return nn.functional.kl_div(student, teacher, reduction="batchmean", log_target=True)

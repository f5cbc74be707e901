"""Fine-tuning a compressed network of values: the whole network's values frame by frame."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from compress.graph import Graph
from compress.tasks import distilled
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
    """Mean distance (batch, frames, outputs), each output by the spread that is expected of it."""
    spread = expected.flatten(0, 1).std(0).clamp_min(1e-6)
    return ((found - expected).abs() / spread).mean()

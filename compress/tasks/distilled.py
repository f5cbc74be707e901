"""Fine-tuning a compressed network of one's own: its frames are to be those of the whole network,
on any recordings, labelled or not. Norms keep their running statistics."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from compress import tasks
from compress.compression.rounded import four_bits
from compress.graph import Graph
from compress.report.progress import Bar
from compress.tasks import state as saved
from compress.tasks.crops import Cropper, forward
from compress.tasks.supervised import Recipe, Run

Apart = Callable[[Tensor, Tensor], Tensor]  # the student's frames, the teacher's -> their distance
_BEHIND_UNFOLD = ".dense"  # behind a convolution's path: the name of its matrix
_RECIPE = Recipe(steps=150, rate=3e-4, decay=0.0, warmup=10)


def recipe(steps: int | None, seed: int) -> Recipe:
    """The recipe, with so many steps if given."""
    return dataclasses.replace(_RECIPE, steps=_RECIPE.steps if steps is None else steps, seed=seed)


def tune(
    student: nn.Module,
    teacher: nn.Module,
    bits: Mapping[str, int],
    sessions: Sequence[Path],
    recipe: Recipe,
    state: Path,
    origin: str,
    threads: int,
    graph: Graph,
    apart: Apart,
) -> int:
    """Tune `student` in place; returns the steps. `state` holds an interrupted tuning of this
    `origin`, removed at the end."""
    torch.set_num_threads(threads)
    task = tasks.of(graph)
    bar = Bar(sessions, desc="read recordings", unit="session")
    read = [part.in_memory() for path in bar for part in task.inputs(graph, path)]
    anywhere = [np.ones(len(recorded.samples), bool) for recorded in read]
    cropper = Cropper(graph, read, anywhere, recipe.seconds)
    over_windows = bool(cropper.window)
    batch = recipe.windows if over_windows else recipe.batch
    student.eval(), teacher.eval()

    def loss(rng: np.random.Generator) -> Tensor:
        x, _ = cropper.draw(batch, recipe.gain, rng)
        with torch.no_grad():
            expected = forward(teacher, x, over_windows)
        return apart(forward(student, x, over_windows), expected)

    with four_bits(student, _told(student, bits)):
        Run(student, recipe, state, saved.Origin(origin), loss).fit()
    state.unlink(missing_ok=True)
    return recipe.steps


def _told(model: nn.Module, bits: Mapping[str, int]) -> dict[str, int]:
    """The bits of those matrices whose weight is one parameter of a module, by its path. Others,
    as the parts of a GRU's, are rounded when all is learned."""
    named = dict(model.named_modules(remove_duplicate=False))
    paths = {matrix.removesuffix(_BEHIND_UNFOLD): width for matrix, width in bits.items()}
    return {
        path: width
        for path, width in paths.items()
        if isinstance(getattr(named.get(path), "weight", None), nn.Parameter)
    }

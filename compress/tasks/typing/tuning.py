"""Fine-tuning a compressed typing network: the labels' CTC loss, and the whole network's
probabilities frame by frame.

Windows as in training (`training.py`): short ones and, every third step, a long one. Norms
keep their running statistics.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn

from compress.compression.rounded import four_bits
from compress.frontend.families import HybridNetwork
from compress.frontend.families.hybrid.model import InputMeanPooling
from compress.graph import Graph
from compress.report.progress import Bar
from compress.tasks import state as saved
from compress.tasks.steps import advance, schedule_of
from compress.tasks.typing import charset
from compress.tasks.typing.training import whole_frames
from compress.tasks.typing.training_set import Labelled, Windows, draw, load

BY_DEFAULT = False  # bits alone cost these so little that minutes of tuning are for who asks


@dataclass(frozen=True)
class Recipe:
    """All that the result depends on, besides the network and the recordings."""

    steps: int = 200
    seed: int = 1
    rate: float = 3e-4
    warmup: int = 10
    short_s: float = 4.0
    short_batch: int = 8
    long_s: float = 16.0
    long_batch: int = 2
    long_every: int = 3
    gain: float = 0.05
    clip: float = 1.0
    save_every: int = 50


def recipe(steps: int | None, seed: int) -> Recipe:
    """The recipe, with so many steps if given."""
    return Recipe(seed=seed) if steps is None else Recipe(steps=steps, seed=seed)


def possible(model: object) -> bool:
    """Whether this network is tuned here."""
    return isinstance(model, HybridNetwork)


def tune(
    student: HybridNetwork,
    teacher: HybridNetwork,
    bits: Mapping[str, int],
    sessions: Sequence[Path],
    recipe: Recipe,
    state: Path,
    origin: str,
    threads: int = 2,
    graph: Graph | None = None,
) -> int:
    """Tune `student` in place; returns the steps. `state` holds an interrupted tuning of this
    `origin`, removed at the end; `graph` says nothing that such networks do not say themselves."""
    torch.set_num_threads(threads)
    pooling = cast(InputMeanPooling, student.model[1]).factor
    data = load(sessions, pooling)
    with four_bits(student, bits):
        _run(student, teacher, data, recipe, state, saved.Origin(origin), pooling)
    state.unlink(missing_ok=True)
    return recipe.steps


def _run(
    student: HybridNetwork,
    teacher: HybridNetwork,
    data: Sequence[Labelled],
    recipe: Recipe,
    state: Path,
    origin: saved.Origin,
    pooling: int,
) -> None:
    """The steps that remain of a tuning."""
    student.eval(), teacher.eval()
    optimizer = torch.optim.Adam(student.parameters(), lr=recipe.rate)
    schedule = schedule_of(optimizer, recipe.steps, recipe.warmup)
    parts: dict[str, nn.Module | torch.optim.Optimizer | torch.optim.lr_scheduler.LambdaLR]
    parts = {"model": student, "optimizer": optimizer, "schedule": schedule}
    begin, found = 0, saved.load(state, origin)
    if found is not None:
        for name, part in parts.items():
            part.load_state_dict(found[name])
        begin = int(found["step"])
    for step in Bar(
        range(begin, recipe.steps), initial=begin, total=recipe.steps, desc="tune", unit="step"
    ):
        rng = np.random.default_rng([recipe.seed, step])
        loss = _loss(student, teacher, _windows(data, recipe, step, rng, pooling))
        diverged = f"tuning diverged at step {step}"
        parameters = student.parameters()
        advance(loss, parameters, optimizer, schedule, recipe.clip, diverged, "try fewer STEPS")
        if (step + 1) % recipe.save_every == 0:
            saved.save(
                state, origin, {"step": step + 1} | {k: v.state_dict() for k, v in parts.items()}
            )


def _windows(
    data: Sequence[Labelled], recipe: Recipe, step: int, rng: np.random.Generator, pooling: int
) -> Windows:
    long = step % recipe.long_every == recipe.long_every - 1
    seconds, batch = (
        (recipe.long_s, recipe.long_batch) if long else (recipe.short_s, recipe.short_batch)
    )
    return draw(data, whole_frames(seconds, pooling), batch, recipe.gain, rng)


def _loss(student: HybridNetwork, teacher: HybridNetwork, windows: Windows) -> Tensor:
    """CTC, and the divergence from the teacher's probabilities of each frame."""
    x = torch.from_numpy(windows.frames)
    found = student.model[2:](x)
    with torch.no_grad():
        expected = teacher.model[2:](x)
    lengths = torch.full((found.shape[1],), found.shape[0], dtype=torch.int64)
    targets, counts = torch.from_numpy(windows.targets), torch.from_numpy(windows.lengths)
    labels = nn.functional.ctc_loss(
        found, targets, lengths, counts, blank=charset.BLANK, zero_infinity=True
    )
    apart = nn.functional.kl_div(
        found.flatten(0, 1), expected.flatten(0, 1), reduction="batchmean", log_target=True
    )
    return 0.1 * labels + apart

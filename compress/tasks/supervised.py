"""Training a network of one's own on what is known of each sample, from a seed or a checkpoint, on
a CPU, resumable. What is learned, the objective of its task says.

Everything random in step i is drawn from (seed, i), so an interrupted training continues to the
same result as an uninterrupted one.
"""

from __future__ import annotations

import dataclasses
import logging
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from compress import tasks
from compress.errors import RecordingError
from compress.frontend import checkpoint
from compress.graph import Graph
from compress.reading.words import counted
from compress.report.figures import figure
from compress.report.progress import Bar
from compress.tasks import start
from compress.tasks import state as saved
from compress.tasks.crops import Cropper, forward, stream_frames
from compress.tasks.objectives import Objective
from compress.tasks.recorded import Recorded
from compress.tasks.steps import advance, schedule_of
from compress.tasks.task import Task
from compress.tasks.training import Trained, TrainingRequest

log = logging.getLogger(__name__)

VALIDATED_S = 120.0  # of each session that validates, in one stream
_TRIES = 20  # batches that may have no label at any frame, one after the other


@dataclass(frozen=True)
class Recipe:
    """All that the result depends on, besides the network and the recordings. `batch`: crops of
    `seconds`, or `windows` of a network over windows."""

    steps: int = 300
    seed: int = 1
    rate: float = 2e-3
    decay: float = 1e-2
    warmup: int = 20
    seconds: float = 3.0
    batch: int = 8
    windows: int = 64
    gain: float = 0.05
    clip: float = 1.0
    save_every: int = 50
    score_every: int = 100


def recipe_for(request: TrainingRequest, base: Recipe) -> Recipe:
    """The recipe with what the user set in place of its values. Weights that are already good move
    at a fifth of the rate: at the full one they would first be lost and then learned again."""
    steps = base.steps if request.steps is None else request.steps
    rate = base.rate if request.checkpoint is None else base.rate / 5
    return dataclasses.replace(base, steps=steps, seed=request.seed, rate=rate)


def train(
    request: TrainingRequest,
    objective: Callable[[Graph, Sequence[Recorded]], Objective],
    recipe: Recipe | None = None,
    base: Recipe = Recipe(),
) -> Trained:
    """Train and write the checkpoint; the figures are validation_error in the task's unit, and the
    loss. The state beside it holds an interrupted training and is removed at the end."""
    recipe = recipe or recipe_for(request, base)
    torch.set_num_threads(request.threads)
    torch.manual_seed(recipe.seed)
    network, hyper_parameters = start.network(request)
    graph = start.lowered(network, hyper_parameters)
    task = tasks.of(graph)
    origin = saved.origin(request, hyper_parameters, recipe)
    data = _parts(task, graph, request.train)
    validation = _parts(task, graph, request.validation, VALIDATED_S)
    _check_known(objective(graph, validation), validation)
    learned = objective(graph, data)
    if learned.remark():
        log.info(learned.remark())
    run = Run(network, recipe, request.state, origin, _loss(network, learned, recipe))
    loss = run.fit(lambda: _error(task, graph, network, validation))
    error = _error(task, graph, network, validation)
    checkpoint.save(request.out, network.eval(), hyper_parameters)
    request.state.unlink(missing_ok=True)
    count = "one session" if len(validation) == 1 else f"{len(validation)} sessions"
    said = f"validation {task.metric} {figure(error, task.unit)}"
    return Trained(
        {"steps": recipe.steps, "validation_error": error, "loss": loss},
        f"{counted(recipe.steps, 'step')}, {said} ({count})",
        dataclasses.asdict(recipe),
    )


def _parts(
    task: Task, graph: Graph, paths: Sequence[Path], seconds: float | None = None
) -> list[Recorded]:
    """All stretches of recordings, the first seconds of each recording; no crop spans a gap."""
    bar = Bar(paths, desc="read recordings", unit="session")
    return [part.in_memory() for path in bar for part in task.parts(graph, path, seconds)]


def _check_known(objective: Objective, validation: Sequence[Recorded]) -> None:
    if not any(objective.known(session).any() for session in range(len(validation))):
        names = ", ".join(recorded.path.name for recorded in validation)
        raise RecordingError(
            f"validation: expected samples of which something is known, found none in {names}"
        )


def _error(task: Task, graph: Graph, network: nn.Module, validation: Sequence[Recorded]) -> float:
    """The task's error over whole sessions, each in one stream; not a number where no frame has a
    label."""
    frames = [stream_frames(graph, network, recorded) for recorded in validation]
    found = task.error(graph, frames, validation)
    return math.nan if found is None else found


class Run:
    """A training in progress: network, optimizer and the next step, continued from the state at
    `path` if there is one. `loss` of a step, from its random numbers."""

    def __init__(
        self,
        network: nn.Module,
        recipe: Recipe,
        path: Path,
        origin: saved.Origin,
        loss: Callable[[np.random.Generator], Tensor],
    ) -> None:
        self.network, self.recipe, self.loss = network, recipe, loss
        self.path, self.origin, self.step = path, origin, 0
        self.optimizer = torch.optim.AdamW(_groups(network, recipe.decay), lr=recipe.rate)
        self.schedule = schedule_of(self.optimizer, recipe.steps, recipe.warmup)
        self._parts: dict[str, Any] = {
            "model": network,
            "optimizer": self.optimizer,
            "schedule": self.schedule,
        }
        found = saved.load(path, origin)
        if found is not None:
            for name, part in self._parts.items():
                part.load_state_dict(found[name])
            self.step = int(found["step"])

    def fit(self, error: Callable[[], float] = lambda: math.nan) -> float:
        """Run the remaining steps, saying the error from time to time; the last smoothed loss."""
        r, loss, now = self.recipe, math.nan, math.nan
        steps = range(self.step, r.steps)
        bar = Bar(steps, initial=self.step, total=r.steps, desc="train", unit="step")
        for _ in bar:
            found = self._advance()
            loss = found if math.isnan(loss) else 0.95 * loss + 0.05 * found
            if self.step % r.score_every == 0:
                now = error()
            if self.step % r.save_every == 0:
                content = {name: part.state_dict() for name, part in self._parts.items()}
                saved.save(self.path, self.origin, {"step": self.step} | content)
            known = {} if math.isnan(now) else {"validation": f"{now:.3g}"}
            bar.set_postfix(loss=f"{loss:.3f}", **known)
        return loss

    def _advance(self) -> float:
        rng = np.random.default_rng([self.recipe.seed, self.step])
        torch.manual_seed(int(rng.integers(2**62)))
        found = advance(
            self.loss(rng),
            self.network.parameters(),
            self.optimizer,
            self.schedule,
            self.recipe.clip,
            f"training diverged at step {self.step}",
            "scale the recordings, or the network's input, to about 1",
        )
        self.step += 1
        return found


def _loss(
    network: nn.Module, objective: Objective, recipe: Recipe
) -> Callable[[np.random.Generator], Tensor]:
    """What a step takes: the loss of a batch with something known at a frame."""
    known = [objective.known(session) for session in range(len(objective.sessions))]
    cropper = Cropper(objective.graph, objective.sessions, known, recipe.seconds)
    over_windows = bool(cropper.window)
    batch = recipe.windows if over_windows else recipe.batch

    def loss(rng: np.random.Generator) -> Tensor:
        network.train()
        for _ in range(_TRIES):
            x, crops = cropper.draw(batch, recipe.gain, rng)
            outputs = forward(network, x, over_windows)
            found = objective.loss(outputs, cropper.placed(crops, outputs.shape[1]))
            if found is not None:
                return found
        raise RecordingError(
            f"training: no frame of {_TRIES} batches has a label of its own: expected labels that"
            " last longer than a frame"
        )

    return loss


def _groups(network: nn.Module, decay: float) -> list[dict[str, Any]]:
    """Matrices decay; biases, norms and other rows do not."""
    matrices = [p for p in network.parameters() if p.ndim > 1]
    rows = [p for p in network.parameters() if p.ndim <= 1]
    return [{"params": matrices, "weight_decay": decay}, {"params": rows, "weight_decay": 0.0}]

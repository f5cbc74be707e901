"""Training a published network on recordings, from a seed, on a CPU, resumable.

Windows of 4 s alternate with windows of 24 s: a network that never saw longer context than 4 s
falls silent after 4 s of a stream, because its slow states reach values they never had in training.
Everything random in step i is drawn from (seed, i), so an interrupted training continues to the
same result as an uninterrupted one.
"""

from __future__ import annotations

import dataclasses
import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from compress.errors import CheckpointError, RecordingError
from compress.frontend import checkpoint
from compress.frontend.families import HybridNetwork
from compress.frontend.families.hybrid.model import InputMeanPooling
from compress.reading.words import counted
from compress.report.progress import Bar
from compress.tasks import start
from compress.tasks import state as saved
from compress.tasks.steps import advance, schedule_of
from compress.tasks.training import Trained, TrainingRequest
from compress.tasks.typing import charset, own_training, scores
from compress.tasks.typing.session import SAMPLE_RATE
from compress.tasks.typing.training_set import Labelled, Windows, draw, load

log = logging.getLogger(__name__)

HELD_BACK = 1  # session of train that validates when nothing says which
_STATE_SPACE = ("log_dt", "log_A_real", "A_imag")


@dataclass(frozen=True)
class Recipe:
    """All that the result depends on, besides the network and the recordings."""

    steps: int = 4000
    seed: int = 1
    rate: float = 2.5e-3  # Adam, as published; the state spaces' poles and steps as below
    state_space_rate: float = 5e-4
    warmup: int = 200
    short_s: float = 4.0
    short_batch: int = 16
    long_s: float = 24.0
    long_batch: int = 3
    long_every: int = 3
    gain: float = 0.05
    clip: float = 1.0
    save_every: int = 100
    score_every: int = 500


RECIPES = {
    # Five times the work per second of signal of the others: smaller batches, and a lower rate to
    # go with them.
    "S4_large": Recipe(steps=3500, rate=1.5e-3, short_batch=8, long_s=16.0, long_batch=2),
}


def recipe_for(request: TrainingRequest) -> Recipe:
    """The recipe of a network, with what the user set in place of its values.

    Weights that are already good move at a fifth of the rate: at the full one they would first be
    lost and then learned again.
    """
    base = RECIPES.get(request.model, Recipe())
    if request.checkpoint is not None:
        base = dataclasses.replace(
            base, rate=base.rate / 5, state_space_rate=base.state_space_rate / 5
        )
    steps = base.steps if request.steps is None else request.steps
    return dataclasses.replace(base, steps=steps, seed=request.seed)


def train(request: TrainingRequest, recipe: Recipe | None = None) -> Trained:
    """Train and write the checkpoint; the figures are validation_cer in %, and the loss.

    The state beside it holds an interrupted training and is removed at the end. A network of the
    user's own is trained as `own_training` has it.
    """
    if request.network is not None:
        return own_training.train(request)
    recipe = recipe or recipe_for(request)
    torch.set_num_threads(request.threads)
    torch.manual_seed(recipe.seed)
    network, hyper_parameters = start.network(request)
    if not isinstance(network, HybridNetwork):
        raise CheckpointError(f"model: expected a typing network, found {request.model!r}")
    origin = saved.origin(request, hyper_parameters, recipe)
    run = _Run(network, recipe, request.state, origin)
    data, validation = _read(request, run.pooling, recipe)
    loss, cer = run.fit(data, validation)
    checkpoint.save(request.out, run.model, hyper_parameters)
    run.state.unlink(missing_ok=True)
    count = "one session" if len(validation) == 1 else f"{len(validation)} sessions"
    return Trained(
        {"steps": recipe.steps, "validation_cer": cer, "loss": loss},
        f"{counted(recipe.steps, 'step')}, validation CER {cer:.2f} % ({count}, greedy)",
        dataclasses.asdict(recipe),
    )


def _read(
    request: TrainingRequest, pooling: int, recipe: Recipe
) -> tuple[list[Labelled], list[Labelled]]:
    """Sessions to train on and to validate with, in memory; what cannot be used is said before the
    first step."""
    data, validation = load(request.train, pooling), load(request.validation, pooling)
    if not any(len(session.labels) for session in validation):
        raise RecordingError(
            "validation: expected at least one typed character, found none in"
            f" {', '.join(path.name for path in request.validation)}"
        )
    for seconds in (recipe.short_s, recipe.long_s):
        _check_lengths(data, seconds, whole_frames(seconds, pooling))
    return data, validation


def _check_lengths(data: Sequence[Labelled], seconds: float, length: int) -> None:
    """Say which sessions windows of so many frames cannot be drawn from; refuse when it is all."""
    short = [session.name for session in data if len(session.frames) <= length]
    if len(short) == len(data):
        raise RecordingError(
            f"training needs a session longer than its windows of {seconds:g} s, found none among"
            f" {', '.join(short)}"
        )
    if short:
        names = ", ".join(short)
        log.info(f"too short for windows of {seconds:g} s, which are drawn from others: {names}")


class _Run:
    """A training in progress: network, optimizer and the next step."""

    def __init__(
        self, model: HybridNetwork, recipe: Recipe, state: Path, origin: saved.Origin
    ) -> None:
        self.model, self.recipe, self.state, self.origin, self.step = (
            model,
            recipe,
            state,
            origin,
            0,
        )
        self.pooling = cast(InputMeanPooling, model.model[1]).factor
        self.frames = model.model[
            2:
        ]  # everything after the mean pooling, which the training set has done
        groups: list[dict[str, Any]] = [
            {"params": [], "lr": recipe.rate},
            {"params": [], "lr": recipe.state_space_rate},
        ]
        for name, parameter in model.named_parameters():
            groups[name.rsplit(".", 1)[-1] in _STATE_SPACE]["params"].append(parameter)
        self.optimizer = torch.optim.Adam(groups)
        self.schedule = schedule_of(self.optimizer, recipe.steps, recipe.warmup)
        found = saved.load(state, origin)
        if found is not None:
            self.model.load_state_dict(found["model"])
            self.optimizer.load_state_dict(found["optimizer"])
            self.schedule.load_state_dict(found["schedule"])
            self.step = int(found["step"])

    def fit(self, data: Sequence[Labelled], validation: Sequence[Labelled]) -> tuple[float, float]:
        """Run the remaining steps; the last smoothed loss and the validation sessions' CER in %."""
        loss, cer = math.nan, math.nan
        bar = Bar(
            range(self.step, self.recipe.steps),
            initial=self.step,
            total=self.recipe.steps,
            desc="train",
            unit="step",
        )
        for _ in bar:
            now = self._advance(data)
            loss = now if math.isnan(loss) else 0.95 * loss + 0.05 * now
            if self.step % self.recipe.score_every == 0:
                cer = validation_cer(self.frames, validation)
            if self.step % self.recipe.save_every == 0:
                self._save()
            known = {} if math.isnan(cer) else {"validation_CER": f"{cer:.1f} %"}
            bar.set_postfix(loss=f"{loss:.3f}", **known)
        return loss, validation_cer(self.frames, validation)

    def _advance(self, data: Sequence[Labelled]) -> float:
        r = self.recipe
        rng = np.random.default_rng([r.seed, self.step])
        torch.manual_seed(int(rng.integers(2**62)))
        long = self.step % r.long_every == r.long_every - 1
        seconds, batch = (r.long_s, r.long_batch) if long else (r.short_s, r.short_batch)
        loss = ctc(
            self.frames.train(), draw(data, whole_frames(seconds, self.pooling), batch, r.gain, rng)
        )
        found = advance(
            loss,
            self.model.parameters(),
            self.optimizer,
            self.schedule,
            r.clip,
            f"training diverged at step {self.step}",
            "lower the rate",
        )
        self.step += 1
        return found

    def _save(self) -> None:
        parts: dict[str, Any] = {
            "model": self.model,
            "optimizer": self.optimizer,
            "schedule": self.schedule,
        }
        saved.save(
            self.state,
            self.origin,
            {"step": self.step} | {k: v.state_dict() for k, v in parts.items()},
        )


def ctc(frames: nn.Module, windows: Windows) -> Tensor:
    """Mean CTC loss of a batch of windows."""
    emissions = frames(torch.from_numpy(windows.frames))
    lengths = torch.full((emissions.shape[1],), emissions.shape[0], dtype=torch.int64)
    targets, counts = torch.from_numpy(windows.targets), torch.from_numpy(windows.lengths)
    return nn.functional.ctc_loss(
        emissions, targets, lengths, counts, blank=charset.BLANK, zero_infinity=True
    )


def stream_cer(frames: nn.Module, session: Labelled) -> float:
    """Greedy CER in % over the whole session in one stream."""
    return validation_cer(frames, [session])


@torch.no_grad()
def validation_cer(frames: nn.Module, sessions: Sequence[Labelled]) -> float:
    """Greedy CER in % over whole sessions, each in one stream, errors pooled."""
    frames.eval()
    texts = []
    for session in sessions:
        whole = torch.from_numpy(session.frames.astype(np.float32)).unsqueeze(1)
        texts.append(scores.greedy(frames(whole)[:, 0].numpy()))
    return scores.score_texts(texts, [charset.decode(s.labels) for s in sessions]).cer


def whole_frames(seconds: float, pooling: int) -> int:
    """Pooled frames in so many seconds, rounded down to whole frames of the temporal convolution
    (24 pooled ones)."""
    return int(seconds * SAMPLE_RATE / pooling) // 24 * 24

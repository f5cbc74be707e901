"""Training a tracking network on pose recordings, from a seed, on a CPU, resumable, in two phases.

1. The featurizer, with a linear readout of the pose and its velocity in place of the decoder: all
its frames learn at once.
2. The decoder, which begins as a tracker of that readout (tracker_start.py), in closed loop on the
   features of phase 1, which no longer change: every lane of the batch is a stream that goes on
   where the step before left it, with its LSTM state and its own predicted pose, for 17 s on
   average and at times for a whole session. So the network meets in training the states it will be
   in after minutes. Half of the streams begin from a wrong pose: a tracker that only integrates
   would keep that error, so the decoder learns to correct what it is fed.

Everything random in step i is drawn from (seed, phase, i), so an interrupted training continues to
the same result.
"""

from __future__ import annotations

import dataclasses
import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from compress.data.recording_file import SAMPLE_RATE
from compress.errors import CheckpointError, RecordingError
from compress.frontend import checkpoint
from compress.frontend.families import PoseNetwork
from compress.frontend.families.emg2pose.decoders import SequentialLSTM
from compress.frontend.families.emg2pose.pose import JOINTS, StatePoseModule, between
from compress.report.progress import Bar
from compress.tasks import start
from compress.tasks import state as saved
from compress.tasks.pose import own_training
from compress.tasks.pose.closed_loop import (
    Score,
    features_of,
    mean_pose,
    step_samples,
    stream_score,
)
from compress.tasks.pose.tracker_start import begin_as_tracker
from compress.tasks.pose.training_set import Tracked, draw, load
from compress.tasks.steps import advance, schedule_of
from compress.tasks.training import Trained, TrainingRequest

log = logging.getLogger(__name__)

_TRIES = 10_000  # draws of a place where a stream begins, until its angles are known
HELD_BACK = 2  # sessions of train that validate when nothing says which
_VELOCITY_S = (
    0.1  # the readout's velocity is the change in so many seconds, about as large as the pose
)


@dataclass(frozen=True)
class Recipe:
    """All that the result depends on, besides the network and the recordings."""

    seed: int = 1
    feature_steps: int = 320
    feature_batch: int = 8
    feature_s: float = 3.0
    rollout_steps: int = 240
    lanes: int = 16
    rollout_s: float = 1.2
    renew: float = 0.07  # chance that a lane begins a new stream
    perturbed: float = 0.5  # share of new streams that begin from a wrong pose
    perturbation: float = 0.3  # rad, standard deviation of each of its joints
    rate: float = 1.5e-3
    rollout_rate: float = 4e-4
    warmup: int = 30
    gain: float = 0.05
    clip: float = 1.0
    save_every: int = 50
    score_every: int = 100


def recipe_for(request: TrainingRequest) -> Recipe:
    """The recipe, with what the user set in place of its values; `steps` are divided between the
    phases. A checkpoint's weights are already good: phase 2 alone."""
    base = Recipe() if request.checkpoint is None else Recipe(feature_steps=0)
    if request.steps is not None:
        share = base.feature_steps / (base.feature_steps + base.rollout_steps)
        first = round(request.steps * share)
        base = dataclasses.replace(base, feature_steps=first, rollout_steps=request.steps - first)
    return dataclasses.replace(base, seed=request.seed)


def train(request: TrainingRequest, recipe: Recipe | None = None) -> Trained:
    """Train and write the checkpoint in half precision; the figures are those of `Score`, of the
    validation sessions. A network of the user's own is trained as `own_training` has it.

    The state beside it holds an interrupted training and is removed at the end.
    """
    if request.network is not None:
        return own_training.train(request)
    recipe = recipe or recipe_for(request)
    torch.set_num_threads(request.threads)
    torch.manual_seed(recipe.seed)
    network, hyper_parameters = start.network(request)
    if not isinstance(network, PoseNetwork) or not isinstance(network.model, StatePoseModule):
        raise CheckpointError(
            f"model: expected a tracking network (tracking_vemg2pose), found {request.model!r}, not"
            " trained here"
        )
    run = TrackingRun(
        network, recipe, request.state, saved.origin(request, hyper_parameters, recipe)
    )
    least = network.model.left_context + 2 * network.model.network.stride
    data, validation = load(request.train, least), load(request.validation, least)
    for line in run.too_short(data):
        log.info(line)
    score = run.fit(data, validation)
    checkpoint.save(request.out, network, hyper_parameters, torch.float16)
    run.state.unlink(missing_ok=True)
    return Trained(
        dataclasses.asdict(score), _text(recipe, request, score), dataclasses.asdict(recipe)
    )


def _text(recipe: Recipe, request: TrainingRequest, score: Score) -> str:
    return (
        f"{recipe.feature_steps} + {recipe.rollout_steps} steps; {len(request.validation)}"
        f" validation sessions in closed loop: MAE {score.mae:.2f}°, initial pose held"
        f" {score.hold_initial:.2f}°, mean pose {score.mean_pose:.2f}°"
    )


class TrackingRun:
    """A training in progress: network, readout, optimizers, and the next step of both phases
    together."""

    def __init__(
        self, network: PoseNetwork, recipe: Recipe, state: Path, origin: saved.Origin
    ) -> None:
        assert isinstance(network.model, StatePoseModule)
        self.network, self.model, self.recipe, self.state, self.origin = (
            network,
            network.model,
            recipe,
            state,
            origin,
        )
        self.readout = nn.Linear(self.model.network.out_channels, 2 * JOINTS)
        self.features = _Phase(
            [self.model.network, self.readout], recipe.feature_steps, recipe.rate, recipe
        )
        self.rollout = _Phase(
            [self.model.decoder], recipe.rollout_steps, recipe.rollout_rate, recipe
        )
        self.lanes: dict[str, Any] = {}
        found = saved.load(state, origin)
        if found is not None:
            self.network.load_state_dict(found["model"])
            self.readout.load_state_dict(found["readout"])
            self.features.load(found["features"])
            self.rollout.load(found["rollout"])
            self.lanes = found["lanes"]

    def fit(self, data: Sequence[Tracked], validation: Sequence[Tracked]) -> Score:
        """Run the remaining steps of both phases; the score of the validation sessions."""
        mean = mean_pose(data)
        with torch.no_grad():
            if self.features.step == 0:
                self.readout.bias[:JOINTS] = torch.from_numpy(mean)
        self.steps_of(
            "features",
            self.features,
            lambda: self._feature_loss(data),
            lambda: self._read(validation),
        )
        frames = [features_of(self.model, session) for session in data]
        torch.set_num_threads(1)  # a step's matrices are too small to share
        if (
            self.features.steps
            and self.rollout.step == 0
            and isinstance(self.model.decoder, SequentialLSTM)
        ):
            begin_as_tracker(
                self.model.decoder, self.readout.weight[:JOINTS], self.readout.bias[:JOINTS]
            )

        def loss() -> Tensor:
            return self.rollout_loss(data, frames)

        self.steps_of(
            "rollout", self.rollout, loss, lambda: stream_score(self.model, validation, mean).mae
        )
        return stream_score(self.model, validation, mean)

    def too_short(self, data: Sequence[Tracked]) -> list[str]:
        """Of these sessions, those that a phase cannot draw from, in words."""
        r, left, stride = self.recipe, self.model.left_context, self.model.network.stride
        needs = [
            (
                "windows",
                self.features.steps,
                r.feature_s,
                round(r.feature_s * SAMPLE_RATE / stride),
            ),
            (
                "streams",
                self.rollout.steps,
                r.rollout_s,
                1 + round(r.rollout_s * SAMPLE_RATE / stride),
            ),
        ]
        lines = []
        for what, steps, seconds, frames in needs:
            samples = left + (frames - 1) * stride + 1
            short = [d.name for d in data if len(d.emg) < samples]
            if steps and short:
                lines.append(
                    f"too short for {what} of {seconds:g} s, which are drawn from others:"
                    f" {', '.join(short)}"
                )
        return lines

    def steps_of(self, name: str, phase: _Phase, loss: Any, score: Any) -> None:
        smooth, mae = math.nan, math.nan
        bar = Bar(
            range(phase.step, phase.steps),
            initial=phase.step,
            total=phase.steps,
            desc=name,
            unit="step",
            mininterval=5,
        )
        for _ in bar:
            self.network.train()
            now = phase.advance(loss())
            smooth = now if math.isnan(smooth) else 0.95 * smooth + 0.05 * now
            if phase.step % self.recipe.score_every == 0:
                mae = score()
                log.info(
                    f"{name} {phase.step}: loss {smooth:.4f}, validation MAE {mae:.2f} degrees"
                )
            if phase.step % self.recipe.save_every == 0 or phase.step == phase.steps:
                self._save()
            known = {} if math.isnan(mae) else {"validation_MAE": f"{mae:.2f}°"}
            bar.set_postfix(loss=f"{smooth:.4f}", refresh=False, **known)

    def _feature_loss(self, data: Sequence[Tracked]) -> Tensor:
        """L1 of pose and velocity read from each frame of a batch of windows."""
        r, network = self.recipe, self.model.network
        rng = np.random.default_rng([r.seed, 0, self.features.step])
        torch.manual_seed(int(rng.integers(2**62)))
        stride = network.stride
        frames = round(r.feature_s * SAMPLE_RATE / stride)
        windows = draw(data, frames, stride, self.model.left_context, r.feature_batch, r.gain, rng)
        read = self.readout(network(torch.from_numpy(windows.emg)).swapaxes(1, 2))
        angles, known = torch.from_numpy(windows.angles), torch.from_numpy(windows.known)
        velocity = angles.diff(dim=1) * (_VELOCITY_S * SAMPLE_RATE / stride)
        both = known[:, 1:] & known[:, :-1]
        return _l1(read[..., :JOINTS], angles, known) + _l1(read[:, 1:, JOINTS:], velocity, both)

    @torch.no_grad()
    def _read(self, sessions: Sequence[Tracked]) -> float:
        """MAE in degrees of the readout over whole sessions."""
        errors = []
        for session in sessions:
            read = self.readout(features_of(self.model, session))[:, :JOINTS].numpy()
            places = self.model.left_context + self.model.network.stride * np.arange(len(read))
            angles, known = session.at(places)
            errors.append(np.abs(read - angles)[known].mean())
        return float(np.degrees(np.mean(errors)))

    def rollout_loss(self, data: Sequence[Tracked], frames: Sequence[Tensor]) -> Tensor:
        """L1 of the poses of the next `rollout_s` seconds of every lane, in closed loop."""
        r, model = self.recipe, self.model
        rng = np.random.default_rng([r.seed, 1, self.rollout.step])
        length = round(r.rollout_s * SAMPLE_RATE / model.network.stride)
        lanes = self._renewed(data, frames, length, rng)
        sessions, starts = lanes["session"], lanes["frame"]
        x = torch.stack(
            [frames[s][k : k + length + 1].t() for s, k in zip(sessions, starts, strict=True)]
        )
        first = [k * model.steps_per_frame for k in starts]
        count = length * model.steps_per_frame
        labels = [
            data[s].at(step_samples(model, np.arange(k, k + count)))
            for s, k in zip(sessions, first, strict=True)
        ]
        angles, known = (torch.from_numpy(np.stack(parts)) for parts in zip(*labels, strict=True))
        poses, state = model.rollout(
            between(x, model.steps_per_frame), lanes["pose"], lanes["state"], training=True
        )
        self.lanes = {
            "session": sessions,
            "frame": [k + length for k in starts],
            "pose": poses[..., -1].detach(),
            "state": tuple((h.detach(), c.detach()) for h, c in state),
        }
        return _l1(poses.swapaxes(1, 2), angles, known)

    def _renewed(
        self,
        data: Sequence[Tracked],
        frames: Sequence[Tensor],
        length: int,
        rng: np.random.Generator,
    ) -> dict[str, Any]:
        """The lanes, those at the end of their session and some others begun anew somewhere."""
        r, model = self.recipe, self.model
        lanes = self.lanes or {
            "session": [-1] * r.lanes,
            "frame": [0] * r.lanes,
            "pose": torch.zeros(r.lanes, JOINTS),
            "state": model.decoder.start(r.lanes),
        }
        if max(map(len, frames)) <= length:
            raise RecordingError(
                f"training needs a session of more than {length} frames, found at most"
                f" {max(map(len, frames))}"
            )
        sizes = np.array([max(len(f) - length, 0) for f in frames], dtype=np.float64)
        for i in range(r.lanes):
            session, frame = lanes["session"][i], lanes["frame"][i]
            new, wrong, offset = rng.random(), rng.random(), rng.standard_normal(JOINTS)
            if session >= 0 and new >= r.renew and frame + length < len(frames[session]):
                continue
            for _ in range(_TRIES):
                session = int(rng.choice(len(frames), p=sizes / sizes.sum()))
                frame = int(rng.integers(len(frames[session]) - length))
                pose, known = data[session].at(
                    np.array([model.left_context + frame * model.network.stride])
                )
                if known[0]:
                    break
            else:
                raise RecordingError(
                    f"training needs known angles where a stream can begin, found none in {_TRIES}"
                    " tries"
                )
            lanes["session"][i], lanes["frame"][i] = session, frame
            lanes["pose"][i] = torch.from_numpy(
                pose[0] + (wrong < r.perturbed) * r.perturbation * offset
            )
            for part in (part for layer in lanes["state"] for part in layer):
                part[i] = 0.0
        return lanes

    def _save(self) -> None:
        parts: dict[str, Any] = {
            "model": self.network,
            "readout": self.readout,
            "features": self.features,
            "rollout": self.rollout,
        }
        content = {k: v.state_dict() for k, v in parts.items()}
        saved.save(self.state, self.origin, content | {"lanes": self.lanes})


class _Phase:
    """One optimizer with its schedule, and the next step."""

    def __init__(
        self, modules: Sequence[nn.Module], steps: int, rate: float, recipe: Recipe
    ) -> None:
        self.steps, self.step, self.clip = steps, 0, recipe.clip
        self.parameters = [p for module in modules for p in module.parameters()]
        self.optimizer = torch.optim.Adam(self.parameters, lr=rate)
        self.schedule = schedule_of(self.optimizer, steps, recipe.warmup)

    def advance(self, loss: Tensor) -> float:
        """One step of Adam; TendonError when the loss is no longer a number."""
        found = advance(
            loss,
            self.parameters,
            self.optimizer,
            self.schedule,
            self.clip,
            f"training diverged at step {self.step}",
            "lower the rate",
        )
        self.step += 1
        return found

    def state_dict(self) -> dict[str, Any]:
        return {
            "step": self.step,
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state_dict(),
        }

    def load(self, found: dict[str, Any]) -> None:
        self.optimizer.load_state_dict(found["optimizer"])
        self.schedule.load_state_dict(found["schedule"])
        self.step = int(found["step"])


def _l1(found: Tensor, expected: Tensor, known: Tensor) -> Tensor:
    """Mean absolute error over what is known; 0 when nothing is."""
    errors = (found - expected).abs().mean(-1)
    return (errors * known).sum() / known.sum().clamp(min=1)

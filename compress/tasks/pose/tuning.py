"""Fine-tuning a compressed tracking network, the whole one as its teacher, in two phases as its
training had them.

1. The featurizer: its features are to be the teacher's, on windows of the training sessions.
2. The decoder in closed loop, on the student's own features: its poses are to be the mean of the
   true ones and the teacher's. The truth alone would ask more of few steps than they can give; the
   teacher alone would teach its errors.

Everything random in a step is drawn from (seed, phase, step), and an interrupted tuning goes on
where it was saved.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from compress.compression.rounded import four_bits
from compress.data.recording_file import SAMPLE_RATE
from compress.frontend.families import PoseNetwork
from compress.frontend.families.emg2pose.pose import StatePoseModule
from compress.graph import Graph
from compress.tasks import state as saved
from compress.tasks.pose import training_set as pose_set
from compress.tasks.pose.closed_loop import features_of, step_samples, stream_poses
from compress.tasks.pose.training import Recipe, TrackingRun
from compress.tasks.pose.training_set import Tracked

BY_DEFAULT = True  # whenever something of the network was changed
RECIPE = Recipe(
    feature_steps=100, rollout_steps=220, rate=6e-4, warmup=10, save_every=50, score_every=1000
)


def recipe(steps: int | None, seed: int) -> Recipe:
    """The recipe with so many steps in all, divided between the phases as usual."""
    if steps is None:
        return dataclasses.replace(RECIPE, seed=seed)
    first = round(steps * RECIPE.feature_steps / (RECIPE.feature_steps + RECIPE.rollout_steps))
    return dataclasses.replace(RECIPE, feature_steps=first, rollout_steps=steps - first, seed=seed)


def possible(model: object) -> bool:
    """Whether this network is tuned here: those that track."""
    return isinstance(model, PoseNetwork) and isinstance(model.model, StatePoseModule)


def tune(
    student: PoseNetwork,
    teacher: PoseNetwork,
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
    torch.manual_seed(recipe.seed)
    assert isinstance(teacher.model, StatePoseModule) and isinstance(student.model, StatePoseModule)
    least = teacher.model.left_context + 2 * teacher.model.network.stride
    data = pose_set.load(sessions, least)
    with four_bits(student, bits):
        _Distillation(student, teacher.model, recipe, state, saved.Origin(origin)).distil(data)
    state.unlink(missing_ok=True)
    return recipe.feature_steps + recipe.rollout_steps


class _Distillation(TrackingRun):
    """A training whose targets are a teacher's."""

    def __init__(
        self,
        network: PoseNetwork,
        teacher: StatePoseModule,
        recipe: Recipe,
        state: Path,
        origin: saved.Origin,
    ) -> None:
        super().__init__(network, recipe, state, origin)
        self.teacher = teacher

    def distil(self, data: Sequence[Tracked]) -> None:
        """Run the remaining steps of both phases."""

        def nothing() -> float:
            return float("nan")

        taught = [features_of(self.teacher, session) for session in data]
        spread = torch.cat(taught).var(0).clamp(min=1e-6)
        self.steps_of(
            "tune features",
            self.features,
            lambda: self._features_apart(data, taught, spread),
            nothing,
        )
        frames = [features_of(self.model, session) for session in data]
        taught_poses = stream_poses(self.teacher, data)
        targets = [
            _halfway(self.teacher, session, poses)
            for session, poses in zip(data, taught_poses, strict=True)
        ]
        torch.set_num_threads(1)  # a step's matrices are too small to share
        self.steps_of(
            "tune decoder", self.rollout, lambda: self.rollout_loss(targets, frames), nothing
        )

    def _features_apart(
        self, data: Sequence[Tracked], taught: Sequence[Tensor], spread: Tensor
    ) -> Tensor:
        """Mean squared difference of student's and teacher's features over windows, as a share of
        their variance."""
        r, network = self.recipe, self.model.network
        rng = np.random.default_rng([r.seed, 0, self.features.step])
        stride, left = network.stride, self.model.left_context
        count = min(round(r.feature_s * SAMPLE_RATE / stride), min(map(len, taught)))
        windows, expected = [], []
        for _ in range(r.feature_batch):
            session = int(rng.integers(len(data)))
            first = int(rng.integers(len(taught[session]) - count + 1))
            begin = first * stride
            windows.append(data[session].emg[begin : begin + left + (count - 1) * stride + 1].T)
            expected.append(taught[session][first : first + count])
        found = network(torch.from_numpy(np.stack(windows))).swapaxes(1, 2)
        return ((found - torch.stack(expected)).square() / spread).mean()


def _halfway(teacher: StatePoseModule, session: Tracked, poses: np.ndarray) -> Tracked:
    """The session with angles halfway between the true ones and the teacher's poses (steps, 20) of
    its whole stream."""
    steps = step_samples(teacher, np.arange(len(poses)))
    samples = np.arange(len(session.angles))
    between = np.stack(
        [np.interp(samples, steps, poses[:, joint]) for joint in range(poses.shape[1])], axis=1
    )
    return dataclasses.replace(session, angles=((session.angles + between) / 2).astype(np.float32))

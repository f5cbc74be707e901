"""A tracking network over whole sessions, each in one closed loop: its features, its poses, and
their error.

Training validates with it, compression takes its teacher's poses from it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from compress.data.recording_file import SAMPLE_RATE
from compress.errors import RecordingError
from compress.frontend.families.emg2pose.pose import JOINTS, StatePoseModule, between
from compress.tasks.pose.training_set import Tracked


@dataclass(frozen=True)
class Score:
    """Mean absolute angle errors in degrees over whole sessions: the network's, and those of the
    two trivial predictors."""

    mae: float
    hold_initial: float
    mean_pose: float

    @property
    def relative(self) -> float:
        """Against the better trivial predictor."""
        return self.mae / min(self.hold_initial, self.mean_pose)


def step_samples(model: StatePoseModule, steps: np.ndarray) -> np.ndarray:
    """The sample in the middle of each rollout step: where the published alignment to 2 kHz puts
    it."""
    hop = SAMPLE_RATE // model.rollout_freq
    return model.left_context + steps * hop + hop // 2


def mean_pose(sessions: Sequence[Tracked]) -> np.ndarray:
    """Mean angles (20,) rad over all that is known."""
    return (
        np.concatenate([s.angles[s.known] for s in sessions])
        .mean(0, dtype=np.float64)
        .astype(np.float32)
    )


@torch.no_grad()
def features_of(model: StatePoseModule, session: Tracked, block_s: float = 20.0) -> Tensor:
    """Features (frames, C) of a whole session, block by block with the left context before each."""
    network, left = model.network.eval(), model.left_context
    stride = network.stride
    block = round(block_s * SAMPLE_RATE / stride) * stride
    emg = torch.from_numpy(np.ascontiguousarray(session.emg.T))[None]
    starts = range(0, max(emg.shape[-1] - left, 0), block)
    parts = [
        network(emg[..., start : start + left + block - stride + 1])[0].t() for start in starts
    ]
    if not parts:
        raise RecordingError(
            f"expected more than the left context of {left} samples, found a session of"
            f" {emg.shape[-1]}"
        )
    return torch.cat(parts)


@torch.no_grad()
def stream_poses(model: StatePoseModule, sessions: Sequence[Tracked]) -> list[np.ndarray]:
    """Poses (steps, 20) rad of whole sessions, each in one stream, from the true pose at its
    beginning."""
    features = [features_of(model, session) for session in sessions]
    steps = [(len(f) - 1) * model.steps_per_frame for f in features]
    together = between(
        nn.utils.rnn.pad_sequence(features, batch_first=True).swapaxes(1, 2), model.steps_per_frame
    )
    initial = torch.from_numpy(
        np.stack([session.angles[model.left_context] for session in sessions])
    )
    poses = model.eval().rollout(together, initial)[0].swapaxes(1, 2).numpy()
    return [p[:n] for p, n in zip(poses, steps, strict=True)]


def stream_score(model: StatePoseModule, sessions: Sequence[Tracked], mean: np.ndarray) -> Score:
    """Each whole session in one closed loop; every known step counts the same."""
    return score(model, sessions, stream_poses(model, sessions), mean)


def score(
    model: StatePoseModule,
    sessions: Sequence[Tracked],
    found: Sequence[np.ndarray],
    mean: np.ndarray,
) -> Score:
    """Of poses that `stream_poses` found, beside the first pose held and the mean pose."""
    sums, count = np.zeros(3), 0
    for session, poses in zip(sessions, found, strict=True):
        angles, known = session.at(step_samples(model, np.arange(len(poses))))
        predictors = (poses, session.angles[model.left_context][None], mean[None])
        sums += [float(np.abs(p - angles)[known].sum(dtype=np.float64)) for p in predictors]
        count += int(known.sum()) * JOINTS
    return Score(*(float(error) for error in np.degrees(sums / count)))

"""Training pose networks of the user's own: the absolute error of the joint angles, where inverse
kinematics found them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from compress.graph import Array
from compress.tasks import supervised
from compress.tasks.crops import Crop
from compress.tasks.training import Trained, TrainingRequest


class Angular(supervised.Objective):
    """Outputs are angles in rad, of every joint alike."""

    def known(self, session: int) -> Array:
        return np.asarray(self.sessions[session].target.valid)

    def loss(self, outputs: Tensor, crops: Sequence[Crop]) -> Tensor | None:
        angles, valid = (np.stack(part) for part in zip(*map(self._target, crops), strict=True))
        if not valid.any():
            return None
        errors = (outputs - torch.from_numpy(angles)).abs().mean(-1)
        return errors[torch.from_numpy(valid)].mean()

    def _target(self, crop: Crop) -> tuple[Array, Array]:
        """Angles float32 (frames, 20) in rad, and the frames (frames,) for which they are known."""
        target, at = self.sessions[crop.session].target, np.maximum(crop.at, 0)
        return target.angles[at].astype(np.float32), (crop.at >= 0) & target.valid[at]


def train(request: TrainingRequest) -> Trained:
    """Train and write the checkpoint; the figures are validation_error, the angle MAE in °, and the
    loss."""
    return supervised.train(request, Angular)

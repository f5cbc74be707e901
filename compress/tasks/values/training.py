"""Training networks of values: the absolute error of what is known, each output by its own
spread."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from compress.graph import Array, Graph
from compress.tasks import supervised
from compress.tasks.crops import Crop
from compress.tasks.task import Recorded
from compress.tasks.training import Trained, TrainingRequest

_LARGE = 30.0  # a target that a last layer of usual weights does not reach in some hundred steps
HELD_BACK = 1  # session of train that validates when nothing says which


class Regression(supervised.Objective):
    """Outputs of a large spread do not outweigh others."""

    def __init__(self, graph: Graph, sessions: Sequence[Recorded]) -> None:
        super().__init__(graph, sessions)
        known = [s.target for s in sessions if s.target is not None]
        rows = np.concatenate(known) if known else np.zeros((0, graph.output.features))
        spread = [float(np.std(v[~np.isnan(v)])) if (~np.isnan(v)).any() else 0.0 for v in rows.T]
        self._spread = torch.tensor([value or 1.0 for value in spread])
        largest = float(np.nanmax(np.abs(rows), initial=0.0))
        if largest > _LARGE:
            print(
                f"targets reach {largest:.4g}: a network learns values of about 1 in far fewer"
                " steps; scale them, or let its last layer do it"
            )

    def known(self, session: int) -> Array:
        target = self.sessions[session].target
        return np.zeros(0, bool) if target is None else ~np.isnan(target).all(1)

    def loss(self, outputs: Tensor, crops: Sequence[Crop]) -> Tensor | None:
        targets = torch.from_numpy(np.stack([self._target(crop) for crop in crops]))
        there = ~targets.isnan()
        if not there.any():
            return None
        return ((outputs - targets).abs() / self._spread)[there].mean()

    def _target(self, crop: Crop) -> Array:
        """float32 (frames, outputs), NaN where nothing is known."""
        target = self.sessions[crop.session].target
        rows = target[np.maximum(crop.at, 0)].astype(np.float32)
        return np.where(crop.at[:, None] >= 0, rows, np.float32(np.nan))


def train(request: TrainingRequest, recipe: supervised.Recipe | None = None) -> Trained:
    """Train and write the checkpoint; the figures are validation_error, the mean absolute error in
    the unit of the targets, and the loss."""
    return supervised.train(request, Regression, recipe)

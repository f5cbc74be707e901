"""Training networks of one's own on joint angles: the absolute error of the angles that are
known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from compress.graph import Graph
from compress.tasks import supervised
from compress.tasks.objectives import Regression
from compress.tasks.recorded import Recorded
from compress.tasks.training import Trained, TrainingRequest

RECIPE = supervised.Recipe(steps=600)


def train(request: TrainingRequest, recipe: supervised.Recipe | None = None) -> Trained:
    """Train and write the checkpoint; the figures are validation_error, the mean absolute error of
    the angles in degrees, and the loss."""
    return supervised.train(request, _angles, recipe, RECIPE)


def _angles(graph: Graph, sessions: Sequence[Recorded]) -> Regression:
    """In rad; NaN in the samples of which inverse kinematics did not find them."""
    known = [
        np.where(s.target.valid[:, None], np.asarray(s.target.angles), np.nan) for s in sessions
    ]
    return Regression(graph, [replace(s, target=k) for s, k in zip(sessions, known, strict=True)])

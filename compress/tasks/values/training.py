"""Training networks of values: the absolute error of what is known, each output by its own
spread."""

from __future__ import annotations

from compress.tasks import supervised
from compress.tasks.objectives import Regression
from compress.tasks.training import Trained, TrainingRequest

HELD_BACK = 1  # session of train that validates when nothing says which


def train(request: TrainingRequest, recipe: supervised.Recipe | None = None) -> Trained:
    """Train and write the checkpoint; the figures are validation_error, the mean absolute error in
    the unit of the targets, and the loss."""
    return supervised.train(request, Regression, recipe)

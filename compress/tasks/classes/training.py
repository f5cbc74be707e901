"""Training networks of classes: cross-entropy over the frames that have a label, each class with
the same weight, as the balanced error has it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from compress.graph import Array, Graph
from compress.tasks import supervised
from compress.tasks.crops import Crop
from compress.tasks.objectives import Objective
from compress.tasks.recorded import Recorded
from compress.tasks.training import Trained, TrainingRequest

HELD_BACK = 1  # session of train that validates when nothing says which
_LEAST = 1e-7  # a probability, of which the logarithm is taken


class Classification(Objective):
    """Scores may be logits, logarithms of probabilities, or probabilities."""

    def __init__(self, graph: Graph, sessions: Sequence[Recorded]) -> None:
        super().__init__(graph, sessions)
        labels = [s.target[s.target >= 0] for s in sessions if s.target is not None]
        counts = np.zeros(graph.output.features)
        for label in labels:
            counts += np.bincount(label, minlength=len(counts))
        there = counts > 0
        weights = np.where(there, counts.sum() / np.maximum(counts, 1) / max(there.sum(), 1), 0.0)
        self._weights = torch.from_numpy(weights.astype(np.float32))

    def known(self, session: int) -> Array:
        target = self.sessions[session].target
        return np.zeros(0, bool) if target is None else np.asarray(target >= 0)

    def loss(self, outputs: Tensor, crops: Sequence[Crop]) -> Tensor | None:
        labels = torch.from_numpy(np.stack([self._label(crop) for crop in crops]))
        if not (labels >= 0).any():
            return None
        return nn.functional.cross_entropy(
            logarithms(outputs).flatten(0, 1), labels.flatten(), self._weights, ignore_index=-1
        )

    def _label(self, crop: Crop) -> Array:
        """(frames,): the class of each, or −1."""
        target = self.sessions[crop.session].target
        return np.where(crop.at >= 0, target[np.maximum(crop.at, 0)], -1)


def logarithms(outputs: Tensor) -> Tensor:
    """Scores (…, classes) as a softmax takes them: of probabilities the logarithms, others as they
    are."""
    return outputs.clamp_min(_LEAST).log() if _are_probabilities(outputs) else outputs


def _are_probabilities(outputs: Tensor) -> bool:
    """Whether every frame (…, classes) sums to 1 and has no negative value."""
    found = outputs.detach()
    return bool((found >= 0).all()) and bool(((found.sum(-1) - 1).abs() < 1e-4).all())


def train(request: TrainingRequest, recipe: supervised.Recipe | None = None) -> Trained:
    """Train and write the checkpoint; the figures are validation_error, the balanced error in %,
    and the loss."""
    return supervised.train(request, Classification, recipe)

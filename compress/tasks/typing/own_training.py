"""Training typing networks of the user's own: CTC of the keys that were pressed, as with the
published ones, over whatever frames the network gives."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from compress.errors import CheckpointError
from compress.graph import Array, Graph
from compress.tasks import supervised
from compress.tasks.crops import Crop
from compress.tasks.task import Recorded
from compress.tasks.training import Trained, TrainingRequest
from compress.tasks.typing import charset


class Connectionist(supervised.Objective):
    """Outputs may be logits, or logarithms of probabilities."""

    def __init__(self, graph: Graph, sessions: Sequence[Recorded]) -> None:
        super().__init__(graph, sessions)
        if graph.provenance.get("window"):
            raise CheckpointError(
                f"{graph.name}: expected a typing network that runs as a stream, found one over"
                " windows: text is read from frames that follow each other; leave WINDOW"
            )
        keys = [[(t, c) for t, c in session.target.keys if c] for session in sessions]
        self._pressed = [
            np.array([t for t, _ in k]) * s.rate for k, s in zip(keys, sessions, strict=True)
        ]
        self._labels = [charset.encode("".join(c for _, c in k)) for k in keys]

    def known(self, session: int) -> Array:
        """All samples, where anything was typed: silence between the keys is blank."""
        return np.full(len(self.sessions[session].samples), len(self._labels[session]) > 0)

    def loss(self, outputs: Tensor, crops: Sequence[Crop]) -> Tensor | None:
        there = np.flatnonzero(crops[0].at >= 0)
        typed = [self.typed(crop, there) for crop in crops]
        counts = torch.tensor([len(labels) for labels in typed])
        if not len(there) or not counts.any():
            return None
        frames = outputs[:, there].log_softmax(-1).swapaxes(0, 1)
        lengths = torch.full((len(crops),), len(frames))
        targets = torch.from_numpy(np.concatenate(typed).astype(np.int64))
        return nn.functional.ctc_loss(
            frames, targets, lengths, counts, blank=charset.BLANK, zero_infinity=True
        )

    def typed(self, crop: Crop, there: Array) -> Array:
        """Labels of the keys pressed in the samples that these frames of a crop belong to."""
        if not len(there):
            return np.zeros(0, np.int64)
        within = [crop.at[there[0]], crop.at[there[-1]] + 1]
        low, high = np.searchsorted(self._pressed[crop.session], within)
        return self._labels[crop.session][low:high]


def train(request: TrainingRequest) -> Trained:
    """Train and write the checkpoint; the figures are validation_error, the CER in %, and the
    loss."""
    return supervised.train(request, Connectionist)

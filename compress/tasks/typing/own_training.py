"""Training networks of one's own to type: the CTC loss of the keys that were pressed in a crop."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from compress.errors import CheckpointError
from compress.graph import Array, Graph
from compress.tasks import supervised
from compress.tasks.crops import Crop
from compress.tasks.objectives import Objective
from compress.tasks.recorded import Recorded
from compress.tasks.training import Trained, TrainingRequest
from compress.tasks.typing import charset

RECIPE = supervised.Recipe(steps=3000, warmup=100, seconds=4.0, batch=16)


class KeyPresses(Objective):
    """Frames are logits or log-probabilities of characters and the blank."""

    def __init__(self, graph: Graph, sessions: Sequence[Recorded]) -> None:
        super().__init__(graph, sessions)
        if graph.provenance.get("window"):
            raise CheckpointError(
                f"{graph.name}: expected a network that runs as a stream, found one over windows:"
                " CTC reads one frame after the other; leave WINDOW"
            )
        self._at = [
            np.array([seconds * s.rate for seconds, _ in s.target.keys], np.int64) for s in sessions
        ]
        self._labels = [charset.encode("".join(c for _, c in s.target.keys)) for s in sessions]

    def known(self, session: int) -> Array:
        """Everywhere, in a session in which something was typed: pauses are learned as well."""
        count = len(self.sessions[session].samples)
        return np.full(count, bool(len(self._labels[session])))

    def loss(self, outputs: Tensor, crops: Sequence[Crop]) -> Tensor | None:
        targets = [self.pressed(crop) for crop in crops]
        frames = outputs.log_softmax(-1).transpose(0, 1)
        return nn.functional.ctc_loss(
            frames,
            torch.from_numpy(np.concatenate(targets).astype(np.int64)),
            torch.full((len(crops),), len(frames), dtype=torch.int64),
            torch.tensor([len(t) for t in targets]),
            blank=charset.BLANK,
            zero_infinity=True,
        )

    def pressed(self, crop: Crop) -> Array:
        """Labels of the keys that go down at the samples of a crop's frames."""
        own = crop.at[crop.at >= 0]
        if not len(own):
            return np.zeros(0, np.int64)
        low, high = np.searchsorted(self._at[crop.session], [own[0], own[-1] + 1])
        return self._labels[crop.session][low:high]


def train(request: TrainingRequest, recipe: supervised.Recipe | None = None) -> Trained:
    """Train and write the checkpoint; the figures are validation_error, the CER in %, and the
    loss."""
    return supervised.train(request, KeyPresses, recipe, RECIPE)

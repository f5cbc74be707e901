"""What frames are trained to be, where tasks share it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from compress.graph import Array, Graph
from compress.tasks.crops import Crop
from compress.tasks.recorded import Recorded

_LARGE = 30.0  # a target that a last layer of usual weights does not reach in some hundred steps


class Objective(ABC):
    """What frames are to be, over some sessions."""

    def __init__(self, graph: Graph, sessions: Sequence[Recorded]) -> None:
        self.graph, self.sessions = graph, sessions

    def remark(self) -> str:
        """What the user should know before the first step; "" for nothing."""
        return ""

    @abstractmethod
    def known(self, session: int) -> Array:
        """(samples,): whether something is known of each sample; empty where of none."""

    @abstractmethod
    def loss(self, outputs: Tensor, crops: Sequence[Crop]) -> Tensor | None:
        """Of outputs (batch, frames, outputs) for these crops; None when nothing is known of any
        frame."""


class Regression(Objective):
    """The absolute error of what is known, each output by its own spread: those of a large one do
    not outweigh others. Targets of sessions are (samples, outputs), NaN where nothing is known, or
    None."""

    def __init__(self, graph: Graph, sessions: Sequence[Recorded]) -> None:
        super().__init__(graph, sessions)
        known = [s.target for s in sessions if s.target is not None]
        rows = np.concatenate(known) if known else np.zeros((0, graph.output.features))
        spread = [float(np.std(v[~np.isnan(v)])) if (~np.isnan(v)).any() else 0.0 for v in rows.T]
        self._spread = torch.tensor([value or 1.0 for value in spread])
        self.largest = float(np.nanmax(np.abs(rows), initial=0.0))

    def remark(self) -> str:
        if self.largest <= _LARGE:
            return ""
        return (
            f"targets reach {self.largest:.4g}: a network learns values of about 1 in far fewer"
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

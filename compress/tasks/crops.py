"""Pieces of recordings that a network of one's own is trained on, and which sample each of the
frames belongs to that come out of them.

A network that runs as a stream is given crops of some seconds, (batch, electrodes, samples) ->
(batch, outputs, frames); one over windows is given windows, -> (batch, outputs).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from compress.errors import RecordingError
from compress.frontend.own.quiet import quiet
from compress.graph import Array, Graph
from compress.tasks.recorded import Recorded
from compress.tasks.shape import label_samples

_AT_ONCE = 256  # windows, while nothing is learned
_GROWN = 4  # a crop gives so many frames at least, where the recordings are long enough


@dataclass(frozen=True)
class Crop:
    """Samples start… of a session. at: (frames,), the sample of the session whose label each frame
    has; −1 for a frame that has none."""

    session: int
    start: int
    at: Array


class Cropper:
    """Draws crops of one length for a network, each with a sample in it of which something is
    known.

    Args:
        graph: the network, lowered: it says where its frames lie in time.
        sessions: what is drawn from.
        known: of each session (samples,), whether the label of a sample counts.
        seconds: of a crop; that of a window is the network's.
    """

    def __init__(
        self,
        graph: Graph,
        sessions: Sequence[Recorded],
        known: Sequence[Array],
        seconds: float,
    ) -> None:
        self.graph, self.sessions = graph, sessions
        self.window: int | None = graph.provenance.get("window")
        self.length = self.window or self._stream_length(seconds)
        places = [np.flatnonzero(k) for k in known]
        usable = [len(s.samples) >= self.length for s in sessions]
        self._places = [p if u else p[:0] for p, u in zip(places, usable, strict=True)]
        self._shares = np.array([len(p) for p in self._places], np.float64)
        if not self._shares.any():
            raise RecordingError(
                f"training needs {self.length} samples or more in which something is labelled,"
                f" found none among {', '.join(s.path.name for s in sessions)}"
            )
        self._shares /= self._shares.sum()

    def _stream_length(self, seconds: float) -> int:
        """Samples of a crop: so many seconds of whole steps, or as many as the longest session
        has."""
        graph, step = self.graph, self.graph.samples_per_step
        per_frame = int(graph.input.rate / graph.output.rate)
        least = graph.left_context + (graph.start_up + _GROWN) * per_frame
        wanted = -(-max(round(seconds * float(graph.input.rate)), least) // step) * step
        return min(wanted, max(len(s.samples) for s in self.sessions) // step * step)

    def draw(self, batch: int, gain: float, rng: np.random.Generator) -> tuple[Tensor, list[Crop]]:
        """Samples float32 (batch, electrodes, samples), each electrode's gain varied by a
        log-normal factor, and where they come from; their `at` waits for the frames."""
        chosen = rng.choice(len(self.sessions), size=batch, p=self._shares)
        crops = [Crop(int(s), self._start(int(s), rng), np.zeros(0, np.int64)) for s in chosen]
        x = np.stack([self._samples(crop) for crop in crops])
        x *= np.exp(gain * rng.standard_normal((batch, x.shape[1], 1))).astype(np.float32)
        return torch.from_numpy(x), crops

    def _start(self, session: int, rng: np.random.Generator) -> int:
        """Where a crop begins that holds a known sample: anywhere in it, of a window at the end."""
        place = int(rng.choice(self._places[session]))
        if self.window:
            start = place + int(self.graph.provenance.get("lookahead", 0)) + 1 - self.length
        else:
            start = place - int(rng.integers(self.length))
        return int(np.clip(start, 0, len(self.sessions[session].samples) - self.length))

    def _samples(self, crop: Crop) -> Array:
        part = self.sessions[crop.session].samples[crop.start : crop.start + self.length]
        return np.array(part.T, np.float32)

    def placed(self, crops: Sequence[Crop], frames: int) -> list[Crop]:
        """The crops with the samples that so many frames of each belong to."""
        if self.window:
            at = np.array([self.length - 1 - int(self.graph.provenance.get("lookahead", 0))])
        else:
            begin = self.graph.start_up
            at = label_samples(self.graph, begin + frames)[begin:]
        inside = (at >= 0) & (at < self.length)
        return [
            Crop(crop.session, crop.start, np.where(inside, crop.start + at, -1)) for crop in crops
        ]


def forward(network: nn.Module, x: Tensor, over_windows: bool) -> Tensor:
    """(batch, electrodes, samples) -> (batch, frames, outputs); a window has one frame."""
    with quiet():
        found: Tensor = network(x)
    return found[:, None] if over_windows else found.transpose(1, 2)


@torch.no_grad()
def stream_frames(graph: Graph, network: nn.Module, recorded: Recorded) -> Array:
    """The frames (frames, outputs) of a whole recording as the network's stream has them; those of
    the start-up are the first valid one's."""
    network.eval()
    x = torch.from_numpy(np.array(recorded.samples.T, np.float32))
    window, count = graph.provenance.get("window"), _count(graph, recorded)
    if window:
        stride = int(graph.input.rate / graph.output.rate)
        ends = [(frame + 1) * stride for frame in range(graph.start_up, count)]
        cut = [x[:, end - int(window) : end] for end in ends]
        groups = [torch.stack(cut[i : i + _AT_ONCE]) for i in range(0, len(cut), _AT_ONCE)]
        valid = torch.cat([forward(network, group, True)[:, 0] for group in groups])
    else:
        valid = forward(network, x[None], False)[0]
    waiting = valid[:1].expand(graph.start_up, -1)
    return torch.cat([waiting, valid])[:count].numpy()


def _count(graph: Graph, recorded: Recorded) -> int:
    """Frames of the stream."""
    count = int(len(recorded.samples) * graph.output.rate / graph.input.rate)
    if count <= graph.start_up:
        raise RecordingError(
            f"{recorded.path}: expected more samples than the start-up of the network takes, found"
            f" {len(recorded.samples)}; give a longer recording"
        )
    return count

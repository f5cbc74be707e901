"""A run that survives its board: samples, what came back so far, and the last snapshot. Bit-exact
however often it is resumed."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from compress.graph.kept import Kept
from host.conversation import Traffic
from host.errors import LinkError, UnknownRequestError
from host.link import Link
from host.stream import OnFrame, Result

PIECE = 1250  # output frames whose samples are at hand at once


@dataclass
class Run:
    """Samples (n, inputs) int16, n a multiple of samples per step, which may lie on disk; a
    snapshot every so many output frames (0: none), or more."""

    samples: NDArray[np.int16]
    snapshot_every: int = 0
    begin: bytes | None = (
        None  # a snapshot after 0 frames: the state that the stream begins with; None: zero
    )
    snapshot: bytes | None = None
    traffic: Traffic = field(default_factory=Traffic)
    resumed: int = 0
    done: int = 0  # output frames received
    _outputs: Kept = field(default_factory=lambda: Kept(0, (0,), np.int16))
    _ticks: NDArray[np.uint32] = field(default_factory=lambda: np.zeros(0, np.uint32))

    @property
    def outputs(self) -> NDArray[np.int16]:
        """What was received, (frames, outputs); many of them stay on disk."""
        return self._outputs.array()

    @property
    def ticks(self) -> NDArray[np.uint32]:
        """Counter values of what was received, (frames,)."""
        return self._ticks[: self.done]

    def start(self, link: Link, on_frame: OnFrame | None = None) -> Result:
        """From the first sample. On BoardLostError what was received is kept: resume()."""
        self.snapshot, self.done = None, 0
        return self._go(link, link.begin(self.begin), on_frame)

    def resume(self, link: Link, on_frame: OnFrame | None = None) -> Result:
        """On a board that was reset, or another one with the same model: from the last snapshot, or
        from the beginning.

        Frames computed again must equal those received before; `on_frame` is called for new ones
        only.
        """
        self.resumed += 1
        return self._go(link, link.begin(self.snapshot or self.begin), on_frame)

    def _keep(self, link: Link) -> None:
        """A snapshot to resume from. A board built with -DAPP_LOCKED gives none: what there is to
        resume from stays."""
        with contextlib.suppress(UnknownRequestError):
            self.snapshot = link.snapshot()

    def _go(self, link: Link, frame: int, on_frame: OnFrame | None) -> Result:
        assert link.hello is not None
        together, per_frame = (
            link.hello.frames_per_step,
            link.hello.samples_per_step // link.hello.frames_per_step,
        )
        total = len(self.samples) // per_frame
        piece = -(-self.snapshot_every // together) * together
        link.traffic = self.traffic
        if not self.done:
            self._outputs = Kept(total, (link.hello.outputs,), np.int16)
            self._ticks = np.zeros(total, np.uint32)

        def collect(index: int, outputs: NDArray[np.int16], ticks: int) -> None:
            if index < self.done:
                if not np.array_equal(outputs, self.outputs[index : index + 1][0]):
                    raise LinkError(
                        f"{link.line.name}: after resuming, output frame {index} differs from the"
                        " one received before"
                    )
                return
            self._outputs.append(outputs[None])
            self._ticks[index] = ticks
            self.done += 1
            if on_frame is not None:
                on_frame(index, outputs, ticks)

        while frame < total:
            count = min(piece or -(-PIECE // together) * together, total - frame)
            link.stream(self.samples[frame * per_frame : (frame + count) * per_frame], collect)
            frame += count
            if piece and frame < total:
                self._keep(link)
        return Result(self.outputs, link.hello.in_counts(self.ticks), self.traffic)

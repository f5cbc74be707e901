"""Frames side by side: what a convolution over time sees."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from compress.ops.base import FloatOp, IntOp, Memory, Op, later, same_segments
from compress.ops.tensor import Array, Tensor

if TYPE_CHECKING:
    from compress.quantization.scales import Plan


@dataclass(frozen=True)
class _Unfold(Op):
    """y[m] = x[m·s + s − lag − frames … m·s + s − lag − 1], s = frames_per_output.

    frames ≥ 1, frames_per_output ≥ 1, lag ≥ 0, in frames of x; frames before the first are zero.
    With frames = 1 it takes one frame of each s, or delays the stream by `lag` frames. With several
    `bands` the frames of each band's features lie side by side: (bands, frames, n). With `dilation`
    it takes every so manieth frame, up to the same last one. `padding` frames of zeros precede the
    first valid frame: what it takes in before that frame is forgotten, like recurrent state. With a
    negative one it leaves out as many of the first valid frames.
    """

    frames: int
    frames_per_output: int
    lag: int
    bands: int = 1
    dilation: int = later(1)
    padding: int = later(0)
    decimation: ClassVar[str | None] = "frames_per_output"
    copies_values: ClassVar[bool] = True
    across_frames: ClassVar[bool] = True
    groups_frames: ClassVar[bool] = False

    @property
    def recurrent(self) -> bool:  # type: ignore[override]  # of a field, not of the class
        """Whether zeros stand for what a stream has before its first valid frame."""
        return self.padding > 0

    @property
    def span(self) -> int:
        """Frames from the first to the last that one output frame is made of."""
        return (self.frames - 1) * self.dilation + 1

    @property
    def history(self) -> int:
        """Frames of earlier steps that the first window of a step reaches back to."""
        return max(0, self.span + self.lag - self.frames_per_output)

    @property
    def context(self) -> int:
        return self.span - 1

    @property
    def reach(self) -> int:
        return self.context + self.lag

    def out_features(self, features: int) -> int:
        return self.frames * features

    def kept_values(self, features: int) -> int:
        return 0 if self.recurrent else self.history * features

    def state_values(self, features: int) -> int:
        return self.history * features if self.recurrent else 0

    def first_valid(self, first: int) -> int:
        reach = first - self.padding + self.span + self.lag
        return max(0, -(-reach // self.frames_per_output) - 1)

    def check(self, sources: list[Tensor], target: Tensor) -> Iterator[str]:
        yield from super().check(sources, target)
        if self.frames < 1 or self.frames_per_output < 1 or self.lag < 0:
            yield f"expected frames and stride of 1 or more and no negative lag, found {self}"
        elif self.dilation < 1:
            yield f"expected a dilation of 1 or more, found {self}"
        elif self.bands < 1 or sources[0].features % self.bands:
            yield f"{self.bands} bands do not divide {sources[0].features} features"

    def run(self, inputs: list[Array], memory: Memory) -> Array:
        """The same in floats and integers: values are moved, none is computed."""
        x, own = inputs[0], memory.state if self.recurrent else memory.kept
        past = own.get("past")
        if past is None:
            past = np.zeros((x.shape[0], self.history, x.shape[2]), x.dtype)
        y, own["past"] = windows_of(self, past, x)
        return y


@dataclass(frozen=True)
class Unfold1d(_Unfold, FloatOp):
    """Windows of frames, as PyTorch's Unfold has them for images."""

    code: ClassVar[str] = "unfold1d"

    def quantize(self, plan: Plan) -> IntUnfold1d:
        return IntUnfold1d(
            *plan.head(self),
            self.frames,
            self.frames_per_output,
            self.lag,
            self.bands,
            dilation=self.dilation,
            padding=self.padding,
        )


@dataclass(frozen=True)
class IntUnfold1d(_Unfold, IntOp):
    """Output scale = input scale."""

    code: ClassVar[str] = "int.unfold1d"

    def relations(self, sources: list[Tensor], target: Tensor) -> Iterator[str]:
        yield from same_segments(sources[0], target)


def windows_of(op: _Unfold, past: Array, x: Array) -> tuple[Array, Array]:
    """past (batch, history, features), x (batch, time, features) -> (batch, time / s,
    frames·features), and the next past."""
    frames = np.concatenate([past, x], axis=1)
    first = op.history + op.frames_per_output - op.lag - op.span  # frame of the first window
    taps = np.arange(op.frames) * op.dilation
    index = first + np.arange(0, x.shape[1], op.frames_per_output)[:, None] + taps
    seen = frames[:, index].reshape(x.shape[0], *index.shape, op.bands, -1)
    seen = seen.swapaxes(2, 3)  # (batch, window, bands, frames, n)
    return seen.reshape(x.shape[0], len(index), -1), frames[:, frames.shape[1] - op.history :]

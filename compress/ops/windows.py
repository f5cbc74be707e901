"""Windows of a stream, and what lies in one: frames moved within a window, none computed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from compress.ops.base import FloatOp, IntOp, Memory, Op, later, same_segments
from compress.ops.tensor import Array, Tensor

if TYPE_CHECKING:
    from compress.quantization.scales import Plan

# --- windows of the stream -----------------------------------------------------------------------


@dataclass(frozen=True)
class _SlidingWindow(Op):
    """The last `frames` frames of the stream, for every `hop` new ones; before the first are zeros.

    x (hop, n) → y (frames, n) in every step. All that comes after works on one window at a time,
    and its recurrent state begins anew with each.
    """

    frames: int
    hop: int
    copies_values: ClassVar[bool] = True
    across_frames: ClassVar[bool] = True
    makes_windows: ClassVar[bool] = True
    groups_frames: ClassVar[bool] = False

    @property
    def stride(self) -> Fraction:
        return Fraction(self.hop, self.frames)

    @property
    def history(self) -> int:
        """Frames kept from step to step."""
        return max(0, self.frames - self.hop)

    def kept_values(self, features: int) -> int:
        return self.history * features

    def first_valid(self, first: int) -> int:
        return self.frames * max(0, -(-(first + self.frames) // self.hop) - 1)

    def check(self, sources: list[Tensor], target: Tensor) -> Iterator[str]:
        yield from super().check(sources, target)
        if self.frames < 1 or self.hop < 1:
            yield f"expected a window and a hop of a frame or more, found {self}"

    def run(self, inputs: list[Array], memory: Memory) -> Array:
        """The same in floats and integers."""
        x = inputs[0]
        past = memory.kept.get("past")
        if past is None:
            past = np.zeros((x.shape[0], self.history, x.shape[2]), x.dtype)
        seen = np.concatenate([past, x], axis=1)
        first = self.history + self.hop - self.frames
        index = first + np.arange(0, x.shape[1], self.hop)[:, None] + np.arange(self.frames)
        memory.kept["past"] = seen[:, seen.shape[1] - self.history :]
        return seen[:, index].reshape(x.shape[0], -1, x.shape[2])


@dataclass(frozen=True)
class SlidingWindow(_SlidingWindow, FloatOp):
    """Real values."""

    code: ClassVar[str] = "sliding_window"

    def quantize(self, plan: Plan) -> IntSlidingWindow:
        return IntSlidingWindow(*plan.head(self), self.frames, self.hop)


@dataclass(frozen=True)
class IntSlidingWindow(_SlidingWindow, IntOp):
    """Output scale = input scale."""

    code: ClassVar[str] = "int.sliding_window"

    def relations(self, sources: list[Tensor], target: Tensor) -> Iterator[str]:
        yield from same_segments(sources[0], target)


# --- frames of one window ------------------------------------------------------------------------


class _InWindow(Op):
    """The `frames` of a window become `outputs` frames. The fields are the subclasses' own, in the
    order of theirs."""

    frames: int
    outputs: int
    copies_values: ClassVar[bool] = True
    across_frames: ClassVar[bool] = True
    whole_window: ClassVar[bool] = True

    @property
    def stride(self) -> Fraction:
        return Fraction(self.frames, self.outputs)

    def first_valid(self, first: int) -> int:
        return first // self.frames * self.outputs


@dataclass(frozen=True)
class _WindowUnfold(_InWindow):
    """What a convolution over the frames of a window sees of it: y (outputs, bands, kernel, n) of
    x (frames, bands·n),

        y[j][b][i] = x[j·step + i·dilation − before][b],

    zeros outside of the window, or with `edge` its first and last frame. A kernel of one frame
    takes frames, a step of 0 repeats them.
    """

    frames: int
    outputs: int
    kernel: int
    step: int = 1
    dilation: int = 1
    before: int = 0
    bands: int = 1
    edge: bool = later(False)

    def out_features(self, features: int) -> int:
        return self.kernel * features

    def places(self) -> Array:
        """(outputs, kernel): the frame of the window that is seen, −1 for zeros."""
        at = np.arange(self.outputs)[:, None] * self.step - self.before
        at = at + np.arange(self.kernel) * self.dilation
        if self.edge:
            return np.clip(at, 0, self.frames - 1)
        return np.where((at < 0) | (at >= self.frames), -1, at)

    def check(self, sources: list[Tensor], target: Tensor) -> Iterator[str]:
        yield from super().check(sources, target)
        least = min(self.frames, self.outputs, self.kernel, self.dilation, self.bands)
        if least < 1 or self.step < 0:
            yield f"expected frames, outputs, kernel, dilation and bands of 1 or more, found {self}"
        elif sources[0].features % self.bands:
            yield f"{self.bands} bands do not divide {sources[0].features} features"

    def run(self, inputs: list[Array], memory: Memory) -> Array:
        """The same in floats and integers."""
        x = inputs[0]
        windows = x.reshape(x.shape[0], -1, self.frames, x.shape[2])
        zeros = np.zeros((*windows.shape[:2], 1, x.shape[2]), x.dtype)
        seen = np.concatenate([windows, zeros], axis=2)[:, :, self.places()]
        seen = seen.reshape(*seen.shape[:4], self.bands, -1).swapaxes(3, 4)
        return seen.reshape(x.shape[0], -1, self.kernel * x.shape[2])


@dataclass(frozen=True)
class WindowUnfold(_WindowUnfold, FloatOp):
    """Real values."""

    code: ClassVar[str] = "window_unfold"

    def quantize(self, plan: Plan) -> IntWindowUnfold:
        sizes = (self.frames, self.outputs, self.kernel, self.step, self.dilation)
        return IntWindowUnfold(*plan.head(self), *sizes, self.before, self.bands, edge=self.edge)


@dataclass(frozen=True)
class IntWindowUnfold(_WindowUnfold, IntOp):
    """Output scale = input scale."""

    code: ClassVar[str] = "int.window_unfold"

    def relations(self, sources: list[Tensor], target: Tensor) -> Iterator[str]:
        yield from same_segments(sources[0], target)


@dataclass(frozen=True)
class _Reframe(_InWindow):
    """The values of a window in the same order, as other frames: x (frames, n) → y (outputs,
    frames·n / outputs)."""

    frames: int
    outputs: int

    def out_features(self, features: int) -> int:
        return self.frames * features // self.outputs

    def check(self, sources: list[Tensor], target: Tensor) -> Iterator[str]:
        yield from super().check(sources, target)
        if self.frames < 1 or self.outputs < 1:
            yield f"expected a frame or more, found {self}"
        elif self.frames * sources[0].features % self.outputs:
            yield f"{self.frames} frames of {sources[0].features} values as {self.outputs} frames"

    def run(self, inputs: list[Array], memory: Memory) -> Array:
        """The same in floats and integers."""
        x = inputs[0]
        return x.reshape(x.shape[0], -1, self.out_features(x.shape[2]))


@dataclass(frozen=True)
class Reframe(_Reframe, FloatOp):
    """Real values."""

    code: ClassVar[str] = "reframe"

    def quantize(self, plan: Plan) -> IntReframe:
        return IntReframe(*plan.head(self), self.frames, self.outputs)


@dataclass(frozen=True)
class IntReframe(_Reframe, IntOp):
    """Output scale = input scale."""

    code: ClassVar[str] = "int.reframe"

    def relations(self, sources: list[Tensor], target: Tensor) -> Iterator[str]:
        yield from same_segments(sources[0], target)

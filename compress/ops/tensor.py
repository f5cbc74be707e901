"""What flows between operators: frames of features at a rate, and what their integers are worth."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt

from compress.errors import GraphError

Array = npt.NDArray[Any]
INT16 = (-32768, 32767)
INT8 = (-128, 127)


@dataclass(frozen=True)
class Segment:
    """Neighbouring features with one scale: the real value of one integer step, and the integers
    lo…hi that they may hold."""

    features: int
    scale: float
    lo: int = INT16[0]
    hi: int = INT16[1]


@dataclass(frozen=True)
class Tensor:
    """A stream: `features` values per frame, `rate` frames per second of signal; a rate of 0 is a
    value that is given once, before the first frame.

    `segments`: the scales of a quantized tensor, from the first feature to the last; none in a
    float graph. Most tensors have one. The gates of an LSTM have three, poses beside velocities
    two. Whoever needs a scale asks here; nobody derives it again.
    """

    name: str
    features: int
    rate: Fraction
    segments: tuple[Segment, ...] = ()

    def __post_init__(self) -> None:
        """Neighbours of one scale and range are one segment, so that equal tensors are equal."""
        merged: list[Segment] = []
        for segment in self.segments:
            if merged and replace(merged[-1], features=segment.features) == segment:
                merged[-1] = replace(segment, features=merged[-1].features + segment.features)
            else:
                merged.append(segment)
        object.__setattr__(self, "segments", tuple(merged))

    def scaled(self, scale: float, lo: int = INT16[0], hi: int = INT16[1]) -> Tensor:
        """The same tensor with one scale and range for all its features."""
        return replace(self, segments=(Segment(self.features, float(scale), lo, hi),))

    @property
    def quantized(self) -> bool:
        """Whether its integers have a meaning."""
        return bool(self.segments)

    @property
    def scale(self) -> float:
        """The one scale of all features. GraphError where there are several, or none."""
        if len(self.segments) != 1:
            raise GraphError(f"{self.name}: expected one scale, found {len(self.segments)}")
        return self.segments[0].scale

    @property
    def lo(self) -> int:
        """The lowest integer that any feature may hold."""
        return min((s.lo for s in self.segments), default=INT16[0])

    @property
    def hi(self) -> int:
        """The highest integer that any feature may hold."""
        return max((s.hi for s in self.segments), default=INT16[1])

    @property
    def peak(self) -> int:
        """The largest magnitude that any feature may hold."""
        return max(-self.lo, self.hi)

    @property
    def bits(self) -> int:
        """8 or 16: what its values fit into."""
        return 8 if self.hi <= INT8[1] and self.lo >= INT8[0] else 16

    def scales(self) -> Array:
        """(features,): the scale of each."""
        if not self.segments:
            raise GraphError(f"{self.name}: expected scales, found a float tensor")
        return np.concatenate([np.full(s.features, s.scale) for s in self.segments])

    def parts(self) -> list[slice]:
        """The features of each segment."""
        ends = np.cumsum([s.features for s in self.segments]).tolist()
        return [slice(e - s.features, e) for s, e in zip(self.segments, ends, strict=True)]

    def real(self, integers: Array) -> Array:
        """Integers (…, features) -> the real values they stand for."""
        return np.asarray(integers * self._factor())

    def integers(self, real: Array) -> Array:
        """Real values (…, features) -> the nearest integers, int64, held to the range."""
        low = np.concatenate([np.full(s.features, s.lo) for s in self.segments])
        high = np.concatenate([np.full(s.features, s.hi) for s in self.segments])
        with np.errstate(over="ignore"):  # beyond float32 is beyond the range
            steps = np.round(np.asarray(real) / self._factor())
        return np.clip(steps, low, high).astype(np.int64)

    def _factor(self) -> float | Array:
        """The one scale as a number, which leaves the precision of what it meets as it is."""
        return self.scale if len(self.segments) == 1 else self.scales()


def in_float32(tensor: Tensor) -> Iterable[str]:
    """What is wrong with the scales of what goes in or out, which is real values in float32."""
    least, most = (float(v) for v in (np.finfo(np.float32).tiny, np.finfo(np.float32).max))
    for s in tensor.segments:
        if not least <= s.scale <= most / -INT16[0]:
            yield (
                f"values of up to {s.scale * s.hi:.3g}: expected some whose steps are numbers of"
                f" float32, {least * s.hi:.2g} to {most:.2g}"
            )


def check_segments(tensor: Tensor) -> Iterable[str]:
    """What is wrong with the scales of a tensor, in words."""
    if tensor.segments and sum(s.features for s in tensor.segments) != tensor.features:
        found = [s.features for s in tensor.segments]
        yield f"expected segments over {tensor.features} features, found {found}"
    for s in tensor.segments:
        if not (np.isfinite(s.scale) and s.scale > 0):
            yield f"expected a positive scale, found {s.scale}"
        if not INT16[0] <= s.lo <= 0 < s.hi <= INT16[1]:
            yield f"expected a range around 0 within int16, found {s.lo}…{s.hi}"

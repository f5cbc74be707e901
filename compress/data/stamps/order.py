"""Stamps that cannot be those of samples in order: no number, back before an earlier one, or far
from all others."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

_BITS = (8, 16, 24, 32)  # of counters that begin again
_INT = 2.0**53  # whole numbers up to here are told apart


@dataclass(frozen=True)
class Fault:
    """kind: number, stray, wrap, backwards or far; sample: the first of which it is true, counted
    within the stamps that were looked at; stop: behind the last one; bits: of a counter."""

    kind: str
    sample: int
    stop: int
    bits: int = 0


class Order:
    """Stamps that advance by `period`, and where each lies in samples (`at`), in order but for
    `slack` samples. Stamps stray for up to `near` samples; `far` of them no recording bridges."""

    def __init__(
        self, stamps: Array, at: Array, period: float, slack: float, near: int, far: float
    ) -> None:
        self._stamps, self._at, self._period = stamps, at, period
        self._slack, self._near, self._far = slack, near, far

    def first(self, start: int, stop: int, highest: float) -> Fault | None:
        """The first fault that begins in stamps start…stop. What lies around them is known too;
        `highest`: of all in front of `start`, in samples."""
        with np.errstate(all="ignore"):
            found = list(self._faults(start, highest))
        # a stray stamp is found as a step back behind it, and is named before that
        found = [fault for fault in found if fault.sample < stop]
        return min(found, key=lambda fault: fault.sample, default=None)

    def _faults(self, start: int, highest: float) -> Iterator[Fault]:
        at = self._at[start:]
        wrong = np.flatnonzero(~np.isfinite(self._stamps[start:]))
        if len(wrong):
            place = start + int(wrong[0])
            yield Fault("number", place, place + 1)
        before = np.maximum.accumulate(np.append(highest, at))[:-1]
        back = np.flatnonzero(at < before - self._slack)
        if len(back):
            yield self._back(start + int(back[0]))
        ahead = np.flatnonzero(np.diff(at, prepend=highest) > self._far)
        ahead = ahead[(ahead > 0) | np.isfinite(highest)]
        if len(ahead):
            place = start + int(ahead[0])
            alone = place == 1 and self._begins(1)
            yield Fault("stray", 0, 1) if alone else Fault("far", place, place + 1)

    def _back(self, place: int) -> Fault:
        """What it is that stamp `place` lies before an earlier one."""
        bits = self._bits(place)
        if bits:
            return Fault("wrap", place, place + 1, bits)
        begin = self._left(place)
        if begin < place:
            return Fault("stray", begin, place)
        stop = self._returns(place)
        return Fault("stray", place, stop) if stop > place else Fault("backwards", place, place + 1)

    def _bits(self, place: int) -> int:
        """Of the counter that begins again at this stamp, or 0."""
        if not place:
            return 0
        last, now = self._stamps[place - 1], self._stamps[place]
        if not (last.is_integer() and now.is_integer() and abs(last) < _INT):
            return 0
        for bits in _BITS:
            advance = (now - last + 2.0**bits) / self._period
            if -self._slack <= advance <= 1.0 + self._near:
                return bits
        return 0

    def _left(self, place: int) -> int:
        """From which stamp on those in front of `place` are far ahead, if `place` goes on where the
        one in front of them was; else `place`."""
        begin = max(0, place - self._near)
        inside = np.flatnonzero(self._at[begin:place] <= self._at[place] + self._slack)
        if len(inside):
            last = begin + int(inside[-1])
            left = self._follows(last, place) and not self._follows(last, last + 1)
            return last + 1 if left else place
        return 0 if place == 1 and self._begins(1) else place

    def _begins(self, place: int) -> bool:
        """Whether stamps go on evenly from this one on."""
        return len(self._at) > place + 1 and self._follows(place, place + 1)

    def _returns(self, place: int) -> int:
        """The stamp that goes on where the one in front of `place` was, or `place`."""
        if self._follows(place - 1, place):
            return place
        for later in range(place + 1, min(len(self._at), place + self._near)):
            if self._at[later] >= self._at[place - 1] - self._slack:
                return later if self._follows(place - 1, later) else place
        return place

    def _follows(self, one: int, other: int) -> bool:
        return bool(abs(self._at[other] - self._at[one] - (other - one)) <= self._slack)

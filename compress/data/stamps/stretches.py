"""Stretches in which stamps gain or lose against the samples little by little, and do not make up
for it: samples are missing one by one, come twice, or the clock stands still.

A packet that comes late lifts its stamps and lets them down again. So the floor of the stamps is
looked at, the lowest over some seconds: what lifts the floor lasts.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from compress.data.stamps.period import SAME

Array = npt.NDArray[np.float64]

GAINED_S, LOST_S, STILL_S = 0.04, 0.1, 1.0  # what stamps must gain, lose for good, and for a while
_STEEP = SAME  # of the samples: a slower change is that of a clock
_FLOOR_S, _BESIDE_S = 10.0, 2.0  # how long a change must last, and what is compared beside it
_END_S = 0.25  # before the end of a recording: a shorter change may be a late packet


@dataclass(frozen=True)
class Stretch:
    """In samples start…stop the stamps gain so many samples, or lose them (negative). lasts: they
    stay so, they are not back at once behind it."""

    start: int
    stop: int
    size: float
    lasts: bool = True


def stretches(lowest: Array, highest: Array, size: int, rate: float) -> list[Stretch]:
    """In order of their beginning; of leads without slope and gaps, the lowest and highest of every
    `size` samples that come at `rate`."""
    losses = list(_Leads(lowest, highest, size, rate).losses())
    lowest, highest = lowest.copy(), highest.copy()
    for dip in losses:  # what comes back is no gain
        if not dip.lasts:
            start, cells = dip.start // size - 1, slice(dip.start // size - 1, dip.stop // size)
            lowest[cells], highest[cells] = lowest[start], highest[start]
    gains = [s for s in _Leads(lowest, highest, size, rate).gains() if s.lasts]
    losses = [s for s in losses if s.lasts or -s.size > STILL_S * rate]
    return sorted([*gains, *losses], key=lambda stretch: stretch.start)


def rises(stretches: list[Stretch], begin: npt.NDArray[np.int64]) -> Array:
    """How many samples the stamps have gained by these stretches before each of these samples."""
    total = np.zeros(len(begin))
    lasting = [s for s in stretches if s.lasts]
    if lasting:
        places = np.array([[s.start, s.stop] for s in lasting], np.float64)
        order, reached = places.ravel(), np.cumsum([s.size for s in lasting])
        known = np.stack([reached - [s.size for s in lasting], reached], axis=1).ravel()
        total = np.interp(begin, np.maximum.accumulate(order), known)
    return total


class _Leads:
    def __init__(self, lowest: Array, highest: Array, size: int, rate: float) -> None:
        self._lowest, self._highest, self._size, self._rate = lowest, highest, size, rate

    def gains(self) -> Iterator[Stretch]:
        """From the floor of what comes behind each place."""
        floor = self._floor(self._lowest, _END_S)
        for start, stop in self._climbs(floor, GAINED_S):
            if stop + 1 >= len(floor) - self._places(_END_S):  # it goes on to the end
                stop, floor[-1] = len(floor) - 1, max(floor[-1], self._lowest[-1])
            found = self._stretch(start, stop, float(floor[stop] - floor[start]), GAINED_S)
            yield replace(found, start=start * self._size, stop=stop * self._size)

    def losses(self) -> Iterator[Stretch]:
        """From the floor of what was in front of each place: the same, read from the end on."""
        floor, last = self._floor(self._lowest[::-1], STILL_S), len(self._lowest) - 1
        for stop, start in self._climbs(floor, LOST_S):
            change = float(floor[start] - floor[stop])
            yield self._stretch(last - start, last - stop, -change, LOST_S)

    def _stretch(self, start: int, stop: int, change: float, least_s: float) -> Stretch:
        """One between two places, and whether the highest leads have changed beside it as well."""
        beside = self._places(_BESIDE_S)
        before = float(np.median(self._highest[max(0, start - beside) : start + 1]))
        after = float(np.median(self._highest[stop : stop + beside]))
        lasts = np.sign(change) * (after - before) > least_s * self._rate / 2
        return Stretch((start + 1) * self._size, (stop + 1) * self._size, change, bool(lasts))

    def _floor(self, lowest: Array, end_s: float) -> Array:
        """The lowest from each place on for _FLOOR_S; no change is seen in the last `end_s`."""
        from scipy.ndimage import minimum_filter1d

        size, end = self._places(_FLOOR_S), self._places(end_s)
        floor: Array = minimum_filter1d(
            lowest, size, origin=-(size // 2), mode="constant", cval=np.inf
        )
        if len(floor) > end:
            floor[-end:] = floor[-end - 1]
        else:
            floor[:] = floor[0]
        return floor

    def _climbs(self, floor: Array, least_s: float) -> Iterator[tuple[int, int]]:
        """(first, last) places between which the floor climbs by more than this, and steeply; one
        climb ends where as much of it is lost again to what a clock may do."""
        steep, least = floor - _STEEP * self._size * np.arange(len(floor)), least_s * self._rate
        low = high = 0
        for place, value in enumerate(steep.tolist()):
            if value >= steep[high]:
                high = place
            elif value < steep[low] or steep[high] - value > least:
                if steep[high] - steep[low] > least:
                    yield low, high
                low = high = place
        if steep[high] - steep[low] > least:
            yield low, high

    def _places(self, seconds: float) -> int:
        return max(1, round(seconds * self._rate / self._size))

"""How far stamps are ahead of the number of their sample, their lead, in samples: where it jumps
and stays, and how it rises on the whole."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from compress.data.stamps.period import SAME
from compress.data.stamps.stretches import Stretch, rises, stretches

Array = npt.NDArray[np.float64]

_SETTLED = 1e-4  # no gap is told otherwise by so small a change of the rate
_SAID, _SHARE = 0.002, 0.25  # so near to the expected rate, in so many of the stretches
_NEAR_S, _FAR_S = 1.0, 10.0  # beside a jump: what must have risen, and what it rose above
_SPREADS, _SIGMA = 6.0, 1.4826  # of the lateness of packets a gap exceeds; of a median deviation
_WHOLE, _FEW = 0.75, 8  # of its length a packet loses at least; packets that tell no spread
Gap = tuple[int, float]  # the first sample behind it, and how many are missing


class Leads:
    """Leads of `count` stamps whose samples come at `rate`. cells: (4, n), of each cell the first
    sample, the lowest and highest lead, and the jump with which it begins; a cell begins every
    `size` samples, and with each jump by more than `least`, what a gap must exceed. gaps,
    stretches: what was found."""

    def __init__(self, cells: Array, count: int, rate: float, size: int, least: float) -> None:
        self.begin, self.jump = cells[0].astype(np.int64), cells[3]
        self._lowest, self._highest = cells[1], cells[2]
        self.count, self._rate, self._size, self._least = count, rate, size, least
        self.gaps: list[Gap] = []
        self.stretches: list[Stretch] = []
        self.slope = self._usual_slope()
        self._find()

    def _find(self) -> None:
        """Gaps, jumps that last, and stretches. Found twice: the second time against the rate that
        the first one leaves."""
        for _ in range(2):
            self.stretches, self.gaps = [], self._gaps(self._beyond())
            self.stretches = self._stretches()
            before, (self.slope, _) = self.slope, self._fit()
            if abs(self.slope - before) < _SETTLED:
                return

    def advance(self) -> tuple[float, float]:
        """Mean advance of a stamp a sample (1: as expected), and the doubt about it."""
        slope, doubt = self._fit()
        return 1.0 + slope, doubt

    def _stretches(self) -> list[Stretch]:
        """Of the leads without gaps and slope, in even cells."""
        begins = np.flatnonzero(np.diff(self.begin // self._size, prepend=-1))
        off = self.slope * self.begin + self._missing()
        lowest = np.minimum.reduceat(self._lowest - off, begins)
        highest = np.maximum.reduceat(self._highest - off, begins)
        return stretches(lowest, highest, self._size, self._rate)

    def _missing(self) -> Array:
        """How many samples are missing before each cell, by the gaps."""
        samples, sizes = [sample for sample, _ in self.gaps], [size for _, size in self.gaps]
        where = np.searchsorted(samples, self.begin, side="right")
        return np.append(0.0, np.cumsum(sizes))[where]

    def _usual_slope(self) -> float:
        """Median slope from half a second to the next; 0 where enough of them say so, or gaps are
        in most of them, or for a short recording, which `period_of` saw whole."""
        size = max(self._size, round(_NEAR_S / 2 * self._rate))
        starts = np.arange(0, self.count - 2 * size, max(1, size // 4))
        if len(starts) < 16:
            return 0.0
        first = self._middle(starts, size)
        slopes = (self._middle(starts + size, size) - first) / size
        if np.mean(np.abs(slopes) < _SAID) >= _SHARE:
            return 0.0
        slope = float(np.median(slopes))
        return slope if abs(slope) < SAME else 0.0

    def _middle(self, starts: npt.NDArray[np.int64], size: int) -> Array:
        """Half-way between the lowest and the highest lead of `size` samples from each start on,
        whatever the packets."""
        low, high = np.searchsorted(self.begin, [starts, starts + size])
        lowest = _over(np.minimum, self._lowest, low, high)
        return (lowest + _over(np.maximum, self._highest, low, high)) / 2

    def _fit(self) -> tuple[float, float]:
        """Slope of the leads without what is missing, and what jitter leaves open of it."""
        y = (self._lowest + self._highest) / 2 - self._missing()
        y -= rises(self.stretches, self.begin)
        usable = np.ones(len(y), bool)  # but not where stamps are behind for a while
        for stretch in self.stretches:
            usable &= stretch.lasts | (self.begin < stretch.start) | (self.begin >= stretch.stop)
        y, x = y[usable], self.begin[usable] - self.begin[usable].mean()
        spread = float(x @ x)
        slope = float(x @ (y - y.mean())) / spread if spread else 0.0
        rest = y - y.mean() - slope * x
        packet = float(np.median(self._highest - self._lowest))
        return slope, (4.0 * float(rest.std()) + packet) / self.count

    def _gaps(self, least: float) -> list[Gap]:
        found: list[Gap] = []
        since = 0  # cell behind the last gap
        for cell in self._candidates(least):
            size = self._risen(int(cell), since, least)
            if size > least:
                found.append((int(self.begin[cell]), size))
                since = int(cell)
        return found

    def _beyond(self) -> float:
        """What a gap must exceed, in samples: where packets carry one stamp, what their lateness
        explains too; of few packets that is not known, and it is half a packet at least. A packet
        begins with a jump, and loses as much as it is long until the next; gaps are few of these
        jumps."""
        cells = np.flatnonzero(self.jump)
        if len(cells) < 3:
            return self._least
        first, long = self._highest[cells[:-1]], np.diff(self.begin[cells])
        whole = first - self._lowest[cells[1:] - 1] > _WHOLE * (long - 1)
        if long[whole].sum() < self.count / 3:
            return self._least
        steps = np.diff(self._straight(self._highest)(cells))[whole]
        spread = _SIGMA * middle_of(np.abs(steps - middle_of(steps))) / np.sqrt(2.0)
        few = middle_of(long[whole]) / 2 if len(steps) < _FEW else 0.0
        return max(self._least, _SPREADS * float(spread), few)

    def _candidates(self, least: float) -> npt.NDArray[np.int64]:
        """Cells that begin with a jump above which the lowest leads lie higher than before it."""
        cells, near = np.flatnonzero(self.jump), round(_NEAR_S * self._rate)
        here, lead = self.begin[cells], self._lowest - self.slope * self.begin
        start, stop = np.searchsorted(self.begin, [here - near, here + near])
        after = _over(np.minimum, lead, cells, stop)
        return cells[after - _over(np.minimum, lead, start, cells) > least]

    def _risen(self, cell: int, since: int, least: float) -> float:
        """By how many samples the leads from this cell on lie higher than before, packets and
        lateness apart: the lowest as well as the highest, and not only above stamps that stood
        still for a while."""
        here = self.begin[cell]
        near, far = (round(seconds * self._rate) for seconds in (_NEAR_S, _FAR_S))
        stop = int(np.searchsorted(self.begin, here + near))
        start = max(since, int(np.searchsorted(self.begin, here - near)))
        low, high = self._straight(self._lowest), self._straight(self._highest)
        after, before = slice(cell, stop), slice(min(start, cell - 1), cell)
        rise = min(
            float(low(after).min() - low(before).min()),
            float(high(after).max() - high(before).max()),
        )
        if rise <= least:
            return 0.0
        stop = int(np.searchsorted(self.begin, here + far))
        if float(low(slice(cell, stop)).min() - low(before).min()) <= least:
            return 0.0  # it is made up for
        start = max(since, int(np.searchsorted(self.begin, here - far)))
        long = slice(min(start, cell - 1), cell)
        lasting = middle_of(high(after)) - middle_of(high(long))
        return min(rise, float(self.jump[cell])) if lasting > least else 0.0

    def _straight(self, leads: Array) -> _Straight:
        return _Straight(leads, self.begin, self.slope)


def _over(
    extreme: np.ufunc, values: Array, start: npt.NDArray[np.int64], stop: npt.NDArray[np.int64]
) -> Array:
    """Of values[start:stop], each at least one value long."""
    spans = np.stack([start, np.maximum(stop, start + 1)], axis=1).ravel()
    found: Array = extreme.reduceat(np.append(values, values[-1]), spans)[::2]
    return found


def middle_of(values: Array) -> float:
    """The median, the upper one of two: np.median takes ten times as long for a few values."""
    return float(np.partition(values, len(values) // 2)[len(values) // 2])


@dataclass(frozen=True)
class _Straight:
    """Leads less their slope, for a slice of cells."""

    leads: Array
    begin: npt.NDArray[np.int64]
    slope: float

    def __call__(self, cells: slice | npt.NDArray[np.int64]) -> Array:
        return self.leads[cells] - self.slope * self.begin[cells]

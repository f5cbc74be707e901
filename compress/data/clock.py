"""What a recording's time stamps say of its samples: their rate, where some were lost, and where a
stamp is not to be believed.

Samples come at a known rate; each carries a stamp. Ordinary stamps jitter: all samples of a packet
carry one, a packet comes late and the next ones catch up, a stamp is a little before the one in
front of it. None of that is a fault. What lasts is:

    a gap       stamps jump by more than GAP_S and stay: samples were lost. The recording is two
                segments, and a network begins anew with the second
    backwards   a stamp lies more than GAP_S before an earlier one: the clock was set back. Refused
    unit        stamps advance by another unit than seconds
    rate        stamps say another rate than expected, by more than RATE_REFUSED
    clock       the same by more than RATE_SAID: another clock, or one sample lost now and then
    uneven      the rate is right, but not for some seconds of the recording: stamps stand still,
                or samples are missing one by one

`Clock` takes the stamps in blocks and keeps a few numbers for each CELL samples, so a recording is
never whole in memory. Everything inside is counted in samples: how far a stamp is ahead of the
number of its sample.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

GAP_S = 0.02  # what a lasting jump must exceed to be a gap, and a step backwards to be a fault
RATE_SAID, RATE_REFUSED = 0.002, 0.02  # of the expected rate
CELL = 64  # samples
_NEAR_S, _FAR_S = 1.0, 10.0  # beside a jump: what must have risen, and what it rose above
_EVEN_S = 5.0  # pieces whose rates are compared
_NAMED = 5  # gaps that are said one by one
_SAME_UNIT = 0.05  # stamps have a unit if their rate is then right up to this share
UNITS = {
    "milliseconds": 1e3,
    "microseconds": 1e6,
    "nanoseconds": 1e9,
    "ticks of 100 ns": 1e7,
    "minutes": 1 / 60,
    "hours": 1 / 3600,
    "days": 1 / 86400,
}


class Harm(Enum):
    """What a finding makes wrong. NONE: nothing, when it is known. LABELS: labels that are taken by
    these stamps. SIGNAL: the samples are not what a network of this rate is for. FILE: nothing of
    the stamps can be used."""

    NONE = 0
    LABELS = 1
    SIGNAL = 2
    FILE = 3


@dataclass(frozen=True)
class Finding:
    """Something about the stamps: which kind, from which sample on, and in words with its size."""

    kind: str
    sample: int
    words: str
    harm: Harm = Harm.NONE


@dataclass(frozen=True)
class Segment:
    """Samples start…stop of a recording, none missing between them. A network's state begins anew
    with each; what is read of it is asked of its recording, in blocks of any size."""

    path: Path
    start: int
    stop: int

    def __len__(self) -> int:
        return self.stop - self.start

    def first(self, samples: int) -> Segment:
        """The first so many samples of it, or all."""
        return Segment(self.path, self.start, min(self.stop, self.start + samples))

    def blocks(self, size: int) -> Iterator[tuple[int, int]]:
        """(start, stop) of its samples in the recording, `size` at a time."""
        for start in range(self.start, self.stop, size):
            yield start, min(start + size, self.stop)


@dataclass(frozen=True)
class Timing:
    """What all stamps say. rate: samples per second within segments (NaN where nothing tells it);
    bounds: (start, stop) of each segment; findings: what is to be said or refused."""

    rate: float
    bounds: tuple[tuple[int, int], ...]
    findings: tuple[Finding, ...]

    def segments(self, path: Path) -> tuple[Segment, ...]:
        return tuple(Segment(path, start, stop) for start, stop in self.bounds)


def worst(findings: Sequence[Finding], least: Harm) -> Finding | None:
    """The first finding of the worst harm, from `least` on."""
    found = [f for f in findings if f.harm.value >= least.value]
    return max(found, key=lambda f: f.harm.value, default=None)


class Clock:
    """The stamps of a recording whose samples come at `rate` Hz, added in blocks."""

    def __init__(self, rate: float) -> None:
        self.rate, self.period = rate, 1.0 / rate  # of the stamps, in their unit a sample
        self.count, self.origin = 0, 0.0
        self.broken: Finding | None = None
        self._gap = GAP_S * rate
        self._last = self._highest = -math.inf  # stamps, in samples
        self._cells: list[Array] = []  # (4, cells): first sample, lowest and highest lead, jump

    def add(self, stamps: Array) -> None:
        """The next stamps, in order. After one that cannot be used nothing more is taken in."""
        stamps = np.asarray(stamps, np.float64)
        if self.broken or not len(stamps):
            return
        if not self.count and np.isfinite(stamps).all():
            self.origin, self.period = float(stamps[0]), period_of(stamps, self.rate)
        with np.errstate(invalid="ignore", over="ignore"):
            at = (stamps - self.origin) / self.period
        self.broken = self._unusable(stamps, at)
        if self.broken:
            return
        lead = at - np.arange(self.count, self.count + len(at))
        jumps = np.diff(at, prepend=self._last) - 1.0
        if not self.count:
            jumps[0] = 0.0
        jumps[jumps <= self._gap] = 0.0
        begins = np.union1d(np.arange(0, len(at), CELL), np.flatnonzero(jumps))
        lowest, highest = np.minimum.reduceat(lead, begins), np.maximum.reduceat(lead, begins)
        self._cells.append(np.stack([begins + self.count, lowest, highest, jumps[begins]]))
        self.count += len(at)
        self._last, self._highest = float(at[-1]), max(self._highest, float(at.max()))

    def timing(self) -> Timing:
        """What the stamps that were added say."""
        if self.broken or self.count < 2:
            return Timing(math.nan, ((0, self.count),), (self.broken,) if self.broken else ())
        cells = _Cells(np.concatenate(self._cells, axis=1), self.count, self.rate)
        gaps = cells.gaps(self._gap)
        measured, doubt = cells.rate(gaps)
        uneven = _uneven_findings(cells, gaps, self.rate)
        rate, said = self._rate(measured, doubt)
        if uneven:
            said = [f for f in said if f.harm is not Harm.NONE]
        edges = [0, *(sample for sample, _ in gaps), self.count]
        bounds = tuple(pairwise(edges))
        return Timing(rate, bounds, (*_gap_findings(gaps, self.rate), *said, *uneven))

    def _unusable(self, stamps: Array, at: Array) -> Finding | None:
        """The first stamp that is no number, or that lies before an earlier one."""
        before = np.maximum.accumulate(np.append(self._highest, at))[:-1]
        wrong = np.flatnonzero(~np.isfinite(stamps) | (at < before - self._gap))
        if not len(wrong):
            return None
        sample, value = self.count + int(wrong[0]), float(stamps[wrong[0]])
        words = (
            f"expected time that never runs backwards, found {value!r} at sample {sample}"
            f" ({sample / self.rate:.4f} s), before the one in front of it or not a number"
        )
        return Finding("backwards", sample, words, Harm.FILE)

    def _rate(self, measured: float, doubt: float) -> tuple[float, list[Finding]]:
        """Samples per second, and what is to be said of it; measured: mean advance of a stamp in
        `period`s."""
        if self._last <= _SAME_UNIT * self.count:  # unless all of it may be one packet
            words = f"expected time that goes on, found {self.count} stamps that stand still"
            return math.nan, [Finding("still", 0, words, Harm.LABELS)] * (self.count > self.rate)
        advance = self.period * measured
        unit, per_s = _unit(advance, self.rate)
        off = per_s / (advance * self.rate) - 1.0
        rate, found = self.rate * (1.0 + off), []
        if unit:
            words = (
                f"expected time in seconds, {1 / self.rate:g} a sample at {self.rate:g} Hz, found"
                f" {advance:.4g} a sample, as {unit} have it"
            )
            found.append(Finding("unit", 0, words, Harm.LABELS))
        if abs(off) - doubt > RATE_REFUSED and self.count > _NEAR_S * self.rate / 4:
            words = (
                f"expected {self.rate:g} samples per second, found {rate:.5g} by their time stamps"
            )
            found.append(Finding("rate", 0, words, Harm.SIGNAL))
        elif RATE_SAID < abs(off) - doubt <= RATE_REFUSED:
            words = (
                f"the time stamps say {rate:.5g} samples per second, {100 * off:+.2f} % off"
                f" {self.rate:g}; labels that have a time are taken by the stamps"
            )
            found.append(Finding("clock", 0, words))
        return rate, found


def period_of(stamps: Array, rate: float) -> float:
    """By how much stamps advance with each sample, in their own unit. Gaps and packets only make it
    look longer over some stretches, so what is nearest to 1 / rate over stretches of any size is
    taken, if it is near."""
    expected, found = 1.0 / rate, [float(stamps[-1] - stamps[0]) / max(1, len(stamps) - 1)]
    for size in (4096, 512, CELL):
        spans = stamps[size::size] - stamps[:-size:size]
        if len(spans) > 2:
            found.append(float(np.median(spans)) / size)
    nearest = min(found, key=lambda period: abs(period / expected - 1.0))
    if abs(nearest / expected - 1.0) < RATE_REFUSED:
        return nearest
    usual = found[min(1, len(found) - 1)]
    return usual if usual > 0 else expected


def _unit(advance: float, rate: float) -> tuple[str, float]:
    """The unit in which stamps advance by so much a sample, "" for seconds or an unknown one, and
    how many of it a second has."""
    for name, per_s in {**UNITS, "sample numbers": rate}.items():
        if abs(advance * rate / per_s - 1.0) < _SAME_UNIT:
            return name, per_s
    return "", 1.0


Gap = tuple[int, float]  # the first sample behind it, and how many are missing


class _Cells:
    """Leads of the stamps, a few numbers for each cell of samples."""

    def __init__(self, cells: Array, count: int, rate: float) -> None:
        self.begin, self.jump = cells[0].astype(np.int64), cells[3]
        self._lowest, self._highest = cells[1], cells[2]
        self.count, self._rate = count, rate
        self.slope = self._usual_slope()

    def gaps(self, least: float) -> list[Gap]:
        """Jumps by more than `least` samples that last. Found twice: the second time against the
        rate that the first one leaves."""
        for _ in range(2):
            found = self._gaps(least)
            self.slope, _ = self._fit(found)
        return found

    def rate(self, gaps: Sequence[Gap]) -> tuple[float, float]:
        """Mean advance of a stamp a sample (1: as expected), and the doubt about it."""
        slope, doubt = self._fit(gaps)
        return 1.0 + slope, doubt

    def level(self, gaps: Sequence[Gap] = ()) -> Array:
        """Middle of each cell's leads, less all gaps before it and the mean slope."""
        middle = (self._lowest + self._highest) / 2 - self.slope * self.begin
        return middle - self._missing(gaps)

    def pieces(self, gaps: Sequence[Gap]) -> Iterator[tuple[int, float]]:
        """Of whole pieces of _EVEN_S: the first sample, and the median level."""
        size = round(_EVEN_S * self._rate)
        level, of = self.level(gaps), self.begin // size
        for piece in range(self.count // size):
            low, high = np.searchsorted(of, [piece, piece + 1])
            yield piece * size, float(np.median(level[low:high]))

    def _missing(self, gaps: Sequence[Gap]) -> Array:
        where = np.searchsorted([sample for sample, _ in gaps], self.begin, side="right")
        return np.append(0.0, np.cumsum([size for _, size in gaps]))[where]

    def _usual_slope(self) -> float:
        """Median slope from half a second to the next; 0 where gaps are in most of them, or for a
        short recording, which `period_of` saw whole."""
        size = round(_NEAR_S / 2 * self._rate)
        starts = np.arange(0, self.count - 2 * size, max(1, size // 4))
        if len(starts) < 16:
            return 0.0
        first = self._middle(starts, size)
        slope = float(np.median(self._middle(starts + size, size) - first)) / size
        return slope if abs(slope) < RATE_REFUSED else 0.0

    def _middle(self, starts: npt.NDArray[np.int64], size: int) -> Array:
        """Half-way between the lowest and the highest lead of `size` samples from each start on,
        whatever the packets."""
        low, high = np.searchsorted(self.begin, [starts, starts + size])
        lowest = _over(np.minimum, self._lowest, low, high)
        return (lowest + _over(np.maximum, self._highest, low, high)) / 2

    def _fit(self, gaps: Sequence[Gap]) -> tuple[float, float]:
        """Slope of the leads without the gaps, and what jitter leaves open of it."""
        y = (self._lowest + self._highest) / 2 - self._missing(gaps)
        x = self.begin - self.begin.mean()
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
        start = max(since, int(np.searchsorted(self.begin, here - far)))
        long = slice(min(start, cell - 1), cell)
        lasting = float(np.median(high(after)) - np.median(high(long)))
        return rise if lasting > least else 0.0

    def _straight(self, leads: Array) -> _Straight:
        return _Straight(leads, self.begin, self.slope)


def _over(
    extreme: np.ufunc, values: Array, start: npt.NDArray[np.int64], stop: npt.NDArray[np.int64]
) -> Array:
    """Of values[start:stop], each at least one value long."""
    spans = np.stack([start, np.maximum(stop, start + 1)], axis=1).ravel()
    found: Array = extreme.reduceat(np.append(values, values[-1]), spans)[::2]
    return found


@dataclass(frozen=True)
class _Straight:
    """Leads less their slope, for a slice of cells."""

    leads: Array
    begin: npt.NDArray[np.int64]
    slope: float

    def __call__(self, cells: slice) -> Array:
        return self.leads[cells] - self.slope * self.begin[cells]


def _gap_findings(gaps: Sequence[Gap], rate: float) -> list[Finding]:
    """One finding for all gaps, the first ones by name."""
    if not gaps:
        return []
    named = [
        f"{size / rate:.3f} s before sample {sample} ({sample / rate:.3f} s on)"
        for sample, size in gaps[:_NAMED]
    ]
    more = f" and {len(gaps) - _NAMED} more" if len(gaps) > _NAMED else ""
    what = "a gap of" if len(gaps) == 1 else f"{len(gaps)} gaps, of"
    total = "" if len(gaps) == 1 else f", {sum(size for _, size in gaps) / rate:.3f} s in all"
    words = f"{what} {', '.join(named)}{more}{total}; each part is a stream of its own"
    return [Finding("gap", gaps[0][0], words)]


def _uneven_findings(cells: _Cells, gaps: Sequence[Gap], rate: float) -> list[Finding]:
    """Pieces between which the stamps gain or lose more than the rate may."""
    found = list(cells.pieces(gaps))
    changes = np.diff([level for _, level in found]) / rate
    changes -= np.median(changes) if len(changes) > 2 else 0.0
    for (sample, _), change in zip(found[1:], changes, strict=True):
        if abs(change) > RATE_REFUSED * _EVEN_S:
            how = "samples are missing one by one" if change > 0 else "stamps stand still"
            words = (
                f"about sample {sample} ({sample / rate:.3f} s on) the time stamps"
                f" {'gain' if change > 0 else 'lose'} {abs(change):.3f} s against the samples"
                f" ({how})"
            )
            return [Finding("uneven", sample, words, Harm.LABELS)]
    return []

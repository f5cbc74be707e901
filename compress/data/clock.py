"""What a recording's time stamps say of its samples: their rate, where some were lost, and where a
stamp is not to be believed.

Samples come at a known rate; each carries a stamp. Ordinary stamps jitter: all samples of a packet
carry one, a packet comes late and the next ones catch up, a stamp is a little before the one in
front of it. None of that is a fault. What lasts is:

    gap         stamps jump by more than GAP_S, and than the lateness of packets explains, and stay:
                samples were lost. The recording is two segments, and a network begins anew with
                the second
    lost        stamps gain on the samples for a while: samples are missing one by one
    twice       stamps lose against the samples for a while: samples come twice, or too fast
    halt        stamps stand still for more than a second
    number, stray, wrap, backwards, far
                a stamp that is none, far from those beside it, of a counter that begins again, more
                than GAP_S before an earlier one, or years behind it (`stamps.order`)
    unit        stamps advance by another unit than seconds
    rate        stamps say another rate than expected, by more than RATE_REFUSED
    clock       the same by more than RATE_SAID: another clock, or one sample lost now and then

`Clock` takes the stamps in blocks and keeps a few numbers for each cell of samples, so a recording
is never whole in memory. Everything inside is counted in samples: how far a stamp is ahead of the
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

from compress.data.stamps.leads import Gap, Leads, middle_of
from compress.data.stamps.order import Fault, Order
from compress.data.stamps.period import SAME, period_of, unit_of
from compress.data.stamps.stretches import Stretch

Array = npt.NDArray[np.float64]

GAP_S = 0.02  # what a lasting jump must exceed to be a gap, and a step backwards to be a fault
RATE_SAID, RATE_REFUSED = 0.002, SAME  # of the expected rate
LOST_REFUSED_S = 0.1  # missing in one stretch
FAR_S = 1e6  # no recording goes on after so long
_BLOCK = 1 << 16  # samples that are looked at together
_CELL_S, _CELL = 0.05, 8  # of each so many seconds some numbers are kept, or of so many samples
_NEAR_S = 1.0  # around a stamp: how long strays last; a shorter recording tells no rate
_ROUNDED = 0.01  # samples
_NAMED = 5  # gaps that are said one by one
_STOOD = 0.05  # samples a stamp may advance by, and stand still
_NO_TIME = 1e-100  # of any unit, in a second
_STANDS = 0.9  # of the samples: when stamps lose so many, they stand still


class Harm(Enum):
    """What a finding makes wrong. NONE: nothing, when it is known. LABELS: labels that are taken by
    these stamps. SIGNAL: the samples are not what a network of this rate is for, whatever their
    labels are taken by. FILE: nothing of the stamps can be used."""

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
    """The stamps of a recording whose samples come at `rate` Hz, added in blocks of any size."""

    def __init__(self, rate: float) -> None:
        self.rate, self.period = rate, 1.0 / rate  # of the stamps, in their unit a sample
        self.count, self.origin = 0, 0.0
        self.broken: Finding | None = None
        self._gap, self._near = GAP_S * rate + _ROUNDED, max(2, min(_BLOCK, round(_NEAR_S * rate)))
        self._size = max(_CELL, round(_CELL_S * rate))
        self._held: list[Array] = []  # stamps that are not taken in yet
        self._before = np.zeros(0)  # the last stamps that are
        self._first = self._last = self._highest = -math.inf  # stamps, in samples
        self._cells: list[Array] = []  # (4, cells) of each block (`Leads`)

    @np.errstate(all="ignore")  # stamps may be any numbers: what they make is looked at
    def add(self, stamps: Array) -> None:
        """The next stamps, in order. After one that cannot be used nothing more is taken in."""
        if self.broken or not len(stamps):
            return
        self._held.append(np.asarray(stamps, np.float64))
        if sum(map(len, self._held)) >= _BLOCK + self._near:
            held = np.concatenate(self._held)
            while len(held) >= _BLOCK + self._near and not self.broken:
                self._take(held, _BLOCK)
                held = held[_BLOCK:]
            self._held = [held]

    @np.errstate(all="ignore")
    def timing(self) -> Timing:
        """What the stamps that were added say."""
        held = np.concatenate([np.zeros(0), *self._held])
        self._held = []
        if len(held) and not self.broken:
            self._take(held, len(held))
        if self.broken or self.count < 2:
            return Timing(math.nan, ((0, self.count),), (self.broken,) if self.broken else ())
        leads = Leads(
            np.concatenate(self._cells, axis=1), self.count, self.rate, self._size, self._gap
        )
        rate, said = self._rate(*leads.advance())
        if math.isfinite(rate):
            uneven = _stretch_findings(leads.stretches, self.rate)
            said = [f for f in said if f.harm is not Harm.NONE or not uneven]
            said = [*_gap_findings(leads.gaps, self.rate), *said, *uneven]
        edges = [0, *(sample for sample, _ in leads.gaps), self.count]
        return Timing(rate, tuple(pairwise(edges)), tuple(said))

    def _take(self, stamps: Array, block: int) -> None:
        """Take in a block; the stamps behind it tell what its last ones are."""
        if not self.count:
            self.period = period_of(stamps[:block], self.rate)
            finite = stamps[:block][np.isfinite(stamps[:block])]
            self.origin = middle_of(finite) if len(finite) else 0.0
        around = np.concatenate([self._before, stamps[: block + self._near]])
        at = (around - self.origin) / self.period
        start = len(self._before)
        far = FAR_S * self.rate
        order = Order(around, at, self.period, self._gap, self._near, far)
        fault = order.first(start, start + block, self._highest)
        if fault:
            self.broken = _fault_finding(fault, around, self.count - start, self.rate)
            return
        self._keep(at[start : start + block])
        self._before = around[: start + block][-self._near :]

    def _keep(self, at: Array) -> None:
        """A few numbers for each cell of a block."""
        lead = at - np.arange(self.count, self.count + len(at))
        jumps = np.diff(at, prepend=self._last) - 1.0
        if not self.count:
            jumps[0], self._first = 0.0, float(at[0])
        jumps[jumps <= self._gap] = 0.0
        begins = np.union1d(np.arange(-self.count % self._size, len(at), self._size), [0])
        begins = np.union1d(begins, np.flatnonzero(jumps))
        lowest, highest = np.minimum.reduceat(lead, begins), np.maximum.reduceat(lead, begins)
        self._cells.append(np.stack([begins + self.count, lowest, highest, jumps[begins]]))
        self.count += len(at)
        self._last, self._highest = float(at[-1]), max(self._highest, float(at.max()))

    def _rate(self, measured: float, doubt: float) -> tuple[float, list[Finding]]:
        """Samples per second, and what is to be said of it; measured: mean advance of a stamp in
        `period`s."""
        advance = self.period * measured
        still = self._last - self._first <= _STOOD * self.count
        if still or not abs(advance * self.rate) > _NO_TIME:  # unless all of it may be one packet
            words = f"expected time that goes on, found {self.count} stamps that stand still"
            return math.nan, [Finding("still", 0, words, Harm.LABELS)] * (self.count > self.rate)
        unit, per_s = unit_of(advance, self.rate)
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


def _stretch_findings(stretches: Sequence[Stretch], rate: float) -> list[Finding]:
    """Of each kind of stretch one finding: the first by name, and how many there are."""
    of_kind: dict[str, list[Stretch]] = {}
    for stretch in stretches:
        stands = -stretch.size > _STANDS * (stretch.stop - stretch.start) or not stretch.lasts
        kind = "lost" if stretch.size > 0 else "halt" if stands else "twice"
        of_kind.setdefault(kind, []).append(stretch)
    return [_stretch_finding(kind, found, rate) for kind, found in of_kind.items()]


def _stretch_finding(kind: str, found: Sequence[Stretch], rate: float) -> Finding:
    worst = max(found, key=lambda stretch: abs(stretch.size))
    samples, size_s = worst.stop - worst.start, abs(worst.size) / rate
    says = f"{rate * samples / max(1.0, samples + worst.size):.4g} samples per second"
    says += f": {size_s:.3f} s of samples"
    how = {
        "lost": f"say {says} are missing one by one, or the rate changes",
        "twice": f"say {says} are too many, or the rate changes",
        "halt": f"stand still for {size_s:.3f} s",
    }[kind]
    more = f" (so in {len(found)} places, this the worst)" if len(found) > 1 else ""
    words = (
        f"from sample {worst.start} to {worst.stop} ({worst.start / rate:.3f} to"
        f" {worst.stop / rate:.3f} s on) the time stamps {how}{more}"
    )
    harm = Harm.LABELS if kind == "halt" else Harm.SIGNAL
    return Finding(kind, worst.start, words, harm if size_s >= LOST_REFUSED_S else Harm.NONE)


def _fault_finding(fault: Fault, stamps: Array, offset: int, rate: float) -> Finding:
    """What is said of it; offset: the number of the first of these stamps in the recording."""
    sample, value = fault.sample + offset, _told(stamps[fault.sample])
    found = f"found {value} at sample {sample} ({sample / rate:.4f} s)"
    count, front = fault.stop - fault.sample, "none"
    if fault.sample:
        front = _told(stamps[fault.sample - 1])
    more = f" and {count - 1} more" if count > 1 else ""
    words = {
        "number": f"expected a finite time at each sample, {found}",
        "stray": f"expected time that goes on evenly, {found}{more}, far from those beside it",
        "wrap": f"expected time that never begins again, {found} behind {front}, as a counter of"
        f" {fault.bits} bits has it",
        "backwards": f"expected time that never runs backwards, {found}, behind {front}",
        "far": f"expected the time of one recording, {found}, behind {front}",
    }[fault.kind]
    return Finding(fault.kind, sample, words, Harm.FILE)


def _told(stamp: float) -> str:
    return repr(float(stamp))

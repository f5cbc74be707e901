"""Labels with time stamps of their own, as keystrokes have them, among samples."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from compress.data.clock import Array, Finding, Harm
from compress.data.stamps.period import UNITS
from compress.reading.words import noun

_OUTSIDE = 0.01  # of the labels: so many may lie outside the recorded time without a word
_FILLS = 0.1  # of the recorded time that labels of another unit span, or it is chance


def places(stamps: Array, times: Array) -> Array:
    """Which sample was being recorded at each time, from the stamp of the first on: the last one
    with no later stamp, and between two stamps in proportion."""
    ordered = np.maximum.accumulate(stamps)
    sample = np.maximum(np.searchsorted(ordered, times, side="right") - 1, 0)
    width = np.append(np.diff(ordered), np.inf)[sample]
    return sample + np.clip((times - ordered[sample]) / width, 0.0, 1.0 - 1e-9)


def apart(what: str, starts: Array, spans: Sequence[tuple[float, float]]) -> list[Finding]:
    """Labels that lie in none of the recorded spans of time, each from a first stamp to a last one:
    all of them, as by another clock; a hundredth and more outside, as in a part that was cut out or
    by a clock that runs faster; or in gaps between spans."""
    first, last = spans[0][0], spans[-1][1]
    outside = int(((starts < first) | (starts > last)).sum())
    recorded = sum(int(((starts >= low) & (starts <= high)).sum()) for low, high in spans)
    in_gaps = len(starts) - outside - recorded
    found = []
    if in_gaps:
        words = f"{in_gaps} of {len(starts)} {what} lie in gaps: they count nowhere"
        found.append(Finding("apart", 0, words))
    if outside and outside >= _OUTSIDE * len(starts):
        found.append(_outside(what, starts, outside, first, last))
    return found


def _outside(what: str, starts: Array, outside: int, first: float, last: float) -> Finding:
    within = f"within the recorded time, {first:.3f} to {last:.3f}"
    low, high = float(starts.min()), float(starts.max())
    if low <= last and high >= first:
        words = (
            f"{outside} of {len(starts)} {what} {noun(outside, 'does', 'do')} not lie {within} and"
        )
        words += (
            f" {noun(outside, 'counts', 'count')} nowhere: a part was cut out, or clocks differ"
        )
        return Finding("apart", 0, words)
    words = f"expected {what} {within}, found all {len(starts)} between {low:.3f} and {high:.3f}"
    return Finding("apart", 0, words + _why_apart(starts, first, last), Harm.LABELS)


def _why_apart(starts: Array, first: float, last: float) -> str:
    """Another unit, if labels that are counted in it lie within the recorded time and fill some of
    it; else another beginning of time."""
    for name, per_s in UNITS.items():
        for factor, which in ((1 / per_s, "they count"), (per_s, "the samples' stamps count")):
            inside = (starts * factor >= first) & (starts * factor <= last)
            fills = (starts.max() - starts.min()) * factor > _FILLS * (last - first)
            if fills and inside.mean() > 0.5:
                return f", as if {which} {name}"
    return ", as if the two were counted from different moments"

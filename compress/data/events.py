"""Labels with time stamps of their own, as keystrokes have them, among samples."""

from __future__ import annotations

import numpy as np

from compress.data.clock import UNITS, Array, Finding, Harm

_OUTSIDE = 0.1  # of the labels: so many may lie outside the recorded time without a word


def places(stamps: Array, times: Array) -> Array:
    """Which sample was being recorded at each time, from the stamp of the first on: the last one
    with no later stamp, and between two stamps in proportion."""
    ordered = np.maximum.accumulate(stamps)
    sample = np.maximum(np.searchsorted(ordered, times, side="right") - 1, 0)
    width = np.append(np.diff(ordered), np.inf)[sample]
    return sample + np.clip((times - ordered[sample]) / width, 0.0, 1.0 - 1e-9)


def apart(what: str, starts: Array, first: float, last: float) -> Finding | None:
    """Labels that do not lie within the recorded time, from the first stamp to the last: all of
    them, as by another clock, or a tenth and more, as in a part that was cut out."""
    inside = int(((starts >= first) & (starts <= last)).sum())
    outside = len(starts) - inside
    if not outside or outside < _OUTSIDE * len(starts):
        return None
    within = f"within the recorded time, {first:.3f} to {last:.3f}"
    low, high = float(starts.min()), float(starts.max())
    if inside or (low < first and high > last):
        words = f"{outside} of {len(starts)} {what} do not lie {within}: they count nowhere"
        return Finding("apart", 0, words)
    words = f"expected {what} {within}, found all {len(starts)} between {low:.3f} and {high:.3f}"
    return Finding("apart", 0, words + _why_apart(starts, first, last), Harm.LABELS)


def _why_apart(starts: Array, first: float, last: float) -> str:
    for name, per_s in UNITS.items():
        for scaled, which in ((starts / per_s, "they"), (starts * per_s, "the stamps")):
            if ((scaled >= first) & (scaled <= last)).any():
                return f", as if {which} counted {name}"
    if first < 1e8 < float(starts.min()):
        return ", as if the stamps began at another time than 1970"
    return ""

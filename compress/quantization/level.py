"""How large a signal is, electrode by electrode: what a calibration on it would take for the level
of the signal, and is not.

One scale holds all samples of a network, so one damaged word would leave no steps for the others.
A glitch is told from a signal by a gap: between the largest sample of a signal and the ten-fold of
it lies no other one, whereas muscle, artefacts of movement and hum sweep through all values on
their way. It is clipped to the largest sample below the gap. Electrodes that say nothing, or much
more than the others, are named: nothing is left out for them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from compress.errors import RecordingError
from compress.graph import Array
from compress.reading.words import counted

GAP = 10.0  # no sample of an electrode lies between its signal and so many times it: a glitch above
SILENT = 1e-3  # share of samples in which anything moves, below which nothing was recorded
RARE = 0.1  # share of an electrode's samples that glitches may be, if they are not at a rail
LOUD = 1000.0  # × the usual level: no signal is; 300 cost w8a8 half a point of CER, 1,000 four
OFFSET = 100.0  # × the usual level, of the median of an electrode
BLOCK_S = 0.1  # in which a level is taken
BRIEF = 5  # of these in a row: what is so loud for longer may be a contraction after rest
STEPS = 2**15 / 1.3  # of the largest sample, as the input's scale has them
_NAMED = 4  # electrodes in a message; the rest are counted


@dataclass(frozen=True)
class Level:
    """Of one recording, samples (n, electrodes) as they calibrate, and what there is to say."""

    samples: Array
    findings: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Signal:
    """samples float32 (n, electrodes), each with its number; rate: Hz; electrode: what one is
    called."""

    samples: Array
    rate: float
    electrode: Callable[[int], str]
    numbers: Array

    def at(self, sample: int, electrode: int) -> str:
        """A place in words."""
        number = int(self.numbers[sample])
        return f"sample {number} ({number / self.rate:.4f} s), {self.electrode(electrode)}"

    def names(self, electrodes: Array) -> str:
        """Some electrodes in words."""
        more = len(electrodes) - _NAMED
        named = ", ".join(self.electrode(int(e)) for e in electrodes[:_NAMED])
        return named + (f" and {more} more" if more > 0 else "")


def examine(
    samples: Array,
    rate: float,
    electrode: Callable[[int], str] = "electrode {}".format,
    numbers: Array | None = None,
) -> Level:
    """Samples (n, electrodes), n > 0, finite, clipped where they are glitches, and what is unusual.

    Signals that are what they should be come back as they are. `numbers`: of these samples in their
    recording, (n,), where they are not its first ones. RecordingError for what cannot calibrate:
    silence, and electrodes so much louder than the others that nothing is left of these.
    """
    numbers = np.arange(len(samples)) if numbers is None else numbers
    signal = _Signal(samples, rate, electrode, numbers)
    middle = np.median(samples, axis=0)
    if (samples != middle).any(1).mean() < SILENT:
        raise RecordingError(_silence(signal, middle))
    limits, findings = _gaps(signal)
    found = replace(signal, samples=_clip(samples, limits))
    still = _still(found)
    limits = _within_reason(found, limits, still)
    if np.isfinite(limits).any():
        findings = [_glitches(signal, limits), *findings]
        found = replace(signal, samples=_clip(samples, limits))
    return Level(found.samples, (*findings, *_dead(found, still), *_levels(found, still)))


def _clip(samples: Array, limits: Array) -> Array:
    return np.clip(samples, -limits, limits) if np.isfinite(limits).any() else samples


def blocks(samples: Array, rate: float) -> Array:
    """The level in each stretch of 0.1 s, (stretches, electrodes): RMS about its mean."""
    return np.asarray(_stretches(samples, rate).std(axis=1, dtype=np.float64))


def _stretches(samples: Array, rate: float) -> Array:
    """(stretches, samples, electrodes), without the last samples that fill none."""
    size = min(len(samples), max(2, round(BLOCK_S * rate)))
    return samples[: len(samples) // size * size].reshape(-1, size, samples.shape[1])


def usual_levels(samples: Array, rate: float) -> Array:
    """(electrodes,): the level that nearly all stretches stay within."""
    return np.asarray(np.quantile(blocks(samples, rate), 0.95, axis=0))


def _still(signal: _Signal) -> Array:
    """Which electrodes hardly ever move, (electrodes,), while others do."""
    still = usual_levels(signal.samples, signal.rate) == 0
    return still if not still.all() else (signal.samples == signal.samples[0]).all(0)


def _gaps(signal: _Signal) -> tuple[Array, list[str]]:
    """The largest magnitude (electrodes,) below a gap, infinite where there is none."""
    limits, findings = np.full(signal.samples.shape[1], np.inf, np.float32), []
    for e in range(len(limits)):
        size = np.sort(np.abs(signal.samples[:, e]))
        below = _below_gap(size)
        if below is None:
            continue
        above, rail = len(size) - below - 1, int((size[below + 1 :] == size[-1]).sum())
        if above <= RARE * len(size) or 2 * rail >= above:
            limits[e] = size[below]
        else:
            findings.append(
                f"{signal.electrode(e)}: {above / len(size):.0%} of its samples are more than"
                f" {GAP:g} times as large as all others, up to {size[-1]:g} over {size[below]:g}:"
                " they count as signal; if they are none, cut them out"
            )
    return limits, findings


def _below_gap(size: Array) -> int | None:
    """Where in these magnitudes, rising, a signal ends and glitches begin."""
    with np.errstate(over="ignore"):
        wide = np.flatnonzero(size[1:] > GAP * size[:-1])
    least = np.searchsorted(size, 0.0, "right")
    least += (len(size) - least) // 4  # the smallest may lie as far apart as they like
    wide = wide[wide >= least]
    return int(wide[0]) if len(wide) else None


def _within_reason(clipped: _Signal, limits: Array, still: Array) -> Array:
    """The same limits, and where stretches reach so many times the level of nearly all of them,
    what the others reach: what swings up to a glitch and back leaves no gap, and is over soon. An
    electrode that is still does not set the range where it stands far beyond the others."""
    usual = usual_levels(clipped.samples, clipped.rate)
    offset = np.abs(np.median(clipped.samples, axis=0))
    most = np.where(usual > 0, LOUD * usual + offset, np.inf)
    peaks = _stretches(np.abs(clipped.samples), clipped.rate).max(axis=1)
    peak = np.abs(clipped.samples).max(0)
    brief = (peak > most) & (_longest_run(peaks > most) <= BRIEF)
    most = np.where(brief, np.where(peaks <= most, peaks, 0.0).max(0), np.inf)
    if not still.all():
        others = peak[~still].max()
        most = np.where(still & (peak > GAP * others), others, most)
    return np.where(peak > most, most, limits).astype(np.float32)


def _longest_run(mask: Array) -> Array:
    """(n, electrodes) -> (electrodes,): the most in a row."""
    run = longest = np.zeros(mask.shape[1], np.int64)
    for row in mask:
        run = np.where(row, run + 1, 0)
        longest = np.maximum(longest, run)
    return longest


def _glitches(signal: _Signal, limits: Array) -> str:
    """What is clipped, the largest of it first."""
    size = np.abs(signal.samples)
    beyond = size > limits
    of = np.flatnonzero(beyond.any(0))
    place = np.unravel_index(int(np.argmax(np.where(beyond, size, -1.0))), size.shape)
    sample, electrode = (int(i) for i in place)
    value, limit = float(signal.samples[sample, electrode]), float(limits[electrode])
    count = int(beyond.sum())
    many = "1 sample is" if count == 1 else f"{count:,} samples of {signal.names(of)} are"
    return (
        f"{many} far beyond what is usual: {'' if count == 1 else 'the largest, '}"
        f"{signal.at(sample, electrode)}, is {value:g}, {abs(value) / max(limit, 1e-30):.3g}"
        f" times the {limit:g} that the signal reaches; clipped to that for calibration; cut such"
        " parts out, or check the electrode and the converter"
    )


def _dead(signal: _Signal, still: Array) -> list[str]:
    dead = np.flatnonzero(still)
    if not len(dead):
        return []
    values = np.unique(np.median(signal.samples[:, dead], axis=0))
    same = f"{values[0]:g}" if len(values) == 1 else "one value each"
    return [
        f"{signal.names(dead)}: {same} in nearly all of {counted(len(signal.samples), 'sample')}"
        " while others move: no contact, or not recorded; ranges come from the others; check it"
    ]


def _levels(signal: _Signal, still: Array) -> list[str]:
    """Electrodes at another level than most, and offsets; RecordingError where the loud ones leave
    less than one step to the others."""
    level = usual_levels(signal.samples, signal.rate)
    usual = float(np.median(level[~still])) if not still.all() else 0.0
    size = np.abs(signal.samples)
    sample, electrode = (int(i) for i in np.unravel_index(int(size.argmax()), size.shape))
    where, peak = signal.at(sample, electrode), float(size[sample, electrode])
    if usual and level.max() > STEPS * usual:
        raise RecordingError(
            f"{where}, is {peak:g}, where electrodes have a level of {usual:g}: one scale holds all"
            " of them, and would round the others to nothing; scale that electrode or calibrate on"
            " another recording"
        )
    found = []
    if usual and peak > LOUD * usual and level[electrode] <= LOUD * usual:
        found.append(
            f"{where}, is {peak:g}, {peak / usual:,.0f} times the usual level of {usual:g}, for too"
            " long to be a glitch: it counts as signal, and leaves few steps to what is usual; cut"
            " it out if it is none"
        )
    loud = np.flatnonzero(level > LOUD * usual)
    quiet = np.flatnonzero((level < usual / LOUD) & ~still)
    for which, word in ((loud, "louder"), (quiet, "quieter")):
        if len(which):
            found.append(
                f"{signal.names(which)}: more than {LOUD:,.0f} times {word} than the usual"
                f" electrode, {float(level[which[0]]):g} instead of {usual:g}; check its gain"
            )
    offset = np.abs(np.median(signal.samples, axis=0))
    if usual and np.median(offset) > OFFSET * usual:
        found.append(
            f"samples have an offset of {float(np.median(offset)):g}, the signal a level of"
            f" {usual:g}: expected high-pass filtered samples, as networks are trained on"
        )
    return found


def _silence(signal: _Signal, middle: Array) -> str:
    same = f"{float(middle[0]):g}" if (middle == middle[0]).all() else "one value an electrode"
    moved = int((signal.samples != middle).any(1).sum())
    return (
        f"silence: {same} in all of {counted(len(signal.samples), 'sample')}"
        f" ({len(signal.samples) / signal.rate:g} s){f' but {moved}' if moved else ''}: expected a"
        " signal that shows how large its values get; calibrate on another recording"
    )

"""Muscle activity of some classes, or forces of some levels, seen by any band: so many electrodes
around the forearm, at any rate.

The muscles, their motor units and the limb are those of the typist (`motor_units`, `electrodes`).
A class holds a few muscles at a level each, class 0 none; an output of forces drives a few muscles
in proportion. Who moves is the same in every session; where the band sits, how well it touches and
what is done when differ.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter1d
from scipy.signal import butter, resample, sosfilt

from compress.data.recording_file import SAMPLE_RATE
from compress.data.simulator import electrodes, motor_units
from compress.data.simulator.arm import STEP, USER, Conditions
from compress.data.simulator.muscles import GRID, MUSCLES, TONE

Array = npt.NDArray[Any]
LEFT_OUT = 0.25  # s behind a change of class that have no label: the muscles are on their way
_ONSET = 0.06  # s, standard deviation of the slope between two classes
_FORCE = 0.2  # s, of that between two levels of force
_DELAY = 0.05  # s from the excitation of a muscle to its force
_HOLD, _PART = 0.3, 0.3  # log-normal spreads of a hold's strength, and of each muscle's part
_ASTRAY = 0.02  # mean excitation of muscles that have no part in a hold
_TOGETHER = (0.36, 0.22, 0.14)  # levels of the muscles of a class, the first its own
_SCALE = 250.0  # of all action potentials, as in the published recordings
_SLOW = 20.0  # Hz: below it there is skin, not muscle
_CONDITIONS = Conditions(turn=0.1, gain=0.15, noise=1.2, strength=0.15)


@dataclass(frozen=True)
class Band:
    """Electrodes evenly around the limb, and samples per second."""

    rate: float
    electrodes: int


def classes(
    split: str, number: int, seconds: float, seed: int, band: Band, count: int
) -> tuple[Array, Array]:
    """One session: emg float32 (samples, electrodes), label int64 (samples,) of 0…count − 1, or −1
    behind a change. The same arguments give the same samples."""
    rng = _drawn(f"classes {split}", number, seed)
    plan, muscles = _holds(seconds, count, rng), _muscles_of(count, seed, rest=True)
    held = np.zeros((len(MUSCLES), round(seconds * GRID)))
    for begin, end, which in plan:
        strength = np.exp(_HOLD * rng.standard_normal() + _PART * rng.standard_normal(len(held)))
        level = muscles[which] * strength + _ASTRAY * rng.exponential(size=len(held))
        held[:, round(begin * GRID) : round(end * GRID)] = level[:, None]
    excitation = gaussian_filter1d(held, _ONSET * GRID, axis=1, mode="nearest")
    emg = _record(excitation, seconds, seed, band, rng)
    return emg, _labels(plan, len(emg), band.rate)


def forces(
    split: str, number: int, seconds: float, seed: int, band: Band, count: int
) -> tuple[Array, Array]:
    """One session: emg float32 (samples, electrodes), target float32 (samples, count) of shares 0…1
    of the strongest force; NaN in the first half second, in which the sensor settles."""
    rng = _drawn(f"values {split}", number, seed)
    levels = np.stack([_levels(seconds, rng) for _ in range(count)])
    drive = gaussian_filter1d(levels, _FORCE * GRID, axis=1, mode="nearest")
    muscles = _muscles_of(count, seed, rest=False)
    emg = _record(np.einsum("cm,ct->mt", muscles, drive), seconds, seed, band, rng)
    grid, times = np.arange(drive.shape[1]) / GRID + _DELAY, np.arange(len(emg)) / band.rate
    target = np.stack([np.interp(times, grid, force) for force in drive], axis=1)
    target[: round(0.5 * band.rate)] = np.nan
    return emg, target.astype(np.float32)


def _drawn(what: str, number: int, seed: int) -> np.random.Generator:
    return np.random.default_rng([seed, zlib.crc32(what.encode()), number])


def _holds(seconds: float, count: int, rng: np.random.Generator) -> list[tuple[float, float, int]]:
    """(begin, end, class): every class once in each round, in any order, for about a second."""
    found: list[tuple[float, float, int]] = []
    at = 0.0
    while at < seconds:
        for which in rng.permutation(count):
            end = min(at + float(rng.uniform(0.7, 1.5)), seconds)
            if end > at:
                found.append((at, end, int(which)))
            at = end
    return found


def _labels(plan: list[tuple[float, float, int]], samples: int, rate: float) -> Array:
    label = np.full(samples, -1, np.int64)
    for begin, end, which in plan:
        label[round((begin + LEFT_OUT) * rate) : round(end * rate)] = which
    return label


def _levels(seconds: float, rng: np.random.Generator) -> Array:
    """A force that is held at one level after the other, a third of them none: (seconds · GRID,)
    of 0…1."""
    held = round(seconds / 0.7) + 2
    lengths = np.round(rng.uniform(0.7, 2.0, held) * GRID).astype(int)
    values = rng.uniform(0.1, 1.0, held) * (rng.random(held) > 1 / 3)
    return np.repeat(values, lengths)[: round(seconds * GRID)]


def _muscles_of(count: int, seed: int, rest: bool) -> Array:
    """Excitation (count, muscles) of each class or output at its full level. Muscles take turns in
    leading one; with `rest` the first has none."""
    rng = np.random.default_rng([seed, zlib.crc32(f"{USER} {count}".encode())])
    order, found = rng.permutation(len(MUSCLES)), np.zeros((count, len(MUSCLES)))
    for row in range(1 if rest else 0, count):
        own = order[row % len(MUSCLES)]
        others = rng.choice(np.setdiff1d(order, [own]), len(_TOGETHER) - 1, replace=False)
        found[row, [own, *others]] = _TOGETHER
    return found


def _record(
    excitation: Array, seconds: float, seed: int, band: Band, rng: np.random.Generator
) -> Array:
    """What the band records of the muscles' excitation (muscles, time · GRID): float32 (samples,
    electrodes)."""
    units = motor_units.pool(np.random.default_rng([seed, zlib.crc32(USER.encode())]))
    strength = np.exp(_CONDITIONS.strength * rng.standard_normal((len(MUSCLES), 1)))
    driven = np.minimum(TONE + excitation * strength, 0.9).astype(np.float32)
    times, owners = motor_units.fire(units, driven, rng)
    waves = _waves(units, band.electrodes, rng)
    fine = electrodes.render(times, owners, waves, round(seconds * SAMPLE_RATE))
    signal = resample(fine, round(seconds * band.rate), axis=0)
    signal += _CONDITIONS.noise * rng.standard_normal(signal.shape)
    hum = 0.1 * np.exp(0.5 * rng.standard_normal(band.electrodes))
    signal += hum * np.sin(2 * np.pi * 50.0 / band.rate * np.arange(len(signal)))[:, None]
    return (np.round(_high_pass(signal, band.rate) / STEP) * STEP).astype(np.float32)


def _waves(units: motor_units.Pool, count: int, rng: np.random.Generator) -> Array:
    """Action potentials (units, samples, count): electrode by electrode the first of a ring that
    is turned to its place."""
    turn = _CONDITIONS.turn * float(rng.standard_normal())
    along = _CONDITIONS.along * float(rng.standard_normal())
    gains = _SCALE * np.exp(_CONDITIONS.gain * rng.standard_normal(count))
    rings = [
        electrodes.Ring(turn + 2 * np.pi * i / count, along, np.full(electrodes.ELECTRODES, gain))
        for i, gain in enumerate(gains)
    ]
    return np.stack([electrodes.action_potentials(units, ring)[..., 0] for ring in rings], axis=-1)


def _high_pass(signal: Array, rate: float) -> Array:
    """Second-order Butterworth at 20 Hz along time, causal as on a device; nothing at rates that do
    not reach so far."""
    if rate <= 4 * _SLOW:
        return signal
    return np.asarray(sosfilt(butter(2, _SLOW, "highpass", fs=rate, output="sos"), signal, axis=0))

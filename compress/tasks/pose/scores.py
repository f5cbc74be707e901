"""How good predicted hand poses are: the metrics of emg2pose (Salter et al., NeurIPS 2024), with
intervals and trivial baselines.

Angles are rad in, degrees out; arrays are (T, 20), joints in the order of `kinematics.JOINTS`. The
published code scores at the EMG's 2 kHz: a network's 50 outputs per second are resampled to it
(`align`) before anything is measured. It counts only samples whose inverse kinematics succeeded.
Two habits of it are kept so that figures compare. Velocity, acceleration and jerk are those of the
prediction, not errors, and each is a difference of samples times the rate once: only velocity is a
physical quantity, the other two depend on the rate. And the wrist, which cannot move, is among the
landmarks.

Stretches pool by valid samples: all errors over all valid samples. The published code does so
within a batch and weights batches by their windows; it tests on windows of equal length without a
failure in them, for which the two are the same.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from compress.errors import TendonError
from compress.graph.samples import OnDisk, stays_on_disk
from compress.tasks.pose.kinematics import (
    FINGERS,
    FINGERTIPS,
    GROUPS,
    JOINTS,
    MOVING,
    Floats,
    Hand,
    landmarks,
)
from compress.tasks.statistics import RUNS, Array, resampled, sums_of_runs

Mask = npt.NDArray[np.bool_]
Sum = tuple[float, int]  # of magnitudes, and how many there were

GROUP_OF_JOINT = np.tile(
    [0, 0, 1, 2], len(FINGERS)
)  # proximal twice, mid, distal: of every finger, the thumb's too
FINGER_OF_JOINT = np.repeat(np.arange(len(FINGERS)), 4)
LANDMARK_RATE = (
    50  # Hz: forward kinematics of every 40th sample at 2 kHz, from the first of a stretch
)
FINGERTIP_WEIGHT = 0.01  # of the distance in mm beside the angle error in rad, in the loss
RUN = 1.0  # seconds that the bootstrap draws together: errors of one movement are not independent


BLOCK = 40 * 1600  # samples that are measured at once, of whole landmark steps


@dataclass(frozen=True, eq=False)
class Stretch:
    """Predictions (T, 20) and targets (T, 20) in rad of consecutive samples, and which of them are
    valid (T,). Both may lie on disk: what is measured takes a piece of them after the other."""

    predictions: Floats
    targets: Floats
    mask: Mask

    def __post_init__(self) -> None:
        shape = (len(self.mask), len(JOINTS))
        for name, angles in (("predictions", self.predictions), ("targets", self.targets)):
            if angles.shape != shape:
                raise TendonError(
                    f"pose score: expected {name} of shape {shape} in rad, found {angles.shape};"
                    " align them first"
                )
        if isinstance(self.targets, np.ndarray):
            self._check_finite()

    def _check_finite(self) -> None:
        for name, angles in (("predictions", self.predictions), ("targets", self.targets)):
            if not np.isfinite(np.asarray(angles)[self.mask]).all():
                raise TendonError(
                    f"pose score: expected finite {name}, found NaN or infinity in a valid sample;"
                    " mask it"
                )

    def pieces(self, size: int | None = None) -> Iterator[Stretch]:
        """The same in pieces of `size` samples, or of BLOCK, read."""
        size = size or BLOCK
        for start in range(0, len(self.mask), size):
            part = slice(start, start + size)
            x, y = (np.asarray(v[part], dtype=np.float64) for v in (self.predictions, self.targets))
            yield Stretch(x, y, self.mask[part])

    @property
    def error(self) -> Floats:
        """Absolute errors (T, 20) in degrees, 0 in samples that are not valid."""
        return np.where(
            self.mask[:, None], np.degrees(np.abs(self.predictions - self.targets)), 0.0
        )

    def apart(self, other: Stretch) -> Floats:
        """Distance from another stretch's predictions (T, 20) in degrees."""
        return np.degrees(np.abs(self.predictions - other.predictions))


@dataclass(frozen=True)
class PoseScore:
    """The published metrics. Angles in degrees, distances in mm; the names say the unit, `sample`
    being 1 / rate_hz."""

    mae_deg: float
    finger_mae_deg: dict[str, float]
    group_mae_deg: dict[str, float]
    velocity_deg_s: float
    acceleration_deg_s_sample: float
    jerk_deg_s_sample2: float
    landmark_mm: float
    fingertip_mm: float
    samples: int
    rate_hz: float

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def stretch(
    predictions: npt.ArrayLike, targets: npt.ArrayLike, mask: npt.ArrayLike | None = None
) -> Stretch:
    """A stretch of any number type; every sample valid without a mask."""
    x, y = (
        v if isinstance(v, OnDisk) else np.asarray(v, dtype=np.float64)
        for v in (predictions, targets)
    )
    valid = np.ones(len(y), bool) if mask is None else np.asarray(mask, dtype=bool)
    return Stretch(cast(Floats, x), cast(Floats, y), valid)


def score(stretches: Iterable[Stretch], rate: float, hand: Hand) -> PoseScore:
    """All metrics of stretches at `rate` Hz, pooled; differences in time are not taken across two
    stretches."""
    pooled: dict[str, list[Sum]] = {
        "mae": []
    }  # asked for first, so that no stretch at all is no valid sample
    for part in stretches:
        for name, value in _measure(part, rate, hand):
            pooled.setdefault(name, []).append(value)
    means = {name: _mean(name, sums) for name, sums in pooled.items()}
    return PoseScore(
        mae_deg=means["mae"],
        finger_mae_deg={f: means[f] for f in FINGERS},
        group_mae_deg={g: means[g] for g in GROUPS},
        velocity_deg_s=means["velocity"],
        acceleration_deg_s_sample=means["acceleration"],
        jerk_deg_s_sample2=means["jerk"],
        landmark_mm=means["landmark"],
        fingertip_mm=means["fingertip"],
        samples=sum(n for _, n in pooled["mae"]) // len(JOINTS),
        rate_hz=float(rate),
    )


def published(found: Mapping[str, Any]) -> dict[str, float]:
    """The figures of `PoseScore.to_json` by the names, in the order and in the units of emg2pose's
    test: rad, rad per second (and sample), mm; `test_loss` weighs as its training does."""
    radians = {"mae": found["mae_deg"], "vel": found["velocity_deg_s"]}
    radians |= {"acc": found["acceleration_deg_s_sample"], "jerk": found["jerk_deg_s_sample2"]}
    for of in ("finger_mae_deg", "group_mae_deg"):
        radians |= {f"mae_{name}": value for name, value in found[of].items()}
    figures = {name: math.radians(value) for name, value in radians.items()}
    figures |= {f"{of}_distance": found[f"{of}_mm"] for of in ("fingertip", "landmark")}
    figures["loss"] = figures["mae"] + FINGERTIP_WEIGHT * figures["fingertip_distance"]
    return {f"test_{name}": value for name, value in figures.items()}


def _measure(stretch: Stretch, rate: float, hand: Hand) -> Iterator[tuple[str, Sum]]:
    """Every metric's magnitudes in one stretch, piece by piece."""
    before: tuple[Floats, Mask] = np.zeros((0, len(JOINTS))), np.zeros(0, bool)
    for part in stretch.pieces():
        yield from _errors_of(part)
        before = np.concatenate([before[0], part.predictions]), np.append(before[1], part.mask)
        yield from _changes(*before, len(part.mask), rate)
        before = before[0][-3:], before[1][-3:]
        yield from _distances(part, rate, hand)


def _errors_of(part: Stretch) -> Iterator[tuple[str, Sum]]:
    error, valid = part.error, int(part.mask.sum())
    yield "mae", (float(error.sum()), valid * len(JOINTS))
    for names, of_joint in ((FINGERS, FINGER_OF_JOINT), (GROUPS, GROUP_OF_JOINT)):
        for i, name in enumerate(names):
            yield name, (float(error[:, of_joint == i].sum()), valid * int((of_joint == i).sum()))


def _changes(predictions: Floats, mask: Mask, new: int, rate: float) -> Iterator[tuple[str, Sum]]:
    """What ends in the last `new` samples; those before them were there already."""
    change, known = np.degrees(predictions), len(mask) - new
    for order, name in enumerate(("velocity", "acceleration", "jerk"), 1):
        change, mask = np.diff(change, axis=0), mask[1:] & mask[:-1]
        first = max(0, known - order)
        yield name, _total(np.abs(change[first:][mask[first:]]) * rate)


def _distances(part: Stretch, rate: float, hand: Hand) -> Iterator[tuple[str, Sum]]:
    every = max(1, round(rate / LANDMARK_RATE))
    chosen = np.flatnonzero(part.mask[::every]) * every
    found, expected = (
        landmarks(angles[chosen], hand) for angles in (part.predictions, part.targets)
    )
    distance = np.linalg.norm(found - expected, axis=-1)  # (T, landmarks=21)
    yield "landmark", _total(distance[:, MOVING])
    yield "fingertip", _total(distance[:, FINGERTIPS])


def _total(magnitudes: Floats) -> Sum:
    return float(magnitudes.sum()), magnitudes.size


def _mean(name: str, sums: Sequence[Sum]) -> float:
    count = sum(n for _, n in sums)
    if not count:
        raise TendonError(
            f"pose score: expected valid samples to measure {name} in, found none (jerk takes four"
            f" in a row, landmarks one in {1000 // LANDMARK_RATE} ms); score a longer stretch, or"
            " one without failures of inverse kinematics"
        )
    return sum(total for total, _ in sums) / count


# --- time: 50 outputs per second against targets at 2 kHz -----------------------------------------


def resample(values: Array, length: int, start: int = 0, stop: int | None = None) -> Floats:
    """(T, …) to (length, …) by linear interpolation between the middles of samples, ends held, in
    float64; of these rows start…stop.

    What torch calls `interpolate(mode="linear", align_corners=False)`, over the first axis. Torch
    rounds positions to the type of its values, in an order that depends on the processor; these are
    exact, so float32 differs by up to 5e-7 of T times a step.
    """
    if not len(values) or length < 1:
        raise TendonError(
            f"resampling: expected at least one sample on either side, found {len(values)} and"
            f" {length}"
        )
    stop = length if stop is None else min(stop, length)
    times = (np.arange(start, stop) + 0.5) * len(values) / length  # step_times
    position = np.clip(times - 0.5, 0, len(values) - 1)
    before, after = np.floor(position).astype(int), np.ceil(position).astype(int)
    share = (position - before).reshape(-1, *[1] * (np.ndim(values) - 1))
    first = int(before[0]) if len(before) else 0  # of those that are read
    some = np.asarray(values[first : int(after[-1]) + 1 if len(after) else 0], dtype=np.float64)
    return (1.0 - share) * some[before - first] + share * some[after - first]


def align(outputs: Array, samples: int) -> Floats:
    """A network's outputs (steps, 20) at each of the `samples` that follow its left context, as
    published; many of them are made where they are asked for."""
    if samples <= BLOCK:
        return resample(outputs, samples)
    resample(outputs, samples, 0, 1)  # refuses what cannot be resampled
    shape = (samples, *np.shape(outputs)[1:])
    return stays_on_disk(lambda a, b: resample(outputs, samples, a, b), shape, np.float64)


def step_times(steps: int, samples: int) -> Floats:
    """When each of `steps` outputs holds, in samples after the left context: the middle of its
    share of them.

    Sample i lasts from i to i + 1; so with 40 samples a step, step 0 holds at 20.0, between samples
    19 and 20.
    """
    return (np.arange(steps) + 0.5) * samples / steps


def at_steps(targets: Array, mask: Mask, steps: int) -> tuple[Floats, Mask]:
    """Targets (samples, 20) at the times of the outputs (steps, 20), and where both samples beside
    such a time are valid."""
    positions = np.clip(step_times(steps, len(targets)) - 0.5, 0, len(targets) - 1)
    return (
        resample(targets, steps),
        mask[np.floor(positions).astype(int)] & mask[np.ceil(positions).astype(int)],
    )


def scored_mask(no_ik_failure: Mask, left_context: int, right_context: int, initial: bool) -> Mask:
    """Which samples between the contexts of a window count, as published.

    A network that is given the initial pose (tracking) has none where that pose, of sample
    `left_context`, is missing.
    """
    mask = no_ik_failure[left_context : len(no_ik_failure) - right_context]
    return np.zeros_like(mask) if initial and not mask[:1].all() else mask.copy()


# --- what a network is put beside -----------------------------------------------------------------


def hold_initial(targets: Array, start: int) -> Array:
    """The trivial tracker, for targets[start:]: the pose of sample `start`, held."""
    return np.broadcast_to(targets[start], targets[start:].shape)


def mean_pose(targets: Sequence[Array], masks: Sequence[Mask]) -> Floats:
    """The trivial regressor (20,): the mean over all valid samples of training targets, each (T,
    20)."""
    valid = sum(int(mask.sum()) for mask in masks)
    if not valid:
        raise TendonError(
            "mean pose: expected valid samples in the training targets, found none; give other"
            " recordings"
        )
    total = np.zeros(len(JOINTS))
    for t, m in zip(targets, masks, strict=True):
        for start in range(0, len(m), BLOCK):
            part = slice(start, start + BLOCK)
            total += np.asarray(t[part])[m[part]].sum(0, dtype=np.float64)
    return total / valid


def mean_error(targets: Sequence[Array], masks: Sequence[Mask], guesses: Sequence[Array]) -> float:
    """MAE in degrees over the valid samples of targets (T, 20) each of one guess (20,) for all of
    them."""
    total, valid = 0.0, sum(int(mask.sum()) for mask in masks)
    for t, m, guess in zip(targets, masks, guesses, strict=True):
        for start in range(0, len(m), BLOCK):
            part = slice(start, start + BLOCK)
            total += float(np.degrees(np.abs(np.asarray(t[part]) - guess))[m[part]].sum())
    return total / (valid * len(JOINTS)) if valid else math.nan


@dataclass(frozen=True)
class Deviation:
    """Absolute difference of two runs of a network, over samples and joints."""

    mean_deg: float
    max_deg: float


def deviation(window: Sequence[Array], stream: Sequence[Array]) -> Deviation:
    """How far streamed outputs are from windowed ones, each (T, 20) in rad of the same times."""
    apart = [
        np.degrees(np.abs(np.subtract(a, b, dtype=np.float64)))
        for a, b in zip(window, stream, strict=True)
    ]
    if not sum(a.size for a in apart):
        raise TendonError(
            "window against stream: expected outputs of the same times, found none; run a longer"
            " stretch"
        )
    flat = np.concatenate([a.reshape(-1) for a in apart])
    return Deviation(float(flat.mean()), float(flat.max()))


@dataclass(frozen=True)
class Difference:
    """MAE(second) − MAE(first) in degrees, its 95 % percentile interval, and in % of MAE(first)
    (None where that is 0)."""

    deg: float
    low: float
    high: float
    percent: float | None


def mae_difference(
    first: Sequence[Stretch], second: Sequence[Stretch], rate: float, run: float = RUN
) -> Difference:
    """Paired bootstrap: both are drawn over the same runs of `run` seconds, shorter ones so that
    there are 20."""
    _require_same_targets(first, second)
    size = _run_length(first, rate, run)
    a, b = (_errors(parts, size) for parts in (first, second))
    samples = _samples(first, size)
    low, high = resampled([b - a], [samples], 1.0)
    mae, change = a.sum() / samples.sum(), (b - a).sum() / samples.sum()
    return Difference(float(change), low, high, float(100.0 * change / mae) if mae else None)


def mae_interval(
    stretches: Sequence[Stretch], rate: float, run: float = RUN
) -> tuple[float, float]:
    """95 % percentile interval of the MAE in degrees, over runs of `run` seconds."""
    size = _run_length(stretches, rate, run)
    return resampled([_errors(stretches, size)], [_samples(stretches, size)], 1.0)


def run_sums(part: Stretch, rate: float, run: float = RUN) -> tuple[Floats, Floats]:
    """Each run of `run` seconds: the mean error of the joints in degrees, summed over valid
    samples, and how many there are."""
    size = round(run * rate)
    return _errors([part], size), _samples([part], size)


def _require_same_targets(first: Sequence[Stretch], second: Sequence[Stretch]) -> None:
    same = len(first) == len(second) and all(
        len(a.mask) == len(b.mask)
        and np.array_equal(a.mask, b.mask)
        and (a.targets is b.targets or all(map(_same_targets, a.pieces(), b.pieces())))
        for a, b in zip(first, second, strict=True)
    )
    if not same:
        raise TendonError(
            "pose difference: expected two runs over the same targets and masks, found others;"
            " score both alike"
        )


def _run_length(stretches: Sequence[Stretch], rate: float, run: float) -> int:
    """Samples in a run: `run` seconds, or fewer so that there are RUNS of them."""
    valid = sum(int(s.mask.sum()) for s in stretches)
    if not valid:
        raise TendonError(
            "interval: expected valid samples in the scored signal, found none; score a longer"
            " stretch"
        )
    return max(1, min(round(run * rate), valid // RUNS))


def _same_targets(a: Stretch, b: Stretch) -> bool:
    return np.array_equal(a.targets[a.mask], b.targets[b.mask])


def _errors(stretches: Sequence[Stretch], size: int) -> Floats:
    """Sum over a run's valid samples of the mean error of the joints, in degrees."""
    return np.concatenate([_sums(s, size, lambda part: part.error.mean(1)) for s in stretches])


def _samples(stretches: Sequence[Stretch], size: int) -> Floats:
    """Valid samples of each run."""
    return np.concatenate([sums_of_runs(s.mask, size, np.float64) for s in stretches])


def _sums(stretch: Stretch, size: int, of: Callable[[Stretch], Floats]) -> Floats:
    """`sums_of_runs` of values of the samples, piece by piece."""
    runs = max(1, len(stretch.mask) // size)
    found = np.zeros(runs)
    whole = max(1, BLOCK // size) * size
    for index, part in enumerate(stretch.pieces(whole)):
        sums = sums_of_runs(of(part), size)
        begin = index * (whole // size)
        if begin < runs:
            found[begin : begin + len(sums)] += sums
        else:
            found[-1] += sums.sum()  # the rest behind the last run
    return found if len(stretch.mask) else np.zeros(0)

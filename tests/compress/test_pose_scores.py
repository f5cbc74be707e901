"""Pose metrics are the published ones, and their intervals and times mean what they say."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from torch.nn.functional import interpolate

from compress.errors import TendonError
from compress.files import write_json
from compress.tasks.pose import scores as poses
from compress.tasks.pose.kinematics import JOINTS, LANDMARKS, landmarks, load_hand
from compress.tasks.pose.scores import Stretch, stretch
from tests.conftest import Cases

RATE = 2000.0
HAND = load_hand()
ANGLES = hnp.arrays(
    np.float64, st.tuples(st.integers(4, 60), st.just(20)), elements=st.floats(-2.0, 2.0)
)


def wander(samples: int, seed: int = 0) -> np.ndarray:
    """A pose (samples, 20) in rad that moves about zero."""
    return np.cumsum(np.random.default_rng(seed).normal(0, 0.01, (samples, 20)), axis=0)


def score(*stretches: Stretch, rate: float = RATE) -> poses.PoseScore:
    return poses.score(stretches, rate, HAND)


@settings(max_examples=40, deadline=None)
@given(ANGLES, st.floats(-1.0, 1.0))
def test_a_constant_offset_is_the_error_of_all_joints_fingers_and_groups(
    targets: np.ndarray, offset: float
) -> None:
    found = score(stretch(targets + offset, targets))
    expected = pytest.approx(np.degrees(abs(offset)), abs=1e-9)
    assert found.mae_deg == expected
    assert all(
        e == expected for e in [*found.finger_mae_deg.values(), *found.group_mae_deg.values()]
    )
    assert found.samples == len(targets)


@settings(max_examples=40, deadline=None)
@given(ANGLES, st.randoms(use_true_random=False))
def test_order_in_time_changes_nothing_for_the_mean_error(
    targets: np.ndarray, random: object
) -> None:
    order = np.random.default_rng(random.getrandbits(32)).permutation(len(targets))  # type: ignore[attr-defined]
    predictions = wander(len(targets))
    a, b = score(stretch(predictions, targets)), score(stretch(predictions[order], targets[order]))
    assert a.mae_deg == pytest.approx(b.mae_deg)
    assert a.finger_mae_deg == pytest.approx(b.finger_mae_deg)


@settings(max_examples=40, deadline=None)
@given(ANGLES)
def test_perfect_predictions_have_no_error_but_still_move(targets: np.ndarray) -> None:
    found = score(stretch(targets, targets))
    assert found.mae_deg == found.landmark_mm == found.fingertip_mm == 0.0
    assert found.velocity_deg_s == pytest.approx(
        np.degrees(np.abs(np.diff(targets, axis=0)).mean()) * RATE
    )


@pytest.mark.parametrize("joint", range(20), ids=JOINTS)
def test_one_joint_counts_in_its_finger_and_its_group(joint: int) -> None:
    targets = wander(40)
    found = score(stretch(targets + np.eye(20)[joint], targets))
    finger, part = JOINTS[joint].split("_")[:2]
    group = {"CMC": "proximal", "PIP": "mid", "IP": "distal", "DIP": "distal"}.get(part) or (
        "mid" if finger == "THUMB" else "proximal"
    )
    sizes = {"proximal": 10, "mid": 5, "distal": 5}
    degrees = np.degrees(1.0)
    assert found.mae_deg == pytest.approx(degrees / 20)
    assert found.finger_mae_deg[finger.lower()] == pytest.approx(degrees / 4)
    assert sum(found.finger_mae_deg.values()) == pytest.approx(degrees / 4)
    assert found.group_mae_deg[group] == pytest.approx(degrees / sizes[group])
    assert sum(e > 1e-9 for e in found.group_mae_deg.values()) == 1


def test_samples_without_inverse_kinematics_count_nowhere() -> None:
    predictions, targets = wander(400, 1), wander(400, 2)
    mask = np.ones(400, bool)
    mask[100:200] = False
    spoiled, absent = predictions.copy(), targets.copy()
    spoiled[100:200], absent[100:200] = 9.0, np.nan
    assert score(stretch(spoiled, absent, mask)) == score(stretch(predictions, targets, mask))
    apart = [stretch(predictions[s], targets[s]) for s in (slice(0, 100), slice(200, 400))]
    both = score(*apart).to_json()
    for name, value in score(stretch(predictions, targets, mask)).to_json().items():
        if name not in (
            "landmark_mm",
            "fingertip_mm",
        ):  # every 40th sample, counted from each stretch's first
            assert value == pytest.approx(both[name]), name


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(4, 90), min_size=1, max_size=4))
def test_stretches_pool_by_their_valid_samples(lengths: list[int]) -> None:
    parts = [stretch(wander(n, i), wander(n, 50 + i)) for i, n in enumerate(lengths)]
    each = [score(p) for p in parts]
    pooled = score(*parts)
    assert pooled.mae_deg == pytest.approx(np.average([s.mae_deg for s in each], weights=lengths))
    assert pooled.jerk_deg_s_sample2 == pytest.approx(
        np.average([s.jerk_deg_s_sample2 for s in each], weights=[n - 3 for n in lengths])
    )
    assert pooled.landmark_mm == pytest.approx(
        np.average([s.landmark_mm for s in each], weights=[-(-n // 40) for n in lengths])
    )


def test_a_sinusoid_has_its_mean_speed_and_its_differences_times_the_rate_once() -> None:
    amplitude, hertz = 0.5, 1.0
    w = 2 * np.pi * hertz
    prediction = np.repeat(amplitude * np.sin(w * np.arange(20_001) / RATE)[:, None], 20, axis=1)
    found = score(stretch(prediction, np.zeros_like(prediction)))
    mean = np.degrees(amplitude) * 2 / np.pi  # of an absolute sinusoid
    assert found.velocity_deg_s == pytest.approx(mean * w, rel=1e-3)
    assert found.acceleration_deg_s_sample == pytest.approx(mean * w**2 / RATE, rel=1e-3)
    assert found.jerk_deg_s_sample2 == pytest.approx(mean * w**3 / RATE**2, rel=1e-3)


def test_distances_are_those_of_the_landmarks_at_50_hz_without_the_knuckles() -> None:
    predictions, targets = wander(410, 1), wander(410, 2)
    apart = np.linalg.norm(
        landmarks(predictions[::40], HAND) - landmarks(targets[::40], HAND), axis=-1
    )
    counted = [
        i
        for i, name in enumerate(LANDMARKS)
        if name.startswith("THUMB") or not name.endswith("PROXIMAL_FRAME")
    ]
    found = score(stretch(predictions, targets))
    assert found.landmark_mm == pytest.approx(apart[:, counted].mean())
    assert found.fingertip_mm == pytest.approx(apart[:, :5].mean())
    at_outputs = score(stretch(predictions[::40], targets[::40]), rate=50.0)
    assert (at_outputs.landmark_mm, at_outputs.fingertip_mm) == pytest.approx(
        (found.landmark_mm, found.fingertip_mm)
    )


def test_a_score_is_json(tmp_path: Path) -> None:
    found = score(stretch(wander(50), wander(50, 1)))
    write_json(tmp_path / "score.json", found.to_json())
    assert json.loads((tmp_path / "score.json").read_text()) == found.to_json()


@pytest.mark.parametrize(
    ("predictions", "mask", "message"),
    [
        (np.zeros((50, 19)), None, r"shape \(50, 20\) in rad, found \(50, 19\)"),
        (np.full((50, 20), np.nan), None, "finite predictions"),
        (np.zeros((50, 20)), np.zeros(50, bool), "valid samples to measure mae in, found none"),
        (np.zeros((50, 20)), np.arange(50) % 4 > 0, "measure jerk"),
    ],
)
def test_what_cannot_be_scored_is_refused(
    predictions: np.ndarray, mask: np.ndarray | None, message: str
) -> None:
    with pytest.raises(TendonError, match=message):
        score(stretch(predictions, np.zeros((50, 20)), mask))
    with pytest.raises(TendonError, match="found none"):
        score()


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 70), st.integers(1, 700), st.sampled_from([np.float32, np.float64]))
def test_alignment_is_torchs_linear_interpolation(steps: int, samples: int, kind: type) -> None:
    outputs = np.random.default_rng(steps).uniform(-1, 1, (steps, 20)).astype(kind)
    expected = (
        interpolate(torch.from_numpy(outputs.T[None].copy()), samples, mode="linear")[0].numpy().T
    )
    tolerance = (
        4 * steps * np.finfo(kind).eps
    )  # torch's rounding of positions up to `steps`, by a step of up to 2
    assert np.abs(poses.align(outputs, samples) - expected).max() <= tolerance


@pytest.mark.parametrize("network", ["tracking_vemg2pose", "regression_vemg2pose"])
def test_alignment_gives_the_reference_cases_samples(cases: Cases, network: str) -> None:
    case = np.load(cases / f"{network}/io.npz")
    outputs, tail = case["output"].T, case["aligned_tail"].T
    samples = 40 * len(outputs)
    assert poses.align(outputs, samples)[-len(tail) :] == pytest.approx(tail, abs=1e-6)


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 40), st.integers(1, 80))
def test_an_output_holds_in_the_middle_of_its_share_of_the_samples(steps: int, share: int) -> None:
    samples = steps * share
    ramp = np.repeat(np.arange(samples)[:, None] + 0.5, 20, axis=1)  # when each sample's middle is
    at, valid = poses.at_steps(ramp, np.ones(samples, bool), steps)
    times = poses.step_times(steps, samples)
    assert at == pytest.approx(np.repeat(times[:, None], 20, axis=1))
    assert valid.all() and times == pytest.approx((np.arange(steps) + 0.5) * share)


def test_a_step_is_valid_where_both_samples_beside_it_are() -> None:
    mask = np.ones(120, bool)
    mask[[19, 60, 98]] = (
        False  # step 0 holds between 19 and 20, step 1 between 59 and 60, step 2 between 99 and 100
    )
    assert poses.at_steps(np.zeros((120, 20)), mask, 3)[1].tolist() == [False, False, True]


def test_tracking_has_nothing_to_score_where_the_initial_pose_is_missing() -> None:
    mask = np.ones(100, bool)
    mask[[5, 10]] = False
    assert poses.scored_mask(mask, 10, 8, initial=True).sum() == 0
    assert poses.scored_mask(mask, 9, 8, initial=True).tolist() == mask[9:92].tolist()
    assert poses.scored_mask(mask, 10, 0, initial=False).tolist() == mask[10:].tolist()


def test_the_trivial_predictors_are_the_initial_pose_and_the_mean_of_valid_poses() -> None:
    targets = wander(100)
    held = poses.hold_initial(targets, 30)
    assert held.shape == (70, 20) and (held == targets[30]).all()
    mask = np.arange(100) < 60
    mean = poses.mean_pose([targets, targets + 1.0], [mask, ~mask])
    assert mean == pytest.approx(np.concatenate([targets[:60], targets[60:] + 1.0]).mean(0))
    with pytest.raises(TendonError, match="found none"):
        poses.mean_pose([targets], [np.zeros(100, bool)])


def test_deviation_is_mean_and_largest_over_all_samples_and_joints() -> None:
    window = [wander(10), wander(30)]
    stream = [window[0] + 0.1, window[1].copy()]
    stream[1][3, 7] -= 0.4
    found = poses.deviation(window, stream)
    assert found.mean_deg == pytest.approx(np.degrees((0.1 * 200 + 0.4) / 800))
    assert found.max_deg == pytest.approx(np.degrees(0.4))
    with pytest.raises(TendonError, match="found none"):
        poses.deviation([], [])


def test_the_interval_of_a_difference_is_paired_and_holds_it() -> None:
    rng = np.random.default_rng(5)
    targets = [wander(40_000, i) for i in range(2)]
    noise = [np.repeat(rng.normal(0, 0.2, (400, 20)), 100, axis=0) for _ in targets]
    first = [stretch(t + n, t) for t, n in zip(targets, noise, strict=True)]
    second = [stretch(t + 1.02 * n, t) for t, n in zip(targets, noise, strict=True)]
    found = poses.mae_difference(first, second, RATE)
    assert found.deg == pytest.approx(score(*second).mae_deg - score(*first).mae_deg)
    assert found.percent == pytest.approx(2.0)
    assert 0 < found.low < found.deg < found.high
    assert found == poses.mae_difference(first, second, RATE)
    low, high = poses.mae_interval(first, RATE)
    assert low < score(*first).mae_deg < high
    assert found.high - found.low < 0.1 * (
        high - low
    )  # what both share is not in a paired difference
    same = poses.mae_difference(first, first, RATE)
    assert (same.deg, same.low, same.high, same.percent) == (0.0, 0.0, 0.0, 0.0)


def test_a_difference_needs_the_same_targets_and_something_to_score() -> None:
    a, b = stretch(wander(100), wander(100, 1)), stretch(wander(100), wander(100, 2))
    with pytest.raises(TendonError, match="same targets"):
        poses.mae_difference([a], [b], RATE)
    with pytest.raises(TendonError, match="same targets"):
        poses.mae_difference([a], [a, a], RATE)
    with pytest.raises(TendonError, match="found none"):
        poses.mae_interval([stretch(wander(9), wander(9), np.zeros(9, bool))], RATE)


def test_the_interval_covers_the_true_error_about_as_often_as_it_says() -> None:
    held, truth = 0, np.degrees(0.2) * np.sqrt(2 / np.pi)
    for seed in range(100):
        errors = np.repeat(
            np.random.default_rng(seed).normal(0, 0.2, (40, 1)), 50, axis=0
        )  # 40 s at 50 Hz, alike for a second
        zero = np.zeros((2000, 20))
        low, high = poses.mae_interval([stretch(zero + errors, zero)], 50.0)
        held += low <= truth <= high
    assert held >= 85


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 50), min_size=1, max_size=4), st.integers(1, 20))
def test_runs_hold_every_sample_once(lengths: list[int], size: int) -> None:
    parts = [stretch(wander(n), np.zeros((n, 20)), np.arange(n) % 3 > 0) for n in lengths]
    assert poses._samples(parts, size).sum() == sum(p.mask.sum() for p in parts)
    assert poses._errors(parts, size).sum() == pytest.approx(sum(p.error.sum() / 20 for p in parts))

"""Training a tracking network: what a window and a lane hold, an interrupted run ends where an
uninterrupted one does."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from compress.data.simulator import pose as simulated_pose
from compress.errors import CheckpointError, RecordingError
from compress.frontend import checkpoint
from compress.frontend.families import HYPER_PARAMETERS, build
from compress.frontend.families.emg2pose.pose import between
from compress.tasks.pose import closed_loop
from compress.tasks.pose import training as tracking
from compress.tasks.pose import training_set as pose_set
from compress.tasks.pose.tracker_start import begin_as_tracker
from compress.tasks.pose.training import Recipe, TrackingRun
from compress.tasks.pose.training_set import Tracked
from compress.tasks.state import Origin
from compress.tasks.training import TrainingRequest
from tests.compress.test_pose_networks import tiny

RECIPE = Recipe(
    **{
        "feature_steps": 6,
        "feature_batch": 2,
        "feature_s": 0.5,
        "rollout_steps": 6,
        "lanes": 3,
        "rollout_s": 0.4,
    },
    **{"warmup": 2, "save_every": 2, "score_every": 4, "renew": 0.3},
)


@pytest.fixture(scope="module")
def sessions(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("sessions")
    paths = [folder / f"{i}.hdf5" for i in range(3)]
    for i, path in enumerate(paths):
        simulated_pose.write(path, simulated_pose.simulate("train", i, 4.0, seed=3), path.stem)
    return paths


@pytest.fixture(scope="module")
def data(sessions: list[Path]) -> list[Tracked]:
    return pose_set.load(sessions)


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A small network of the published kind, known as "tiny", on one thread."""
    monkeypatch.setitem(HYPER_PARAMETERS, "tiny", tiny())
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def asked(sessions: list[Path], out: Path, **changes: Any) -> TrainingRequest:
    """To train "tiny" on all sessions but the last, which validates."""
    request = TrainingRequest("tiny", tuple(sessions[:-1]), tuple(sessions[-1:]), out, threads=1)
    return dataclasses.replace(request, **changes)


def started(tmp_path: Path, recipe: Recipe = RECIPE) -> TrackingRun:
    torch.manual_seed(0)
    return TrackingRun(build(HYPER_PARAMETERS["tiny"]), recipe, tmp_path / "none", Origin(""))


def test_windows_are_cut_from_the_sessions_with_the_angles_of_their_frames(
    data: list[Tracked],
) -> None:
    windows = pose_set.draw(data, 10, 40, 27, 4, 0.0, np.random.default_rng(0))
    assert windows.emg.shape == (4, 16, 27 + 9 * 40 + 1) and windows.angles.shape == (4, 10, 20)
    for emg, angles, known in zip(windows.emg, windows.angles, windows.known, strict=True):
        places = [
            (s, i)
            for s in data
            for i in np.flatnonzero((s.emg[: -emg.shape[1]] == emg[:, 0]).all(1))
        ]
        session, start = next(
            (s, i) for s, i in places if np.array_equal(s.emg[i : i + emg.shape[1]].T, emg)
        )
        np.testing.assert_array_equal(session.angles[start + 27 : start + 27 + 400 : 40], angles)
        np.testing.assert_array_equal(session.known[start + 27 : start + 27 + 400 : 40], known)


def test_the_gain_varies_each_electrode_of_each_window(data: list[Tracked]) -> None:
    plain, varied = (
        pose_set.draw(data, 10, 40, 27, 2, g, np.random.default_rng(1)).emg for g in (0.0, 0.2)
    )
    gain = np.linalg.norm(varied, axis=2) / np.linalg.norm(plain, axis=2)
    assert gain.std() > 0.1
    np.testing.assert_allclose(varied, plain * gain[..., None], rtol=1e-3, atol=1e-4)


def test_what_lies_beyond_a_session_is_not_known(data: list[Tracked]) -> None:
    end = len(data[0].emg)
    assert list(data[0].at(np.array([end - 1, end, end + 99]))[1]) == [
        bool(data[0].known[-1]),
        False,
        False,
    ]


def test_where_inverse_kinematics_failed_nothing_is_learned_or_scored(data: list[Tracked]) -> None:
    found, expected = torch.zeros(1, 4, 20), torch.ones(1, 4, 20)
    expected[0, 1] = 99.0
    known = torch.tensor([[True, False, True, True]])
    assert tracking._l1(found, expected, known) == 1.0
    assert tracking._l1(found, expected, torch.zeros(1, 4, dtype=torch.bool)) == 0.0
    model = build(HYPER_PARAMETERS["tiny"]).model
    blind = dataclasses.replace(
        data[0], known=np.arange(len(data[0].emg)) < 4000, angles=data[0].angles.copy()
    )
    expected_score = closed_loop.stream_score(model, [blind], np.zeros(20))
    blind.angles[4000:] = 7.0
    assert closed_loop.stream_score(model, [blind], np.zeros(20)) == expected_score


def test_features_of_a_session_do_not_depend_on_the_blocks_it_is_read_in(
    data: list[Tracked],
) -> None:
    model = build(HYPER_PARAMETERS["tiny"]).model
    whole, parts = (closed_loop.features_of(model, data[0], block_s) for block_s in (100.0, 0.7))
    torch.testing.assert_close(parts, whole)
    assert len(whole) == (len(data[0].emg) - model.left_context - 1) // model.network.stride + 1


def test_sessions_are_scored_together_as_each_alone(data: list[Tracked]) -> None:
    model = build(HYPER_PARAMETERS["tiny"]).model
    short = Tracked(data[1].name, data[1].emg[:5000], data[1].angles[:5000], data[1].known[:5000])
    for alone, together in zip(
        [data[0], short], closed_loop.stream_poses(model, [data[0], short]), strict=True
    ):
        np.testing.assert_allclose(closed_loop.stream_poses(model, [alone])[0], together, atol=1e-5)


def test_trivial_predictors_are_scored_on_the_same_steps(data: list[Tracked]) -> None:
    model = build(HYPER_PARAMETERS["tiny"]).model
    score = closed_loop.stream_score(model, data[:1], closed_loop.mean_pose(data))
    count = len(closed_loop.stream_poses(model, data[:1])[0])
    places = model.left_context + 20 * np.arange(count) + 10
    angles, known = data[0].angles[places], data[0].known[places]
    held = np.degrees(np.abs(angles - data[0].angles[model.left_context])[known].mean())
    assert score.hold_initial == pytest.approx(held, rel=1e-5) and score.relative > 0


def test_a_lane_goes_on_as_one_stream(data: list[Tracked], tmp_path: Path) -> None:
    """With weights that stand still, the lanes' poses are those of one rollout from where each
    began."""
    run = started(tmp_path, dataclasses.replace(RECIPE, renew=0.0, perturbed=0.0, feature_steps=0))
    frames = [closed_loop.features_of(run.model, session) for session in data]
    run.rollout_loss(data, frames)
    session, first = run.lanes["session"][0], run.lanes["frame"][0] - 20
    for _ in range(2):
        run.rollout.step += 1
        run.rollout_loss(data, frames)
    assert run.lanes["session"][0] == session
    features = between(frames[session][first : first + 61].t()[None], 2)
    initial = data[session].angles[run.model.left_context + 40 * first]
    with torch.no_grad():
        poses, _ = run.model.rollout(features, torch.from_numpy(initial)[None])
    torch.testing.assert_close(run.lanes["pose"][0], poses[0, :, -1], atol=1e-5, rtol=1e-5)


def test_half_of_the_streams_begin_from_a_wrong_pose(data: list[Tracked], tmp_path: Path) -> None:
    run = started(tmp_path, dataclasses.replace(RECIPE, lanes=200))
    frames = [torch.zeros(190, 6) for _ in data]
    lanes = run._renewed(data, frames, 20, np.random.default_rng(0))
    left = run.model.left_context
    true = np.stack(
        [
            data[s].angles[left + 40 * k]
            for s, k in zip(lanes["session"], lanes["frame"], strict=True)
        ]
    )
    error = np.abs(lanes["pose"].numpy() - true).mean(1)
    assert 0.4 < (error < 1e-6).mean() < 0.6 and error.max() > 0.15


def test_training_is_repeatable_and_its_checkpoint_loads_in_half_precision(
    sessions: list[Path], tmp_path: Path
) -> None:
    scores = [
        tracking.train(asked(sessions, tmp_path / f"{i}.ckpt"), RECIPE).figures for i in range(2)
    ]
    assert scores[0] == scores[1] and np.isfinite(scores[0]["mae"])
    states = [checkpoint.load(tmp_path / f"{i}.ckpt").model.state_dict() for i in range(2)]
    assert all(torch.equal(states[0][k], states[1][k]) for k in states[0])
    stored = torch.load(tmp_path / "0.ckpt", weights_only=True)["state_dict"]
    assert {v.dtype for v in stored.values()} == {torch.float16}
    assert sorted(p.name for p in tmp_path.iterdir()) == ["0.ckpt", "1.ckpt"]


def _interrupted(
    monkeypatch: pytest.MonkeyPatch, sessions: list[Path], out: Path, after: int
) -> None:
    """Train until so many steps were made, then pull the plug."""
    left, advance = [after], tracking._Phase.advance

    def interrupted(phase: Any, loss: Any) -> float:
        if left[0] == 0:
            raise KeyboardInterrupt
        left[0] -= 1
        return advance(phase, loss)

    with monkeypatch.context() as patch:
        patch.setattr(tracking._Phase, "advance", interrupted)
        with pytest.raises(KeyboardInterrupt):
            tracking.train(asked(sessions, out), RECIPE)


def test_an_interrupted_training_ends_where_an_uninterrupted_one_does(
    sessions: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tracking.train(asked(sessions, tmp_path / "whole.ckpt"), RECIPE)
    out = tmp_path / "parts.ckpt"
    for after in (3, 7):  # once in each phase
        _interrupted(monkeypatch, sessions, out, after)
        assert out.with_name("parts.ckpt.state").is_file() and not out.exists()
    tracking.train(asked(sessions, out), RECIPE)
    whole, parts = (checkpoint.load(p).model.state_dict() for p in (tmp_path / "whole.ckpt", out))
    assert all(torch.equal(whole[k], parts[k]) for k in whole)


def test_a_damaged_state_is_named(sessions: list[Path], tmp_path: Path) -> None:
    (tmp_path / "a.ckpt.state").write_bytes(b"damage")
    with pytest.raises(CheckpointError, match=r"a\.ckpt\.state: damaged"):
        tracking.train(asked(sessions, tmp_path / "a.ckpt"), RECIPE)


def test_what_cannot_be_trained_says_why(
    sessions: list[Path], data: list[Tracked], tmp_path: Path
) -> None:
    for other in ("regression_neuropose", "TC_S4_small"):
        with pytest.raises(
            CheckpointError, match=f"expected a tracking network .* found '{other}'"
        ):
            tracking.train(asked(sessions, tmp_path / "a.ckpt", model=other), RECIPE)
    with pytest.raises(
        RecordingError, match="a session of 40028 samples or more, found at most 8000"
    ):
        pose_set.draw(data, 1001, 40, 27, 4, 0.0, np.random.default_rng(0))


def test_steps_are_divided_between_the_phases() -> None:
    asks = TrainingRequest("tiny", (), (), Path("a.ckpt"), steps=510, seed=7)
    base, half = Recipe(), tracking.recipe_for(asks)
    assert half.feature_steps + half.rollout_steps == 510 and half.seed == 7
    assert half.feature_steps / 510 == pytest.approx(
        base.feature_steps / (base.feature_steps + base.rollout_steps), abs=0.01
    )


def test_training_can_start_from_a_checkpoint_and_then_leaves_its_featurizer(
    sessions: list[Path], tmp_path: Path
) -> None:
    network = build(HYPER_PARAMETERS["tiny"])
    first, second = tmp_path / "first.ckpt", tmp_path / "second.ckpt"
    checkpoint.save(first, network, HYPER_PARAMETERS["tiny"], torch.float16)
    recipe = dataclasses.replace(RECIPE, feature_steps=0, rollout_steps=3)
    again = asked(sessions, second, checkpoint=first)
    tracking.train(again, recipe)
    before, after = (checkpoint.load(path).model.state_dict() for path in (first, second))
    changed = {key.split(".")[1] for key in before if not torch.equal(before[key], after[key])}
    assert changed == {"decoder"}
    with pytest.raises(
        CheckpointError,
        match="expected a checkpoint of tracking_vemg2pose to start from, found tiny",
    ):
        tracking.train(dataclasses.replace(again, model="tracking_vemg2pose"), recipe)


def test_sessions_too_short_for_a_phase_are_named(
    sessions: list[Path], data: list[Tracked], tmp_path: Path
) -> None:
    run = started(tmp_path)
    end = run.model.left_context + 24 * 40  # one sample less than 25 frames take; 21 fit
    short = Tracked(data[1].name, data[1].emg[:end], data[1].angles[:end], data[1].known[:end])
    said = run.too_short([data[0], short])
    assert said == ["too short for windows of 0.5 s, which are drawn from others: 1.hdf5"]


def test_a_stream_that_can_begin_nowhere_is_refused(data: list[Tracked], tmp_path: Path) -> None:
    run = started(tmp_path)
    blind = dataclasses.replace(data[0], known=np.zeros(len(data[0].emg), bool))
    with pytest.raises(RecordingError, match="known angles where a stream can begin"):
        run.rollout_loss([blind], [closed_loop.features_of(run.model, blind)])


def test_a_decoder_begins_as_a_tracker_of_the_readout_and_leaves_a_wrong_pose_by_itself() -> None:
    h = tiny()
    h["network_conf"]["decoder"] |= {"hidden_size": 400, "scale": 0.01}
    torch.manual_seed(0)
    model = build(h).model.eval()
    readout, bias = 0.2 * torch.randn(20, 6), 0.1 * torch.randn(20)
    begin_as_tracker(model.decoder, readout, bias)
    features = torch.randn(3, 6, 1).expand(3, 6, 120)  # the same all the time
    known = features[..., 0] @ readout.T + bias
    with torch.no_grad():
        poses = model.rollout(features, known + 0.5)[0]
    error = (poses - known[..., None]).abs().mean((0, 1))
    assert error[0] < 0.5 and error[-1] < 0.15 and (error.diff()[:5] < 0).all()

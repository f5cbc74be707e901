"""Training: windows carry their labels, an interrupted run ends where an uninterrupted one does,
and what it writes loads."""

from __future__ import annotations

import copy
import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from compress import artifacts
from compress.data import recordings
from compress.data.simulator.session import simulate, write
from compress.errors import CheckpointError, RecordingError, UsageError
from compress.frontend import checkpoint
from compress.frontend.families import HYPER_PARAMETERS, build
from compress.tasks import steps
from compress.tasks.training import TrainingRequest
from compress.tasks.typing import charset
from compress.tasks.typing import training as typing
from compress.tasks.typing import training_set as typing_set
from compress.tasks.typing.session import Session
from compress.tasks.typing.simulated import COLLECTION as TYPING
from compress.tasks.typing.training import Recipe

RECIPE = Recipe(
    steps=7,
    warmup=2,
    short_s=2.0,
    short_batch=3,
    long_s=4.0,
    long_batch=2,
    save_every=2,
    score_every=4,
)


@pytest.fixture(scope="module")
def sessions(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("sessions")
    paths = [folder / f"{i}.hdf5" for i in range(3)]
    for i, path in enumerate(paths):
        write(path, simulate("train", i, 14.0, seed=3), path.stem, 1.7e9)
    return paths


@pytest.fixture(autouse=True)
def tiny(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """A small network of the published kind, known as "tiny"."""
    config = copy.deepcopy(HYPER_PARAMETERS["TC_S4_small"])
    config["mlp_features"] = [6]
    config["model_HF"]["out_channels"] = [8, 8, 8]
    config["model_LF"] |= {"d_model": 8, "d_latent_space": 4, "n_layers": 2}
    monkeypatch.setitem(HYPER_PARAMETERS, "tiny", config)
    return config


def asked(sessions: list[Path], out: Path, **changes: Any) -> TrainingRequest:
    """To train "tiny" on all sessions but the last, which validates."""
    request = TrainingRequest("tiny", tuple(sessions[:-1]), tuple(sessions[-1:]), out, threads=1)
    return dataclasses.replace(request, **changes)


def test_windows_hold_the_pooled_samples_and_the_keys_pressed_in_them(sessions: list[Path]) -> None:
    data = typing_set.load(sessions[:1], 4)[0]
    with Session(sessions[0]) as session:
        emg, text = session.emg(), session.text(4000, 12000)
        assert charset.decode(data.typed(1000, 3000)) == text and len(text) > 5
        assert charset.decode(data.labels) == session.text()
    pooling = build(HYPER_PARAMETERS["tiny"]).model[1]
    expected = pooling(torch.from_numpy(emg).unsqueeze(1))[:, 0].numpy()
    np.testing.assert_allclose(data.frames.astype(np.float32), expected, rtol=1e-3, atol=1e-3)


def test_drawn_windows_are_cut_from_the_sessions(sessions: list[Path]) -> None:
    data = typing_set.load(sessions, 4)
    windows = typing_set.draw(data, 1000, 5, 0.0, np.random.default_rng(0))
    assert (
        windows.frames.shape == (1000, 5, 2, 16) and len(windows.targets) == windows.lengths.sum()
    )
    first = windows.frames[:, 0].astype(np.float16)
    starts = [
        (s, i)
        for s in data
        for i in range(len(s.frames) - 1000)
        if np.array_equal(s.frames[i : i + 3], first[:3])
    ]
    (session, start) = starts[0]
    np.testing.assert_array_equal(session.frames[start : start + 1000], first)
    np.testing.assert_array_equal(
        session.typed(start, start + 1000), windows.targets[: windows.lengths[0]]
    )


def test_the_gain_varies_each_electrode_of_each_window(sessions: list[Path]) -> None:
    data = typing_set.load(sessions[:1], 4)
    plain = typing_set.draw(data, 500, 2, 0.0, np.random.default_rng(1)).frames
    varied = typing_set.draw(data, 500, 2, 0.2, np.random.default_rng(1)).frames
    gain = np.linalg.norm(varied, axis=0) / np.linalg.norm(plain, axis=0)
    assert gain.std() > 0.1 and (np.abs(varied - plain * gain) < 1e-2).all()


def test_training_is_repeatable_and_its_checkpoint_loads(
    sessions: list[Path], tmp_path: Path
) -> None:
    results = [
        typing.train(asked(sessions, tmp_path / f"{i}.ckpt"), RECIPE).figures for i in range(2)
    ]
    assert results[0]["validation_cer"] == results[1]["validation_cer"]
    assert np.isfinite(results[0]["loss"])
    states = [checkpoint.load(tmp_path / f"{i}.ckpt").model.state_dict() for i in range(2)]
    assert all(torch.equal(states[0][k], states[1][k]) for k in states[0])
    start = build(HYPER_PARAMETERS["tiny"]).state_dict()
    assert not torch.equal(states[0]["model.6.weight"], start["model.6.weight"])
    assert sorted(p.name for p in tmp_path.iterdir()) == ["0.ckpt", "1.ckpt"]


def _interrupted(
    monkeypatch: pytest.MonkeyPatch, sessions: list[Path], out: Path, after: int
) -> None:
    """Train until so many batches were drawn, then pull the plug."""
    left = [after]

    def draw(*args: Any) -> Any:
        if left[0] == 0:
            raise KeyboardInterrupt
        left[0] -= 1
        return typing_set.draw(*args)

    with monkeypatch.context() as patch:
        patch.setattr(typing, "draw", draw)
        with pytest.raises(KeyboardInterrupt):
            typing.train(asked(sessions, out), RECIPE)


def test_an_interrupted_training_ends_where_an_uninterrupted_one_does(
    sessions: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    typing.train(asked(sessions, tmp_path / "whole.ckpt"), RECIPE)
    out = tmp_path / "parts.ckpt"
    for after in (5, 2):
        _interrupted(monkeypatch, sessions, out, after)
        assert out.with_name("parts.ckpt.state").is_file() and not out.exists()
    typing.train(asked(sessions, out), RECIPE)
    whole, parts = (checkpoint.load(p).model.state_dict() for p in (tmp_path / "whole.ckpt", out))
    assert all(torch.equal(whole[k], parts[k]) for k in whole)


def test_a_state_of_another_recipe_is_not_continued(
    sessions: list[Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    _interrupted(monkeypatch, sessions, tmp_path / "a.ckpt", 5)
    typing.train(asked(sessions, tmp_path / "a.ckpt"), dataclasses.replace(RECIPE, steps=2))
    assert "starting over" in capsys.readouterr().err


def test_a_damaged_state_is_named(sessions: list[Path], tmp_path: Path) -> None:
    (tmp_path / "a.ckpt.state").write_bytes(b"damage")
    with pytest.raises(CheckpointError, match=r"a\.ckpt\.state: damaged"):
        typing.train(asked(sessions, tmp_path / "a.ckpt"), RECIPE)


def test_unknown_networks_and_those_of_another_task_are_refused(
    sessions: list[Path], tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match="TC_S4_small"):
        typing.train(asked(sessions, tmp_path / "a.ckpt", model="LSTM"), RECIPE)
    with pytest.raises(CheckpointError, match="expected a typing network, found 'tracking_vemg2po"):
        typing.train(asked(sessions, tmp_path / "a.ckpt", model="tracking_vemg2pose"), RECIPE)


def test_sessions_too_short_for_a_window_are_named_or_refused(
    sessions: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    short = tmp_path / "short.hdf5"
    write(short, simulate("train", 5, 3.0, seed=3), short.stem, 1.7e9)
    quick = dataclasses.replace(RECIPE, steps=3)
    typing.train(asked([short, *sessions], tmp_path / "a.ckpt"), quick)
    assert "too short for windows of 4 s, which are drawn from others: short.hdf5" in (
        capsys.readouterr().err
    )
    with pytest.raises(RecordingError, match="longer than its windows of 4 s, found none among sh"):
        typing.train(asked([short, sessions[0]], tmp_path / "b.ckpt"), quick)


def test_several_validation_sessions_are_scored_together(sessions: list[Path]) -> None:
    frames = build(HYPER_PARAMETERS["tiny"]).model[2:]
    data = typing_set.load(sessions, 4)
    errors = sum(typing.stream_cer(frames, d) * len(d.labels) for d in data)
    pooled = errors / sum(len(d.labels) for d in data)
    assert typing.validation_cer(frames, data) == pytest.approx(pooled)


def test_the_rate_warms_up_and_falls_to_nothing() -> None:
    shares = [
        steps.share_of_rate(step, RECIPE.steps, RECIPE.warmup) for step in range(RECIPE.steps + 1)
    ]
    assert (
        shares[:2] == [0.5, 1.0]
        and shares[-1] == pytest.approx(0)
        and shares[2:] == sorted(shares[2:], reverse=True)
    )


def test_the_recipe_shows_the_network_longer_context_than_its_short_windows() -> None:
    recipe = Recipe()
    assert recipe.long_s >= 5 * recipe.short_s and recipe.long_every <= 4


COMMITTED = artifacts.SHIPPED / "TC_S4_small.ckpt"


def test_the_committed_checkpoint_is_the_one_described() -> None:
    assert checkpoint.sha256(COMMITTED) in (COMMITTED.parent / "README.md").read_text()
    found = checkpoint.load(COMMITTED)
    assert found.name == "TC_S4_small" and COMMITTED.stat().st_size < 2_000_000


def test_the_committed_checkpoint_reads_whole_held_out_sessions_neither_perfectly_nor_badly(
    simulated: Path,
) -> None:
    """Simulated recordings; streams of minutes, greedy decoding."""
    frames = checkpoint.load(COMMITTED).model.model[2:]
    data = typing_set.load(recordings.ensure(simulated, "heldout", TYPING), 4)
    counts = np.array([len(d.labels) for d in data])
    cer = np.array([typing.stream_cer(frames, d) for d in data])
    assert counts.sum() >= 3600 and 4.0 <= (cer * counts).sum() / counts.sum() <= 15.0

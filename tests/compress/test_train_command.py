"""`make train` on own recordings: from a checkpoint, with a split, for every task; an interrupted
training goes on with the same inputs and refuses others by name."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch

from bench.tendon import main as tendon
from compress.data.recording_file import file_digest
from compress.data.simulator import pose as simulated_pose
from compress.data.simulator import session as simulated_typing
from compress.frontend import checkpoint
from compress.frontend.families import HYPER_PARAMETERS, build
from compress.tasks import names, state, training
from compress.tasks.pose import training as tracking
from compress.tasks.typing import training as typing
from tests.compress.test_pose_networks import tiny as tiny_pose

SPLIT = """\
# @package _global_
user: user0
dataset:
  train:
  - user: 89335547
    session: own-0
  val:
  - user: 89335547
    session: own-1
  test:
  - user: 89335547
    session: own-2
"""
SHORT = typing.Recipe(
    steps=4,
    warmup=1,
    short_s=2.0,
    short_batch=2,
    long_s=4.0,
    long_batch=1,
    save_every=1,
    score_every=2,
)


@dataclass(frozen=True)
class Own:
    """A user's sessions, a split of them, and a checkpoint to begin with."""

    task: str
    model: str
    data: Path
    split: Path
    checkpoint: Path

    def train(self, out: Path, *more: str) -> int:
        return tendon(
            [
                *("train", "--model", self.model, "--data", str(self.data), "--out", str(out)),
                *("--split", str(self.split), "--checkpoint", str(self.checkpoint)),
                *("--threads", "1", "--steps", "4", *more),
            ]
        )


def tiny_typing() -> dict[str, Any]:
    config = copy.deepcopy(HYPER_PARAMETERS["TC_S4_small"])
    config["mlp_features"] = [6]
    config["model_HF"]["out_channels"] = [8, 8, 8]
    config["model_LF"] |= {"d_model": 8, "d_latent_space": 4, "n_layers": 2}
    return config


@pytest.fixture(scope="module")
def sessions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("own")
    for i in range(3):
        (root / "typing").mkdir(exist_ok=True), (root / "pose").mkdir(exist_ok=True)
        typed = simulated_typing.simulate("train", i, 10.0, seed=5)
        simulated_typing.write(root / "typing" / f"own-{i}.hdf5", typed, f"own-{i}", 1.7e9)
        tracked = simulated_pose.simulate("train", i, 4.0, seed=5)
        simulated_pose.write(root / "pose" / f"own-{i}.hdf5", tracked, f"own-{i}")
    (root / "user0.yaml").write_text(SPLIT)
    return root


@pytest.fixture(params=["typing", "pose"])
def own(
    request: pytest.FixtureRequest,
    sessions: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Own:
    task: str = request.param
    model = f"tiny_{task}"
    monkeypatch.setitem(HYPER_PARAMETERS, model, tiny_typing() if task == "typing" else tiny_pose())
    monkeypatch.setitem(typing.RECIPES, model, SHORT)
    torch.manual_seed(9)
    start = tmp_path / "start.ckpt"
    checkpoint.save(start, build(HYPER_PARAMETERS[model]), HYPER_PARAMETERS[model])
    return Own(task, model, sessions / task, sessions / "user0.yaml", start)


def apart(first: Path, second: Path) -> float:
    """The largest change of a weight."""
    a, b = (dict(checkpoint.load(path).model.named_parameters()) for path in (first, second))
    return max(float((a[key] - b[key]).detach().abs().max()) for key in a)


def test_training_on_own_recordings_starts_from_the_checkpoint_and_says_what_it_uses(
    own: Own, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out.ckpt"
    assert own.train(out) == 0
    said = capsys.readouterr().out
    assert f"training on 1 session (own-0.hdf5), from {own.split} in {own.data}" in said
    assert "validating with 1 session (own-1.hdf5)" in said
    assert "left for testing: 1 session (own-2.hdf5)" in said and f"{out}: " in said
    torch.manual_seed(1)
    fresh = tmp_path / "fresh.ckpt"
    checkpoint.save(fresh, build(HYPER_PARAMETERS[own.model]), HYPER_PARAMETERS[own.model])
    assert 0 < apart(own.checkpoint, out) < 0.05 < apart(fresh, out)


def test_what_was_trained_on_is_recorded_beside_the_checkpoint(own: Own, tmp_path: Path) -> None:
    out = tmp_path / "out.ckpt"
    own.train(out)
    record = json.loads(out.with_suffix(".json").read_text())
    assert record["task"] == own.task and record["checkpoint"] == file_digest(out)
    assert record["started_from"] == file_digest(own.checkpoint)
    assert record["train"] == [{"session": "own-0", "sha256": file_digest(own.data / "own-0.hdf5")}]
    assert [row["session"] for row in record["validation"]] == ["own-1"]
    assert len(record["split"]) == 64 and record["recipe"]["seed"] == 1 and record["figures"]


def interrupted(own: Own, out: Path, monkeypatch: pytest.MonkeyPatch, after: int) -> None:
    """Train until so many states were saved, then pull the plug."""
    left, save = [after], state.save

    def last(*arguments: Any) -> None:
        save(*arguments)
        left[0] -= 1
        if not left[0]:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(state, "save", last)
        assert own.train(out) == 130
    assert out.with_name(out.name + ".state").is_file() and not out.exists()


def often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Save a tracking network's training after every step."""
    recipe = tracking.recipe_for

    def saved(request: training.TrainingRequest) -> tracking.Recipe:
        return tracking.dataclasses.replace(recipe(request), save_every=1, lanes=2)

    monkeypatch.setattr(tracking, "recipe_for", saved)


def test_an_interrupted_training_on_own_recordings_goes_on(
    own: Own, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    often(monkeypatch)
    assert own.train(tmp_path / "whole.ckpt") == 0
    interrupted(own, tmp_path / "parts.ckpt", monkeypatch, 2)
    assert own.train(tmp_path / "parts.ckpt") == 0
    whole, parts = (
        checkpoint.load(tmp_path / f"{name}.ckpt").model.state_dict() for name in ("whole", "parts")
    )
    assert all(torch.equal(whole[key], parts[key]) for key in whole)
    assert not (tmp_path / "parts.ckpt.state").exists()


def test_a_finished_training_is_not_replaced_by_one_from_other_inputs(
    own: Own, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out.ckpt"
    assert own.train(out) == 0
    kept = out.read_bytes()
    no_test = tmp_path / "no_test.yaml"
    no_test.write_text(SPLIT[: SPLIT.index("  test:")])
    capsys.readouterr()
    assert own.train(out, "--split", str(no_test)) == 2
    assert "a finished training with another SPLIT" in capsys.readouterr().err
    assert out.read_bytes() == kept
    assert own.train(out) == 0  # the same again may


def test_an_interrupted_training_refuses_other_inputs_by_name(
    own: Own,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    often(monkeypatch)
    out = tmp_path / "out.ckpt"
    interrupted(own, out, monkeypatch, 2)
    kept = out.with_name("out.ckpt.state").read_bytes()
    no_test = tmp_path / "no_test.yaml"
    no_test.write_text(SPLIT[: SPLIT.index("  test:")])
    swapped = tmp_path / "swapped.yaml"
    swapped.write_text(
        SPLIT.replace("own-0", "own-3").replace("own-2", "own-0").replace("-3", "-2")
    )
    torch.manual_seed(10)
    other = tmp_path / "other.ckpt"
    checkpoint.save(other, build(HYPER_PARAMETERS[own.model]), HYPER_PARAMETERS[own.model])
    for arguments, named in (
        (["--checkpoint", str(other)], "CHECKPOINT"),
        (["--split", str(no_test)], "SPLIT"),
        (["--split", str(swapped)], "DATA, SPLIT"),
    ):
        capsys.readouterr()
        assert own.train(out, *arguments) == 2
        assert f"an interrupted training with another {named}: give" in capsys.readouterr().err
        assert out.with_name("out.ckpt.state").read_bytes() == kept
    assert own.train(out) == 0


def test_a_recording_that_validates_under_another_name_is_refused(
    own: Own, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = tmp_path / "data"
    data.mkdir()
    for name, source in (("own-0", 0), ("own-1", 0), ("own-2", 2)):
        (data / f"{name}.hdf5").write_bytes((own.data / f"own-{source}.hdf5").read_bytes())
    assert own.train(tmp_path / "out.ckpt", "--data", str(data)) == 1
    assert "own-1.hdf5: is to validate, and is the same recording as" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("lists", "said"),
    [
        (None, "no such split file"),
        ("dataset: {train: [{session: own-0}, {session: x}]}", "1 of its 2 sessions is not in"),
        ("dataset: {val: [{session: own-0}]}", "expected sessions to train on, found none"),
    ],
)
def test_a_wrong_split_is_one_line(
    own: Own, tmp_path: Path, capsys: pytest.CaptureFixture[str], lists: str | None, said: str
) -> None:
    path = tmp_path / "split.yaml"
    if lists is not None:
        path.write_text(lists)
    assert own.train(tmp_path / "out.ckpt", "--split", str(path)) == 1
    error = capsys.readouterr().err
    assert said in error and len(error.strip().splitlines()) == 1
    assert not (tmp_path / "out.ckpt").exists()


def test_a_checkpoint_of_another_network_says_what_differs(
    own: Own, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    h = copy.deepcopy(HYPER_PARAMETERS[own.model])
    if own.task == "typing":
        h["model_LF"] |= {"n_layers": 3, "lr": 0.5}
        differs = "model_LF.n_layers: expected 2, found 3"
    else:
        h["network_conf"]["decoder"]["hidden_size"] = 9
        differs = "network_conf.decoder.hidden_size: expected 7, found 9"
    checkpoint.save(tmp_path / "other.ckpt", build(h), h)
    assert own.train(tmp_path / "out.ckpt", "--checkpoint", str(tmp_path / "other.ckpt")) == 1
    error = capsys.readouterr().err.strip()
    assert f"expected a checkpoint of {own.model} to start from, found custom" in error
    assert error.endswith(f"what differs: {differs}"), "and not what only a training sees"


def test_a_checkpoint_of_another_task_and_a_compressed_one_are_refused(
    own: Own, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    h = tiny_typing() if own.task == "pose" else tiny_pose()
    other = tmp_path / "other.ckpt"
    checkpoint.save(other, build(h), h)
    assert own.train(tmp_path / "out.ckpt", "--checkpoint", str(other)) == 1
    assert "what differs: expected a network of" in capsys.readouterr().err
    h = HYPER_PARAMETERS[own.model] | {"tendon": {"ranks": {}, "bits": {}}}
    checkpoint.save(other, build(h), h)
    assert own.train(tmp_path / "out.ckpt", "--checkpoint", str(other)) == 1
    assert "this network has been compressed" in capsys.readouterr().err


def test_a_training_of_no_steps_gives_the_checkpoint_back_and_its_score(
    own: Own, tmp_path: Path
) -> None:
    out = tmp_path / "out.ckpt"
    assert own.train(out, "--steps", "0") == 0
    assert apart(own.checkpoint, out) < 1e-3, "but for half precision"
    assert json.loads(out.with_suffix(".json").read_text())["figures"]


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("--steps", "-3", "STEPS= (--steps): expected a whole number from 0 to 1,000,000,000"),
        ("--threads", "0", "--threads: expected a whole number from 1 to 1,024"),
    ],
)
def test_counts_that_are_none_are_one_line(
    own: Own,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    option: str,
    value: str,
    message: str,
) -> None:
    assert own.train(tmp_path / "out.ckpt", option, value) == 2
    assert f"error: argument {message}, found '{value}'" in capsys.readouterr().err
    assert own.train(tmp_path) == 1  # a folder to write
    assert "found a folder" in capsys.readouterr().err


def test_a_checkpoint_that_is_missing_is_one_line(
    own: Own, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert own.train(tmp_path / "out.ckpt", "--checkpoint", str(tmp_path / "none.ckpt")) == 1
    assert "none.ckpt: no such checkpoint" in capsys.readouterr().err


def test_a_network_of_another_name_is_trained_from_its_checkpoint(
    own: Own, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(typing.RECIPES, "mine", SHORT)
    out = tmp_path / "out.ckpt"
    assert own.train(out, "--model", "mine") == 0
    assert checkpoint.load(out).hyper_parameters == checkpoint.load(own.checkpoint).hyper_parameters
    assert tendon(["train", "--model", "mine", "--data", str(own.data)]) == 2
    assert "a network of another name needs CHECKPOINT=path" in capsys.readouterr().err


def test_weights_that_are_good_already_move_at_a_lower_rate() -> None:
    asks = training.TrainingRequest("S4_large", (), (), Path("out.ckpt"))
    again = training.TrainingRequest("S4_large", (), (), Path("out.ckpt"), Path("start.ckpt"))
    assert typing.recipe_for(asks) == typing.RECIPES["S4_large"]
    assert typing.recipe_for(again).rate == pytest.approx(typing.recipe_for(asks).rate / 5)


@pytest.mark.parametrize("task", names())
def test_every_task_offers_a_training_and_a_tuning(task: str) -> None:
    found = training.training_of(task)
    assert found.HELD_BACK >= 1 and callable(found.train)
    tuning = training.tuning_of(task)
    assert tuning is not None and isinstance(tuning.BY_DEFAULT, bool)
    assert not tuning.possible(object()) and tuning.recipe(7, 3).seed == 3


def test_the_options_of_training_need_no_torch() -> None:
    code = "import argparse, sys; import compress.tasks.train; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0

"""A pose network minute by minute: what counts as drift, and the report of a closed loop."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from bench import drift
from bench.tendon import main as tendon
from compress.data import recordings
from compress.data.simulator import pose as simulated
from compress.errors import TendonError
from compress.frontend import checkpoint
from compress.frontend.families import build
from compress.tasks.pose.scores import Stretch
from compress.tasks.pose.task import Pose
from tests.compress.test_pose_networks import tiny

LOOP = Pose.loop
TARGETS = np.zeros((3 * drift.MINUTE + 7, 20))


def off_by(degrees: list[float], mask: np.ndarray) -> Stretch:
    """Predictions that are off by so many degrees in each minute."""
    by_sample = np.repeat([*degrees, 90.0], drift.MINUTE)[: len(TARGETS)]
    return Stretch(np.radians(by_sample)[:, None] + TARGETS, TARGETS, mask)


def test_every_whole_minute_has_its_errors_over_the_samples_with_known_angles() -> None:
    known = np.ones(len(TARGETS), bool)
    known[drift.MINUTE + 1 : 2 * drift.MINUTE] = False
    found = drift.minutes(off_by([1.0, 2.0, 3.0], known), off_by([1.25, 2.5, 4.0], known), LOOP)
    assert [m["minute"] for m in found] == [1, 2, 3]
    assert [m["float"] for m in found] == pytest.approx([1.0, 2.0, 3.0])
    assert [m["quantized"] for m in found] == pytest.approx([1.25, 2.5, 4.0])
    assert [m["apart"] for m in found] == pytest.approx([0.25, 0.5, 1.0])
    assert drift.drift({"minutes": found}) == pytest.approx(0.75)


def test_a_minute_without_known_angles_is_left_out_and_one_alone_is_refused() -> None:
    known = np.ones(len(TARGETS), bool)
    known[: drift.MINUTE] = False
    same = off_by([1.0, 2.0, 3.0], known)
    assert [m["minute"] for m in drift.minutes(same, same, LOOP)] == [2, 3]
    known[: 2 * drift.MINUTE] = False
    with pytest.raises(
        TendonError, match="two whole minutes with known angles or more, found 1 in 180 s"
    ):
        drift.minutes(same, same, LOOP)


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small tracking network and a session."""
    folder = tmp_path_factory.mktemp("drift")
    torch.manual_seed(0)
    checkpoint.save(folder / "mine.ckpt", build(tiny()), tiny())
    simulated.write(
        folder / "session.hdf5", simulated.simulate("heldout", 0, 4.0, recordings.SEED), "session"
    )
    return folder


def measured(here: Path) -> int:
    session = str(here / "session.hdf5")
    made_from = [
        "--checkpoint",
        str(here / "mine.ckpt"),
        "--calibration",
        session,
        "--build",
        str(here / "build"),
    ]
    return tendon(["drift", "--model", "mine", *made_from, "--input", session])


def test_the_command_writes_minutes_a_picture_and_a_verdict_and_fails_when_the_integers_drift(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(drift, "MINUTE", 2000)
    # random weights integrate without ever correcting
    monkeypatch.setattr(Pose, "loop", dataclasses.replace(LOOP, allowed=10.0))
    assert measured(here) == 0
    report = json.loads((here / "build/mine/w8a16/drift.json").read_text())
    assert report["simulated"] and len(report["minutes"]) == 3
    page = (here / "build/mine/w8a16/drift.html").read_text()
    assert "NO DRIFT" in page and "<svg" in page and "simulated" in page
    assert "no drift: integers lose" in capsys.readouterr().out
    least = dataclasses.replace(LOOP, allowed=drift.drift(report) - 1e-6)
    monkeypatch.setattr(Pose, "loop", least)
    assert measured(here) == 1
    assert "DRIFT: integers lose" in capsys.readouterr().out


def test_a_network_that_says_no_pose_has_no_drift_to_measure(
    published_checkpoint, here: Path, simulated: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    calibration = str(next((simulated / "calibration").glob("*.hdf5")))
    path, build_folder = str(published_checkpoint("TC_S4_small")), str(here / "build")
    assert (
        tendon(
            ["drift", "--checkpoint", path, "--calibration", calibration, "--build", build_folder]
        )
        == 2
    )
    assert (
        "drift is measured of networks that say a pose, this one is for typing"
        in capsys.readouterr().err
    )

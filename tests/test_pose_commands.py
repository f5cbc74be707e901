"""What a user does with a pose network: quantize, infer from a pose, run on a board, diagnose, and
clear errors for bad input."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from bench.tendon import main as tendon
from compress.data import datasets, metadata, recordings
from compress.data.simulator import pose as simulated
from compress.errors import RecordingError
from compress.frontend import checkpoint
from compress.frontend.families import build
from compress.frontend.lower import lower
from compress.tasks.pose.simulated import COLLECTION as POSE
from tests.compress.test_pose_networks import tiny


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a small tracking network and two short simulated sessions."""
    folder = tmp_path_factory.mktemp("pose")
    torch.manual_seed(0)
    checkpoint.save(folder / "mine.ckpt", build(tiny()), tiny())
    for split, number in (("calibration", 0), ("heldout", 0), ("heldout", 1)):
        recording = simulated.simulate(split, number, 4.0, recordings.SEED)
        simulated.write(
            folder / f"data/{split}/{split}-{number}.hdf5", recording, f"{split}-{number}"
        )
    return folder


def options(here: Path) -> list[str]:
    return [
        "--model",
        "mine",
        "--checkpoint",
        str(here / "mine.ckpt"),
        "--build",
        str(here / "build"),
    ]


def data(here: Path) -> list[str]:
    return [*options(here), "--data", str(here / "data")]


@pytest.fixture(scope="module")
def quantized(here: Path) -> dict[str, Any]:
    assert tendon(["quantize", *data(here)]) == 0
    content: dict[str, Any] = json.loads((here / "build/mine/w8a16/quantize.json").read_text())
    return content


def test_quantize_reports_the_angle_error_beside_the_trivial_predictors(
    quantized: dict[str, Any],
) -> None:
    metric = quantized["metric"]
    assert (metric["name"], metric["unit"], quantized["simulated"]) == ("angle MAE", "°", True)
    assert abs(metric["quantized"] - metric["float"]) < 0.05 * metric["float"]
    assert metric["low"] <= metric["quantized"] - metric["float"] <= metric["high"]
    assert set(quantized["trivial"]) == {"hold_initial", "mean_pose"} and all(
        v > 0 for v in quantized["trivial"].values()
    )
    assert quantized["details"]["quantized"]["mae_deg"] == pytest.approx(metric["quantized"])
    assert all(a["share"] < 1 for a in quantized["accumulators"])


@pytest.mark.parametrize("engine", ["graph", "integer", "native", "posix"])
def test_infer_begins_with_the_pose_that_is_given(
    engine: str, here: Path, quantized: dict[str, Any]
) -> None:
    signal = np.random.default_rng(0).standard_normal((16, 6000)).astype(np.float32)
    np.save(here / "emg.npy", signal)
    poses = {}
    for name, value in (("a", 0.0), ("b", 0.4)):
        np.save(here / f"{name}.npy", np.full(20, value))
        arguments = [
            "--input",
            str(here / "emg.npy"),
            "--initial",
            str(here / f"{name}.npy"),
            "--output",
            str(here / "out.npy"),
        ]
        assert tendon(["infer", *data(here), "--engine", engine, *arguments]) == 0
        poses[name] = np.load(here / "out.npy")
    graph = lower(checkpoint.load(here / "mine.ckpt"))
    steps = 6000 // graph.samples_per_step * graph.chunk - graph.start_up
    assert poses["a"].shape == (20, steps) and poses["a"].dtype == np.float32
    assert np.allclose(poses["b"][:, 0] - poses["a"][:, 0], 0.4, atol=0.1)


def test_engines_agree_word_for_word_or_say_where_not(
    here: Path, quantized: dict[str, Any], capsys: Any
) -> None:
    assert (
        tendon(["diagnose", *data(here), "--engines", "integer", "native", "--seconds", "2"]) == 0
    )
    report = json.loads(next((here / "build/mine/w8a16").glob("diagnose*.json")).read_text())
    assert report["equal"] and len(report["layers"]) > 10
    assert tendon(["diagnose", *data(here), "--board", "posix", "--seconds", "1"]) == 0
    assert "all equal to the integer reference" in capsys.readouterr().out


def test_a_run_on_a_board_is_valid_bit_exact_and_draws_the_angles(
    here: Path, quantized: dict[str, Any]
) -> None:
    assert tendon(["hil", *data(here), "--board", "posix", "--seconds", "5"]) == 0
    folder = here / "build/mine/w8a16/c/posix"
    report = json.loads((folder / "hil.json").read_text())
    assert report["valid"] and report["bit_exact"] and report["task"] == "pose"
    assert report["metric"]["board"] == pytest.approx(report["metric"]["quantized"])
    assert len(report["recordings"]) == 2  # the second stream begins with its own pose
    page = (folder / "hil.html").read_text()
    assert (
        "Predicted against recorded angles" in page
        and "simulated recordings" in page
        and "characters" not in page
    )


def test_macs_and_firmware_know_the_network(here: Path, quantized: dict[str, Any]) -> None:
    assert tendon(["macs", *options(here)]) == 0
    layers = json.loads((here / "build/mine/macs.json").read_text())["layers"]
    gates = next(layer for layer in layers if layer["module"] == "model.decoder.lstm.l0.gates")
    assert gates["macs_per_frame"] == (6 + 20 + 7) * 28 and gates["rate_hz"] == 100
    assert tendon(["firmware", *data(here), "--board", "virtual-f405"]) == 0


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        (
            "emg.npy",
            np.zeros((6000, 16), np.float32),
            r"expected numbers of shape \(16 electrodes, samples\)",
        ),
        ("emg.npy", np.full((16, 6000), np.nan, np.float32), "expected finite numbers"),
        ("first.npy", np.zeros(19), "expected 20 angles in rad"),
    ],
)
def test_bad_input_is_one_clear_error(
    name: str,
    content: np.ndarray,
    message: str,
    here: Path,
    quantized: dict[str, Any],
    tmp_path: Path,
    capsys: Any,
) -> None:
    np.save(tmp_path / "emg.npy", np.zeros((16, 6000), np.float32))
    np.save(tmp_path / "first.npy", np.zeros(20))
    np.save(tmp_path / name, content)
    arguments = [
        "--input",
        str(tmp_path / "emg.npy"),
        "--initial",
        str(tmp_path / "first.npy"),
        "--output",
        str(tmp_path / "o.npy"),
    ]
    assert tendon(["infer", *data(here), *arguments]) == 1

    assert re.search(message, capsys.readouterr().err)
    assert not (tmp_path / "o.npy").exists()


def test_a_published_table_says_what_calibrates_and_what_is_held_out(
    here: Path, tmp_path: Path
) -> None:
    rows = []
    for split, name in (
        ("train", "a"),
        ("val", "b"),
        ("test", "c"),
        ("test", "d"),
        ("test", "not_there"),
    ):
        rows.append(
            metadata.Row(user="u", session="s", stage="t", side="left", split=split, filename=name)
        )
        if name != "not_there":
            (tmp_path / f"{name}.hdf5").write_bytes(
                (here / "data/heldout/heldout-0.hdf5").read_bytes()
            )
    metadata.write(tmp_path / metadata.NAME, rows)
    found = datasets.find(tmp_path, tmp_path, POSE)
    assert (
        [p.stem for p in found.calibration] == ["b"]
        and [p.stem for p in found.heldout] == ["c", "d"]
        and found.simulated
    )
    metadata.write(tmp_path / metadata.NAME, rows[:2])
    with pytest.raises(RecordingError, match="1 train, 1 val, 0 test"):
        datasets.find(tmp_path, tmp_path, POSE)


def test_a_language_model_and_a_crosscheck_of_text_are_refused_for_poses(
    here: Path, quantized: dict[str, Any], capsys: Any
) -> None:
    assert (
        tendon(
            [
                "hil",
                *data(here),
                "--board",
                "posix",
                "--seconds",
                "2",
                "--lm",
                "host/lm/characters.arpa",
            ]
        )
        == 2
    )
    assert "does not type" in capsys.readouterr().err
    assert tendon(["crosscheck", *data(here)]) == 2
    assert "does not type" in capsys.readouterr().err

"""What a user types: quantize, infer on every engine, diagnose, export; and what happens when the
input is wrong or changes."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from bench.tendon import main as tendon
from compress.data.simulator.session import simulate, write
from compress.frontend import checkpoint
from compress.frontend.families import HYPER_PARAMETERS, build

SECONDS = 12.0


@pytest.fixture(scope="module")
def here(tmp_path_factory) -> Path:
    """A user's folder: two sessions of their own, an untrained checkpoint, and one input as
    .npy."""
    folder = tmp_path_factory.mktemp("user")
    for number in range(2):
        write(
            folder / "data" / f"session-{number}.hdf5",
            simulate("heldout", 90 + number, SECONDS),
            f"session-{number}",
        )
    import torch

    torch.manual_seed(3)
    checkpoint.save(
        folder / "net.ckpt",
        build(HYPER_PARAMETERS["TC_S4_small"]).eval(),
        HYPER_PARAMETERS["TC_S4_small"],
    )
    rng = np.random.default_rng(0)
    np.save(folder / "input.npy", (rng.standard_normal((4000, 2, 16)) * 2).astype(np.float32))
    return folder


def common(here: Path) -> list[str]:
    return [
        "--checkpoint",
        str(here / "net.ckpt"),
        "--data",
        str(here / "data"),
        "--build",
        str(here / "build"),
    ]


def infer(here: Path, engine: str, source: str = "input.npy") -> np.ndarray:
    output = here / f"{engine}.npy"
    arguments = [
        "infer",
        *common(here),
        "--engine",
        engine,
        "--input",
        str(here / source),
        "--output",
        str(output),
    ]
    assert tendon(arguments) == 0
    return np.load(output)


def test_quantize_reports_the_error_rates_of_both_and_everything_per_layer(here, capsys):
    assert tendon(["quantize", *common(here)]) == 0
    report = json.loads((here / "build/TC_S4_small/w8a16/quantize.json").read_text())
    assert {"name", "unit", "float", "quantized", "low", "high"} <= report["metric"].keys()
    assert report["amount"] > 0 and 0 <= report["agreement"] <= 1 and report["simulated"]
    assert {"module", "scale", "clipped", "sqnr_db"} <= report["layers"][0].keys()
    assert "simulated" in capsys.readouterr().out


def test_every_engine_runs_the_same_input_and_the_integer_ones_agree_exactly(here):
    frames = {
        engine: infer(here, engine) for engine in ("torch", "graph", "integer", "native", "posix")
    }
    assert all(f.dtype == np.float32 and f.shape == (41, 99) for f in frames.values())
    assert np.abs(frames["torch"] - frames["graph"]).max() < 1e-4
    assert np.array_equal(frames["integer"], frames["native"])
    assert np.array_equal(frames["integer"], frames["posix"])
    assert np.abs(frames["integer"] - frames["graph"]).mean() < 0.2


def test_a_recording_is_an_input_too(here):
    assert np.array_equal(
        infer(here, "integer", "data/session-0.hdf5"), infer(here, "native", "data/session-0.hdf5")
    )


def test_diagnose_finds_two_integer_engines_equal(here, capsys):
    arguments = [
        "diagnose",
        *common(here),
        "--engines",
        "integer",
        "native",
        "--input",
        str(here / "input.npy"),
    ]
    assert tendon(arguments) == 0
    report = json.loads((here / "build/TC_S4_small/w8a16/diagnose.json").read_text())
    assert report["equal"] and report["exact"] and len(report["layers"]) > 40
    assert "are equal" in capsys.readouterr().out


def test_diagnose_names_the_first_difference_between_float_and_integers(here):
    arguments = [
        "diagnose",
        *common(here),
        "--engines",
        "graph",
        "integer",
        "--input",
        str(here / "input.npy"),
    ]
    assert tendon(arguments) == 0
    report = json.loads((here / "build/TC_S4_small/w8a16/diagnose.json").read_text())
    assert all(
        {"rmse", "mae", "l2r", "cos"} <= row.keys() and row["cos"] > 0.9 for row in report["layers"]
    )


def test_a_diagnosis_finds_the_layer_that_was_tampered_with(here, monkeypatch):
    from compress.ops import dense

    original = dense.linear

    def tampered(x, op, lo, hi, *weights):
        y = original(x, op, lo, hi, *weights)
        if op.module == "model.4.layers.3":
            y[:, 5, 7] += 1
        return y

    monkeypatch.setattr(dense, "linear", tampered)
    arguments = [
        "diagnose",
        *common(here),
        "--engines",
        "integer",
        "native",
        "--input",
        str(here / "input.npy"),
    ]
    assert tendon(arguments) == 0
    first = json.loads((here / "build/TC_S4_small/w8a16/diagnose.json").read_text())[
        "first_difference"
    ]
    assert (first["module"], first["frame"], first["element"]) == ("model.4.layers.3", 5, 7)


def test_nothing_is_done_twice_and_a_changed_checkpoint_is_noticed(here, tmp_path, capsys):
    assert tendon(["quantize", *common(here)]) == 0
    assert "unchanged" in capsys.readouterr().err
    before = json.loads((here / "build/TC_S4_small/w8a16/quantize.json").read_text())
    copy = shutil.copytree(here, tmp_path / "copy")
    checkpoint.save(
        copy / "net.ckpt",
        build(HYPER_PARAMETERS["TC_S4_small"]).eval(),
        HYPER_PARAMETERS["TC_S4_small"],
    )
    assert tendon(["quantize", *common(copy)]) == 0
    assert "unchanged" not in capsys.readouterr().err
    after = json.loads((copy / "build/TC_S4_small/w8a16/quantize.json").read_text())
    assert before["graph"] != after["graph"] and before["checkpoint"] != after["checkpoint"]


def test_exporting_twice_gives_the_same_files(here):
    def project() -> dict[str, bytes]:
        assert tendon(["export", "--format", "c", *common(here), "--board", "posix"]) == 0
        folder = here / "build/TC_S4_small/w8a16/c/posix/project"
        return {
            p.relative_to(folder).as_posix(): p.read_bytes()
            for p in sorted(folder.rglob("*"))
            if p.is_file()
        }

    first = project()
    assert first == project()
    assert {
        "model/tc_s4_small.c",
        "model/tc_s4_small.h",
        "app/model.h",
        "Makefile",
        "CMakeLists.txt",
        "README.md",
    } <= first.keys()


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--input", "nowhere.npy"], 1, "nowhere.npy"),
        (["--input", "wrong_shape.npy"], 1, "expected numbers of shape (samples, 2, 16)"),
        (["--input", "nan.npy"], 1, "found 1 that are not, the first at (5, 1"),
        (
            ["--input", "input.npy", "--engine", "abacus"],
            2,
            "expected one of torch, graph, onnx, integer, native",
        ),
    ],
)
def test_bad_input_is_one_clear_line_and_exit_code_1_a_wrong_name_2(
    arguments, code, message, here, capsys
):
    np.save(here / "wrong_shape.npy", np.zeros((10, 32), np.float32))
    bad = np.zeros((960, 2, 16), np.float32)
    bad[5, 1, 3] = np.nan
    np.save(here / "nan.npy", bad)
    arguments = [str(here / a) if a.endswith(".npy") else a for a in arguments]
    assert tendon(["infer", *common(here), *arguments, "--output", str(here / "never.npy")]) == code
    assert message in capsys.readouterr().err
    assert not (here / "never.npy").exists()


def test_a_checkpoint_of_another_network_is_refused_by_name(here, capsys):
    assert tendon(["quantize", *common(here), "--model", "TC_S4_medium"]) == 1
    assert (
        "expected a checkpoint of TC_S4_medium, found one of TC_S4_small" in capsys.readouterr().err
    )


def test_a_network_that_does_not_fit_is_refused_with_the_shortfall(here, tmp_path, capsys):
    path = tmp_path / "large.ckpt"
    checkpoint.save(path, build(HYPER_PARAMETERS["S4_large"]).eval(), HYPER_PARAMETERS["S4_large"])
    arguments = [
        "--checkpoint",
        str(path),
        "--data",
        str(here / "data"),
        "--build",
        str(tmp_path / "build"),
    ]
    assert tendon(["firmware", *arguments, "--model", "S4_large", "--board", "virtual-f405"]) == 1
    error = capsys.readouterr().err
    assert (
        "does not fit virtual-f405: state needs 131,072 bytes, ram has 94,208 of 131,072 available:"
        " 36,864 too many" in error
    )
    assert re.search(
        r"tables needs 1,4[\d,]+ bytes, flash has 1,024,000 of 1,048,576 available: 4[\d,]+ too"
        r" many",
        error,
    )
    assert {"nucleo-h743zi2", "virtual-m7"} <= set(error.partition("BOARD=")[2].split())


def test_a_full_disk_leaves_the_old_artifact(here, monkeypatch, capsys):
    import os

    path = here / "build/TC_S4_small/macs.json"
    assert (
        tendon(["macs", "--checkpoint", str(here / "net.ckpt"), "--build", str(here / "build")])
        == 0
    )
    before = path.read_bytes()

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    assert (
        tendon(["macs", "--checkpoint", str(here / "net.ckpt"), "--build", str(here / "build")])
        == 1
    )
    assert "No space left on device" in capsys.readouterr().err
    assert path.read_bytes() == before and not list(path.parent.glob("*.tmp"))

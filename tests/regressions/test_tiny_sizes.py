"""Signals of a few samples: every engine takes what gives one output, and refuses less."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bench.tendon import main as tendon
from compress.files import read_json
from compress.reading.words import counted
from host.names import LOCAL
from tests import toy

# a frame for 4 samples, each of which sees 9
NETWORK = """
import torch
from torch import nn

SAMPLE_RATE, ELECTRODES, TASK = 200, 3, "values"
OUTPUTS = ["force"]


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv1d(3, 5, 9, stride=4), nn.ReLU(), nn.Conv1d(5, 1, 1))
"""
STEP, SEES = 4, 9
LEAST = 12  # the first whole steps that hold what a frame sees
ENGINES = (*LOCAL, "posix")


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the network's file and of a signal that calibrates it."""
    folder = tmp_path_factory.mktemp("tiny")
    (folder / "net.py").write_text(NETWORK)
    signal = np.random.default_rng(0).normal(size=(3, 2000)).astype(np.float32)
    np.save(folder / "long.npy", signal)
    return folder


def infer(folder: Path, engine: str, samples: int) -> tuple[int, np.ndarray | None]:
    """The exit code and the frames (outputs, frames) of the first so many samples."""
    given, out = folder / "in.npy", folder / "out.npy"
    np.save(given, np.load(folder / "long.npy")[:, :samples])
    out.unlink(missing_ok=True)
    words = ["infer", "--model", str(folder / "net.py"), "--build", str(folder / "build")]
    words += ["--calibration", str(folder / "long.npy"), "--engine", engine]
    code = tendon([*words, "--input", str(given), "--output", str(out)])
    return code, np.load(out) if out.exists() else None


@pytest.mark.parametrize("engine", ENGINES)
def test_a_signal_that_gives_one_output_gives_one(engine: str, network: Path) -> None:
    need(engine)
    code, frames = infer(network, engine, LEAST)
    assert code == 0 and frames is not None and frames.shape == (1, 1)
    _, expected = infer(network, "graph", LEAST)
    assert expected is not None
    np.testing.assert_allclose(frames, expected, atol=0.02 * np.abs(expected).max() + 1e-3)


@pytest.mark.parametrize("samples", [0, 1, STEP - 1, STEP, LEAST - 1])
@pytest.mark.parametrize("engine", [e for e in ENGINES if e != "torch"])
def test_less_is_refused_with_what_is_needed(
    engine: str, samples: int, network: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    need(engine)
    code, frames = infer(network, engine, samples)
    said = capsys.readouterr().err.strip().splitlines()[-1]
    assert code == 1 and frames is None
    if samples:
        assert f"expected at least the {LEAST} samples (0.06 s)" in said, said
        assert f"found {samples}; give a longer signal" in said
    else:
        assert "expected at least one number" in said


# --- exactly the input ----------------------------------------------------------------------------


@pytest.mark.parametrize("samples", [SEES, LEAST, 13, 17, 18, 50])
def test_torch_is_the_forward_of_exactly_the_input(samples: int, network: Path) -> None:
    code, frames = infer(network, "torch", samples)
    assert code == 0 and frames is not None
    import torch

    scope: dict[str, object] = {}
    exec(NETWORK, scope)
    signal = torch.from_numpy(np.load(network / "long.npy")[None, :, :samples])
    with torch.no_grad():
        expected = scope["network"]()(signal)[0].numpy()  # type: ignore[operator]
    np.testing.assert_allclose(frames, expected, atol=1e-6)


@pytest.mark.parametrize("samples", [0, 1, SEES - 1])
def test_less_than_a_forward_takes_is_refused_in_a_line(
    samples: int, network: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, frames = infer(network, "torch", samples)
    said = capsys.readouterr().err.strip().splitlines()[-1]
    assert (code, frames) == (1, None)
    expected = f"the published forward cannot take {counted(samples, 'sample')}"
    assert (expected if samples else "expected at least one number") in said, said


def test_a_stream_says_what_it_leaves_over(
    network: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    infer(network, "integer", 18)
    assert "the last 2 samples (0.0100 s) are less than a step of 4" in capsys.readouterr().out
    infer(network, "integer", 16)
    assert "left over" not in capsys.readouterr().out


def need(engine: str) -> None:
    if engine in ("native", "posix"):
        toy.need("gcc", "make")


def test_hil_compares_any_array_word_by_word_and_scores_nothing(
    network: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    toy.need("gcc", "make")
    np.save(network / "in.npy", np.load(network / "long.npy")[:, :50])
    words = ["hil", "--model", str(network / "net.py"), "--build", str(network / "build")]
    words += ["--calibration", str(network / "long.npy"), "--board", "posix"]
    assert tendon([*words, "--input", str(network / "in.npy")]) == 0
    capsys.readouterr()
    report = read_json(network / "build/net/w8a16/c/posix/hil.json")
    assert report["valid"] and report["bit_exact"] and report["words"] == 48 // STEP
    assert [r["recording"] for r in report["recordings"]] == ["in.npy"]
    assert report["metric"]["board"] is None

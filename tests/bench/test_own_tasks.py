"""Networks of classes and of values on a board and in reports, on recordings of one's own: with
labels, and with none."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from bench.hil import measurement, outcome, page, text
from bench.pareto.front import Session, interval, pooled
from compress import evaluate, scoring, tasks
from compress import graph as g
from compress.artifacts import Folder
from compress.data import datasets
from compress.files import write_json
from compress.interpreter.float import FloatInterpreter
from compress.quantization.calibrate import observe
from compress.quantization.quantize import quantize
from compress.report import quantized
from compress.tasks.shape import label_samples
from host.engines import Artifacts
from tests import toy
from tests.compress.test_classes import ELECTRODES, RATE, network

OUTPUTS = 3


def recordings(folder: Path, real: g.Graph, labelled: bool) -> Path:
    """Noise, and beside it what the network itself says of each frame, for its sample and those up
    to the next; a tenth of it wrong."""
    rng = np.random.default_rng(8)
    folder.mkdir()
    for name in ("0.npz", "1.npz", "2.npz"):
        emg = rng.normal(size=(4 * RATE, ELECTRODES)).astype(np.float32)
        frames = FloatInterpreter(real).run(emg[None].astype(np.float64))[0]
        at = label_samples(real, len(frames))
        target = np.full((len(emg), OUTPUTS), np.nan)
        target[at[at >= 0]] = frames[at >= 0]
        label = np.where(np.isnan(target[:, 0]), -1, np.nan_to_num(target).argmax(1))
        other = (rng.random(len(label)) < 0.1) & (label >= 0)
        label[other] = (label[other] + 1) % OUTPUTS
        known = {"label": label, "target": target + 0.1} if labelled else {}
        np.savez(folder / name, emg=emg, rate=RATE, **known)
    return folder


@pytest.fixture(params=["classes", "values"])
def task(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def ran(task: str, labelled: bool, tmp_path: Path) -> outcome.Outcome:
    """Quantized as by `make quantize`, then two seconds on a board that is a process here."""
    toy.need("gcc", "make")
    real = network(task, OUTPUTS, history=1, lookahead=2)
    data = recordings(tmp_path / "data", real, labelled)
    dataset = datasets.find(data, tmp_path, tasks.collection_of(real))
    signal = tasks.of(real).read(real, dataset.calibration[0]).signal
    integer = quantize(real, observe(real, [signal]), "w8a16")
    report = scoring.score(real, integer, dataset)
    assert quantized.text(report)
    folder = Folder(tmp_path / "build", "own", "w8a16")
    layers = {"layers": evaluate.layers(real, integer, signal)}
    write_json(folder.quantize_json, report | layers)
    made = Artifacts(folder, tmp_path / "none.ckpt", real, integer)
    return measurement.run(made, dataset, "posix", None, 2.0)


def test_a_board_is_scored_on_recordings_with_labels(task: str, tmp_path: Path) -> None:
    found = ran(task, True, tmp_path)
    report, html = found.report, page.html(found)
    json.dumps(report, allow_nan=False)
    metric = report["metric"]
    assert report["valid"] and report["bit_exact"] and not report["simulated"]
    assert metric["low"] <= metric["board"] <= metric["high"]
    said = text.console_report(report)
    if task == "classes":
        assert 5.0 < metric["board"] < 15.0
        balanced = f"{report['details']['balanced_accuracy']:.2f} %"
        assert metric["board"] == pytest.approx(100 - report["details"]["balanced_accuracy"])
        assert f"balanced accuracy      {balanced}" in said and "board, by class" in said
        assert "What each class was taken for" in html and "most frequent class" in said
    else:
        assert metric["float"] == pytest.approx(0.1, rel=1e-3)
        assert "board                  0.1" in said and "board, by output" in said
        assert "What was measured and what the board says" in html


def test_a_board_is_compared_on_recordings_without(task: str, tmp_path: Path) -> None:
    found = ran(task, False, tmp_path)
    report = found.report
    assert report["valid"] and report["bit_exact"]
    assert report["metric"]["board"] is None and report["metric"]["low"] is None
    assert report["details"] == {} and report["quantize"]["trivial"] == {}
    said = text.console_report(report)
    assert "2.0 s streamed, of " in said and "nothing in it is scored" in said
    html = page.html(found)
    for title in ("What each class was taken for", "What was measured and what the board says"):
        assert title not in html


def test_quantize_says_that_the_recordings_do_not_say_what_is_right(
    task: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    real = network(task, OUTPUTS)
    data = recordings(tmp_path / "data", real, labelled=False)
    dataset = datasets.find(data, tmp_path, tasks.collection_of(real))
    signal = tasks.of(real).read(real, dataset.calibration[0]).signal
    report = scoring.score(real, quantize(real, observe(real, [signal]), "w8a16"), dataset)
    said = quantized.text(report)
    assert "not known, the recordings do not say what is right" in said
    assert f"SQNR {report['sqnr_db']:.1f} dB" in said and report["trivial"] == {}
    assert (report["agreement"] is None) == (task == "values")


def test_a_front_pools_classes_over_sessions_as_the_task_does() -> None:
    """Two sessions, each of one class: the error is the mean over classes, not over frames."""
    errors = [np.array([[1, 0], [0, 0]]), np.array([[0, 4]])]
    amounts = [np.array([[5, 0], [5, 0]]), np.array([[0, 8]])]
    sessions = [
        Session.from_json(json.loads(json.dumps(Session(e, n).to_json())))
        for e, n in zip(errors, amounts, strict=True)
    ]
    assert pooled(sessions, 100.0) == pytest.approx((10.0 + 50.0) / 2)
    low, high = interval(sessions, 100.0)
    assert low <= 30.0 <= high

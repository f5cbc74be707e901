"""Recordings of several users: every report that scores them says the error of each, and their mean
with each user counting alike, as quantize does."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.compression import command as compression
from bench.hil import demo, measurement, page, text
from bench.pareto import FLOAT, points, table
from bench.pareto.front import Session
from bench.pareto.jobs import Job
from bench.pareto.reports import of as report_of
from bench.pareto.sweep import Swept
from compress import evaluate, scoring, tasks
from compress.artifacts import Folder
from compress.data import datasets
from compress.files import write_json
from compress.quantization.calibrate import observe
from compress.quantization.quantize import quantize
from compress.tasks.typing.task import Typing
from host.engines import Artifacts
from tests import toy
from tests.bench.test_pareto import setting
from tests.compress.test_classes import network
from tests.regressions.test_time import OUTPUTS, SECONDS, own


@pytest.fixture(scope="module")
def scored(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A small network, three held-out recordings of two users, and what quantize says of them."""
    folder = tmp_path_factory.mktemp("users")
    real = network("classes", OUTPUTS, history=1)
    data = folder / "data"
    data.mkdir()
    for number in range(4):
        own(data / f"{number}.npz", np.random.default_rng(number))
    found = datasets.find(data, folder, tasks.collection_of(real))
    dataset = dataclasses.replace(found, users=("ann", "bob", "ann"))
    signal = tasks.of(real).read(real, found.calibration[0]).signal
    integer = quantize(real, observe(real, [signal]), "w8a16")
    made = Artifacts(Folder(folder, "own", "w8a16"), folder / "none.ckpt", real, integer)
    report = scoring.score(real, integer, dataset)
    write_json(
        made.folder.quantize_json, report | {"layers": evaluate.layers(real, integer, signal)}
    )
    assert [(u["name"], u["recordings"]) for u in report["users"]] == [("ann", 2), ("bob", 1)]
    return {"made": made, "dataset": dataset, "quantize": report}


def same(found: dict[str, Any], expected: dict[str, Any], engines: dict[str, str]) -> None:
    """Users, and the mean over them; `engines`: what those of `expected` are called in `found`."""
    for a, b in zip(found["users"], expected["users"], strict=True):
        for key in ("name", "recordings", "amount", "amount_is"):
            assert a[key] == b[key]
        assert [a[name] for name in engines] == [b[name] for name in engines.values()]
    for name, of in engines.items():
        assert found["over_users"][name] == expected["over_users"][of]


def test_a_board_is_scored_by_user(scored: dict[str, Any]) -> None:
    toy.need("gcc", "make")
    seconds = 3 * SECONDS
    ran = measurement.run(scored["made"], scored["dataset"], "posix", None, seconds)
    same(
        dict(ran.report),
        scored["quantize"],
        {"float": "float", "quantized": "quantized", "board": "quantized"},
    )
    for said in (text.console_report(ran.report), page.html(ran)):
        assert "mean over 2 users ± standard deviation: float" in said and "board" in said


def test_users_whose_seconds_were_not_streamed_are_in_no_report(scored: dict[str, Any]) -> None:
    toy.need("gcc", "make")
    ran = measurement.run(scored["made"], scored["dataset"], "posix", None, 2)
    assert [user["name"] for user in ran.report["users"]] == ["ann"]
    assert ran.report["over_users"] is None and "mean over" not in page.html(ran)


def test_the_demo_scores_whole_sessions_by_user(scored: dict[str, Any]) -> None:
    toy.need("gcc")
    held = demo.heldout(scored["made"], scored["dataset"], None)
    same(held, scored["quantize"], {"float": "float", "native": "quantized"})


def test_a_compressed_network_is_scored_by_user(scored: dict[str, Any]) -> None:
    toy.need("gcc")
    made = scored["made"]
    found = compression.score(
        made.real, made.real, made.integer, scored["dataset"], made.folder.path / "native"
    )
    engines = {"float": "float", "compressed": "float", "quantized": "quantized"}
    same(found, scored["quantize"], engines)


def test_points_of_a_sweep_have_the_mean_over_users(tmp_path: Path) -> None:
    """Of 1 in 10 and 3 in 10 of one user, 4 in 10 of the other: 20 % and 40 %."""
    sessions = tuple(tmp_path / f"{number}.hdf5" for number in range(3))
    for path in (*sessions, tmp_path / "lm"):
        path.write_bytes(b"made up")
    changes: dict[str, Any] = {"heldout": sessions, "lm": tmp_path / "lm"}
    asked = setting(tmp_path, precisions=(FLOAT,), checkpoints={"a": Path("a")}, **changes)
    results: dict[Job, Any] = {Job("a"): {"macs_per_s": 1e6}}
    for session, errors in zip(asked.heldout, (1, 4, 3), strict=True):
        runs = {"greedy": Session(np.array([errors]), np.array([10])).to_json()}
        results[Job("a", FLOAT, session)] = {"runs": runs, "seconds": 10.0, "pace": 1.0}
    swept, report = Swept(results, {}), report_of(Typing())
    user_of = dict(zip(asked.heldout, ("7", "8", "7"), strict=True))
    (alone,) = points.collect(report, asked, swept, False)
    (point,) = points.collect(report, asked, swept, False, user_of)
    assert alone.users == [] and alone.users_mean is None
    assert [(u["name"], u["recordings"], u["error"]) for u in point.users] == [
        ("7", 2, pytest.approx(20.0)),
        ("8", 1, pytest.approx(40.0)),
    ]
    assert (point.users_mean, point.users_std) == (pytest.approx(30.0), pytest.approx(10.0))
    assert point.error == alone.error == pytest.approx(80 / 3)
    said = "\n".join(table.notes([point], report, {}))
    assert "a float greedy: 30.00 % ± 10.00 (7 20.00 %, 8 40.00 %)" in said
    row = points.as_csv([point], report).decode().splitlines()[1]
    assert "7=20.0 8=40.0,30.0,10.0" in row

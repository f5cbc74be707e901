"""Angle error against cost: pose networks are swept by the same command, from the pose they begin
with, into their own report."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from bench.bare import model_steps
from bench.pareto import FLOAT, pictures, points, reports, sweep, table, work
from bench.pareto.front import Session, interval, pooled
from bench.pareto.jobs import Job, Outcome, Setting
from bench.pareto.page import html
from bench.pareto.points import Point
from bench.pareto.sweep import Backend
from bench.tendon import main as tendon
from compress import evaluate, tasks
from compress import graph as g
from compress.artifacts import COMPRESSED, Folder, sha256
from compress.data.simulator import pose as simulated_pose
from compress.data.simulator import session as simulated_typing
from compress.frontend import checkpoint
from compress.frontend.families import HYPER_PARAMETERS, build
from compress.graph.samples import Signal, to_int16
from compress.interpreter.integer import IntegerInterpreter
from compress.tasks.pose import scores as pose_scores
from compress.tasks.pose.task import Pose
from compress.tasks.typing.session import SAMPLE_RATE
from tests import toy
from tests.compress.test_pose_networks import tiny

TRACKING, REGRESSION = "tiny_tracking", "tiny_regression"
SECONDS = 4.0
TYPING, POSE = (reports.of(tasks.named(name)) for name in ("typing", "pose"))
COSTS = ("macs_per_s", "instructions_per_s", "flash", "ram")


# --- points, made up ------------------------------------------------------------------------------


def made_up(precision: str, error: float, macs: float = 1e8, **more: Any) -> Point:
    placed = precision != FLOAT
    return Point(
        "tracking_vemg2pose",
        precision,
        "",
        macs,
        1.5 * macs if placed else None,
        6_000_000 if placed else None,
        700_000 if placed else None,
        error,
        error - 1.0,
        error + 1.0,
        False,
        "simulated recordings",
        [],
        True,
        "virtual-m7" if placed else None,
        "a board; emulated",
        amount=600_000,
        predictors={"hold_initial": 17.25, "mean_pose": 14.5},
        **more,
    )


def several() -> list[Point]:
    return points.mark(
        [made_up(FLOAT, 10.0), made_up("w8a16", 10.1), made_up(COMPRESSED, 10.9, 4e7)]
    )


def test_a_pose_point_has_its_own_keys_and_none_of_a_decoder() -> None:
    row, *_ = points.as_json(several(), POSE)
    assert {
        "mae",
        "mae_low",
        "mae_high",
        "samples",
        "hold_initial",
        "mean_pose",
        *COSTS,
    } <= row.keys()
    assert not {"decoder", "lm", "cer", "error", "characters", "amount"} & row.keys()
    heads, *_ = csv.reader(points.as_csv(several(), POSE).decode().splitlines())
    assert heads == list(row)
    typed, *_ = points.as_json(several(), TYPING)
    assert {"cer", "decoder", "lm", "characters"} <= typed.keys() and not {
        "mae",
        "hold_initial",
    } & typed.keys()


def test_predictors_that_read_nothing_are_lines_across_every_picture() -> None:
    from matplotlib.figure import Figure

    figure = Figure()
    axes = figure.subplots()
    pictures._predictors(axes, several(), POSE)
    assert [set(np.ravel(line.get_ydata())) for line in axes.lines] == [{17.25}, {14.5}]
    assert [note.get_text() for note in axes.texts] == [
        f"{POSE.predictors['hold_initial']}: 17.2 °",
        f"{POSE.predictors['mean_pose']}: 14.5 °",
    ]
    assert len(pictures.draw(several(), POSE)) == 4


def test_table_and_page_say_what_the_figures_are() -> None:
    shown, said = table.text(several(), POSE), "\n".join(table.notes(several(), POSE, {}))
    assert (
        "angle MAE °" in shown
        and "decoder" not in shown
        and max(map(len, shown.splitlines())) <= 130
    )
    assert (
        "simulated recordings" in said
        and "as a stream" in said
        and "held 17.25 °" in said
        and "beam" not in said
    )
    nothing: dict[str, Any] = {
        "failures": {},
        "left_out": [],
        "recordings": {},
        "calibration": {},
        "checkpoints": {},
    }
    about = nothing | {"simulated": True, "code": "e"}
    page = html(several(), POSE, about)
    assert (
        page.count("<figure>") == 4
        and "simulated recordings" in page
        and "character" not in page.split("</style>")[1]
    )


def test_seconds_of_a_session_are_drawn_together_and_sessions_with_them() -> None:
    rng = np.random.default_rng(3)
    sessions = [Session(rng.uniform(5, 15, 60) * 2000, np.full(60, 2000.0)) for _ in range(5)]
    low, high = interval(sessions, POSE.factor)
    assert low < pooled(sessions, POSE.factor) < high
    apart = [Session(np.full(60, k * 2000.0), np.full(60, 2000.0)) for k in (8, 9, 10, 11, 12)]
    assert interval(apart, POSE.factor)[1] > 11.0 and pooled(apart, POSE.factor) == 10.0


def test_errors_by_the_second_add_up_to_the_published_error() -> None:
    rng = np.random.default_rng(4)
    part = pose_scores.stretch(
        rng.normal(size=(5300, 20)), rng.normal(size=(5300, 20)), rng.random(5300) < 0.7
    )
    errors, samples = pose_scores.run_sums(part, 2000.0)
    assert len(errors) == 2 and samples.sum() == part.mask.sum()
    assert pooled([Session(errors, samples)], POSE.factor) == pytest.approx(
        part.error[part.mask].mean()
    )


# --- compressed networks --------------------------------------------------------------------------


def fake(_: Setting, job: Job) -> Outcome:
    return Outcome(job, {"name": job.name})


def test_only_networks_that_were_compressed_are_swept_as_such(tmp_path: Path) -> None:
    precisions, sessions = (FLOAT, "w8a16", COMPRESSED), (Path("s0"), Path("s1"))
    models = {"a": Path("a"), "b": Path("b")}
    both = Setting(
        tmp_path,
        models,
        (),
        sessions,
        precisions,
        ("",),
        Path("lm"),
        compressed={"b": Path("c")},
        task="pose",
    )
    done = sweep.run(both, Backend("threading", 2), fake).results
    assert {job.model for job in done if job.precision == COMPRESSED} == {"b"}
    assert len(done) == 2 * (1 + 2 + 1 + 2) + 1 + 2


def test_a_compressed_network_does_not_need_the_one_it_was_made_from(tmp_path: Path) -> None:
    def broken(given: Setting, job: Job) -> Outcome:
        return Outcome(job, None, "broken") if job == Job("a") else fake(given, job)

    model, precisions = {"a": Path("a")}, ("w8a16", COMPRESSED)
    one = Setting(
        tmp_path,
        model,
        (),
        (Path("s"),),
        precisions,
        ("",),
        Path("lm"),
        compressed={"a": Path("c")},
        task="pose",
    )
    swept = sweep.run(one, Backend("threading", 1), broken)
    assert {job.name for job in swept.results} == {"a compressed", "a compressed s"} and list(
        swept.failures
    ) == ["a quantize"]


# --- the real thing, with tiny networks -----------------------------------------------------------


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three short sessions, two untrained networks, and another that stands for a compressed
    one."""
    toy.need("arm-none-eabi-gcc", "qemu-system-arm")
    folder = tmp_path_factory.mktemp("pareto-pose")
    for number in range(3):
        path = folder / "data" / f"pose-{number}.hdf5"
        simulated_pose.write(
            path, simulated_pose.simulate("heldout", number, SECONDS, seed=5), path.stem
        )
    torch.manual_seed(2)
    for name, module in ((TRACKING, "StatePoseModule"), (REGRESSION, "VEMG2PoseWithInitialState")):
        config = tiny(module) | {"provide_initial_pos": name == TRACKING}
        checkpoint.save(folder / f"{name}.ckpt", build(config).eval(), config)
    compressed = Folder(folder / "build", TRACKING, COMPRESSED)
    smaller = compressed.checkpoint
    smaller.parent.mkdir(parents=True)
    compressed.made_from.write_text(sha256(folder / f"{TRACKING}.ckpt"))
    config = tiny()
    config["network_conf"]["decoder"]["hidden_size"] = 4
    checkpoint.save(smaller, build(config).eval(), config)
    return folder


def arguments(here: Path, *more: str) -> list[str]:
    places = [
        "--checkpoints",
        str(here),
        "--data",
        str(here / "data"),
        "--build",
        str(here / "build"),
    ]
    return ["pareto", *places, "--backend", "threading", *more]


@pytest.fixture(scope="module")
def report(here: Path) -> list[dict[str, Any]]:
    models = ("--models", TRACKING, REGRESSION, "--precisions", FLOAT, "w8a16", COMPRESSED)
    assert tendon(arguments(here, *models)) == 0
    content: list[dict[str, Any]] = json.loads((here / "build/pareto/pareto-pose.json").read_text())
    return content


def test_every_point_has_its_figures_and_what_makes_them_valid(
    here: Path, report: list[dict[str, Any]]
) -> None:
    names = [(p["model"], p["precision"]) for p in report]
    assert names == [
        (TRACKING, FLOAT),
        (TRACKING, "w8a16"),
        (TRACKING, COMPRESSED),
        (REGRESSION, FLOAT),
        (REGRESSION, "w8a16"),
    ]
    for p in report:
        assert (
            p["mae_low"] <= p["mae"] <= p["mae_high"]
            and p["source"] == "simulated recordings"
            and p["samples"] > 0
        )
        assert p["hold_initial"] > 0 and p["mean_pose"] > 0 and p["sessions"] == 2
    for p in (p for p in report if p["precision"] != FLOAT):
        assert (
            p["board"] == "virtual-f405"
            and "emulated" in p["board_is"]
            and p["flash"] > 0
            and p["ram"] > 0
        )
        integer = g.load(Folder(here / "build", p["model"], p["precision"]).graph)
        assert p["graph"] == integer.hash() and p["counted_steps"] == work.STEPS
        assert p["words_equal"] == (integer.start_up_steps + work.STEPS) * integer.chunk * 20
    full, smaller = report[1], report[2]
    assert (
        smaller["checkpoint"] != full["checkpoint"] and smaller["macs_per_s"] < full["macs_per_s"]
    )
    assert (
        smaller["instructions_per_s"] < full["instructions_per_s"]
        and smaller["flash"] < full["flash"]
    )


def test_the_error_is_the_task_s_own_over_the_same_sessions(
    here: Path, report: list[dict[str, Any]]
) -> None:
    sessions = sorted((here / "data").iterdir())[1:]
    for p in report[:3]:
        folder = Folder(
            here / "build", TRACKING, "w8a16" if p["precision"] == FLOAT else p["precision"]
        )
        graph = g.load(folder.float_graph if p["precision"] == FLOAT else folder.graph)
        heldout = evaluate.read_heldout(graph, sessions)
        frames = (
            heldout.float_frames(graph)
            if p["precision"] == FLOAT
            else heldout.integer_frames(graph)
        )
        assert p["mae"] == pytest.approx(Pose().error(graph, frames, heldout.recorded), rel=1e-6)


def test_only_its_own_files_are_written_and_the_page_needs_nothing_else(
    here: Path, report: list[dict[str, Any]]
) -> None:
    folder = here / "build" / "pareto"
    stem = "pareto-pose"
    names = {f"{stem}.json", f"{stem}.csv", f"{stem}.png", f"{stem}.html", "sweep-pose.json"}
    assert {p.name for p in folder.iterdir() if p.is_file()} == names
    rows = list(csv.DictReader((folder / "pareto-pose.csv").open()))
    assert [float(row["mae"]) for row in rows] == [p["mae"] for p in report]
    about = json.loads((folder / "sweep-pose.json").read_text())
    assert list(about["compressed"]) == [TRACKING] and "lm" not in about
    assert [REGRESSION in message and COMPRESSED in message for message in about["left_out"]] == [
        True
    ]


def test_instructions_are_those_of_a_second_and_the_start_up_is_not_among_them(
    here: Path, report: list[dict[str, Any]]
) -> None:
    folder = Folder(here / "build", TRACKING, "w8a16")
    integer = g.load(folder.graph)
    signal = work._first_steps(integer, sorted((here / "data").iterdir())[1])
    project = folder.target("virtual-f405") / "project"
    samples = to_int16(integer, signal.samples)
    counted = model_steps.count(integer, project, "virtual-f405", samples, signal.initial)
    per_step = float(np.mean(counted.instructions[integer.start_up_steps :]))
    assert report[1]["instructions_per_s"] == pytest.approx(
        per_step * SAMPLE_RATE / integer.samples_per_step
    )


def test_a_core_begins_with_the_pose_it_is_given(here: Path, report: list[dict[str, Any]]) -> None:
    folder = Folder(here / "build", TRACKING, "w8a16")
    integer = g.load(folder.graph)
    pose = np.linspace(-0.5, 0.5, 20)
    samples = np.zeros(((integer.start_up_steps + 2) * integer.samples_per_step, 16), np.int16)
    project = folder.target("virtual-f405") / "project"
    for initial in ({"pose": pose}, None):
        machine = IntegerInterpreter(integer)
        machine.begin_with([Signal(samples, initial)])
        found = model_steps.count(integer, project, "virtual-f405", samples, initial).words
        np.testing.assert_array_equal(found, machine.run(samples[None])[0])


def forbidden(*_: Any, **__: Any) -> Any:
    raise AssertionError("this was to be found in the cache")


def test_what_is_known_is_not_computed_again(
    here: Path, report: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    for module, name in ((work, "_measure"), (work, "_describe"), (pose_scores, "run_sums")):
        monkeypatch.setattr(module, name, forbidden)
    models = ("--models", TRACKING, REGRESSION, "--precisions", FLOAT, "w8a16", COMPRESSED)
    assert tendon(arguments(here, *models)) == 0
    assert json.loads((here / "build/pareto/pareto-pose.json").read_text()) == report


def test_networks_whose_recordings_are_not_in_the_folder_are_left_out_with_a_message(
    here: Path, report: list[dict[str, Any]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in (TRACKING, REGRESSION):
        shutil.copy(here / f"{name}.ckpt", tmp_path)
    config = json.loads(json.dumps(HYPER_PARAMETERS["TC_S4_small"]))
    checkpoint.save(tmp_path / "typist.ckpt", build(config).eval(), config)
    for number in range(2):
        name = f"session-{number}"
        simulated_typing.write(
            tmp_path / "typing" / f"{name}.hdf5",
            simulated_typing.simulate("heldout", number, 2.5),
            name,
        )
    common = [
        "--checkpoints",
        str(tmp_path),
        "--build",
        str(tmp_path / "build"),
        "--backend",
        "threading",
        "--precisions",
        FLOAT,
    ]
    models = ["--models", "typist", TRACKING, "none"]
    assert tendon(["pareto", *models, "--data", str(here / "data"), *common]) == 0
    told = capsys.readouterr().err
    assert (
        "left out: typist: " in told
        and "left out: none: " in told
        and (tmp_path / "build/pareto/pareto-pose.json").is_file()
    )
    assert (
        tendon(["pareto", "--models", TRACKING, "--data", str(tmp_path / "typing"), *common]) == 1
    )
    assert "emg2pose" in capsys.readouterr().err

"""Error rate against cost: fronts hold exactly what nobody beats, a sweep loses nothing, and the
page can be read."""

from __future__ import annotations

import csv
import dataclasses
import json
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from bench.bare import model_steps
from bench.pareto import (
    FLOAT,
    explore,
    fitting,
    pictures,
    points,
    reading,
    reports,
    sweep,
    table,
    work,
)
from bench.pareto.front import Session, interval, non_dominated
from bench.pareto.jobs import Job, Outcome, Setting
from bench.pareto.points import Point
from bench.pareto.sweep import Backend
from bench.tendon import main as tendon
from compress import graph as g
from compress import tasks
from compress.artifacts import Folder
from compress.data.simulator.session import simulate, write
from compress.errors import TendonError
from compress.frontend import checkpoint
from compress.frontend.families import HYPER_PARAMETERS, PUBLISHED, build
from compress.graph.samples import Signal
from host import decoders
from tests import toy
from tests.bench import browser
from tests.conftest import ROOT

COSTS = {"macs_per_s", "instructions_per_s", "flash", "ram"}
REQUIRED = {
    "model",
    "precision",
    "decoder",
    "cer",
    "cer_low",
    "cer_high",
    "on_front",
    "source",
} | COSTS
NAME = "tiny"
TYPING = reports.of(tasks.named("typing"))
SECONDS = 7.0


# --- fronts and intervals -------------------------------------------------------------------------

few = st.integers(0, 6).map(float)  # small numbers, so that equal ones happen


@given(st.lists(st.tuples(few, few), max_size=12))
def test_the_front_is_exactly_what_nothing_dominates(pairs: list[tuple[float, float]]) -> None:
    def dominated(p: tuple[float, float]) -> bool:
        return any(q[0] <= p[0] and q[1] <= p[1] and q != p for q in pairs)

    assert non_dominated(pairs) == [not dominated(p) for p in pairs]


def test_a_known_error_rate_lies_in_nearly_all_intervals_also_when_sessions_differ() -> None:
    rng, covered = np.random.default_rng(7), 0
    for _ in range(100):
        rates = np.clip(0.10 + 0.01 * rng.standard_normal(5), 0.01, 1.0)
        sessions = [Session(rng.binomial(25, rate, 36), np.full(36, 25)) for rate in rates]
        low, high = interval(sessions, 100.0, resamples=400)
        covered += low <= 10.0 <= high
    assert 85 <= covered <= 100


def test_an_interval_is_wider_when_sessions_differ_than_when_they_are_alike() -> None:
    alike = [Session(np.full(40, 2), np.full(40, 25))] * 5
    apart = [Session(np.full(40, k), np.full(40, 25)) for k in range(5)]
    assert interval(alike, 100.0) == (8.0, 8.0)
    low, high = interval(apart, 100.0)
    assert low < 8.0 - 2.0 and high > 8.0 + 2.0


# --- points ---------------------------------------------------------------------------------------


def every_point() -> list[Point]:
    """As a complete sweep gives them, made up."""
    found = []
    for m, (model, about) in enumerate(PUBLISHED.items()):
        for precision, weight in ((FLOAT, 0.0), ("w8a16", 1.0), ("w8a8", 1.0), ("w4a16", 0.5)):
            for d, decoder in enumerate(decoders.NAMES):
                cer = 10.0 - 1.3 * m - 2.0 * d + (1.0 - weight) * 0.8 * (precision != FLOAT)
                found.append(
                    Point(
                        model,
                        precision,
                        decoder,
                        about.gmacs_per_s * 1e9,
                        about.gmacs_per_s * 1.3e9 if weight else None,
                        round(300e3 * (m + 1) * weight) or None,
                        90_000 * (m + 1) if weight else None,
                        cer,
                        cer - 1.5,
                        cer + 1.5,
                        False,
                        "simulated recordings",
                        [],
                        True,
                        "virtual-f405" if weight else None,
                        "a board; emulated",
                        amount=4564,
                        pace=80.0,
                        checkpoint="c" * 64,
                        graph="a" * 64 if weight else None,
                    )
                )
    return points.mark(found) + points.published(TYPING, PUBLISHED)


def test_published_points_stand_beside_the_others_and_change_no_front() -> None:
    everything = every_point()
    others = [p for p in everything if not p.published]
    published = [p for p in everything if p.published]
    assert {(p.model, p.decoder): p.error for p in published}["S4_large", "greedy"] == 6.97
    assert len(published) == 6 and not any(p.on_front or p.fronts for p in published)
    unbeatable = [dataclasses.replace(p, error=0.01, macs_per_s=1.0) for p in published]
    assert points.mark(others + unbeatable) == others + unbeatable


def test_float_networks_have_no_image_and_stand_on_no_front_of_boards() -> None:
    for p in every_point():
        if p.precision == FLOAT:
            assert (
                p.flash is None
                and p.ram is None
                and p.instructions_per_s is None
                and set(p.fronts) <= {"macs_per_s"}
            )


def test_the_table_is_readable_at_130_columns_and_shows_what_is_not_known() -> None:
    lines = table.text(every_point(), TYPING).splitlines()
    assert max(map(len, lines)) <= 130
    assert sum("published" in line for line in lines) == 6 and all(
        "–" in line for line in lines if "float" in line
    )


def test_what_costs_the_same_is_drawn_apart_in_the_order_of_cost_and_no_further_than_needed() -> (
    None
):
    everything = [p for p in every_point() if p.ram]
    stacks = pictures._stacks(everything, "ram", 1024.0)
    places = np.log([s.x for s in stacks])
    true = [s.points[0].ram or 0 for s in stacks]
    assert len(stacks) == 9 and true == sorted(true)
    assert np.diff(places).min() >= pictures.APART * (places[-1] - places[0]) - 1e-9
    assert np.abs(places - np.log(np.array(true) / 1024)).max() < 0.1


# --- the sweep, with made-up work -----------------------------------------------------------------


def setting(folder: Path, **changes: Any) -> Setting:
    sessions = tuple(Path(f"s{n}.hdf5") for n in range(3))
    made = Setting(
        folder,
        {"a": Path("a"), "S4_large": Path("b")},
        (Path("c"),),
        sessions,
        (FLOAT, "w8a16", "w8a8"),
        ("greedy",),
        Path("lm"),
        task="typing",
    )
    return dataclasses.replace(made, **changes)


def fake(_: Setting, job: Job) -> Outcome:
    return Outcome(job, {"name": job.name})


def breaks(given_setting: Setting, job: Job) -> Outcome:
    """As work.run() with a bug and an error in two places."""
    return (
        Outcome(job, None, "broken")
        if job.name in ("a w8a8", "S4_large w8a16 s1")
        else fake(given_setting, job)
    )


def test_every_network_precision_and_session_is_done_once(tmp_path: Path) -> None:
    swept = sweep.run(setting(tmp_path), Backend("threading", 2), fake)
    assert not swept.failures
    assert len(swept.results) == 2 * (1 + 3) + 2 * 2 + 2 * 2 * 3
    assert all(result == {"name": job.name} for job, result in swept.results.items())


def test_a_failing_job_names_itself_and_takes_only_what_needs_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    swept = sweep.run(setting(tmp_path), Backend("threading", 2), breaks)
    assert swept.failures == {"a w8a8": "broken", "S4_large w8a16 s1": "broken"}
    missing = {"a w8a8", "S4_large w8a16 s1", *(f"a w8a8 s{n}" for n in range(3))}
    assert not missing & {job.name for job in swept.results} and len(swept.results) == 24 - len(
        missing
    )
    assert "a w8a8: broken" in "".join(capsys.readouterr())


def test_whatever_goes_wrong_in_a_job_is_its_outcome(tmp_path: Path) -> None:
    outcome = work.run(setting(tmp_path), Job("a", "w8a16"))
    assert outcome.result is None and "make quantize" in outcome.error
    outcome = work.run(setting(tmp_path, checkpoints={}), Job("a"))
    assert outcome.result is None and outcome.error.startswith("KeyError")


class Counting(joblib.parallel.ThreadingBackend):
    """A cluster that is none."""

    submitted = 0

    def submit(self, *arguments: Any, **options: Any) -> Any:
        type(self).submitted += 1
        return super().submit(*arguments, **options)


@pytest.mark.parametrize(
    "streams", [True, False]
)  # ray's backend gives results of a wave only when it is over
def test_jobs_go_to_the_backend_that_is_asked_for_or_that_encloses_the_call(
    streams: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Counting, "supports_return_generator", streams)
    monkeypatch.setattr(Counting, "submitted", 0)
    joblib.register_parallel_backend("counting", Counting)
    try:
        assert (
            len(sweep.run(setting(tmp_path), Backend("counting", 2), fake).results) == 24
            and Counting.submitted == 24
        )
        with joblib.parallel_config("counting", n_jobs=2):
            assert (
                len(sweep.run(setting(tmp_path), Backend(jobs=2), fake).results) == 24
                and Counting.submitted == 48
            )
    finally:
        joblib.parallel.BACKENDS.pop("counting")


def test_a_backend_that_is_not_there_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(TendonError, match="BACKEND=nowhere"):
        sweep.run(setting(tmp_path), Backend("nowhere"), fake)


# --- the real thing, with a tiny network ----------------------------------------------------------


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three short sessions and an untrained network of a user's own size."""
    toy.need("arm-none-eabi-gcc", "qemu-system-arm")
    folder = tmp_path_factory.mktemp("pareto")
    for number in range(3):
        write(
            folder / "data" / f"session-{number}.hdf5",
            simulate("heldout", 50 + number, SECONDS),
            f"session-{number}",
        )
    config = json.loads(json.dumps(HYPER_PARAMETERS["TC_S4_small"]))
    config["mlp_features"] = [8]
    config["model_HF"]["out_channels"] = [12, 16, 20]
    config["model_LF"] |= {"d_model": 16, "n_layers": 2}
    torch.manual_seed(2)
    checkpoint.save(folder / f"{NAME}.ckpt", build(config).eval(), config)
    return folder


def arguments(here: Path, *more: str, to: str = "build") -> list[str]:
    given_ = [
        "pareto",
        "--models",
        NAME,
        "--checkpoints",
        str(here),
        "--data",
        str(here / "data"),
        "--build",
        str(here / to),
    ]
    return [*given_, "--backend", "threading", *more]


@pytest.fixture(scope="module")
def report(here: Path) -> list[dict[str, Any]]:
    assert (
        tendon(arguments(here, "--decoders", "greedy", "--precisions", FLOAT, "w8a16", "w4a16"))
        == 0
    )
    content: list[dict[str, Any]] = json.loads((here / "build/pareto/pareto.json").read_text())
    return content


def test_the_points_hold_every_figure_and_what_makes_it_valid(
    here: Path, report: list[dict[str, Any]]
) -> None:
    assert [p["precision"] for p in report] == [FLOAT, "w8a16", "w4a16"]
    for p in report:
        assert p.keys() >= REQUIRED and p["source"] == "simulated recordings"
        assert (
            p["cer_low"] <= p["cer"] <= p["cer_high"] and p["characters"] > 0 and p["sessions"] == 2
        )
        assert p["checkpoint"] == checkpoint.sha256(here / f"{NAME}.ckpt")
    placed = report[1:]
    assert all(
        p["board"] == "virtual-f405" and p["words_equal"] == work.STEPS * 99 and p["graph"]
        for p in placed
    )
    assert (
        placed[1]["flash"] < placed[0]["flash"]
        and placed[1]["instructions_per_s"] != placed[0]["instructions_per_s"]
    )
    pairs = [(p["macs_per_s"], p["cer"]) for p in report]
    assert [p["on_front"] for p in report] == non_dominated(pairs)


def test_csv_png_and_page_come_with_the_same_points(
    here: Path, report: list[dict[str, Any]]
) -> None:
    folder = here / "build" / "pareto"
    rows = list(csv.DictReader((folder / "pareto.csv").open()))
    assert [row["precision"] for row in rows] == [p["precision"] for p in report]
    assert [float(row["cer"]) for row in rows] == [p["cer"] for p in report]
    assert (folder / "pareto.png").read_bytes().startswith(b"\x89PNG")
    page = (folder / "pareto.html").read_text().replace(explore.library(), "")
    assert page.count("<figure>") == 4 and not re.search(
        r'(src|href)="(?!#)|url\((?!#)|@import', page
    )
    about = json.loads((folder / "sweep.json").read_text())
    assert about["failures"] == {} and len(about["recordings"]) == 2


def forbidden(*_: Any, **__: Any) -> Any:
    raise AssertionError("this was to be found in the cache")


def test_what_is_known_is_not_computed_again(
    here: Path, report: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    for module, name in ((work, "_measure"), (work, "_describe"), (reading, "_timed")):
        monkeypatch.setattr(module, name, forbidden)
    monkeypatch.setattr(decoders, "decode_session", forbidden)
    assert (
        tendon(arguments(here, "--decoders", "greedy", "--precisions", FLOAT, "w8a16", "w4a16"))
        == 0
    )
    again = json.loads((here / "build/pareto/pareto.json").read_text())
    assert again == report
    assert (
        tendon(arguments(here, "--decoders", "beam", "--precisions", FLOAT)) == 1
    )  # another decoder is not known yet


def test_an_interrupted_sweep_continues_with_what_it_had(
    here: Path, report: list[dict[str, Any]]
) -> None:
    command = [
        sys.executable,
        "-m",
        "bench",
        *arguments(here, "--decoders", "greedy", "--precisions", FLOAT, to="other"),
    ]
    results = here / "other" / "pareto" / "results"
    process = subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    deadline = time.monotonic() + 120
    while (
        len(list(results.glob("[0-9a-f]*"))) < 2
        and process.poll() is None
        and time.monotonic() < deadline
    ):
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    kept = {path: path.stat().st_mtime_ns for path in results.glob("[0-9a-f]*")}
    assert kept and not (here / "other/pareto/pareto.json").exists()
    assert tendon(arguments(here, "--decoders", "greedy", "--precisions", FLOAT, to="other")) == 0
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    again = json.loads((here / "other/pareto/pareto.json").read_text())
    assert again[0] | {"pace": None, "fronts": [], "on_front": None} == report[0] | {
        "pace": None,
        "fronts": [],
        "on_front": None,
    }


def test_a_session_too_long_for_one_piece_is_streamed_with_the_same_result(
    here: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = here / "data" / "session-1.hdf5"
    one = setting(tmp_path / "a", checkpoints={NAME: here / f"{NAME}.ckpt"}, decoders=())
    whole = reading.float_frames(one, Job(NAME, FLOAT, session), session)
    monkeypatch.setattr(reading, "WHOLE_S", 1.0)
    streamed = reading.float_frames(
        dataclasses.replace(one, build=tmp_path / "b"), Job(NAME, FLOAT, session), session
    )
    (one_piece,), (stream,) = whole.values, streamed.values
    assert one_piece.shape == stream.shape and np.abs(one_piece - stream).max() < 1e-4


def test_instructions_are_the_same_every_time_and_a_wrong_word_is_found(
    here: Path, report: list[dict[str, Any]]
) -> None:
    folder = Folder(here / "build", NAME, "w8a16")
    integer = g.load(folder.graph)
    samples = (
        np.random.default_rng(1)
        .integers(-2000, 2000, (3 * integer.samples_per_step, 32))
        .astype(np.int16)
    )
    real = samples * float(integer.input.scale or 1.0)
    project = folder.target("virtual-f405") / "project"
    first, second = (model_steps.count(integer, project, "virtual-f405", samples) for _ in range(2))
    assert first.instructions == second.instructions and len(first.instructions) == 3
    work._prove(integer, folder, Signal(real), first.words)
    wrong = first.words.copy()
    wrong[2, 5] += 1
    with pytest.raises(TendonError, match=r"emulated core.*frame 2, word 5"):
        work._prove(integer, folder, Signal(real), wrong)


def test_a_network_for_which_no_board_is_large_enough_says_so(
    here: Path, report: list[dict[str, Any]]
) -> None:
    folder = Folder(here / "build", NAME, "w8a16")
    with pytest.raises(TendonError, match="fits no emulated board"):
        fitting.place(g.load(folder.graph), folder, [])


def test_bad_input_is_one_clear_error(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert tendon(arguments(here, "--lm", str(here / "none.arpa"))) == 1
    assert "LM=" in capsys.readouterr().err
    assert (
        tendon(
            [
                "pareto",
                "--models",
                "unknown",
                "--checkpoints",
                str(here),
                "--build",
                str(here / "x"),
            ]
        )
        == 1
    )
    assert "expected a checkpoint" in capsys.readouterr().err


# --- the page, as a browser shows it --------------------------------------------------------------

MEASURE = """
const root = document.documentElement;
const seen = [...document.querySelectorAll('figure svg')].map(s => s.getBoundingClientRect());
root.dataset.overflow = root.scrollWidth - root.clientWidth;
root.dataset.pictures = seen.filter(r => r.width > 600 && r.height > 250).length;
root.dataset.broken = [...document.images].filter(i => !i.naturalWidth).length;
root.dataset.text = document.body.innerText;
"""


def test_a_browser_shows_the_page_whole(tmp_path: Path) -> None:
    browser.needed()
    from matplotlib.image import imread

    from bench.pareto import command

    about = {
        "simulated": True,
        "recordings": {"heldout-00.hdf5": "d" * 64},
        "calibration": {},
        "checkpoints": {},
        "lm": {"name": "lm.arpa", "sha256": "f" * 64, "shipped": True},
        "code": "e" * 64,
        "left_out": [],
        "failures": {},
    }
    page = command.write(tmp_path / "report", TYPING, every_point(), about)
    screenshot = tmp_path / "page.png"
    browser.chromium(tmp_path, page, f"--screenshot={screenshot}")
    pixels = imread(screenshot)[..., :3]
    assert pixels.shape[:2] == (3200, 1200)
    for name in ("#2f6fb3", "#d97a1f", "#16794c"):  # each precision's colour is on the page
        colour = np.array([int(name[i : i + 2], 16) for i in (1, 3, 5)]) / 255
        assert (np.abs(pixels - colour).max(-1) < 0.02).sum() > 200, name
    assert 0.02 < (pixels.min(-1) < 0.9).mean() < 0.7  # neither blank nor black
    shown = browser.after(tmp_path, page, MEASURE)
    assert (shown["overflow"], shown["pictures"], shown["broken"]) == ("0", "4", "0")
    for text in ("simulated recordings", "published", "TC_S4_medium", "beam+lm", "95 % interval"):
        assert text in shown["text"]


def test_one_checkpoint_is_of_one_network(capsys: pytest.CaptureFixture[str]) -> None:
    models = ["--models", "TC_S4_small", "S4_large"]
    assert tendon(["pareto", *models, "--checkpoint", "mine.ckpt"]) == 2
    said = capsys.readouterr().err
    assert "CHECKPOINT=mine.ckpt: of one network" in said and "CHECKPOINTS=folder" in said

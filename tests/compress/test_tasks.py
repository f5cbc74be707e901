"""Tasks are additions: nobody outside its folder names one, and a task of plain values that nobody
has heard of is quantized, scored and reported."""

from __future__ import annotations

import ast
import functools
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench import drift
from bench.hil import measurement, text
from bench.hil import page as hil_page
from bench.pareto import reports
from compress import evaluate, scoring, tasks
from compress import graph as g
from compress.artifacts import Folder
from compress.data import array_file, datasets
from compress.data.clock import Segment
from compress.data.datasets import Dataset
from compress.data.recordings import Collection
from compress.data.simulator import artefacts
from compress.errors import GraphError, RecordingError, TendonError
from compress.files import write_json
from compress.graph.samples import Signal
from compress.interpreter.float import FloatInterpreter
from compress.quantization.calibrate import observe
from compress.quantization.quantize import quantize
from compress.report import quantized
from compress.tasks.recorded import Cut, Recorded
from compress.tasks.statistics import sums_of_runs
from compress.tasks.task import Array, Runs, Task
from host.engines import Artifacts
from tests import toy
from tests.compress.test_classes import network
from tests.conftest import ROOT

# --- nobody names a task or a family --------------------------------------------------------------

PACKAGES = ("bench", "host", "export", "compress")
FAMILIES = "compress/frontend/families"
# file -> why it may say so all the same
ALLOWED = {
    "compress/tasks/__init__.py": "the table of tasks",
    f"{FAMILIES}/__init__.py": "the table of families",
    "compress/data/simulator/session.py": "simulates the recordings of one task, in its layout",
    "compress/data/simulator/pose.py": "simulates the recordings of one task, in its layout",
}


def folders() -> list[str]:
    """Where a task or a family may be named: its own folder."""
    own = [f"compress/tasks/{name}" for name in tasks.names()]
    return own + [f"{FAMILIES}/{name}" for name in family_names()]


def sources() -> list[str]:
    """Every source file that must not know a task or a family."""
    found = [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]
    names = [path.relative_to(ROOT).as_posix() for path in found]
    own = tuple(f"{folder}/" for folder in folders())
    return [name for name in names if not name.startswith(own)]


def family_names() -> list[str]:
    """The folders of the published families."""
    return sorted(p.name for p in (ROOT / FAMILIES).iterdir() if (p / "__init__.py").is_file())


@functools.cache
def classes() -> frozenset[str]:
    """The classes of task and family folders."""
    files = [p for folder in folders() for p in (ROOT / folder).glob("*.py")]
    trees = [ast.parse(p.read_text()) for p in files]
    nodes = (node for tree in trees for node in ast.walk(tree))
    return frozenset(node.name for node in nodes if isinstance(node, ast.ClassDef))


# Tasks whose names are words of arrays and reports too: as a key they name no task
WORDS = {"classes", "values"}


def compared(tree: ast.AST) -> set[ast.AST]:
    """All that something is compared with, or matched; of `key in …` not the key."""
    found: list[ast.AST] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Compare):
            keys = all(isinstance(op, (ast.In, ast.NotIn)) for op in node.ops)
            found += node.comparators if keys else [node.left, *node.comparators]
        elif isinstance(node, ast.MatchValue):
            found.append(node)
    return {part for node in found for part in ast.walk(node)}


def named(tree: ast.AST, own: frozenset[str]) -> Iterator[str]:
    """What a file says of single tasks and families: imports from their folders, their names as
    strings, tests for their classes."""
    names, tested = {*tasks.names(), *family_names()}, compared(tree)
    packages = [folder.replace("/", ".") for folder in folders()]
    for node in ast.walk(tree):
        where = f"line {getattr(node, 'lineno', 0)}"
        if (
            isinstance(node, ast.Constant)
            and node.value in names
            and (node.value not in WORDS or node in tested)
        ):
            yield f"{where}: the name {node.value!r}"
        modules = [a.name for a in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom):
            modules = [f"{node.module}.{a.name}" for a in node.names]
        yield from (
            f"{where}: import of {module}"
            for module in modules
            if any(f"{module}.".startswith(f"{package}.") for package in packages)
        )
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "isinstance":
            kinds = {getattr(n, "id", getattr(n, "attr", "")) for n in ast.walk(node.args[1])}
            yield from (f"{where}: isinstance of {kind}" for kind in sorted(kinds & own))


@pytest.mark.parametrize("path", sources())
def test_no_task_and_no_family_is_named_outside_its_folder(path: str) -> None:
    found = list(named(ast.parse((ROOT / path).read_text()), classes()))
    if path in ALLOWED:
        assert found, f"{path} names none any more: take it from ALLOWED"
    else:
        assert not found, f"{path}: ask compress.tasks or the family instead: {found}"


def test_what_is_allowed_is_there() -> None:
    assert set(ALLOWED) <= set(sources())


@pytest.mark.parametrize(
    "source",
    [
        'if task.name == "typing": pass',
        'if report["task"] in ("pose", "other"): pass',
        'words = {"pose": "an angle"}[name]',
        "from compress.tasks.pose.task import Pose",
        "from compress.tasks import typing",
        "import compress.frontend.families.hybrid.model",
        "isinstance(model, HybridNetwork)",
        "isinstance(task, (int, module.Pose))",
        'match name:\n    case "pose": pass',
        'if task.name == "classes": pass',
        'if report["task"] in ("force", "values"): pass',
    ],
)
def test_each_way_to_name_one_is_seen(source: str) -> None:
    assert list(named(ast.parse(source), classes()))


def test_the_table_of_tasks_is_light() -> None:
    script = "import sys, compress.tasks; print(*sorted(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    heavy = {"torch", "scipy", "h5py", "matplotlib", "numpy"}
    assert not heavy & set(done.stdout.split())


def test_reading_a_task_s_words_needs_none_of_the_slow_packages() -> None:
    script = (
        "import sys; from compress import tasks\n"
        "for name in tasks.names(): task = tasks.named(name); task.costs(); task.collection\n"
        "print(*sorted(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert not {"torch", "scipy", "h5py", "matplotlib"} & set(done.stdout.split())


def test_every_task_is_a_folder_and_every_folder_a_task() -> None:
    found = {p.parent.name for p in (ROOT / "compress" / "tasks").glob("*/__init__.py")}
    assert found == set(tasks.names())
    for name in tasks.names():
        task = tasks.named(name)
        assert task.name == task.collection.name == name
        assert type(task).__module__.startswith(f"compress.tasks.{name}.")


@pytest.mark.parametrize(
    ("task", "paper", "file"),
    [
        ("typing", "arXiv:2410.20081", "emg2qwerty/data.py"),
        ("pose", "arXiv:2412.02725", "emg2pose/data.py"),
    ],
)
def test_what_is_published_of_samples_and_electrodes_has_its_source(
    task: str, paper: str, file: str
) -> None:
    """And what is not is said to be not."""
    wiring = tasks.named(task).wiring(network("values", 2))
    assert paper in wiring.samples and file in wiring.samples
    assert "neither cut-off nor order nor unit" in wiring.samples
    assert "Which electrode is 0" in wiring.electrodes and "does not say" in wiring.electrodes
    assert f"{artefacts.HIGH_PASS:g} Hz" in wiring.samples


def test_a_task_that_is_not_in_the_table_is_an_error() -> None:
    with pytest.raises(TendonError, match="'juggling': expected one of"):
        tasks.named("juggling")
    with pytest.raises(GraphError, match="'juggling': expected one of"):
        tasks.of(toy_graph(task="juggling"))


# --- a new task -----------------------------------------------------------------------------------

STEP, INPUTS, OUTPUTS = 4, 3, 2


class Force(Task):
    """Forces of two fingers in newton, a value for each frame; recordings are .npy of the samples,
    the targets lie beside them."""

    name = "force"
    metric, unit, points = "force MAE", "N", "N"
    array = f"(samples, {INPUTS})"
    collection = Collection("force", "forces", "force", lambda path: True, suffixes=(".npy",))

    @contextmanager
    def cut(self, graph: g.Graph, path: Path, labels: bool) -> Iterator[Cut]:
        samples = self.from_array(array_file.load(path))
        targets = np.load(path.with_suffix(".target"))

        def part(segment: Segment) -> Recorded:
            frames = len(segment) // graph.samples_per_step
            signal = Signal(samples[: len(segment)])
            return Recorded(path, signal, targets[:frames], float(graph.input.rate))

        yield Cut([Segment(path, 0, len(samples))], part)

    def from_array(self, array: Array) -> Array:
        if array.ndim != 2 or array.shape[1] != INPUTS:
            raise ValueError(f"expected numbers of shape {self.array}, found {array.shape}")
        return array

    def runs(self, graph: g.Graph, frames: Array, recorded: Recorded) -> Runs:
        errors = np.abs(frames - recorded.target).mean(1)
        second = int(graph.output.rate)
        return sums_of_runs(errors, second), sums_of_runs(np.ones(len(errors)), second)


@pytest.fixture
def force(monkeypatch: pytest.MonkeyPatch) -> Task:
    """The task in the table: one line."""
    monkeypatch.setitem(tasks.TABLE, "force", f"{__name__}:Force")
    return tasks.named("force")


def toy_graph(task: str = "force") -> g.Graph:
    """One dense layer over windows of STEP samples."""
    rate = Fraction(2000)
    weight = np.random.default_rng(0).normal(size=(1, OUTPUTS, STEP, INPUTS)) / 4
    tensors = {
        "samples": g.Tensor("samples", INPUTS, rate),
        "forces": g.Tensor("forces", OUTPUTS, rate / STEP),
    }
    dense = g.Dense(
        ("samples",), "forces", "forces", weight, np.zeros((1, OUTPUTS)), frames_per_output=STEP
    )
    return g.verify(
        g.Graph("toy", tensors, (dense,), {"task": task, "checkpoint": "none", "bits": {}})
    )


def recording(path: Path, graph: g.Graph, seconds: float, seed: int) -> Path:
    """Samples, and the graph's own frames with noise as targets."""
    rng = np.random.default_rng(seed)
    samples = rng.normal(size=(round(seconds * 2000), INPUTS)).astype(np.float32)
    frames = FloatInterpreter(graph).run(samples[None].astype(np.float64))[0]
    path.parent.mkdir(parents=True, exist_ok=True)
    np.save(path, samples)
    with path.with_suffix(".target").open("wb") as file:
        np.save(file, frames + rng.normal(size=frames.shape) / 10)
    return path


@dataclass(frozen=True)
class Made:
    """A quantized network of the task, and its folder of recordings."""

    artifacts: Artifacts
    dataset: Dataset
    report: dict[str, Any]


@pytest.fixture
def made(force: Task, tmp_path: Path) -> Made:
    """Graphs and quantize.json as `make quantize` leaves them."""
    real = toy_graph()
    for number in range(3):
        recording(tmp_path / "data" / f"{number}.npy", real, 3.0, number)
    dataset = datasets.find(tmp_path / "data", tmp_path, force.collection)
    signal = force.read(real, dataset.calibration[0]).signal
    integer = quantize(real, observe(real, [signal]), "w8a16")
    report = scoring.score(real, integer, dataset)
    folder = Folder(tmp_path / "build", "toy", "w8a16")
    layers = {"layers": evaluate.layers(real, integer, signal)}
    write_json(folder.quantize_json, report | layers)
    return Made(Artifacts(folder, tmp_path / "none.ckpt", real, integer), dataset, report)


def test_a_task_of_plain_values_is_scored_by_what_it_says_of_its_runs(made: Made) -> None:
    report = made.report
    metric = report["metric"]
    assert metric["name"] == "force MAE" and metric["unit"] == "N"
    assert metric["float"] == pytest.approx(0.1 * np.sqrt(2 / np.pi), rel=0.05)
    assert metric["low"] <= metric["quantized"] - metric["float"] <= metric["high"]
    assert report["simulated"] and (report["amount"], report["amount_is"]) == (6, "seconds")
    assert report["trivial"] == {} and report["agreement"] is None and report["sqnr_db"] > 40
    said = quantized.text(report)
    assert "force MAE float" in said and "6 held-out seconds of simulated recordings" in said


def test_its_networks_run_on_a_board_and_have_reports_in_text_and_html(made: Made) -> None:
    toy.need("gcc", "make")
    outcome = measurement.run(made.artifacts, made.dataset, "posix", None, 2.0)
    report = outcome.report
    assert report["valid"] and report["bit_exact"] and report["text"] == []
    assert report["task"] == "force" and report["metric"]["board"] == report["metric"]["quantized"]
    said, page = text.console_report(report), hil_page.html(outcome)
    assert "Force MAE over the 2.0 s streamed (2 seconds, simulated recordings)" in said
    assert all(word not in said + page for word in ("typed", "CER", "angle"))
    with pytest.raises(TendonError, match="toy does not type"):
        measurement.run(made.artifacts, made.dataset, "posix", None, 2.0, lm=Path("any"))


def test_it_has_words_for_error_against_cost_without_giving_any(force: Task) -> None:
    assert [r.task.name for r in reports.every()] == tasks.names()
    report = reports.of(force)
    assert (report.stem, report.axis, report.decodes) == ("pareto-force", "force MAE, N", False)


def test_what_it_does_not_have_is_one_clear_error(made: Made, tmp_path: Path) -> None:
    force, graph = tasks.of(made.artifacts.integer), made.artifacts.integer
    with pytest.raises(RecordingError, match="no recordings of it are simulated"):
        datasets.find(None, tmp_path, force.collection)
    with pytest.raises(RecordingError, match="expected none for this network"):
        initial = recording(tmp_path / "initial.npy", made.artifacts.real, 0.1, 5)
        force.inputs(graph, made.dataset.heldout[0], None, initial)
    np.save(tmp_path / "flat.npy", np.zeros(7))
    with pytest.raises(RecordingError, match=r"expected .*samples, 3.*found \(7,\)"):
        force.load_input(graph, tmp_path / "flat.npy")
    with pytest.raises(TendonError, match="say a pose, this one is for force"):
        drift.loop_of(force, "toy")

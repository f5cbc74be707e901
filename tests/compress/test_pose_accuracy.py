"""The shipped tracking network on held-out simulated recordings: float against trivial predictors,
integers against float."""

from __future__ import annotations

import fcntl
from pathlib import Path

import numpy as np
import pytest

from compress import artifacts, pipeline, tasks
from compress import graph as g
from compress.artifacts import Folder
from compress.data import datasets
from compress.frontend import checkpoint
from compress.graph.samples import to_int16, to_real
from compress.tasks.pose import closed_loop
from compress.tasks.pose import training_set as pose_set
from compress.tasks.pose.closed_loop import Score
from compress.tasks.pose.simulated import COLLECTION as POSE
from host import native
from tests.conftest import ROOT

NAME = "tracking_vemg2pose"
# sessions of a minute that the integers are compared on: they take seconds for each second of
# signal
COMPARED = 1


@pytest.fixture(scope="module")
def sessions() -> tuple[list[Path], list[Path]]:
    """Calibration and held-out sessions; made by one test process while the others wait."""
    root = ROOT / "build" / POSE.folder
    root.mkdir(parents=True, exist_ok=True)
    with (root / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        found = datasets.find(None, ROOT / "build", POSE)
    return found.calibration, found.heldout


@pytest.fixture(scope="module")
def graph(
    sessions: tuple[list[Path], list[Path]], tmp_path_factory: pytest.TempPathFactory
) -> g.Graph:
    folder = Folder(tmp_path_factory.mktemp("build"), NAME, "w8a16")
    return pipeline.family([folder], artifacts.checkpoint_of(NAME, None), sessions[0])[0]


@pytest.fixture(scope="module")
def real(graph: g.Graph, sessions: tuple[list[Path], list[Path]]) -> tuple[list[np.ndarray], Score]:
    """The float network as a stream, by PyTorch, over every held-out session: poses behind the
    start-up, and their score."""
    model = checkpoint.load(artifacts.checkpoint_of(NAME, None)).model.model
    data = pose_set.load(sessions[1])
    mean = closed_loop.mean_pose(pose_set.load(sessions[0]))
    poses = closed_loop.stream_poses(model, data)
    return poses, closed_loop.score(model, data, poses, mean)


def test_the_float_network_is_far_below_both_trivial_predictors(
    real: tuple[list[np.ndarray], Score],
) -> None:
    assert real[1].relative <= 0.6


def test_integers_lose_less_than_one_percent_and_do_not_drift_in_a_minute(
    graph: g.Graph,
    sessions: tuple[list[Path], list[Path]],
    real: tuple[list[np.ndarray], Score],
    tmp_path: Path,
) -> None:
    task, model = tasks.of(graph), native.load(graph, tmp_path)
    heldout = [task.read(graph, path) for path in sessions[1][:COMPARED]]
    found = []
    for recorded in heldout:
        model.begin_with(recorded.signal)
        found.append(to_real(graph, model.run(to_int16(graph, recorded.samples))))
    started = [
        np.concatenate([f[: graph.start_up], poses])
        for f, poses in zip(found, real[0], strict=False)
    ]
    steps = [min(len(a), len(b)) for a, b in zip(started, found, strict=True)]
    errors = [
        task.error(graph, [f[:n] for f, n in zip(frames, steps, strict=True)], heldout)
        for frames in (started, found)
    ]
    assert errors[0] is not None and errors[1] is not None and errors[1] <= 1.01 * errors[0]
    for a, b, n in zip(started, found, steps, strict=True):
        apart = np.degrees(np.abs(a[:n] - b[:n])).mean(1)[graph.start_up :]
        assert apart[-500:].mean() < apart[:500].mean() + 0.2

"""Networks of one's own for the tasks of the published ones: what their losses are taken over, and
that `train` takes such a file."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from compress import pipeline, tasks
from compress.__main__ import main
from compress.artifacts import Folder, whole_checkpoint
from compress.data.simulator import pose as simulated_pose
from compress.data.simulator import session as simulated_typing
from compress.errors import TendonError
from compress.frontend.own import named
from compress.graph import Graph
from compress.tasks.crops import Crop
from compress.tasks.pose.own_training import Angular
from compress.tasks.task import Recorded
from compress.tasks.typing import charset
from compress.tasks.typing.own_training import Connectionist

NET = """
from torch import nn

SAMPLE_RATE, ELECTRODES, TASK = 2000, {electrodes}, "{task}"
{more}

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Conv1d(ELECTRODES, 8, 40, 40)
        self.last = nn.Linear(8, {outputs})

    def forward(self, x):
        return self.last(self.first(x).transpose(1, 2)){back}


network = Net
"""
TYPING = {"electrodes": 32, "task": "typing", "outputs": 99}
POSE = {"electrodes": 16, "task": "pose", "outputs": 20}
STREAM = {"more": "", "back": ".transpose(1, 2)"}
WINDOWS = {"more": "WINDOW = 400", "back": ".mean(1)"}


@pytest.fixture(autouse=True)
def nothing_named() -> Iterator[None]:
    named.those.clear()
    yield
    named.those.clear()


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of typing sessions, and one of pose sessions."""
    folder = tmp_path_factory.mktemp("recordings")
    for number in range(3):
        name = f"{number}.hdf5"
        typed = simulated_typing.simulate("train", number, 12.0)
        simulated_typing.write(folder / "typing" / name, typed, str(number))
        moved = simulated_pose.simulate("train", number, 6.0)
        simulated_pose.write(folder / "pose" / name, moved, str(number))
    return folder


def written(folder: Path, task: dict[str, object], kind: dict[str, str] = STREAM) -> Path:
    path = folder / "net.py"
    path.write_text(NET.format(**task, **kind))
    return path


def read(path: Path, recordings: Path) -> tuple[Graph, list[Recorded]]:
    """The network lowered, and the recordings as it takes them."""
    folder = Folder(path.parent / "build", "net", "", network=named.named(str(path)))
    graph = pipeline.load_float("net", whole_checkpoint(folder, None))
    return graph, [tasks.of(graph).read(graph, p) for p in sorted(recordings.glob("*.hdf5"))]


def crop(start: int, frames: int, outside: int) -> Crop:
    """Frames of 40 samples, the last `outside` of which have no sample of their own."""
    at = start + 40 * np.arange(1, frames + 1) - 1
    at[frames - outside :] = -1
    return Crop(0, start, at)


def test_typed_keys_are_those_of_the_frames_that_have_samples(tmp_path: Path, data: Path) -> None:
    graph, sessions = read(written(tmp_path, TYPING), data / "typing")
    objective = Connectionist(graph, sessions)
    piece = crop(4000, 150, 10)
    inside = range(4039, 4000 + 40 * 140)
    keys = [c for t, c in sessions[0].target.keys if c and t * 2000 in _span(inside)]
    found = objective.typed(piece, np.flatnonzero(piece.at >= 0))
    assert keys and charset.decode(found) == "".join(keys)
    outputs = torch.randn(1, 150, 99, generator=torch.Generator().manual_seed(1))
    frames = outputs[0, :140].log_softmax(-1)
    expected = torch.nn.functional.ctc_loss(
        frames, torch.from_numpy(found).long(), torch.tensor(140), torch.tensor(len(keys)), 98
    )
    loss = objective.loss(outputs, [piece])
    assert loss is not None and float(loss) == pytest.approx(float(expected), rel=1e-5)
    assert objective.known(0).all() and len(objective.known(0)) == len(sessions[0].samples)


class _span:
    """Moments from the first to the last of a range of samples."""

    def __init__(self, samples: range) -> None:
        self._samples = samples

    def __contains__(self, moment: float) -> bool:
        return self._samples[0] <= moment < self._samples[-1] + 1


def test_angles_count_where_they_are_known(tmp_path: Path, data: Path) -> None:
    graph, sessions = read(written(tmp_path, POSE), data / "pose")
    objective, target = Angular(graph, sessions), sessions[0].target
    piece = crop(400, 20, 5)
    there = piece.at[:15]
    assert target.valid[there].any() and objective.known(0) is not None
    outputs = torch.zeros(1, 20, 20)
    known = there[target.valid[there]]
    expected = np.abs(target.angles[known]).mean()
    loss = objective.loss(outputs, [piece])
    assert loss is not None and float(loss) == pytest.approx(float(expected), rel=1e-5)
    assert objective.loss(outputs, [crop(400, 20, 20)]) is None


@pytest.mark.parametrize("task", [TYPING, POSE], ids=lambda task: task["task"])
def test_train_takes_a_file_and_its_checkpoint_holds_the_weights(
    task: dict[str, object], tmp_path: Path, data: Path
) -> None:
    path = str(written(tmp_path, task))
    words = ["--model", path, "--build", str(tmp_path / "build")]
    recordings = str(data / str(task["task"]))
    assert main(["train", *words, "--data", recordings, "--steps", "2", "--threads", "1"]) == 0
    trained = tmp_path / "build/net/train/net.ckpt"
    assert trained.is_file() and json.loads(trained.with_suffix(".json").read_text())["network"]
    assert main(["macs", *words, "--checkpoint", str(trained)]) == 0


def test_text_is_not_learned_over_windows(tmp_path: Path, data: Path) -> None:
    graph, sessions = read(written(tmp_path, TYPING, WINDOWS), data / "typing")
    with pytest.raises(TendonError, match="leave WINDOW"):
        Connectionist(graph, sessions)

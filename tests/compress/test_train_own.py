"""Training networks of one's own: frames learn the labels of their own samples, streams and windows
alike, and an interrupted training ends as an uninterrupted one."""

from __future__ import annotations

import copy
import math
import re
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from compress import graph as g
from compress import tasks
from compress.data import own_recording, training_sessions
from compress.errors import CheckpointError, RecordingError, TendonError
from compress.frontend.builder import Builder
from compress.graph.samples import Signal
from compress.tasks import crops, distilled, start
from compress.tasks import state as saved
from compress.tasks.classes import tuning as tuning_of_classes
from compress.tasks.classes.training import Classification
from compress.tasks.objectives import Regression
from compress.tasks.pose import own_training as own_pose
from compress.tasks.pose.task import Angles
from compress.tasks.recorded import Recorded
from compress.tasks.shape import Shape, label_samples
from compress.tasks.supervised import Recipe
from compress.tasks.training import Trained, TrainingRequest, training_of, tuning_of
from compress.tasks.typing import charset
from compress.tasks.typing import own_training as own_typing
from compress.tasks.typing.task import Typed

RATE, ELECTRODES, STRIDE = 500, 6, 25
SHORT = Recipe(steps=60, warmup=5, seconds=2.0, batch=8, windows=64, save_every=20, score_every=60)
OUTPUTS = {"classes": 4, "values": 2}


class Rectified(nn.Module):
    """How strong the electrodes are, over `kernel` samples every STRIDE; one answer over a
    window."""

    def __init__(self, outputs: int, kernel: int, window: bool = False) -> None:
        super().__init__()
        self.first = nn.Conv1d(ELECTRODES, 24, 5, padding=2)
        self.mean, self.window = nn.AvgPool1d(kernel, STRIDE), window
        self.norm, self.last = nn.BatchNorm1d(24), nn.Conv1d(24, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        strong = self.mean(self.first(x).abs())
        found: Tensor = self.last(self.norm(strong))
        return found.mean(2) if self.window else found


def lowered(task: str, kernel: int, window: int | None) -> g.Graph:
    """When the frames of such a network come, which is all that is asked of its graph here."""
    b = Builder(ELECTRODES, Fraction(RATE))
    b.add(g.Unfold1d, "unfold", frames=window or kernel, frames_per_output=STRIDE, lag=0)
    shape = (1, OUTPUTS[task], 1, b.features)
    b.add(g.Dense, "dense", weight=np.ones(shape), bias=np.zeros(shape[:2]))
    about = {"task": task, "checkpoint": "", "bits": {}, "own": True, "lookahead": 0}
    return g.Graph("own", b.tensors, tuple(b.ops), about | ({"window": window} if window else {}))


Made = Callable[..., tuple[TrainingRequest, g.Graph]]


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Made:
    """A request to train such a network on the simulated recordings for it."""

    def make(task: str, window: int | None = None, kernel: int = 50, **more: Any) -> Any:
        graph = lowered(task, kernel, window)

        def network(request: TrainingRequest) -> tuple[nn.Module, dict[str, Any]]:
            torch.manual_seed(request.seed)
            return Rectified(OUTPUTS[task], kernel, window is not None), {"kernel": kernel}

        monkeypatch.setattr(start, "network", network)
        monkeypatch.setattr(start, "lowered", lambda network, hyper_parameters: graph)
        collection = tasks.named(task).collection_for(Shape.of(graph))
        found = training_sessions.find(None, None, tmp_path, collection).with_validation(1)
        where = {"train": found.train[:3], "validation": found.validation}
        out = tmp_path / "out.ckpt"
        return TrainingRequest(model="own", out=out, threads=1, **(where | more)), graph

    return make


def trained(request: TrainingRequest, graph: g.Graph, recipe: Recipe = SHORT) -> Trained:
    return training_of(graph.provenance["task"]).train(request, recipe)  # type: ignore[call-arg]


@pytest.mark.parametrize(
    ("task", "window"), [("classes", None), ("classes", 100), ("values", None)]
)
def test_a_network_learns_its_task(task: str, window: int | None, made: Made) -> None:
    request, graph = made(task, window)
    before = trained(request, graph, Recipe(steps=0))
    after = trained(request, graph)
    first, last = (t.figures["validation_error"] for t in (before, after))
    assert last < {"classes": 0.6, "values": 0.75}[task] * first
    assert request.out.is_file() and not request.state.exists()
    named = "balanced error" if task == "classes" else "MAE"
    assert after.text.startswith(f"60 steps, validation {named} ")


def test_an_interrupted_training_ends_as_an_uninterrupted_one(
    made: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    request, graph = made("classes")
    whole = trained(request, graph)
    kept, weights = saved.save, torch.load(request.out)["state_dict"]

    def last(*arguments: Any) -> None:
        kept(*arguments)
        raise KeyboardInterrupt

    monkeypatch.setattr(saved, "save", last)
    with pytest.raises(KeyboardInterrupt):
        trained(request, graph)
    monkeypatch.setattr(saved, "save", kept)
    again = trained(request, graph)
    assert again.figures["validation_error"] == whole.figures["validation_error"]
    for name, value in torch.load(request.out)["state_dict"].items():
        torch.testing.assert_close(value, weights[name], rtol=0, atol=0)


def test_what_diverges_is_said_with_its_step(made: Made) -> None:
    request, graph = made("values")
    with pytest.raises(TendonError, match=r"diverged at step .*: expected a finite loss"):
        trained(request, graph, replace(SHORT, rate=1e20, warmup=1, clip=1e30))


def test_sessions_without_labels_are_refused_before_the_first_step(
    made: Made, tmp_path: Path
) -> None:
    silent = tmp_path / "silent.npz"
    np.savez(silent, emg=np.zeros((4000, ELECTRODES)), rate=RATE)
    request, graph = made("classes", validation=(silent,))
    with pytest.raises(RecordingError, match=r"validation: expected .* none in silent\.npz"):
        trained(request, graph)
    np.savez(tmp_path / "other.npz", emg=np.ones((4000, ELECTRODES)), rate=RATE)
    request, graph = made("classes", train=(tmp_path / "other.npz",))
    with pytest.raises(RecordingError, match=r"something is labelled, found none among other\.npz"):
        trained(request, graph)


# --- which sample a frame of a crop belongs to ----------------------------------------------------


def counting(samples: int, target: np.ndarray | None = None) -> Recorded:
    """Each sample of the first electrode is its own number."""
    emg = np.zeros((samples, ELECTRODES), np.float32)
    emg[:, 0] = np.arange(samples)
    label = np.zeros(samples, int) if target is None else target
    return Recorded(Path("counting.npz"), Signal(emg), label, float(RATE))


class Newest(nn.Module):
    """Says the newest sample of each frame, whose window is `kernel` long."""

    def __init__(self, kernel: int, window: bool) -> None:
        super().__init__()
        self.kernel, self.window = kernel, window

    def forward(self, x: Tensor) -> Tensor:
        found = x[:, :1].unfold(2, self.kernel, STRIDE)[..., -1]
        return found[..., -1] if self.window else found


@pytest.mark.parametrize("window", [None, 100])
@pytest.mark.parametrize("kernel", [25, 75])
def test_frames_of_crops_and_of_streams_belong_to_the_same_samples(
    kernel: int, window: int | None
) -> None:
    graph, recorded = lowered("classes", kernel, window), counting(3000)
    network = Newest(kernel, window is not None)
    cropper = crops.Cropper(graph, [recorded], [np.ones(3000, bool)], 1.0)
    x, drawn = cropper.draw(16, 0.0, np.random.default_rng(1))
    outputs = crops.forward(network, x, window is not None)
    for found, crop in zip(outputs[..., 0], cropper.placed(drawn, outputs.shape[1]), strict=True):
        assert found.tolist() == crop.at.tolist()
    frames = crops.stream_frames(graph, network, recorded)
    at = label_samples(graph, len(frames))
    assert len(frames) == 120 and (at >= 0).sum() > 100
    assert frames[at >= 0, 0].tolist() == at[at >= 0].tolist()


@pytest.mark.parametrize("window", [None, 100])
def test_crops_are_drawn_where_something_is_known(window: int | None) -> None:
    """Of labels around two samples of long sessions every crop holds one; a window ends there."""
    graph, known = lowered("classes", 50, window), np.zeros((2, 20_000), bool)
    known[0, 7000:7100] = known[1, 19_990:] = True
    cropper = crops.Cropper(graph, [counting(20_000)] * 2, list(known), 1.0)
    _, drawn = cropper.draw(64, 0.0, np.random.default_rng(2))
    ends = {(c.session, c.start + cropper.length) for c in drawn}
    assert all(known[c.session, c.start : c.start + cropper.length].any() for c in drawn)
    assert {session for session, _ in ends} == {0, 1}
    if window:
        assert all(known[session, end - 1] for session, end in ends)


def test_a_session_shorter_than_a_crop_is_used_where_no_longer_one_is() -> None:
    graph = lowered("classes", 50, None)
    cropper = crops.Cropper(graph, [counting(210), counting(120)], [np.ones(210), np.ones(120)], 4)
    assert cropper.length == 200
    _, drawn = cropper.draw(8, 0.0, np.random.default_rng(3))
    assert {crop.session for crop in drawn} == {0}


# --- losses ---------------------------------------------------------------------------------------


def loss_of(scores: Tensor, label: list[int]) -> float:
    """Of one crop whose frames have these labels."""
    recorded = counting(len(label), np.array(label))
    objective = Classification(lowered("classes", 25, None), [recorded])
    found = objective.loss(scores[None], [crops.Crop(0, 0, np.arange(len(label)))])
    return math.nan if found is None else float(found)


def test_logits_probabilities_and_their_logarithms_have_the_same_loss() -> None:
    logits = torch.randn(6, 4, generator=torch.Generator().manual_seed(0))
    label = [0, 1, -1, 3, 1, 1]
    expected = loss_of(logits, label)
    assert loss_of(logits.softmax(-1), label) == pytest.approx(expected, rel=1e-5)
    assert loss_of(logits.log_softmax(-1), label) == pytest.approx(expected, rel=1e-5)


def test_each_class_has_the_same_weight_in_the_loss() -> None:
    """Nine frames of one class and one of another: to lose either wholly costs the same."""
    label, right, wrong = [0] * 9 + [1], torch.zeros(10, 4), torch.zeros(10, 4)
    right[:9, 0], wrong[9, 1] = 9.0, 9.0
    assert loss_of(right, label) == pytest.approx(loss_of(wrong, label), rel=1e-4)


def test_what_has_no_label_has_no_loss() -> None:
    assert math.isnan(loss_of(torch.zeros(3, 4), [-1, -1, -1]))
    one = loss_of(torch.randn(2, 4, generator=torch.Generator().manual_seed(1)), [1, -1])
    both = loss_of(torch.randn(2, 4, generator=torch.Generator().manual_seed(1)), [1, 1])
    assert one != both


def test_errors_of_values_count_by_their_output_s_spread_and_where_they_are_known() -> None:
    target = np.array([[0.0, 0.0], [2.0, 200.0], [np.nan, np.nan], [0.0, np.nan]], np.float32)
    objective = Regression(lowered("values", 25, None), [counting(4, target)])
    spread = [np.std([0.0, 2.0, 0.0]), 100.0]
    outputs = torch.from_numpy(np.nan_to_num(target, nan=99.0)) + torch.tensor([1.0, 50.0])
    found = objective.loss(outputs[None], [crops.Crop(0, 0, np.array([0, 1, 2, 3]))])
    assert found is not None
    assert float(found) == pytest.approx((3 * 1.0 / spread[0] + 2 * 0.5) / 5, rel=1e-5)
    assert objective.loss(outputs[None], [crops.Crop(0, 0, np.array([-1, 2, -1, -1]))]) is None


def test_targets_out_of_reach_are_said() -> None:
    for largest, said in ((1.0, ""), (90.0, "targets reach 90: .* scale them")):
        target = np.linspace(-largest, 0.0, 8).reshape(4, 2).astype(np.float32)
        objective = Regression(lowered("values", 25, None), [counting(4, target)])
        assert re.fullmatch(f"{said}.*" if said else "", objective.remark())


def test_a_compressed_network_is_tuned_to_the_whole_one_s_frames(
    made: Made, tmp_path: Path
) -> None:
    """Weights that noise was added to come back, without a label."""
    request, graph = made("values")
    torch.manual_seed(5)
    teacher = Rectified(2, 50).eval()
    student = copy.deepcopy(teacher)
    with torch.no_grad():
        student.last.weight += 0.3 * torch.randn_like(student.last.weight)
    x = torch.from_numpy(own_recording.read(request.validation[0]).emg[:5000].T.copy())[None]
    before = float((student.eval()(x) - teacher(x)).detach().abs().mean())
    tuning = tuning_of("values")
    assert tuning is not None and tuning.possible(student) and not tuning.BY_DEFAULT
    recipe, state = tuning.recipe(60, 1), tmp_path / "tune.state"
    steps = tuning.tune(student, teacher, {}, request.train, recipe, state, "origin", 1, graph)
    assert steps == 60 and not state.exists()
    after = float((student(x) - teacher(x)).detach().abs().mean())
    assert after < 0.5 * before


def test_matrices_are_rounded_while_tuned_where_a_module_holds_them() -> None:
    network = nn.ModuleDict({"first": nn.Conv1d(3, 4, 2), "gru": nn.GRU(4, 4)})
    bits = {"first.dense": 4, "gru.l0.gates": 4, "nowhere": 8}
    assert distilled._told(network, bits) == {"first": 4}


def test_logits_of_a_tuned_network_may_be_shifted_but_not_its_probabilities() -> None:
    scores = torch.randn(2, 5, 4, generator=torch.Generator().manual_seed(2))
    assert float(tuning_of_classes._apart(scores + 3.0, scores)) == pytest.approx(0, abs=1e-5)
    assert float(tuning_of_classes._apart(scores.softmax(-1), scores)) == pytest.approx(0, abs=1e-5)
    assert float(tuning_of_classes._apart(2 * scores, scores)) > 0.05


# --- networks of one's own for the published tasks ------------------------------------------------


def test_a_key_belongs_to_the_crop_whose_frames_have_its_sample() -> None:
    keys = [(0.1, "a"), (0.5, "b"), (0.9, "c")]
    recorded = Recorded(Path("t"), Signal(np.zeros((2000, 32))), Typed("abc", keys), 2000.0)
    objective = own_typing.KeyPresses(lowered("classes", 25, None), [recorded])
    for first, last, text in ((0, 1999, "abc"), (201, 1000, "b"), (1001, 1700, "")):
        at = np.array([-1, first, (first + last) // 2, last])
        assert charset.decode(objective.pressed(crops.Crop(0, 0, at))) == text
    assert objective.known(0).all()
    with pytest.raises(CheckpointError, match="as a stream, found one over windows"):
        own_typing.KeyPresses(lowered("classes", 25, 100), [recorded])


def test_the_loss_of_keys_is_small_where_frames_say_them() -> None:
    keys = [(0.1, "a"), (0.5, "b")]
    recorded = Recorded(Path("t"), Signal(np.zeros((2000, 32))), Typed("ab", keys), 2000.0)
    objective = own_typing.KeyPresses(lowered("classes", 25, None), [recorded])
    crop = crops.Crop(0, 0, np.linspace(0, 1999, 6).astype(int))
    path = [charset.BLANK, 0, charset.BLANK, 1, charset.BLANK, charset.BLANK]
    losses = [
        float(objective.loss(9.0 * torch.eye(99)[torch.tensor(classes)][None], [crop]))  # type: ignore[arg-type]
        for classes in (path, path[::-1])
    ]
    assert losses[0] < 0.2 < 1.0 < losses[1]


def test_angles_that_are_not_known_are_no_target() -> None:
    angles = Angles(np.ones((4, 20), np.float32), np.array([True, False, True, True]))
    recorded = Recorded(Path("p"), Signal(np.zeros((4, 16))), angles, 2000.0)
    objective = own_pose._angles(lowered("classes", 25, None), [recorded])
    assert objective.known(0).tolist() == [True, False, True, True]


def test_labels_that_no_frame_meets_are_one_clear_error(made: Made, tmp_path: Path) -> None:
    label = np.full(20_000, -1)
    label[7001] = 1  # frames have the labels of samples 24, 49, … of a crop
    rng = np.random.default_rng(0)
    sessions = []
    for name in ("a", "b"):
        emg = rng.normal(size=(20_000, ELECTRODES))
        np.savez(tmp_path / f"{name}.npz", emg=emg, rate=RATE, label=label)
        sessions.append(tmp_path / f"{name}.npz")
    request, graph = made("classes", train=(sessions[0],), validation=(sessions[1],))
    recipe = Recipe(steps=4, batch=1, seconds=0.15)
    with pytest.raises(RecordingError, match="expected labels that last longer than a frame"):
        for seed in range(60):
            trained(request, graph, replace(recipe, seed=seed))

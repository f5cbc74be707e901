"""The task of classes: which frame has which label, classes that count alike, and recordings that
say nothing."""

from __future__ import annotations

import io
import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from compress import graph as g
from compress import tasks
from compress.data import datasets, recordings
from compress.data.own_recording import read
from compress.errors import GraphError, RecordingError
from compress.frontend.builder import Builder
from compress.graph.samples import Signal
from compress.tasks.classes import scores
from compress.tasks.classes.simulated import collection_for
from compress.tasks.labelled import LabelledTask
from compress.tasks.recorded import Recorded, Shown
from compress.tasks.shape import Shape, label_samples

RATE, ELECTRODES, STEP = 500, 3, 5


def network(task: str, outputs: int, history: int = 0, lag: int = 0, **said: Any) -> g.Graph:
    """A frame of STEP samples and `history` frames before them, `lag` samples late: both make its
    start-up."""
    b = Builder(ELECTRODES, Fraction(RATE))
    frames = (1 + history) * STEP
    b.add(g.Unfold1d, "unfold", frames=frames, frames_per_output=STEP, lag=lag)
    weight = np.random.default_rng(0).normal(size=(1, outputs, 1, frames * ELECTRODES)) / 8
    b.add(g.Dense, "dense", weight=weight, bias=np.zeros((1, outputs)))
    about = {"task": task, "checkpoint": "none", "bits": {}, "own": True, "lookahead": 0}
    return g.verify(g.Graph("own", b.tensors, tuple(b.ops), about | said))


def recorded(target: np.ndarray | None, samples: int, path: str = "own.npz") -> Recorded:
    return Recorded(Path(path), Signal(np.zeros((samples, ELECTRODES))), target, float(RATE))


def recording(path: Path, seconds: float = 2.0, rate: float = RATE, **arrays: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    emg = np.random.default_rng(len(path.name)).normal(size=(round(seconds * rate), ELECTRODES))
    np.savez(path, emg=emg, rate=rate, **arrays)
    return path


TASK = tasks.named("classes")
assert isinstance(TASK, LabelledTask)


# --- which label a frame has ----------------------------------------------------------------------


def test_a_frame_has_the_label_of_its_newest_sample() -> None:
    assert label_samples(network("classes", 2), 3).tolist() == [4, 9, 14]


def test_frames_between_two_samples_are_the_later_one_s() -> None:
    b = Builder(ELECTRODES, Fraction(RATE))
    b.add(g.Unfold1d, "unfold", frames=3, frames_per_output=3, lag=0)
    b.add(g.Interpolate, "interpolate", factor=2)
    graph = g.Graph("own", b.tensors, tuple(b.ops), {"lookahead": 1})
    assert graph.output.rate == Fraction(2 * RATE, 3) and graph.start_up == 2
    assert label_samples(graph, 6).tolist() == [-1, -1, 3, 4, 6, 7]


def test_the_look_ahead_is_taken_off() -> None:
    assert label_samples(network("classes", 2, lag=3, lookahead=3), 4).tolist()[1:] == [6, 11, 16]


def test_frames_of_the_start_up_have_none() -> None:
    graph = network("classes", 2, history=2)
    assert graph.start_up == 2 and label_samples(graph, 5).tolist() == [-1, -1, 14, 19, 24]


def test_a_frame_that_would_reach_before_the_recording_has_none() -> None:
    assert label_samples(network("classes", 2, lookahead=7), 3).tolist() == [-1, 2, 7]


def test_perfect_frames_have_no_error_where_they_belong_and_one_elsewhere() -> None:
    """Frames made from the labels at their own samples; one sample later they are wrong."""
    graph = network("classes", 4, history=1, lookahead=2)
    label = np.random.default_rng(2).integers(0, 4, 400)
    at = label_samples(graph, 80)
    frames, later = np.eye(4)[label[at]], np.eye(4)[label[at - 1]]
    frames[0] = later[0] = [9, 0, 0, 0]  # the start-up's, whatever it is
    assert TASK.error(graph, [frames], [recorded(label, 400)]) == 0.0
    assert TASK.error(graph, [later], [recorded(label, 400)]) > 50.0


# --- the error ------------------------------------------------------------------------------------


def decided(found: list[int], label: list[int], classes: int) -> tuple[Any, ...]:
    """(graph, frames, recorded) of so many frames."""
    samples = np.repeat(label, STEP)
    return network("classes", classes), np.eye(classes)[found], recorded(samples, len(samples))


def test_each_class_counts_alike_however_often_it_comes() -> None:
    graph, frames, what = decided([0] * 9 + [0], [0] * 9 + [1], 2)
    assert TASK.error(graph, [frames], [what]) == 50.0
    details = TASK.details(graph, [frames], [what])
    assert details["balanced_accuracy"] == 50.0 and details["accuracy"] == 90.0
    assert details["confusion"] == [[9, 0], [1, 0]] and details["recall"] == [100.0, 0.0]


def test_a_class_that_never_comes_does_not_count() -> None:
    graph, frames, what = decided([0, 1, 2, 0], [0, 1, 1, 0], 3)
    assert TASK.error(graph, [frames], [what]) == 25.0
    assert TASK.details(graph, [frames], [what])["recall"] == [100.0, 50.0, None]


def test_what_is_labelled_minus_one_is_left_out() -> None:
    graph, frames, what = decided([0, 1, 0, 1], [0, 1, -1, -1], 2)
    assert TASK.error(graph, [frames], [what]) == 0.0
    assert TASK.details(graph, [frames], [what])["frames"] == 2


def test_classes_are_pooled_over_recordings() -> None:
    """Each recording alone has one class: the mean of the errors is not the error of the pool."""
    graph, a, first = decided([0, 0, 0, 1], [0, 0, 0, 0], 2)
    _, b, second = decided([1, 0], [1, 1], 2)
    assert TASK.error(graph, [a, b], [first, second]) == (25.0 + 50.0) / 2


def test_any_scores_with_the_same_best_class_are_the_same() -> None:
    graph, frames, what = decided([0, 1, 2, 1], [0, 1, 1, 1], 3)
    assert TASK.error(graph, [frames], [what]) == TASK.error(graph, [np.log(frames + 1e-3)], [what])


def test_the_interval_holds_the_pooled_error_and_narrows_with_more_signal() -> None:
    """Of a decision that is right three times of four, in a rare and a frequent class."""
    rng, widths = np.random.default_rng(3), []
    for frames in (400, 40_000):
        label = (rng.random(frames) < 0.1).astype(int)
        found = np.where(rng.random(frames) < 0.75, label, 1 - label)
        graph, out, what = decided(found.tolist(), label.tolist(), 2)
        low, high = TASK.interval(graph, [out], [what])
        assert low < TASK.error(graph, [out], [what]) < high and low < 25.0 < high
        widths.append(high - low)
    assert widths[1] < widths[0] / 4


def test_a_difference_is_paired() -> None:
    graph, frames, what = decided([0, 1, 1, 1] * 50, [0, 0, 1, 1] * 50, 2)
    assert TASK.difference(graph, [frames], [frames], [what]) == (0.0, 0.0)
    right = np.eye(2)[np.array([0, 0, 1, 1] * 50)]
    low, high = TASK.difference(graph, [right], [frames], [what])
    assert low == pytest.approx(25.0) == high


def test_the_trivial_predictor_says_the_most_frequent_class_of_other_recordings(
    tmp_path: Path,
) -> None:
    graph = network("classes", 3)
    other = recording(tmp_path / "other.npz", label=np.repeat([0, 2, 2, -1], 250))
    what = recorded(np.repeat([0, 1, 2, 2], 250), 1000)
    assert TASK.trivial(graph, [what], [other])["most_frequent_class"] == pytest.approx(200 / 3)
    assert TASK.trivial(graph, [what], []) == {}


# --- recordings -----------------------------------------------------------------------------------


def test_a_recording_is_read_at_the_network_s_rate_in_whole_steps(tmp_path: Path) -> None:
    path = recording(tmp_path / "own.npz", label=np.arange(1000) % 3)
    found = TASK.read(network("classes", 3), path, 0.507)
    assert found.samples.shape == (250, ELECTRODES) and found.rate == RATE
    assert found.target.shape == (250,) and found.seconds == 0.5


def test_what_does_not_fit_the_network_is_refused_by_name(tmp_path: Path) -> None:
    graph, label = network("classes", 3), np.arange(1000) % 4
    with pytest.raises(RecordingError, match=r"a\.npz: label: expected classes 0…2 .* found 3 at"):
        TASK.read(graph, recording(tmp_path / "a.npz", label=label))
    with pytest.raises(RecordingError, match=r"b\.npz: rate: expected 500 Hz .* found 1000"):
        TASK.read(graph, recording(tmp_path / "b.npz", rate=1000.0))
    with pytest.raises(RecordingError, match=r"c\.npz: expected at least the 5 samples"):
        TASK.read(graph, recording(tmp_path / "c.npz", seconds=0.008))


def test_recordings_without_labels_have_no_error_and_nothing_about_one(tmp_path: Path) -> None:
    graph = network("classes", 3)
    found = TASK.read(graph, recording(tmp_path / "own.npz"))
    frames = np.eye(3)[np.zeros(200, int)]
    assert found.target is None and TASK.error(graph, [frames], [found]) is None
    assert TASK.details(graph, [frames], [found]) == {} and TASK.say({}) == []
    assert TASK.amount([found]) == (2, "seconds") and TASK.agreement([frames], [frames]) == 1.0
    shown = Shown(graph, found, frames.astype(np.int16), "recordings", 0.01, 1, {})
    assert TASK.picture(shown) is None


def test_one_without_labels_beside_others_is_left_out_of_the_error() -> None:
    graph, frames, what = decided([0, 1], [0, 0], 2)
    assert TASK.error(graph, [frames, frames], [what, recorded(None, 10)]) == 50.0
    assert TASK.amount([what, recorded(None, 10)]) == (0, "labelled seconds")


@pytest.mark.parametrize("task", ["typing", "pose", "classes", "values"])
def test_arrays_of_a_user_s_network_have_the_layout_of_its_forward(
    task: str, tmp_path: Path
) -> None:
    graph, of = network(task, 2, history=2), tasks.named(task)
    array = np.random.default_rng(4).normal(size=(ELECTRODES, 23)).astype(np.float32)
    np.save(tmp_path / "in.npy", array)
    found = of.load_input(graph, tmp_path / "in.npy")
    np.testing.assert_array_equal(found.samples, array[:, :20].T)
    frames = np.arange(8.0).reshape(4, 2)
    written, expected = io.BytesIO(), io.BytesIO()
    assert of.save(written, graph, [frames]) == (2, 2)
    np.save(expected, np.ascontiguousarray(frames[2:].T))
    assert written.getvalue() == expected.getvalue()
    np.save(tmp_path / "wrong.npy", array.T)
    with pytest.raises(RecordingError, match=r"\(3 electrodes, samples\).*found .*\(23, 3\)"):
        of.load_input(graph, tmp_path / "wrong.npy")


# --- networks -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("graph", "said"),
    [
        (network("classes", 1), "expected a score for each of two classes or more, found 1"),
        (network("classes", 3, classes=["rest", "fist"]), "CLASSES: expected .* 3, found 2"),
        (network("typing", 99), "typing have 32 electrodes at 2000 Hz, 99 outputs, found 3 elec"),
        (network("pose", 20), "pose have 16 electrodes at 2000 Hz, 20 outputs, found 3 elec"),
    ],
)
def test_a_network_that_does_not_suit_its_task_is_refused(graph: g.Graph, said: str) -> None:
    with pytest.raises(GraphError, match=f"own: .*{said}"):
        tasks.of(graph).check(graph)


def test_a_network_that_suits_its_task_is_not() -> None:
    for graph in (network("classes", 2, classes=["rest", "fist"]), network("values", 1)):
        tasks.of(graph).check(graph)


# --- the simulated set ----------------------------------------------------------------------------


@pytest.fixture
def made(tmp_path: Path) -> datasets.Dataset:
    """For a band of 200 Hz, made when nothing else is given."""
    return datasets.find(None, tmp_path, collection_for(Shape(Fraction(200), 5, 4)))


def test_the_simulated_set_has_the_network_s_rate_electrodes_and_classes(
    made: datasets.Dataset,
) -> None:
    assert made.simulated and len(made.calibration) == 1 and len(made.heldout) == 3
    for path in made.calibration + made.heldout:
        found = read(path)
        assert found.rate == 200 and found.emg.shape[1] == 5 and found.label is not None
        assert set(found.label.tolist()) == {-1, 0, 1, 2, 3} and path.parts[-4:-2] == (
            "classes-recordings",
            "200Hz-5-4",
        )


def test_the_same_session_is_made_again_and_no_two_are_alike(
    made: datasets.Dataset, tmp_path: Path
) -> None:
    again = datasets.find(None, tmp_path / "again", collection_for(Shape(Fraction(200), 5, 4)))
    for a, b in zip(made.heldout, again.heldout, strict=True):
        np.testing.assert_array_equal(read(a).emg, read(b).emg)
    first, second = (read(path).emg[:, 0] for path in made.heldout[:2])
    assert abs(np.corrcoef(first, second)[0, 1]) < 0.1


def test_what_is_there_is_not_made_again_and_other_networks_have_their_own(
    made: datasets.Dataset, tmp_path: Path
) -> None:
    before = made.heldout[0].stat().st_mtime_ns
    other = collection_for(Shape(Fraction(200), 5, 3))
    datasets.find(None, tmp_path, collection_for(Shape(Fraction(200), 5, 4)))
    assert made.heldout[0].stat().st_mtime_ns == before
    assert recordings.ensure(tmp_path / other.folder, "calibration", other)[0] not in made.heldout


def test_the_classes_can_be_told_apart_by_how_strong_each_electrode_is() -> None:
    """A nearest mean of the electrodes' strengths over windows of 0.2 s finds most, across two
    sessions, and not all."""
    from compress.data.simulator import activity

    band, count = activity.Band(1000.0, 8), 6

    def windows(split: str) -> tuple[np.ndarray, np.ndarray]:
        emg, label = activity.classes(split, 0, 60.0, 7, band, count)
        whole = label.reshape(-1, 200)
        steady = (whole == whole[:, :1]).all(1) & (whole[:, 0] >= 0)
        return np.log(emg.reshape(-1, 200, 8)[steady].std(1)), whole[steady, 0]

    (x, y), (unseen, expected) = windows("train"), windows("heldout")
    means = np.stack([x[y == k].mean(0) for k in range(count)])
    found = np.square(unseen[:, None] - means).sum(-1).argmin(1)
    matrix = scores.confusion(found, expected, count)
    assert 60.0 < scores.summary(matrix, list("abcdef"))["balanced_accuracy"] < 99.0


def test_details_are_json_and_the_console_says_the_balanced_accuracy() -> None:
    graph, frames, what = decided([0, 1, 1], [0, 0, 1], 2)
    graph.provenance["classes"] = ["rest", "fist"]
    details = json.loads(json.dumps(TASK.details(graph, [frames], [what]), allow_nan=False))
    assert TASK.say(details) == [
        ("balanced accuracy", "75.00 % (of all frames 66.67 %)"),
        ("board, by class", "rest 50, fist 100 %"),
    ]
    shown = Shown(graph, what, frames.astype(np.int16), "simulated recordings", 0.01, 1, details)
    picture = TASK.picture(shown)
    assert picture is not None and picture.svg.startswith("<svg") and "75.00 %" in picture.caption
    assert "simulated recordings" in picture.caption

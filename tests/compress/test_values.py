"""The task of values: errors of what is known, output by output, and recordings that say
nothing."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from compress import tasks
from compress.data import datasets
from compress.data.own_recording import read
from compress.data.simulator import activity
from compress.errors import RecordingError
from compress.tasks.recorded import Shown
from compress.tasks.shape import Shape, label_samples
from compress.tasks.values.simulated import collection_for
from tests.compress.test_classes import STEP, network, recorded, recording

TASK = tasks.named("values")


def test_the_error_is_the_mean_over_all_known_values_and_by_output() -> None:
    graph = network("values", 2)
    target = np.repeat([[1.0, 10.0], [2.0, np.nan], [np.nan, np.nan]], STEP, axis=0)
    frames = np.array([[2.0, 7.0], [2.5, 99.0], [99.0, 99.0]])
    what = recorded(target, len(target))
    assert TASK.error(graph, [frames], [what]) == pytest.approx((1.0 + 3.0 + 0.5) / 3)
    details = TASK.details(graph, [frames], [what])
    assert details == {"mae": [0.75, 3.0], "values": 3}
    assert TASK.say(details) == [("board, by output", "0: 0.75, 1: 3")]


def test_outputs_have_the_names_that_their_file_gives() -> None:
    graph = network("values", 2)
    named = replace(graph, provenance=graph.provenance | {"classes": ["thumb", "wrist"]})
    target = np.ones((STEP, 2))
    details = TASK.details(named, [np.zeros((1, 2))], [recorded(target, STEP)])
    assert TASK.say(details) == [("board, by output", "thumb: 1, wrist: 1")]


def test_frames_are_compared_with_the_samples_that_they_are_for() -> None:
    graph = network("values", 1, history=1, lookahead=3)
    target = np.random.default_rng(5).normal(size=(200, 1))
    at = label_samples(graph, 40)
    frames = target[at]
    frames[0] = 1e6  # of the start-up
    assert TASK.error(graph, [frames], [recorded(target, 200)]) == 0.0
    assert TASK.error(graph, [target[at - 1]], [recorded(target, 200)]) > 0.5


def test_the_interval_holds_the_error() -> None:
    rng, graph = np.random.default_rng(6), network("values", 2)
    target = np.repeat(rng.normal(size=(2000, 2)), STEP, axis=0)
    frames = target[::STEP] + rng.normal(size=(2000, 2))
    what = recorded(target, len(target))
    low, high = TASK.interval(graph, [frames], [what])
    assert low < TASK.error(graph, [frames], [what]) < high and low < np.sqrt(2 / np.pi) < high
    assert TASK.difference(graph, [frames], [frames], [what]) == (0.0, 0.0)


def test_trivial_predictors_say_the_mean_of_others_and_hold_what_is_first_known(
    tmp_path: Path,
) -> None:
    graph = network("values", 1)
    other = recording(tmp_path / "other.npz", target=np.repeat([[2.0], [4.0]], 500, axis=0))
    what = recorded(np.repeat([[np.nan], [1.0], [3.0], [np.nan]], 5, axis=0), 20)
    assert TASK.trivial(graph, [what], [other]) == {"mean": 1.0, "hold_first": 1.0}
    assert TASK.trivial(graph, [what], []) == {"hold_first": 1.0}


def test_targets_of_another_width_are_refused_by_name(tmp_path: Path) -> None:
    path = recording(tmp_path / "own.npz", target=np.zeros((1000, 3)))
    with pytest.raises(RecordingError, match=r"own\.npz: target: .*\(samples, 2\).*\(1000, 3\)"):
        TASK.read(network("values", 2), path)


def test_recordings_without_targets_have_no_error_and_nothing_about_one(tmp_path: Path) -> None:
    graph = network("values", 2)
    found = TASK.read(graph, recording(tmp_path / "own.npz", label=np.zeros(1000, int)))
    frames = np.zeros((200, 2))
    assert found.target is None and TASK.error(graph, [frames], [found]) is None
    assert TASK.details(graph, [frames], [found]) == {} and TASK.say({}) == []
    assert TASK.amount([found]) == (2, "seconds") and TASK.agreement([frames], [frames]) is None
    unknown = recorded(np.full((1000, 2), np.nan), 1000)
    assert TASK.error(graph, [frames], [unknown]) is None
    assert TASK.details(graph, [frames], [unknown]) == {}


def test_the_picture_shows_the_first_outputs_beside_their_targets() -> None:
    graph = network("values", 8)
    graph.tensors["dense"] = graph.output.scaled(0.01)
    words = np.arange(1600).reshape(200, 8).astype(np.int16)
    shown = Shown(graph, recorded(np.zeros((1000, 8)), 1000), words, "recordings", 0.01, 1)
    picture = TASK.picture(shown)
    assert picture is not None and picture.caption.startswith("6 of 8 outputs over own.npz")


def test_the_simulated_forces_follow_the_muscles_and_are_made_for_the_network(
    tmp_path: Path,
) -> None:
    made = datasets.find(None, tmp_path, collection_for(Shape(Fraction(250), 6, 3)))
    for path in made.calibration + made.heldout:
        found = read(path)
        assert found.rate == 250 and found.emg.shape[1] == 6 and found.target is not None
        assert found.target.shape == (len(found.emg), 3) and np.isnan(found.target[:100]).all()
        known = found.target[125:]
        assert known.min() >= 0.0 and 0.6 < known.max() <= 1.0


def test_the_forces_can_be_found_in_the_electrodes_strengths() -> None:
    """A linear fit over windows of 0.2 s explains most of them in another session."""
    band = activity.Band(1000.0, 8)

    def windows(split: str) -> tuple[np.ndarray, np.ndarray]:
        emg, target = activity.forces(split, 0, 60.0, 7, band, 2)
        strengths = emg[1000:].reshape(-1, 200, 8).std(1)
        return np.c_[strengths, np.ones(len(strengths))], target[1000:].reshape(-1, 200, 2).mean(1)

    (x, y), (unseen, expected) = windows("train"), windows("heldout")
    fit = np.linalg.lstsq(x, y, rcond=None)[0]
    errors = np.abs(unseen @ fit - expected).mean(0)
    assert (errors < 0.6 * np.abs(expected - y.mean(0)).mean(0)).all()

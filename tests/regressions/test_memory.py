"""Memory does not grow with the length of a recording: what is long stays on disk, and gives the
same words."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from compress import evaluate, tasks
from compress import graph as g
from compress.data import array_file, on_disk, own_file
from compress.errors import RecordingError
from compress.evaluate import HeldOut
from compress.frontend.builder import Builder
from compress.graph.samples import OnDisk, SideBySide, Signal, blocks, stays_on_disk, words_of
from compress.interpreter.integer import IntegerInterpreter
from compress.quantization.calibrate import observe
from compress.quantization.quantize import quantize
from compress.reading import arrays
from compress.tasks import statistics
from compress.tasks.pose import scores
from compress.tasks.typing.session import Session
from host import native
from tests import recording_files, toy
from tests.compress import test_session
from tests.compress.test_classes import ELECTRODES, network
from tests.regressions.test_memory_of_outputs import peak

MIB = 1 << 20


def noise(samples: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(samples, ELECTRODES)).astype(np.float32)


@pytest.fixture(scope="module")
def made() -> tuple[g.Graph, g.Graph]:
    """A small network, its floats and its integers."""
    real = network("classes", 3, history=1, lag=2)
    return real, quantize(real, observe(real, [noise(4000)]), "w8a16")


def endless(length: int) -> np.ndarray:
    """A signal of any length of which only what is asked for is there."""

    def read(start: int, stop: int) -> np.ndarray:
        at = np.arange(start, stop)[:, None] * np.arange(1, ELECTRODES + 1)
        return np.sin(at * 0.37).astype(np.float32)

    return stays_on_disk(read, (length, ELECTRODES))


def test_slices_of_what_stays_on_disk_read_nothing_until_they_are_used() -> None:
    asked = []

    def read(start: int, stop: int) -> np.ndarray:
        asked.append((start, stop))
        return np.arange(start, stop, dtype=np.float32)[:, None]

    samples = OnDisk(read, (100, 1))
    part = samples[10:90][5:20]
    assert len(part) == 15 and part.shape == (15, 1) and part.ndim == 2 and not asked
    np.testing.assert_array_equal(np.asarray(part)[:, 0], np.arange(15, 30))
    assert asked == [(15, 30)]
    assert samples[7][0] == 7 and len(samples[50:20]) == 0
    assert [len(block) for block in blocks(samples, 30)] == [90]


def test_words_and_frames_of_what_stays_on_disk_are_those_of_an_array(made) -> None:
    real, integer = made
    long, short = endless(100_001), endless(70_013)[13:]
    given = [Signal(long), Signal(short)]
    whole = [Signal(np.asarray(long)), Signal(np.asarray(short))]
    for engine, graph in ((evaluate.float_frames, real), (evaluate.integer_words, integer)):
        for found, expected in zip(engine(graph, given), engine(graph, whole), strict=True):
            np.testing.assert_array_equal(found, expected)
    alone = IntegerInterpreter(integer).run(np.asarray(words_of(integer, long))[None, :100_000])
    np.testing.assert_array_equal(evaluate.integer_words(integer, given)[0], alone[0])
    assert SideBySide(given, 10).shape == (2, 100_000, ELECTRODES)


def test_native_words_are_those_of_the_reference(made, tmp_path: Path) -> None:
    toy.need("gcc")
    model, signal = native.load(made[1], tmp_path), Signal(endless(100_000))
    model.begin_with(signal)
    found = model.stream(signal.samples)
    np.testing.assert_array_equal(found, evaluate.integer_words(made[1], [signal])[0])


@pytest.mark.parametrize("engine", ["float", "integer", "native"])
def test_an_engine_holds_no_more_of_a_long_signal_than_of_a_short_one(
    made, engine: str, tmp_path: Path
) -> None:
    real, integer = made
    if engine == "native":
        toy.need("gcc")
    model = native.load(integer, tmp_path) if engine == "native" else None

    def run(samples: int) -> Callable[[], Any]:
        signal = Signal(endless(samples))
        if model is not None:
            return lambda: model.stream(signal.samples)
        if engine == "float":
            return lambda: evaluate.float_frames(real, [signal])
        return lambda: evaluate.integer_words(integer, [signal])

    short, long = (peak(run(samples)) for samples in (100_000, 1_000_000))
    outputs = 900_000 // 5 * 3 * 4  # what comes out is kept: float32, or less
    assert long < 1.1 * short + 1.2 * outputs * (2 if engine == "native" else 1)


# --- recordings -----------------------------------------------------------------------------------


@pytest.fixture
def session(tmp_path: Path) -> Path:
    content = test_session.attributes()
    return recording_files.write(
        tmp_path / "a.hdf5", test_session.GROUP, test_session.rows(), content
    )


def test_a_long_recording_stays_on_disk_and_a_short_one_does_not(
    session: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Session(session) as opened:
        whole = on_disk.stretch(opened, "samples", 100, 8000)
        monkeypatch.setattr(on_disk, "LARGE", 1 << 10)
        lazy = on_disk.stretch(opened, "samples", 100, 8000)
    assert isinstance(whole, np.ndarray) and isinstance(lazy, OnDisk)
    assert lazy.shape == whole.shape == (7900, 32) and lazy.dtype == whole.dtype
    np.testing.assert_array_equal(np.asarray(lazy[50:5000]), whole[50:5000])


def test_a_recording_that_changes_while_it_is_read_is_refused(
    session: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(on_disk, "LARGE", 1 << 10)
    with Session(session) as opened:
        lazy = on_disk.stretch(opened, "samples", 0, 8000)
    session.write_bytes(session.read_bytes() + b"\0")
    with pytest.raises(RecordingError, match="changed while it was read"):
        np.asarray(lazy)


def test_a_session_is_read_and_run_alike_from_disk(
    session: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    b = Builder(32, Fraction(2000))
    b.add(g.Unfold1d, "unfold", frames=40, frames_per_output=40, lag=0)
    weight = np.random.default_rng(0).normal(size=(1, 99, 1, 40 * 32)) / 40
    b.add(g.Dense, "dense", weight=weight, bias=np.zeros((1, 99)))
    real = g.verify(g.Graph("small", b.tensors, tuple(b.ops), {"task": "typing", "bits": {}}))
    x = np.random.default_rng(1).normal(size=(4000, 32))
    graph = quantize(real, observe(real, [x]), "w8a16")
    found = {}
    for large in (on_disk.LARGE, 1 << 10):
        monkeypatch.setattr(on_disk, "LARGE", large)
        (part,) = tasks.of(graph).parts(graph, session)
        found[large] = evaluate.integer_words(graph, [part.signal])[0], part.target
        assert isinstance(part.samples, OnDisk) == (large == 1 << 10)
    (first, target), (second, other) = found.values()
    np.testing.assert_array_equal(first, second)
    assert target == other


# --- scores ---------------------------------------------------------------------------------------


def test_poses_are_scored_piece_by_piece_as_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    rng, joints = np.random.default_rng(0), 20
    frames, targets = rng.normal(size=(25, joints)), rng.normal(size=(1000, joints))
    mask = rng.random(1000) < 0.9
    hand = scores_hand()

    def measured(predictions: Any, angles: Any) -> tuple[Any, ...]:
        parts = [scores.stretch(predictions, angles, mask)]
        found = scores.score(parts, 2000.0, hand).to_json()
        flat = [*found.pop("finger_mae_deg").values(), *found.pop("group_mae_deg").values()]
        return (
            *found.values(),
            *flat,
            *scores.mae_interval(parts, 2000.0),
            *np.concatenate(scores.run_sums(parts[0], 2000.0, 0.03)),
        )

    at_once = measured(scores.align(frames, 1000), targets)
    monkeypatch.setattr(scores, "BLOCK", 80)
    lazy = stays_on_disk(lambda a, b: targets[a:b], targets.shape, np.float64)
    predictions = scores.align(frames, 1000)
    assert isinstance(predictions, OnDisk)
    np.testing.assert_array_equal(
        np.asarray(predictions[100:300]), scores.resample(frames, 1000)[100:300]
    )
    np.testing.assert_allclose(measured(predictions, lazy), at_once, rtol=1e-12)
    guesses = [np.zeros((1, joints))]
    assert scores.mean_error([lazy], [mask], guesses) == pytest.approx(
        float(np.degrees(np.abs(targets))[mask].mean())
    )


def scores_hand() -> Any:
    from compress.tasks.pose.kinematics import load_hand

    return load_hand(None)


def test_an_interval_is_drawn_in_parts_as_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    errors, amounts = [rng.random(333)], [np.full(333, 25.0)]
    expected = statistics.resampled(errors, amounts, 1.0)
    monkeypatch.setattr(statistics, "AT_ONCE", 1000)
    assert statistics.resampled(errors, amounts, 1.0) == expected


# --- arrays and recordings of one's own -----------------------------------------------------------


@pytest.fixture
def long_when_small(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is more than a few KiB stays on disk; not much more is read at once."""
    for module in (on_disk, array_file):
        monkeypatch.setattr(module, "LARGE", 1 << 12)
    monkeypatch.setattr(arrays, "PIECE", 1 << 14)
    monkeypatch.setattr(own_file, "PIECE", 1 << 14)


def saved(path: Path, content: dict[str, np.ndarray], packed: bool) -> Path:
    if path.suffix == ".npz":
        (np.savez_compressed if packed else np.savez)(path, **content)
    else:
        with h5py.File(path, "w") as file:
            for name, array in content.items():
                more = {"compression": "gzip"} if packed and array.ndim else {}
                file.create_dataset(name, data=array, **more)
    return path


def own(samples: int) -> dict[str, np.ndarray]:
    emg = noise(samples)
    label = np.repeat(np.arange(-1, 3), -(-samples // 4))[:samples]
    return {"emg": emg, "rate": np.float64(500), "label": label, "time": np.arange(samples) / 500}


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", ["<f4", ">f8", "<i2"])
def test_a_long_array_stays_on_disk_and_gives_the_same_words(
    made, long_when_small: None, tmp_path: Path, dtype: str, order: Any
) -> None:
    array = np.asarray(noise(3000).T * 100, dtype, order=order)
    np.save(tmp_path / "x.npy", array)
    (part,) = tasks.of(made[1]).inputs(made[1], tmp_path / "x.npy")
    assert isinstance(part.samples, OnDisk) and part.samples.shape == (3000, ELECTRODES)
    np.testing.assert_array_equal(np.asarray(part.samples), array.T.astype(np.float32))
    expected = evaluate.integer_words(made[1], [Signal(array.T.astype(np.float32))])
    np.testing.assert_array_equal(evaluate.integer_words(made[1], [part.signal]), expected)


@pytest.mark.parametrize("order", ["C", "F"])
def test_the_first_sample_that_is_no_number_is_named_wherever_it_lies(
    made, long_when_small: None, tmp_path: Path, order: Any
) -> None:
    array = np.asarray(noise(3000).T, order=order)
    array[2, 7] = array[1, 2900] = np.nan
    np.save(tmp_path / "x.npy", array)
    with pytest.raises(RecordingError, match=r"found 2 that are not, the first at \(1, 2900\)"):
        tasks.of(made[1]).inputs(made[1], tmp_path / "x.npy")


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("name", ["a.npz", "a.h5"])
def test_a_long_recording_of_ones_own_is_read_run_and_scored_alike_from_disk(
    made, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, packed: bool
) -> None:
    path, task, found = saved(tmp_path / name, own(6000), packed), tasks.of(made[1]), {}
    for large in (on_disk.LARGE, 1 << 12):
        monkeypatch.setattr(on_disk, "LARGE", large)
        (part,) = task.parts(made[1], path)
        assert isinstance(part.samples, OnDisk) == (large == 1 << 12)
        assert isinstance(part.target, OnDisk) == (large == 1 << 12)
        frames = HeldOut([part]).integer_frames(made[1])
        found[large] = (
            task.error(made[1], frames, [part]),
            task.amount([part]),
            task.trivial(made[1], [part], [path]),
            task.details(made[1], frames, [part]),
        )
    first, second = found.values()
    assert first == second and first[0]


def test_a_recording_of_ones_own_that_changes_while_it_is_read_is_refused(
    made, long_when_small: None, tmp_path: Path
) -> None:
    path = saved(tmp_path / "a.npz", own(3000), packed=False)
    (part,) = tasks.of(made[1]).parts(made[1], path)
    with path.open("r+b") as file:
        file.truncate(2000)
    with pytest.raises(RecordingError, match="changed while it was read"):
        np.asarray(part.samples)


def run(graph: g.Graph, path: Path) -> None:
    (part,) = tasks.of(graph).inputs(graph, path)
    evaluate.integer_words(graph, [part.signal])


@pytest.mark.parametrize("name", ["a.npy", "a.npz", "packed.npz", "a.h5"])
def test_no_more_of_a_long_file_is_held_than_of_a_short_one(
    made, long_when_small: None, tmp_path: Path, name: str
) -> None:
    found = []
    for samples in (200_000, 1_000_000):
        path = tmp_path / f"{samples}-{name}"
        content = {"emg": np.zeros((samples, ELECTRODES), np.float32), "rate": np.float64(500)}
        if path.suffix == ".npy":
            np.save(path, content["emg"].T)
        else:
            saved(path, content, packed="packed" in name)
        found.append(peak(lambda path=path: run(made[1], path)))
    outputs = 800_000 // 5 * 3 * 2
    assert found[1] < 1.1 * found[0] + 1.2 * outputs

"""A calibration that cannot calibrate: what is wrong with it is said by name wherever it is used,
and clipped by one rule or refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.tendon import main as tendon
from compress import graph as g
from compress import pipeline
from compress.artifacts import Folder, Sources, checkpoint_for
from compress.data import datasets
from compress.data.overlap import OfSamples, Windows
from compress.errors import GraphError, RecordingError
from compress.frontend.own import named
from compress.quantization.calibrate import observe
from compress.quantization.level import examine
from compress.quantization.quantize import quantize
from compress.quantization.signals import Calibration, refuse_shared, unlike
from compress.tasks.classes.task import Classes
from compress.tasks.stretches import least_samples
from tests import recording_files
from tests.compress import test_session
from tests.compress.test_classes import ELECTRODES, RATE, network

NET = """
from torch import nn

SAMPLE_RATE, ELECTRODES, TASK = 500, 4, "classes"


def network():
    layers = nn.Conv1d(4, 6, 5, stride=5), nn.BatchNorm1d(6), nn.ReLU(), nn.Conv1d(6, 3, 1)
    return nn.Sequential(*layers)
"""


def noise(samples: int = 4000, electrodes: int = ELECTRODES, seed: int = 0) -> np.ndarray:
    """As muscle gives it: a level that comes and goes."""
    rng = np.random.default_rng(seed)
    swell = 0.2 + np.abs(np.sin(np.arange(samples) / 300 + rng.uniform(0, 6)))[:, None]
    return (rng.normal(size=(samples, electrodes)) * swell).astype(np.float32)


def changed(place: Any, value: Any) -> np.ndarray:
    found = noise()
    found[place] = value
    return found


# --- the rule -------------------------------------------------------------------------------------


def test_a_signal_is_left_as_it_is() -> None:
    for samples in (noise(), np.round(10 * noise()), noise(100), noise() * np.float32(1e-6)):
        level = examine(samples, RATE)
        assert level.samples is samples and not level.findings


@pytest.mark.parametrize(("rest", "said"), [(1e-2, 0), (3e-4, 1)])
def test_a_rest_before_a_contraction_is_no_reason_to_clip_it(rest: float, said: int) -> None:
    samples = noise(40_000)
    samples[:38_500] *= rest
    level = examine(samples, RATE)
    assert level.samples is samples and len(level.findings) == said
    assert all("for too long to be a glitch" in words for words in level.findings)


RAIL = np.s_[1000:2500, 1]


@pytest.mark.parametrize(
    ("place", "value", "says"),
    [
        ((7, 1), 3e38, "sample 7 (0.0140 s), electrode 1, is 3e+38"),
        ((7, 1), -4000, "sample 7 (0.0140 s), electrode 1, is -4000"),
        (np.s_[7, :], 5000, "3 samples of electrode 0, electrode 1, electrode 2"),
        (np.s_[7:9, 1], [1e4, 1e30], "2 samples of electrode 1"),
        (RAIL, 1e5, "1,500 samples of electrode 1"),
        (np.s_[1000:1500, :], 1e5, "1,500 samples of electrode 0"),
    ],
)
def test_a_glitch_is_clipped_to_what_the_rest_of_its_electrode_reaches(place, value, says) -> None:
    level = examine(changed(place, value), RATE)
    mask = np.zeros(level.samples.shape, bool)
    mask[place] = True
    clean = np.where(mask, 0, noise())
    assert np.array_equal(level.samples[~mask], clean[~mask])
    most = np.abs(clean).max(0)
    assert (np.abs(level.samples) <= most).all()
    assert says in level.findings[0] and "clipped to that" in level.findings[0]


def test_what_rings_behind_a_glitch_is_clipped_too_though_it_leaves_no_gap() -> None:
    time = np.arange(150)
    samples = noise()
    samples[1000:1150, 0] += 1e7 * np.exp(-time / 20) * np.cos(time)
    level = examine(samples, RATE)
    assert np.abs(level.samples).max() < 1e4 and "electrode 0" in level.findings[0]


def test_an_electrode_at_a_rail_all_the_time_does_not_set_the_range() -> None:
    level = examine(changed(np.s_[:, 2], 1e6), RATE)
    assert np.abs(level.samples).max() == np.abs(noise()[:, :2]).max()
    assert any("electrode 2" in words and "no contact" in words for words in level.findings)


def test_a_damaged_word_in_a_dead_electrode_is_clipped() -> None:
    samples = changed(np.s_[:, 2], 0)
    samples[50, 2] = 1e9
    level = examine(samples, RATE)
    assert np.abs(level.samples).max() == np.abs(noise()[:, :2]).max()


@pytest.mark.parametrize("value", [0, 3.5])
def test_dead_electrodes_are_named(value: float) -> None:
    level = examine(changed(np.s_[:, [0, 2]], value), RATE)
    (words,) = level.findings
    assert words.startswith(f"electrode 0, electrode 2: {value:g} in nearly all of 4,000 samples")


@pytest.mark.parametrize("value", [0, 3.5, [1, 2, 3]])
def test_silence_is_refused(value: Any) -> None:
    with pytest.raises(RecordingError, match=r"silence: .* in all of 4,000 samples \(8 s\)"):
        examine(changed(np.s_[:], value), RATE)


def test_silence_with_one_damaged_word_is_silence() -> None:
    samples = changed(np.s_[:], 0)
    samples[50, 2] = 1e9
    with pytest.raises(RecordingError, match=r"silence: 0 in all of 4,000 samples .* but 1"):
        examine(samples, RATE)


def test_an_electrode_much_louder_than_the_others_is_said_and_refused_where_it_drowns_them() -> (
    None
):
    (words,) = examine(noise() * np.float32([1, 3000, 1]), RATE).findings
    assert words.startswith("electrode 1: more than 1,000 times louder")
    with pytest.raises(
        RecordingError, match=r"electrode 1, is .* would round the others to nothing"
    ):
        examine(noise() * np.float32([1, 1e6, 1]), RATE)


def test_an_offset_far_above_the_signal_is_said() -> None:
    (words,) = examine(noise() + np.float32(1000), RATE).findings
    assert words.startswith("samples have an offset of 999.99")


@pytest.mark.parametrize("factor", [1e-42, 1e-38, 2e-35])
def test_values_whose_steps_float32_does_not_have_are_refused(factor: float) -> None:
    with pytest.raises(RecordingError, match=r"largest sample.* is .* in size: expected 3e-34 to"):
        examine((noise() * factor).astype(np.float32), RATE)


def test_a_signal_from_rail_to_rail_of_float32_is_refused() -> None:
    rail = np.where(np.arange(4000) % 2, 3e38, -3e38).astype(np.float32)[:, None]
    with pytest.raises(RecordingError, match=r"sample 0 \(0\.0000 s\), electrode 0, is 3e\+38"):
        examine(np.repeat(rail, ELECTRODES, 1), RATE)


@pytest.mark.filterwarnings("error::RuntimeWarning")
@pytest.mark.parametrize("factor", [1e-30, 1e-6, 1e19, 1e37, 4e37])
def test_values_that_float32_holds_are_looked_at_without_an_overflow(factor: float) -> None:
    samples = noise() * np.float32(factor)
    level = examine(samples, RATE)
    assert level.samples is samples and not level.findings


# --- the network's own word -----------------------------------------------------------------------


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file with a network with a batch norm, and three recordings in its level."""
    monkeypatch.setattr(named, "those", {})
    (tmp_path / "net.py").write_text(NET)
    for seed, name in enumerate("abc"):
        put(tmp_path, name, 3 * noise(electrodes=4, seed=seed))
    return tmp_path


def put(folder: Path, name: str, emg: np.ndarray) -> Path:
    (folder / "data").mkdir(exist_ok=True)
    label = np.arange(len(emg)) // 100 % 3
    np.savez(folder / "data" / f"{name}.npz", emg=emg, rate=RATE, label=label)
    return folder / "data" / f"{name}.npz"


def graph_of(own: Path) -> g.Graph:
    folder = Folder(own / "build", "net", "w8a16", network=named.named(str(own / "net.py")))
    return pipeline.load_float("net", checkpoint_for(folder, Sources()))


@pytest.mark.parametrize(("unit", "word"), [(1e-6, "smaller"), (1.0, ""), (1e6, "larger")])
def test_samples_in_another_unit_than_in_training_are_told_by_a_batch_norm(
    own: Path, unit: float, word: str
) -> None:
    graph, path = graph_of(own), put(own, "a", noise(electrodes=4) * np.float32(unit))
    found = unlike(graph, observe(graph, Calibration(graph, [path])), [path])
    assert len(found) == bool(word)
    assert all("a.npz: the level is" in w and f"times {word} than in training" in w for w in found)


def test_a_network_that_says_the_same_whatever_it_gets_is_told(tmp_path: Path) -> None:
    graph = network("classes", 3)
    graph.ops[-1].bias[:] = 1.0  # type: ignore[attr-defined]
    path = tmp_path / "a.npy"
    np.save(path, noise().T * np.float32(1e-9))
    found = unlike(graph, observe(graph, Calibration(graph, [path])), [path])
    assert "every output of own is the same" in found[0] and str(path) in found[0]


def test_where_a_norm_says_so_too_it_is_refused(own: Path) -> None:
    graph, path = graph_of(own), put(own, "a", noise(electrodes=4) * np.float32(1e-20))
    with pytest.raises(
        RecordingError, match=r"a\.npz: the level is .* smaller .* is the same from"
    ):
        unlike(graph, observe(graph, Calibration(graph, [path])), [path])


def test_one_output_alone_is_not_the_same_from_beginning_to_end(tmp_path: Path) -> None:
    graph = network("classes", 3)
    ranges = observe(graph, [noise(graph.samples_per_step)])
    assert ranges.spreads[graph.output.name].frames == 1
    assert not unlike(graph, ranges, [tmp_path])


# --- what both are compared on --------------------------------------------------------------------


@pytest.mark.filterwarnings("error::RuntimeWarning")
@pytest.mark.parametrize("glitch", [60.0, 3e38])
def test_a_signal_that_calibrates_is_compared_as_it_was_clipped(own: Path, glitch: float) -> None:
    emg = noise(electrodes=4)
    emg[77, 2] = glitch
    compared(own, emg)


@pytest.mark.filterwarnings("error::RuntimeWarning")
def test_a_signal_near_the_end_of_float32_is_compared_without_an_overflow(own: Path) -> None:
    compared(own, noise(electrodes=4) * np.float32(4e37))


def compared(own: Path, emg: np.ndarray) -> None:
    """Quantize on a signal alone, and find both networks alike on it."""
    np.save(own / "x.npy", emg.T)
    options = ["--model", str(own / "net.py"), "--build", str(own / "build")]
    assert tendon(["quantize", *options, "--calibration", str(own / "x.npy")]) == 0
    report = pipeline.read_report(Folder(own / "build", "net", "w8a16"))
    assert report["sqnr_db"] > 40


@pytest.mark.filterwarnings("error::RuntimeWarning")
def test_a_glitch_in_what_is_held_out_reaches_neither_network(
    own: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    emg = 3 * noise(electrodes=4, seed=2)
    emg[77, 2] = 3e38
    put(own, "c", emg)
    assert run(tendon, own, "quantize") == 0
    said = capsys.readouterr().err
    assert said.count("c.npz: holds samples more than 10 times beyond the") == 1
    assert pipeline.read_report(Folder(own / "build", "net", "w8a16"))["sqnr_db"] > 40


def test_samples_of_a_graph_saturate_however_large(own: Path) -> None:
    graph = network("classes", 3)
    scaled = graph.input.scaled(1e-3)
    samples = np.array([[3e38, -3e38, 1.0]], np.float32)
    with np.errstate(all="raise"):
        assert scaled.integers(samples).tolist() == [[32767, -32768, 1000]]


@pytest.mark.parametrize("scale", [1e-40, 2e34])
def test_a_graph_whose_input_has_no_steps_in_float32_is_refused(own: Path, scale: float) -> None:
    graph = network("classes", 3)
    integer = quantize(graph, observe(graph, [noise()]), "w8a16")
    tensors = integer.tensors | {integer.input.name: integer.input.scaled(scale)}
    with pytest.raises(GraphError, match="expected some whose steps are numbers of float32"):
        g.verify(replace(integer, tensors=tensors))


# --- too little -----------------------------------------------------------------------------------


def test_a_false_start_is_refused_with_its_length_and_why_it_was_taken(tmp_path: Path) -> None:
    graph = network("classes", 3, history=3, lag=2)
    for name, length in (("a", least_samples(graph) - 1), ("b", 4000)):
        put(tmp_path, name, noise(length))
    found = datasets.find(tmp_path / "data", tmp_path, Classes().collection)
    with pytest.raises(RecordingError) as error:
        list(Calibration(graph, found.calibration, found.why))
    least = least_samples(graph)
    assert f"a.npz: expected at least the {least} samples" in str(error.value)
    assert f"found {least - 1}" in str(error.value)
    assert "it calibrates: the first session by name in" in str(error.value)


def test_what_is_just_long_enough_calibrates_and_is_said_to_be_short(tmp_path: Path) -> None:
    graph = network("classes", 3, history=3, lag=2)
    calibration = Calibration(graph, [put(tmp_path, "a", noise(least_samples(graph)))])
    assert len(list(calibration)) == 1
    assert any("signal behind the first output" in words for words in calibration.findings)


def test_of_several_recordings_those_that_can_calibrate(tmp_path: Path) -> None:
    graph = network("classes", 3)
    paths = [put(tmp_path, "a", 0 * noise()), put(tmp_path, "b", noise())]
    calibration = Calibration(graph, paths)
    (signal,) = calibration
    np.testing.assert_array_equal(signal.samples, noise())
    assert "a.npz: silence" in calibration.findings[0] and "left out" in calibration.findings[0]
    with pytest.raises(RecordingError, match="silence"):
        list(Calibration(graph, paths[:1]))


def test_a_session_of_typing_shorter_than_a_step_is_refused_by_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    attributes = test_session.attributes() | {"keystrokes": "[]", "prompts": "[]"}
    for name, rows in (("a", 50), ("b", 9000)):
        path = tmp_path / "data" / f"{name}.hdf5"
        path.parent.mkdir(exist_ok=True)
        recording_files.write(path, test_session.GROUP, test_session.rows(rows), attributes)
    options = ["--data", str(tmp_path / "data"), "--build", str(tmp_path / "build")]
    assert tendon(["quantize", *options]) == 1
    said = capsys.readouterr().err
    assert "a.hdf5: expected at least the 96 samples (0.048 s)" in said and "found 50" in said
    assert "it calibrates: the first" in said


# --- what is scored -------------------------------------------------------------------------------


@pytest.mark.parametrize("cut", [np.s_[:], np.s_[500:], np.s_[333:2000], np.s_[:900]])
def test_the_same_samples_are_found_under_another_name(tmp_path: Path, cut: slice) -> None:
    graph, emg = network("classes", 3), noise(6000)
    a = put(tmp_path, "a", emg)
    np.savez_compressed(tmp_path / "data" / "b.npz", emg=emg[cut], rate=RATE)
    for both in ((a, tmp_path / "data" / "b.npz"), (tmp_path / "data" / "b.npz", a)):
        with pytest.raises(RecordingError, match=r"is held out, and its samples from .* which cal"):
            refuse_shared(graph, [both[0]], [both[1]])


def test_others_are_not_nor_is_silence(tmp_path: Path) -> None:
    graph = network("classes", 3)
    rest = np.zeros((3000, ELECTRODES), np.float32)
    a = put(tmp_path, "a", np.concatenate([rest, noise(seed=1)]))
    b = put(tmp_path, "b", np.concatenate([rest, noise(seed=2)]))
    refuse_shared(graph, [a], [b])


def test_whole_numbers_that_repeat_are_not_the_same_samples() -> None:
    rng = np.random.default_rng(0)
    first, other = (rng.integers(-1, 2, (20_000, 1)).astype(np.float32) for _ in range(2))
    assert Windows([first]).find(OfSamples(other)) is None
    other[8000:12_000] = first[:4000]
    assert Windows([first]).find(OfSamples(other)) is not None


def test_held_out_sessions_in_another_unit_are_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    a, b = put(tmp_path, "a", noise()), put(tmp_path, "b", 1000 * noise(seed=1))
    refuse_shared(network("classes", 3), [a], [b])
    assert "b.npz: is held out, and its level is" in capsys.readouterr().err


# --- by every command -----------------------------------------------------------------------------


def run(main: Any, own: Path, *words: str) -> int:
    options = ["--model", str(own / "net.py"), "--build", str(own / "build")]
    return int(main([*words, *options, "--data", str(own / "data")]))


def test_a_glitch_is_said_by_every_command_and_costs_nothing(
    own: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from compress.report import said

    emg = 3 * noise(electrodes=4)
    emg[77, 2] = 3e38
    put(own, "a", emg)
    for main, words in (
        (tendon, ["export"]),
        (tendon, ["quantize"]),
        (tendon, ["firmware", "--board", "posix"]),  # the graph is there by now
    ):
        said.once.cache_clear()
        assert run(main, own, *words) == 0
        found = capsys.readouterr().err
        assert "a.npz: 1 sample is far beyond" in found and "electrode 2, is 3e+38" in found
    graph = g.load(own / "build" / "net" / "w8a16" / "graph.npz")
    assert "electrode 2, is 3e+38" in graph.provenance["findings"][0]
    assert graph.input.scale * 2**15 < 2 * np.abs(emg[emg < 1e9]).max()
    report = pipeline.read_report(Folder(own / "build", "net", "w8a16"))
    assert report["calibration_findings"] == graph.provenance["findings"]
    assert abs(report["metric"]["quantized"] - report["metric"]["float"]) < 1.0


@pytest.mark.parametrize("command", [(tendon, "export"), (tendon, "quantize")])
def test_a_copy_that_is_held_out_is_refused_by_every_command(
    own: Path, command: tuple[Any, str], capsys: pytest.CaptureFixture[str]
) -> None:
    np.savez_compressed(own / "data" / "b.npz", **np.load(own / "data" / "a.npz"))
    assert run(command[0], own, command[1]) == 1
    assert "b.npz: is held out, and its samples from 0 s on are those of" in capsys.readouterr().err
    assert not (own / "build" / "net" / "w8a16" / "graph.npz").exists()


def test_what_calibration_names_must_not_be_scored(own: Path) -> None:
    folder = Folder(own / "build", "net", "w8a16", network=named.named(str(own / "net.py")))
    data, graph = own / "data", graph_of(own)
    found = pipeline.dataset_of(folder, graph, Sources(data=data, calibration=data / "a.npz"))
    assert found.calibration == [data / "a.npz"] and found.why == pipeline.GIVEN
    with pytest.raises(RecordingError, match="CALIBRATION= names it"):
        pipeline.dataset_of(folder, graph, Sources(data=data, calibration=data / "b.npz"))

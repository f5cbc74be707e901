"""Recordings whose time stamps are not those of an unbroken clock in seconds: gaps, another unit or
beginning, another rate, stamps that jump, stand still or run backwards, and ordinary jitter."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from bench.hil import measurement
from bench.tendon import main as tendon
from compress import evaluate, pipeline, scoring, tasks
from compress import graph as g
from compress.artifacts import Folder
from compress.data import datasets, own_recording
from compress.data.clock import Segment
from compress.errors import RecordingError
from compress.files import write_json
from compress.frontend import checkpoint
from compress.frontend.families import build
from compress.graph.samples import Signal
from compress.quantization.calibrate import observe
from compress.quantization.quantize import quantize
from compress.report import said
from compress.tasks.pose import training_set as pose_set
from compress.tasks.pose.session import PoseSession
from compress.tasks.typing import charset
from compress.tasks.typing import training_set as typing_set
from compress.tasks.typing.session import Session
from host import engines, frame_parts
from host.engines import Artifacts
from tests import toy
from tests.compress import test_pose_session, test_session
from tests.compress.test_classes import ELECTRODES, RATE, network
from tests.compress.test_pose_networks import tiny
from tests.regressions import small_network

HZ, EPOCH = 2000, 1.6e9


def test_a_segment_is_read_in_blocks_of_any_size() -> None:
    segment = Segment(Path("a"), 150, 400)
    assert list(segment.blocks(100)) == [(150, 250), (250, 350), (350, 400)]
    assert len(segment) == 250 and segment.first(10) == Segment(Path("a"), 150, 160)


# --- sessions of typing ---------------------------------------------------------------------------

KEYS = [(0.5, "a"), (1.5, "b"), (2.5, "c"), (3.5, "d"), (4.4, "e")]  # of nine thousand samples


def session(
    path: Path,
    change: Callable[[np.ndarray], None] = lambda time: None,
    keys: Callable[[float], float] = lambda start: start,
) -> Path:
    """A session of 4.5 s; `change` what its time stamps are, `keys` when keys went down."""
    table = test_session.rows()
    change(table["time"])
    typed = [{"key": k, "start": keys(EPOCH + at), "ascii": 0} for at, k in KEYS]
    return test_session.write(path, table, keystrokes=json.dumps(typed), prompts="[]")


def a_gap(time: np.ndarray) -> None:
    """Five seconds are lost after two."""
    time[4000:] += 5.0


def behind_the_gap(start: float) -> float:
    return start if start < EPOCH + 2.0 else start + 5.0


@pytest.fixture
def heard(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is said beside results."""
    lines: list[str] = []
    for module in ("compress.data.recording_file", "compress.data.own_recording"):
        monkeypatch.setattr(f"{module}.once", lines.append)
    monkeypatch.setattr("compress.tasks.stretches.once", lines.append)
    return lines


def test_text_is_that_between_the_stamps_of_the_first_and_the_last_sample(tmp_path: Path) -> None:
    with Session(session(tmp_path / "a.hdf5", a_gap, behind_the_gap)) as read:
        assert [(s.start, s.stop) for s in read.segments] == [(0, 4000), (4000, 9000)]
        assert [read.text(s.start, s.stop) for s in read.segments] == ["ab", "cde"]
        assert read.text() == "abcde" and read.text(4000, 6000) == "c"
        keys = read.keys(4000, 9000)
        assert [k for _, k in keys] == ["c", "d", "e"]
        assert [at for at, _ in keys] == pytest.approx([1000, 3000, 4800], abs=0.01)


def test_a_slow_clock_does_not_shift_the_text(tmp_path: Path, heard: list[str]) -> None:
    """Keys and samples by one clock, 1 % off: what is typed at a sample stays there."""

    def slow(time: np.ndarray) -> None:
        time[:] = EPOCH + 1.01 * (time - EPOCH)

    path = session(tmp_path / "a.hdf5", slow, lambda start: EPOCH + 1.01 * (start - EPOCH))
    with Session(path) as read:
        read.check()
        assert read.text(0, 7200) == "abcd" and len(heard) == 1
        assert "1980.2 samples per second, -0.99 % off 2000" in heard[0]
        assert read.keys()[-1][0] == pytest.approx(8800, abs=0.1)


def test_a_gap_is_said_with_its_place_and_size_and_what_was_typed_in_it(
    tmp_path: Path, heard: list[str]
) -> None:
    path = session(tmp_path / "a.hdf5", a_gap)  # c, d and e by the true time: in the gap
    with Session(path) as read:
        read.check()
    assert heard == [
        f"warning: {path}: a gap of 5.000 s before sample 4000 (2.000 s on); each part is a stream"
        " of its own",
        f"warning: {path}: 3 of 5 keystrokes lie in gaps: they count nowhere",
    ]


def milliseconds(time: np.ndarray) -> None:
    time *= 1000


def from_zero(time: np.ndarray) -> None:
    time -= time[0]


def faster(time: np.ndarray) -> None:
    time[:] = EPOCH + (time - EPOCH) / 2


def stands_still(time: np.ndarray) -> None:
    time[:] = time[0]


def set_back(time: np.ndarray) -> None:
    time[4000:] -= 1.0


REFUSED: dict[str, tuple[Any, Any, str]] = {
    "milliseconds": (milliseconds, lambda t: t, r"0\.0005 a sample .*found 0\.5 .*milliseconds"),
    "both in milliseconds": (milliseconds, lambda t: t * 1000, "found 0.5 a sample"),
    "from zero": (from_zero, lambda t: t, r"keystrokes within the recorded time, 0\.000 to 4\.5"),
    "keys in milliseconds": (lambda t: None, lambda t: t * 1000, "as if they count milliseconds"),
    "keys of another day": (lambda t: None, lambda t: t + 86400, "from different moments"),
    "another rate": (faster, lambda t: t, "expected 2000 samples per second, found 4000"),
    "no time": (stands_still, lambda t: t, "9000 stamps that stand still"),
    "set back": (set_back, lambda t: t, "runs backwards, found .* at sample 4000"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_session_whose_text_would_be_wrong_is_refused_by_name(case: str, tmp_path: Path) -> None:
    change, keys, reason = REFUSED[case]
    path = session(tmp_path / "a.hdf5", change, keys)
    with Session(path) as read, pytest.raises(RecordingError, match=reason) as refusal:
        read.check()
    assert str(path) in str(refusal.value) and "; " in str(refusal.value)


@pytest.mark.parametrize("case", ["milliseconds", "from zero", "another rate", "no time"])
def test_a_glance_at_a_session_tells_as_much(case: str, tmp_path: Path) -> None:
    change, keys, reason = REFUSED[case]
    with pytest.raises(RecordingError, match=reason):
        tasks.named("typing").look(session(tmp_path / "a.hdf5", change, keys))


@pytest.mark.parametrize("case", ["milliseconds", "from zero", "keys of another day", "no time"])
def test_where_no_label_counts_it_is_said_and_not_refused(
    case: str, tmp_path: Path, heard: list[str]
) -> None:
    change, keys, _ = REFUSED[case]
    path = session(tmp_path / "a.hdf5", change, keys)
    with Session(path) as read:
        read.check(labels=False)
    assert heard and all(line.startswith(f"warning: {path}: ") for line in heard)


def test_a_part_that_was_cut_out_of_a_session_keeps_its_keys(
    tmp_path: Path, heard: list[str]
) -> None:
    """Attributes are those of the whole session."""
    path = session(tmp_path / "a.hdf5", keys=lambda start: start - 1.0)
    with Session(path) as read:
        read.check()
        assert read.text() == "bcde"
    assert len(heard) == 1 and "1 of 5 keystrokes does not lie within the recorded time" in heard[0]


def test_windows_of_training_do_not_span_a_gap(tmp_path: Path) -> None:
    path = session(tmp_path / "a.hdf5", a_gap, behind_the_gap)
    parts = typing_set.load([path], 4)
    assert [len(part.frames) for part in parts] == [1000, 1250]
    assert [list(part.onsets) for part in parts] == [[250, 750], [250, 750, 1200]]
    assert [part.name for part in parts] == ["a.hdf5", "a.hdf5, sample 4000 on"]


# --- poses ----------------------------------------------------------------------------------------


def pose_session(path: Path, change: Callable[[np.ndarray], None]) -> Path:
    table = test_pose_session.rows()
    change(table["time"])
    return test_pose_session.write(path, table)


@pytest.fixture(scope="module")
def tracking(tmp_path_factory: pytest.TempPathFactory) -> g.Graph:
    """A small network in a closed loop."""
    path = tmp_path_factory.mktemp("tracking") / "mine.ckpt"
    torch.manual_seed(0)
    checkpoint.save(path, build(tiny()), tiny())
    return pipeline.load_float("mine", path)


def test_a_closed_loop_begins_again_at_the_pose_known_behind_a_gap(
    tracking: g.Graph, tmp_path: Path
) -> None:
    path = pose_session(tmp_path / "a.hdf5", a_gap)
    parts = tasks.of(tracking).parts(tracking, path)
    angles = test_pose_session.rows()["joint_angles"].astype(np.float32)
    assert [part.start for part in parts] == [0, 4000] and tracking.initial
    for part in parts:
        np.testing.assert_array_equal(part.target.angles[0], angles[part.start])
        for begin in (part.signal.initial or {}).values():
            np.testing.assert_array_equal(begin, angles[part.start + tracking.left_context])


def test_poses_with_a_gap_score_as_two_recordings_do(tracking: g.Graph, tmp_path: Path) -> None:
    table = test_pose_session.rows()
    a_gap(table["time"])
    paths = [tmp_path / f"{name}.hdf5" for name in "abc"]
    for path, part in zip(paths, (slice(None), slice(0, 4000), slice(4000, None)), strict=True):
        test_pose_session.write(path, table[part])
    task = tasks.of(tracking)
    whole, apart = (evaluate.read_heldout(tracking, some) for some in (paths[:1], paths[1:]))
    frames = [read.float_frames(tracking) for read in (whole, apart)]
    for a, b in zip(*frames, strict=True):
        np.testing.assert_array_equal(a, b)
    errors = [
        task.error(tracking, found, read.recorded)
        for found, read in zip(frames, (whole, apart), strict=True)
    ]
    assert errors[0] == errors[1] is not None


@pytest.mark.parametrize("change", [milliseconds, from_zero, stands_still])
def test_labels_of_samples_do_not_suffer_from_another_unit(
    change: Callable[[np.ndarray], None], tmp_path: Path
) -> None:
    with PoseSession(pose_session(tmp_path / "a.hdf5", change)) as read:
        read.check()
        assert len(read.segments) == 1


def test_poses_of_another_rate_are_refused(tmp_path: Path) -> None:
    with (
        PoseSession(pose_session(tmp_path / "a.hdf5", faster)) as read,
        pytest.raises(RecordingError, match="expected 2000 samples per second, found 4000"),
    ):
        read.check()


def test_poses_of_which_every_other_is_lost_for_a_while_are_refused(tmp_path: Path) -> None:
    def lossy(time: np.ndarray) -> None:
        time[6000:] += np.arange(len(time) - 6000) / HZ

    with (
        PoseSession(pose_session(tmp_path / "a.hdf5", lossy)) as read,
        pytest.raises(RecordingError, match=r"missing one by one, .*; cut that part out"),
    ):
        read.check()


def test_poses_are_trained_on_stretches_between_gaps(tmp_path: Path) -> None:
    path = pose_session(tmp_path / "a.hdf5", a_gap)
    assert [len(part.emg) for part in pose_set.load([path])] == [4000, 5000]
    assert [len(part.emg) for part in pose_set.load([path], least=4500)] == [5000]


# --- recordings of one's own, and every engine ----------------------------------------------------

SECONDS, CUT = 4, 3 * RATE // 2 + 7  # whole; samples before the gap, no whole number of steps
OUTPUTS = 3


def own(path: Path, rng: np.random.Generator, gap_s: float = 0.0, **more: Any) -> dict[str, Any]:
    emg = rng.normal(size=(SECONDS * RATE, ELECTRODES)).astype(np.float32)
    time = np.arange(len(emg)) / RATE
    time[CUT:] += gap_s
    found = {"emg": emg, "rate": RATE, "label": rng.integers(0, OUTPUTS, len(emg)), "time": time}
    np.savez(path, **found | more)
    return found | more


def test_own_recordings_may_say_when_each_sample_was_taken(
    tmp_path: Path, heard: list[str]
) -> None:
    own(tmp_path / "a.npz", np.random.default_rng(0), 2.0)
    found = own_recording.read(tmp_path / "a.npz")
    assert [(s.start, s.stop) for s in found.segments] == [(0, CUT), (CUT, SECONDS * RATE)]
    assert "a gap of 2.000 s before sample 757" in heard[0]
    np.savez(tmp_path / "b.npz", emg=np.zeros((9, 3)), rate=RATE)
    assert len(own_recording.read(tmp_path / "b.npz").segments) == 1


WRONG = {
    "of another length": (np.arange(5.0), r"time: expected \(2000,\), .*found \(5,\)"),
    "no numbers": (np.full(SECONDS * RATE, b"noon"), "time: expected integers or floats"),
    "of another rate": (np.arange(SECONDS * RATE) / 250, "time: expected 500 .*found 250"),
    "too coarse": (
        (EPOCH + np.arange(SECONDS * RATE) / RATE).astype(np.float32),
        "time: .*float32, which at 1.6e.09 tells no less than 128 s apart",
    ),
    "backwards": (-np.arange(SECONDS * RATE) / RATE, "time: .*runs backwards"),
    "half of it lost": (
        np.cumsum(1 + (np.arange(SECONDS * RATE) >= 1000)) / RATE,
        r"time: from sample (975|1000) to 1975 .* one by one, .*; cut that part out",
    ),
    "no number": (
        np.where(np.arange(SECONDS * RATE) == 70, np.nan, np.arange(SECONDS * RATE) / RATE),
        "time: .*found nan at sample 70 .*; write the time of that sample",
    ),
    "one far off": (
        np.where(np.arange(SECONDS * RATE) == 70, 1e30, np.arange(SECONDS * RATE) / RATE).astype(
            np.float32
        ),
        r"time: .*found 1\.\d+e\+30 at sample 70 .*; write there the time between",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_time_of_ones_own_that_cannot_be_is_refused(case: str, tmp_path: Path) -> None:
    stamps, reason = WRONG[case]
    own(tmp_path / "a.npz", np.random.default_rng(0), time=stamps)
    with pytest.raises(RecordingError, match=reason):
        own_recording.read(tmp_path / "a.npz")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A small network, a held-out recording with a gap, and the same as two recordings."""
    folder = tmp_path_factory.mktemp("gap")
    real = network("classes", OUTPUTS, history=1)
    whole, apart = folder / "whole", folder / "apart"
    for data in (whole, apart):
        data.mkdir()
        own(data / "0.npz", np.random.default_rng(1))
    found = own(whole / "1.npz", np.random.default_rng(2), 2.0)
    for name, part in (("1.npz", slice(0, CUT)), ("2.npz", slice(CUT, None))):
        pieces = {k: found[k][part] for k in ("emg", "label", "time")}
        np.savez(apart / name, rate=RATE, **pieces)
    read = {
        data.name: datasets.find(data, folder, tasks.collection_of(real)) for data in (whole, apart)
    }
    signal = tasks.of(real).read(real, read["whole"].calibration[0]).signal
    integer = quantize(real, observe(real, [signal]), "w8a16")
    artifacts = Artifacts(Folder(folder, "own", "w8a16"), folder / "none.ckpt", real, integer)
    return {"artifacts": artifacts, "folder": folder, "real": real, "integer": integer} | read


def test_a_gap_scores_as_two_recordings_do_by_floats_and_integers(made: dict[str, Any]) -> None:
    reports = [
        scoring.score(made["real"], made["integer"], made[name]) for name in ("whole", "apart")
    ]
    for name in ("metric", "details", "amount", "sqnr_db", "agreement"):
        assert reports[0][name] == reports[1][name]


@pytest.mark.parametrize("engine", ["graph", "onnx", "integer", "native", "onnx-qdq", "litert"])
def test_every_engine_begins_anew_behind_a_gap(engine: str, made: dict[str, Any]) -> None:
    artifacts, task = made["artifacts"], tasks.of(made["real"])

    def frames(signal: Signal) -> np.ndarray:
        if engine in ("graph", "onnx"):
            return engines.infer_float(engine, made["real"], artifacts.checkpoint, signal)
        return engines.infer(engine, artifacts, signal)

    found, expected = (
        [
            frames(part.signal)
            for path in made[name].heldout
            for part in task.inputs(made["real"], path)
        ]
        for name in ("whole", "apart")
    )
    assert len(found) == len(expected) == 2
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_array_equal(a, b)
    assert task.save(io.BytesIO(), made["real"], found)[1] == sum(map(len, found)) - 2


def test_a_board_streams_each_part_from_the_beginning(made: dict[str, Any]) -> None:
    toy.need("gcc", "make")
    artifacts, integer = made["artifacts"], made["integer"]
    reports = []
    for name in ("whole", "apart"):
        report = scoring.score(made["real"], integer, made[name])
        signal = evaluate.read(made["real"], made[name].calibration[0])[0].signal
        layers = {"layers": evaluate.layers(made["real"], integer, signal)}
        write_json(artifacts.folder.quantize_json, report | layers)
        ran = measurement.run(artifacts, made[name], "posix", None, 3.99)
        assert ran.report["valid"] and ran.report["bit_exact"], ran.report["why_invalid"]
        reports.append(ran)
    for a, b in zip(reports[0].words, reports[1].words, strict=True):
        np.testing.assert_array_equal(a, b)
    assert reports[0].report["metric"] == reports[1].report["metric"]
    windows = [(w["start_s"], w["stop_s"]) for w in reports[0].report["recordings"]]
    assert windows == [(0.0, 1.51), (pytest.approx(CUT / RATE), pytest.approx(CUT / RATE + 2.48))]


def test_the_text_of_each_part_is_its_own(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """infer writes the parts one after the other; decode begins each anew, as scoring does."""
    checkpoint.save(tmp_path / "small.ckpt", build(small_network.SMALL), small_network.SMALL)
    path = session(tmp_path / "a.hdf5", a_gap, behind_the_gap)
    out, common = tmp_path / "frames.npy", ["--model", "own", "--engine", "graph"]
    given = ["--checkpoint", str(tmp_path / "small.ckpt"), "--build", str(tmp_path / "build")]
    assert tendon(["infer", *common, *given, "--input", str(path), "--output", str(out)]) == 0
    assert "their parts in frames.npy.parts.json" in capsys.readouterr().out

    real = pipeline.load_float("own", tmp_path / "small.ckpt")
    task = tasks.of(real)
    parts = task.inputs(real, path)
    frames = evaluate.float_frames(real, [part.signal for part in parts])
    assert task.text is not None and len(parts) == 2
    read = [task.text.read(f[real.start_up :]) for f in frames]
    assert tendon(["decode", "--input", str(out), "--decoder", "greedy"]) == 0
    assert capsys.readouterr().out == "".join(
        f"{part.name}: {text}\n" for part, text in zip(parts, read, strict=True)
    )


def test_a_sign_held_over_a_gap_is_read_on_both_sides(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    frames, out = np.eye(charset.BLANK + 1, dtype=np.float32)[[0, 0, 0, 0]], tmp_path / "f.npy"
    np.save(out, frames)
    sign, parts = charset.CHARSET[0], [("x", 3), ("y", 1)]
    for known, text in (([], f"{sign}\n"), (parts, f"x: {sign}\ny: {sign}\n")):
        with out.open("rb") as written:
            frame_parts.write(out, written, known)
        assert tendon(["decode", "--input", str(out), "--decoder", "greedy"]) == 0
        assert capsys.readouterr().out == text


def test_parts_of_other_frames_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    frames, out = np.eye(charset.BLANK + 1, dtype=np.float32)[[0, 1, 2, 3]], tmp_path / "f.npy"
    np.save(out, frames)
    with out.open("rb") as written:
        frame_parts.write(out, written, [("x", 3), ("y", 1)])
    whole = frame_parts.beside(out).read_text()
    np.save(out, frames[::-1])
    for content in (whole, "{}", "[", whole.replace("3", "-3"), whole.replace('"x"', "NaN")):
        frame_parts.beside(out).write_text(content)
        assert tendon(["decode", "--input", str(out)]) == 1
        assert "expected the parts of the 4 frames in f.npy" in capsys.readouterr().err
    frame_parts.beside(out).write_text(whole)
    with out.open("rb") as written:
        frame_parts.write(out, written, [("z", 2)])  # one stream: what was said before is gone
    assert not frame_parts.beside(out).exists()


def test_seconds_are_counted_in_whole_steps_over_all_stretches(
    made: dict[str, Any], heard: list[str]
) -> None:
    """Steps of 5 samples; the first stretch has 757."""
    task, path = tasks.of(made["real"]), made["whole"].heldout[0]
    taken = task.parts(made["real"], path, 3.99)
    assert [(p.start, len(p.samples)) for p in taken] == [(0, 755), (757, 1240)]
    assert len(task.read(made["real"], path).samples) == 1240
    assert "of 2 parts the longest is taken, 2.486 s from sample 757 on" in heard[-1]


def test_a_stretch_too_short_for_a_step_is_left_out_and_said(
    made: dict[str, Any], heard: list[str], tmp_path: Path
) -> None:
    stamps = np.arange(SECONDS * RATE) / RATE
    stamps[3:] += 1.0
    own(tmp_path / "a.npz", np.random.default_rng(0), time=stamps)
    parts = tasks.of(made["real"]).parts(made["real"], tmp_path / "a.npz")
    assert [(p.start, len(p.samples)) for p in parts] == [(3, 1995)]
    assert "1 part is shorter than the 10 samples that a stream needs: left out" in heard[-1]


def test_what_is_said_is_said_once(capsys: pytest.CaptureFixture[str]) -> None:
    said.once.cache_clear()
    for _ in range(3):
        said.once("one line")
    assert capsys.readouterr().err == "one line\n"

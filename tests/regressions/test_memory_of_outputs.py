"""What comes out of a network does not stay in memory either: it is kept on disk where it is long,
and scored, compared, decoded and written some frames at a time."""

from __future__ import annotations

import errno
import gc
import io
import os
import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.hil import assemble
from bench.pareto import jobs
from compress import artifacts, evaluate, tasks
from compress import graph as g
from compress.data import array_file
from compress.errors import TendonError
from compress.files import write_json
from compress.graph import kept, npy, samples
from compress.graph.kept import Kept, joined, scaled
from compress.graph.samples import OnDisk, Signal, blocks, stays_on_disk, to_real, words_of
from compress.interpreter import base
from compress.quantization.calibrate import observe
from compress.quantization.quantize import quantize
from compress.reading import arrays
from compress.tasks import distances, labelled, statistics
from compress.tasks.pose import scores
from compress.tasks.pose.task import Angles
from compress.tasks.recorded import Recorded
from compress.tasks.typing.task import Typed
from export.onnx import float_form
from export.tflite import interpreter, step_file
from host import decoders, native, onnx_engine, tflite_engines
from host.boards import open_process
from host.run import Run
from tests import toy
from tests.compress.test_classes import ELECTRODES, RATE, STEP, network

OUTPUTS = 99
MIB = 1 << 20


@pytest.fixture(autouse=True)
def _little_is_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """More than 64 KiB lie on disk, and little is read at once."""
    monkeypatch.setattr(kept, "LARGE", 1 << 16)
    monkeypatch.setattr(kept, "AT_ONCE", 1 << 14)
    monkeypatch.setattr(samples, "VALUES", 1 << 13)
    for module in (samples, distances, labelled):
        monkeypatch.setattr(module, "BLOCK", 1 << 10)
    monkeypatch.setattr(arrays, "PIECE", 1 << 14)
    monkeypatch.setattr(statistics, "AT_ONCE", 1 << 12)
    monkeypatch.setattr(scores, "BLOCK", 1600)
    monkeypatch.setattr(base, "CHUNK_SAMPLES", 1 << 10)
    monkeypatch.setattr(interpreter, "TOGETHER", 1 << 10)


def peak(work: Callable[[], Any]) -> int:
    """Bytes that were held at once while this was done."""
    gc.collect()
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def grows(work: Callable[[int], Any], short: int, long: int) -> float:
    """By how many bytes the peak grows with each frame, from so many frames to so many."""
    for frames in (short, long):  # what is made once is there
        work(frames)
    return (peak(lambda: work(long)) - peak(lambda: work(short))) / (long - short)


def endless(rows: int, values: int, dtype: Any = np.float32) -> np.ndarray:
    """Any number of rows of which only what is asked for is there."""

    def read(start: int, stop: int) -> np.ndarray:
        at = np.arange(start, stop)[:, None] * np.arange(1, values + 1)
        return (1000 * np.sin(at * 0.37)).astype(dtype)

    return stays_on_disk(read, (rows, values), dtype)


# --- keeping --------------------------------------------------------------------------------------


def test_what_is_kept_on_disk_is_what_was_given() -> None:
    given = np.random.default_rng(0).normal(size=(5000, 7)).astype(np.float32)
    found = Kept(5000, (7,), np.float32)
    for start in range(0, 5000, 333):
        found.append(given[start : start + 333])
        np.testing.assert_array_equal(found.array(), given[: start + 333])
    array = found.array()
    assert isinstance(array, OnDisk) and array.shape == (5000, 7) and array.dtype == np.float32
    np.testing.assert_array_equal(array[100:4000][50:60], given[150:160])
    np.testing.assert_array_equal(np.array(list(array)), given)
    np.testing.assert_array_equal(joined([array, array[:10]]), np.concatenate([given, given[:10]]))
    np.testing.assert_array_equal(scaled(array, 3.0), 3.0 * given)
    assert isinstance(scaled(array, 3.0), OnDisk)
    with pytest.raises(ValueError, match="5001"):
        found.append(given[:1])
    little = Kept(10, (7,), np.float32)
    little.append(given[:10])
    assert isinstance(little.array(), np.ndarray)


def test_many_arrays_share_a_file_which_is_gone_with_the_last_of_them() -> None:
    def opened() -> int:
        gc.collect()
        return len(os.listdir("/proc/self/fd"))

    before, found = opened(), []
    for number in range(50):
        array = Kept(5000, (7,), np.int16)
        array.append(np.full((5000, 7), number, np.int16))
        found.append(array.array())
    assert opened() == before + 1
    assert [int(array[4999:][0, 0]) for array in found] == list(range(50))
    del array, found
    assert opened() == before


def test_no_room_on_disk_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "pwrite", full)
    found = Kept(50_000, (7,), np.int16)
    with pytest.raises(TendonError, match="No space left on device; make room, or set TMPDIR"):
        found.append(np.zeros((50_000, 7), np.int16))


# --- engines --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def made() -> tuple[g.Graph, g.Graph]:
    """A network that gives many values, its floats and its integers."""
    real = network("typing", OUTPUTS)
    noise = np.random.default_rng(0).normal(size=(4000, ELECTRODES)) * 1000
    return real, quantize(real, observe(real, [noise]), "w8a16")


@pytest.mark.parametrize("engine", ["graph", "integer", "native", "onnx", "litert"])
def test_an_engine_keeps_no_frame_in_memory(made: Any, engine: str, tmp_path: Path) -> None:
    real, integer = made
    onnx = onnx_engine.StepModel(float_form.write(real).SerializeToString())
    model = None
    if engine == "native":
        toy.need("gcc")
        model = native.load(integer, tmp_path)
    lite = step_file(integer, variables=False).finish()

    def run(frames: int) -> Any:
        given = endless(frames * STEP, ELECTRODES)
        if engine == "graph":
            return evaluate.float_frames(real, [Signal(given)])[0]
        if engine == "integer":
            return evaluate.integer_words(integer, [Signal(given)])[0]
        if engine == "onnx":
            return onnx.run(given)
        if engine == "litert":
            return tflite_engines.run_litert(lite, words_of(integer, given), "a")
        assert model is not None
        model.reset()
        return model.stream(given)

    found = run(3000)
    assert isinstance(found, OnDisk) and found.shape == (3000, OUTPUTS)
    assert np.asarray(found).any(1).all()
    assert grows(run, 1500, 3000) < 0.1 * OUTPUTS * found.dtype.itemsize


def test_many_signals_keep_no_frame_in_memory(made: Any) -> None:
    def run(frames: int) -> Any:
        signals = [Signal(endless(n * STEP, ELECTRODES)) for n in (frames, 100, frames // 2)]
        return evaluate.integer_words(made[1], signals)

    found = run(3000)
    assert [len(words) for words in found] == [3000, 100, 1500]
    for words in found:
        np.testing.assert_array_equal(np.asarray(words), np.asarray(found[0])[: len(words)])
    assert grows(run, 1500, 3000) < 0.1 * OUTPUTS * 2


def test_the_process_of_tflite_micro_keeps_no_frame(made: Any, tmp_path: Path) -> None:
    pytest.importorskip("tflite_micro")
    model = tmp_path / "a.tflite"
    model.write_bytes(step_file(made[1], variables=False).finish())

    def held(frames: int) -> int:
        """The child's peak in bytes."""
        np.zeros((frames * STEP, ELECTRODES), np.int16).tofile(tmp_path / "samples")
        files = str(tmp_path / "samples"), str(tmp_path / "frames")
        command = [
            sys.executable,
            str(interpreter.PROCESS),
            "run",
            str(model),
            str(1 << 20),
            *files,
        ]
        with subprocess.Popen(command, stdin=subprocess.DEVNULL) as child:
            _, status, used = os.wait4(child.pid, 0)
            child.returncode = os.waitstatus_to_exitcode(status)
        assert not child.returncode
        assert os.path.getsize(tmp_path / "frames") == frames * OUTPUTS * 2
        return used.ru_maxrss * 1024

    assert held(30_000) - held(2_000) < 3 * MIB  # of 6


def test_a_run_on_a_board_keeps_no_frame_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept, "LARGE", 1 << 10)
    long = toy.samples(15, seed=1)
    with open_process(toy.posix_image(), toy.MODEL_HASH, toy.QUICK) as board:
        run = Run(long, snapshot_every=4)
        board.link.handshake()
        found = run.start(board.link).outputs
        assert isinstance(found, OnDisk)
        np.testing.assert_array_equal(found, toy.run(long))


# --- scores ---------------------------------------------------------------------------------------


def target_of(task: str, samples: int) -> Any:
    if task == "typing":
        return Typed("hello world" * 3, [])
    if task == "pose":
        return Angles(endless(samples, 20), np.ones(samples, bool))
    if task == "classes":
        label = stays_on_disk(lambda a, b: np.arange(a, b) // 700 % 4 - 1, (samples,), np.int64)
        return label
    return endless(samples, 3)


@pytest.mark.parametrize("name", ["typing", "pose", "classes", "values"])
def test_frames_on_disk_score_as_in_memory_and_are_never_read_whole(name: str) -> None:
    outputs = {"typing": OUTPUTS, "pose": 20, "classes": 3, "values": 3}[name]
    graph, task = network(name, outputs, history=2), tasks.named(name)
    if name == "pose":
        graph = replace(graph, provenance=graph.provenance | {"own": True})

    def parts(frames: int) -> list[Recorded]:
        signal = Signal(endless(frames * STEP, ELECTRODES))
        target = target_of(name, frames * STEP)
        return [Recorded(Path("a"), signal, target, float(RATE))]

    def judged(found: Any, frames: int) -> Any:
        recorded = parts(frames)
        return (
            task.error(graph, [found], recorded),
            task.interval(graph, [found], recorded),
            task.difference(graph, [found], [scaled(found, -1.0)], recorded),
            task.agreement([found], [scaled(found, -1.0)]),
        )

    def on_disk(frames: int) -> Any:
        return judged(endless(frames, outputs), frames)

    assert on_disk(4000) == judged(np.asarray(endless(4000, outputs)), 4000)
    # of a frame remain its best class, or its share of runs and of samples that are valid
    assert grows(on_disk, 6000, 12_000) < {"typing": 60, "pose": 30}.get(name, 6)


def test_words_are_compared_block_by_block() -> None:
    words = endless(6000, OUTPUTS, np.int16)
    assert assemble.comparison([words], [words])["bit_exact"]
    other = np.array(words)
    other[4001, 5] += 1
    found = assemble.comparison([words, words], [words, other])
    assert found["mismatches"] == 1 and "recording 1, frame 4001, word 5" in found["first_mismatch"]
    assert found["words"] == 2 * 6000 * OUTPUTS

    def compared(frames: int) -> Any:
        some = endless(frames, OUTPUTS, np.int16)
        return assemble.comparison([some], [some])

    assert grows(compared, 4000, 12_000) < 8


def test_frames_are_decoded_as_they_are_read(tmp_path: Path) -> None:
    def decoded(frames: int) -> str:
        path = tmp_path / f"{frames}.npy"
        if not path.exists():
            with path.open("wb") as file:
                npy.write(file, [endless(frames, OUTPUTS)])
        found, alphabet = decoders.load_frames(path)
        return decoders.decode_session(alphabet, "greedy", None, found)

    expected = decoders.decode_session(
        tasks.named("typing").text.alphabet, "greedy", None, np.asarray(endless(3000, OUTPUTS))
    )
    assert decoded(3000) == expected
    assert grows(decoded, 4000, 12_000) < 100


# --- files ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("dtype", ["<f4", ">i2"])
def test_what_is_written_in_parts_is_the_file_that_numpy_writes(last: bool, dtype: str) -> None:
    parts = [endless(3000, 3, dtype), np.asarray(endless(77, 3, dtype))]
    written, expected = io.BytesIO(), io.BytesIO()
    whole = np.concatenate([np.asarray(part) for part in parts]).astype(dtype)
    shape = npy.write(written, parts, last)
    np.save(expected, np.ascontiguousarray(whole.T) if last else whole)
    assert written.getvalue() == expected.getvalue() and shape == (whole.T if last else whole).shape


@pytest.mark.parametrize("last", [False, True])
def test_a_file_is_written_some_frames_at_a_time(last: bool, tmp_path: Path) -> None:
    def write(frames: int) -> Any:
        with (tmp_path / "a.npy").open("wb") as file:
            npy.write(file, [endless(frames, OUTPUTS)], last)

    assert grows(write, 4000, 12_000) < 8


def test_real_values_of_words_on_disk_are_made_where_they_are_asked_for(made: Any) -> None:
    words = endless(3000, OUTPUTS, np.int16)
    found = to_real(made[1], words)
    assert isinstance(found, OnDisk) and found.dtype == np.float32
    np.testing.assert_array_equal(found[:100], to_real(made[1], np.asarray(words[:100])))


def test_frames_of_a_sweep_are_stored_and_read_some_at_a_time(tmp_path: Path) -> None:
    setting = jobs.Setting(*(tmp_path, {}, (), (), (), (), tmp_path), task="typing")

    def stored(frames: int) -> Any:
        content = {"values": endless(frames, OUTPUTS, np.int16), "stops": np.array([frames])}
        artifacts.forget(setting.results / f"{frames}.npz")
        for _ in range(2):
            found = jobs.remembered_arrays(setting, str(frames), lambda: content)
            assert sum(len(block) for block in blocks(found["values"], 1)) == frames
        return found

    found = stored(3000)
    np.testing.assert_array_equal(found["values"], endless(3000, OUTPUTS, np.int16))
    assert isinstance(found["values"], OnDisk) and found["stops"].tolist() == [3000]
    with np.load(setting.results / "3000.npz") as whole:
        np.testing.assert_array_equal(whole["values"], found["values"])
    assert grows(stored, 4000, 12_000) < 0.1 * OUTPUTS * 2


def test_json_that_cannot_be_written_leaves_what_is_there(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    write_json(path, {"a": [1, 2.5, None, "ä"], "b": {}})
    before = path.read_bytes()
    assert before == b'{\n "a": [\n  1,\n  2.5,\n  null,\n  "\\u00e4"\n ],\n "b": {}\n}\n'
    with pytest.raises(ValueError, match="JSON"):
        write_json(path, {"a": list(range(100)), "b": float("nan")})
    assert path.read_bytes() == before and [p.name for p in tmp_path.iterdir()] == ["a.json"]


@pytest.mark.parametrize("order", ["C", "F"])
def test_an_array_of_two_bands_is_read_some_samples_at_a_time_in_either_order(
    order: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(array_file, "LARGE", 1 << 12)
    form = tasks.named("typing").from_array

    def read(samples: int) -> Any:
        path = tmp_path / f"{samples}.npy"
        if not path.exists():
            made = np.lib.format.open_memmap(
                path, "w+", np.float32, (samples, 2, 16), fortran_order=order == "F"
            )
            made[:] = np.arange(samples, dtype=np.float32)[:, None, None]
            made[:, 1, 3] = -1
        found = array_file.load_samples(path, form)
        assert isinstance(found, OnDisk) and found.shape == (samples, 32)
        for block in blocks(found, 1):
            assert (block[:, 19] == -1).all() and (block[:, 4] == block[:, 18]).all()
        return found

    np.testing.assert_array_equal(np.asarray(read(5000))[:, 0], np.arange(5000))
    assert grows(read, 4000, 12_000) < 8


def test_an_interpreter_gives_chunks_that_are_the_whole(made: Any) -> None:
    machine: base.Interpreter = evaluate.IntegerInterpreter(made[1])
    given = np.random.default_rng(0).integers(-900, 900, (1, 3000 * STEP, ELECTRODES))
    whole = machine.run(given)
    machine.reset()
    parts = list(machine.chunks(given))
    assert len(parts) > 2 and parts[0][0] == 0
    np.testing.assert_array_equal(np.concatenate([part for _, part in parts], axis=1), whole)

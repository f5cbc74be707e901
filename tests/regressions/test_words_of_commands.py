"""What commands say: as the user typed it, in whole sentences, once, and before anything long."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from bench.tendon import COMMANDS
from bench.tendon import main as tendon
from compress import pipeline
from compress.data import datasets
from compress.data.listing import Listing, Session
from compress.errors import CheckpointError
from compress.reading.words import counted
from compress.tasks import state
from host import boards
from host.errors import NoBoardError
from tests.conftest import ROOT
from tests.regressions.test_another_network import INFER, MINE, Project, project

__all__ = ["project"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("infer",), "required: INPUT= (--input), OUTPUT= (--output)"),
        (("diagnose", "--seconds", "x"), "SECONDS= (--seconds): expected a number"),
        (("quantize", "--latency", "5"), "unrecognized arguments: LATENCY= (--latency) 5"),
        (("export", "--format", "onnx", "--latency", "5"), "LATENCY=5 FORMAT=onnx: expected 0"),
    ],
)
def test_an_option_is_called_as_it_was_typed(
    words: tuple[str, ...], said: str, project: Project
) -> None:
    assert said in project(*words, code=2)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "expected a command; tendon --help lists them"),
        (("-q",), "expected a command; tendon --help lists them"),
        (
            ("quantise", "--model", "x"),
            "no such command: quantise; the nearest is quantize; tendon --help lists them",
        ),
        (("-v", "exprot"), "no such command: exprot; the nearest is export; tendon --help lists"),
        (("xyzzy",), "no such command: xyzzy; tendon --help lists them"),
    ],
)
def test_a_command_that_is_none_is_said_with_the_nearest_and_not_with_all(
    words: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert tendon([*words]) == 2
    answer = capsys.readouterr().err
    assert answer.startswith(f"error: {said}") and answer.count("\n") == 1


def test_the_help_of_a_command_is_a_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    for command in COMMANDS:
        with pytest.raises(SystemExit):
            tendon([command.name, "--help"])
        assert not re.search(r"[?!.]\.", capsys.readouterr().out.split("\n\n")[1])


def test_one_is_one_and_more_are_many() -> None:
    assert counted(1, "frame") == "1 frame" and counted(0, "frame") == "0 frames"
    assert counted(1200, "recording") == "1,200 recordings"
    assert counted(2, "loss", "losses") == "2 losses"


@pytest.mark.parametrize(
    ("users", "owner", "said"),
    [
        ((), "", "nothing says which sessions calibrate: a.hdf5 does"),
        (("ann",), "ann", "of USERS=ann a.hdf5 calibrates"),
    ],
)
def test_what_calibrates_is_said_of_the_users_who_were_named(
    users: tuple[str, ...], owner: str, said: str
) -> None:
    sessions = tuple(Session(Path(f"{name}.hdf5"), user=owner) for name in "ab")
    notes = datasets._by_order(Listing(sessions, "data"), users).notes
    assert notes[-1].startswith(said) and "1 is held out" in notes[-1]
    assert ("USERS= or" in notes[-1]) is False


def quiet(project: Project) -> tuple[str, str]:
    """A signal with an electrode that was never connected."""
    signal = np.random.default_rng(0).normal(size=(4, 3000)).astype(np.float32)
    signal[2] = 0
    np.save(project.folder / "signal.npy", signal)
    return ("--calibration", "signal.npy")


def test_warnings_are_said_in_full_where_a_graph_is_the_point_and_counted_elsewhere(
    project: Project,
) -> None:
    full, short = "warning: calibration: signal.npy", "1 warning of calibration; `make quantize"
    pipeline.once.cache_clear()
    assert full in project("quantize", *MINE, *quiet(project))
    for words in (
        ("quantize",),
        ("export", "--board", "posix"),
        ("firmware", "--board", "posix"),
    ):
        pipeline.once.cache_clear()
        assert full in project(*words)
    pipeline.once.cache_clear()
    said = project(*INFER, "--engine", "integer")
    assert full not in said and short in said


def test_an_output_in_no_folder_is_refused_and_none_is_made(project: Project) -> None:
    said = project("infer", "--input", "signal.npy", "--output", "no/x.npy", code=1)
    assert "OUTPUT=no/x.npy: there is no folder no" in said
    assert (
        not (project.folder / "no").exists() and not (project.folder / "build/net/w8a16").exists()
    )


def test_hil_refuses_what_is_no_frame_and_a_dead_port_before_it_calibrates(
    project: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def too_late(*_: object, **__: object) -> None:
        raise AssertionError("calibrated first")

    monkeypatch.setattr(pipeline, "ranges_of", too_late)
    own = ("hil", "--model", "net.py", "--calibration", "signal.npy", "--board", "posix")
    for words, code, said in (
        (("--seconds", "0.0005"), 2, "SECONDS= (--seconds): expected a number"),
        (("--seconds", "0.001", "--port", "socket://localhost:9"), 1, "socket://localhost:9"),
    ):
        assert tendon([*own, *words]) == code
        assert said in capsys.readouterr().err


def test_a_port_that_was_tried_is_the_one_that_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []

    class Line:
        def __init__(self, port: str, baud: int) -> None:
            opened.append(port)

    monkeypatch.setattr(boards, "SerialLine", Line)
    monkeypatch.setattr(boards, "_kept", {})
    boards.check("posix", "socket://localhost:1", reach=True)
    boards.open_board("posix", port="socket://localhost:1")
    assert opened == ["socket://localhost:1"]
    boards.open_board("posix", port="socket://localhost:1")
    assert len(opened) == 2


def test_a_port_that_is_dead_is_told_by_check() -> None:
    with pytest.raises(NoBoardError):
        boards.check("posix", "socket://localhost:9", reach=True)


def test_an_error_begins_a_line_of_its_own(tmp_path: Path) -> None:
    code = """
import sys
from tqdm import tqdm
from compress import cli
from compress.cli import Command
from compress.errors import TendonError
def run(args):
    bar = tqdm([1, 2])
    for _ in bar:
        raise TendonError("no")
sys.modules["fails"] = sys.modules["__main__"]
command = Command("fail", "fail", lambda parser: None, "fails:run")
sys.exit(cli.run(cli.parser_of("tendon", "", (command,), "0"), ["fail"]))
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1 and done.stderr.endswith("\nerror: no\n"), done.stderr


def test_an_interrupted_training_is_not_lost_for_other_steps(tmp_path: Path) -> None:
    path = tmp_path / "a.state"
    state.save(path, state.Origin("of 3", {}, "3"), {"step": 2})
    with pytest.raises(CheckpointError, match="an interrupted training of STEPS=3: give the same"):
        state.load(path, state.Origin("of 4", {}, "4"))
    found = state.load(path, state.Origin("of 3", {}, "3"))
    assert found is not None and found["step"] == 2

"""What was to be made and never was is not forgotten: no later command takes another network for
the one that was meant, however the command ended that began it."""

from __future__ import annotations

from pathlib import Path

import pytest

from compress import scoring
from compress.errors import TendonError
from tests.regressions.test_another_network import INFER, MINE, SIGNAL, Project, project

__all__ = ["project"]
OTHERS = (
    ("firmware", "--board", "posix"),
    (*INFER, "--engine", "graph"),
    ("macs",),
    ("quantize",),
    ("export", "--format", "onnx"),
)


def refused(project: Project, again: str, back: str) -> None:
    """Every command that names no source says these two commands."""
    for words in OTHERS:
        said = project(*words, code=2)
        assert f"net.py {again}` again, or `make quantize MODEL=" in said, said
        assert f"net.py {back}` for" in said and said.count("\n") == 1, said


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (1, ("--checkpoint", "missing.pt")),
        (1, ("--checkpoint", "bad.pt")),
        (2, ("--precision", "w9", "--checkpoint", "bad.pt")),
        (2, ("--checkpoint", "bad.pt", "--secnds", "3")),
    ],
)
def test_a_first_command_that_failed_is_typed_again_or_taken_back(
    project: Project, code: int, words: tuple[str, ...]
) -> None:
    (project.folder / "bad.pt").write_bytes(b"no weights")
    project("quantize", *words, *SIGNAL, code=code)
    name = next(word for word in words if word.endswith(".pt"))
    again = f"CHECKPOINT={name} CALIBRATION=signal.npy"
    refused(project, again, "CHECKPOINT=default CALIBRATION=default")
    said = project("quantize", *MINE)
    assert "CALIBRATION=signal.npy too, as it was to be made from" in said
    assert "goes on with CHECKPOINT=mine.pt, CALIBRATION=signal.npy" in project("macs")


def test_a_network_that_stands_is_gone_on_with_where_it_is_named(project: Project) -> None:
    project("quantize", *MINE, *SIGNAL)
    mine = project.hash()
    project("quantize", "--checkpoint", "missing.pt", code=1)
    refused(project, "CHECKPOINT=missing.pt", "CHECKPOINT=mine.pt")
    project(*INFER, *MINE)
    refused(project, "CHECKPOINT=missing.pt", "CHECKPOINT=mine.pt")
    project("quantize", *MINE)
    assert "goes on with CHECKPOINT=mine.pt" in project("macs")
    assert project.hash() == mine


def test_a_command_that_does_not_replace_begins_where_nothing_was_made(project: Project) -> None:
    project("firmware", "--board", "nothing", *MINE, code=2)
    refused(project, "CHECKPOINT=mine.pt", "CHECKPOINT=default")
    project("firmware", "--board", "posix", "--checkpoint", "missing.pt", code=1)
    refused(project, "CHECKPOINT=missing.pt", "CHECKPOINT=default")
    project(*INFER, *MINE, *SIGNAL)
    assert "goes on with CHECKPOINT=mine.pt" in project("macs")


def test_what_was_made_and_could_not_be_scored_stays(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> None:
        raise TendonError("no score")

    monkeypatch.setattr(scoring, "score", fails)
    said = project("quantize", *MINE, *SIGNAL, code=1)
    assert "made from CHECKPOINT=mine.pt" in said
    made = project.hash()
    project(*INFER)
    assert project.hash() == made


def test_what_was_read_is_said_to_replace_and_nothing_before(project: Project) -> None:
    project("quantize", *MINE, *SIGNAL)
    (project.folder / "bad.pt").write_bytes(b"no weights")
    assert "anew" not in project("quantize", "--checkpoint", "bad.pt", code=1)
    said = project("quantize", "--checkpoint", "other.pt")
    assert "made anew from CHECKPOINT=other.pt" in said


def test_a_damaged_intention_is_said_anew(project: Project) -> None:
    project("quantize", "--checkpoint", "missing.pt", code=1)
    record = project.folder / "build" / "net" / "intended.json"
    record.write_bytes(record.read_bytes().replace(b"missing", b"massing"))
    for words in OTHERS:
        assert "intended.json: damaged" in project(*words, code=1)
    project("quantize", *MINE, *SIGNAL)
    assert "goes on with CHECKPOINT=mine.pt" in project("macs")


class Killed(BaseException):
    """Nothing here catches it."""


MOMENTS = (
    "compress.artifacts.checkpoint_for",
    "compress.quantization.signals.observe",
    "compress.artifacts.forget",
    "compress.artifacts.seal",
    "compress.artifacts.remember",
    "compress.artifacts.memory.write_json",
)


@pytest.mark.parametrize("moment", MOMENTS)
def test_an_end_at_any_moment_leaves_what_was_meant(
    moment: str, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    def end(*_: object, **__: object) -> None:
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(moment, end)
        with pytest.raises(Killed):
            project("quantize", *MINE, *SIGNAL)
    again = "CHECKPOINT=mine.pt CALIBRATION=signal.npy"
    said = project("firmware", "--board", "posix", code=2)
    assert f"net.py {again}` again" in said
    project("quantize", *MINE, *SIGNAL)
    assert "goes on with CHECKPOINT=mine.pt" in project("macs")


def test_an_equal_copy_changes_nothing_and_goes_on_where_the_first_is_gone(
    project: Project,
) -> None:
    project("quantize", *MINE, *SIGNAL)
    remembered, mine = project.remembered(), project.folder / "mine.pt"
    (project.folder / "copy.pt").write_bytes(mine.read_bytes())
    project("quantize", "--checkpoint", "copy.pt")
    assert project.remembered() == remembered
    mine.unlink()
    said = project(*INFER, "--checkpoint", "copy.pt")
    assert "CHECKPOINT=copy.pt holds what CHECKPOINT=mine.pt held, and is remembered" in said
    assert "goes on with CHECKPOINT=copy.pt" in project("macs")


def test_a_folder_of_another_network_file_is_not_written_in(project: Project) -> None:
    project("quantize", *MINE, *SIGNAL)
    before = sorted(Path("build/net").iterdir())
    Path("b").mkdir()
    Path("b/net.py").write_text(Path("net.py").read_text())
    project("quantize", "--model", "b/net.py", "--checkpoint", "other.pt", code=2)
    assert sorted(Path("build/net").iterdir()) == before

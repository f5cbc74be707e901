"""A network's name is one plain folder name, and a build folder that cannot be made is one line,
before anything is computed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bench.tendon import main as tendon
from compress.artifacts import Folder
from compress.artifacts.locks import FOLDER
from compress.errors import CheckpointError
from compress.files import write_json
from compress.frontend.families.networkfile.family import FAMILY
from compress.frontend.own.named import KEY


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def refused(capsys: pytest.CaptureFixture[str], words: list[str], code: int = 2) -> str:
    """The one line that a command ends with."""
    assert tendon(words) == code
    said = capsys.readouterr()
    assert said.err.startswith("error: ") and said.err.count("\n") == 1, said.err
    return said.err


WRONG = [
    "../x",
    "a/b",
    "/abs",
    ".",
    "..",
    "",
    ".hidden",
    "my net",
    "nét",
    "a\nb",
    "x" * 61,
    "pareto",
]


@pytest.mark.parametrize("name", WRONG)
def test_the_name_of_a_network_is_one_plain_folder_name(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--checkpoint", "net.ckpt", "--build", "build"]
    for said in (
        refused(capsys, ["macs", "--model", name, *words]),
        refused(capsys, ["quantize", "--model", name, *words]),
        refused(capsys, ["pareto", "--models", "TC_S4_small", name, "--build", "build"]),
    ):
        assert "MODEL=" in said
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["a/b", "two\nlines", "x" * 61, "?!"])
def test_the_name_in_c_is_one_short_line(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert "NAME=" in refused(capsys, ["export", "--name", name])


@pytest.mark.parametrize("name", ["../x", "a/b", "", "x" * 61])
def test_a_name_among_hyper_parameters_is_a_plain_one(name: str) -> None:
    said = {"file": "net.py", "function": "network", "name": name, "sources": {}}
    with pytest.raises(CheckpointError, match="expected what a network file says"):
        FAMILY.of({KEY: said | {"sample_rate": 1, "electrodes": 1, "task": "classes"}})


def test_a_build_folder_that_cannot_be_made_is_said_with_its_reason(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    for build, why in (
        ("file", "file is a file"),
        ("file/below", "file is a file"),
        ("/proc/x", "No such file or directory"),
        ("x" * 300, "File name too long"),
        ("", "expected the path of a folder"),
        ("a\nb", "expected the path of a folder"),
    ):
        for command in ("macs", "recordings", "export", "hil", "bench"):
            code = 2 if "expected" in why else 1
            said = refused(capsys, [command, "--build", build], code)
            assert f"BUILD={build!r}" in said if "expected" in why else f"BUILD={build}" in said
            assert why in said


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_build_folder_that_cannot_be_written_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "build").mkdir(mode=0o500)
    assert "BUILD=build" in refused(capsys, ["macs"], 1)


def test_a_file_where_a_networks_folder_would_be_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("build").mkdir()
    Path("build/TC_S4_small").touch()
    assert "build/TC_S4_small" in refused(capsys, ["macs"], 1)


@pytest.mark.parametrize("build", ["some where", "Übung é", "it's", 'a"b', "$HOME", "(x)"])
def test_a_build_folder_may_be_called_anything_else(
    build: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert tendon(["macs", "--build", build]) == 0
    assert (tmp_path / build / "TC_S4_small" / "macs.json").is_file()
    assert sorted(p.name for p in (tmp_path / build).iterdir()) == [FOLDER, "TC_S4_small"]
    assert f"wrote {build}/TC_S4_small/macs.json" in capsys.readouterr().out


def test_a_folder_that_cannot_be_made_below_is_an_error_of_ours(tmp_path: Path) -> None:
    (tmp_path / "net").touch()
    with pytest.raises(Exception, match=r"cannot be written: .*; nothing was changed"):
        write_json(Folder(tmp_path, "net", "w8a16").quantize_json, {})

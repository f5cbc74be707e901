"""A build folder remembers what it was made from: no command goes on with another network, or other
recordings, than were meant, without a word."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from bench.tendon import main as tendon
from compress import graph as g
from compress.artifacts import SHIPPED
from compress.frontend.own import named

NET = """
from torch import nn

SAMPLE_RATE, ELECTRODES, TASK = 1000, 4, "classes"


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.only = nn.Linear(4, 3)

    def forward(self, x):
        return self.only(x.transpose(1, 2)).transpose(1, 2)


def network():
    return Net()
"""


class Project:
    """A folder in which someone types commands, on a network of their own."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder, self._capsys = folder, capsys
        (folder / "net.py").write_text(NET)
        for name, seed in (("mine.pt", 5), ("other.pt", 6)):
            self.weights(name, seed)
        for number, name in enumerate(("signal", "another")):
            signal = np.random.default_rng(number).normal(size=(4, 3000)) * (1 + number)
            np.save(folder / f"{name}.npy", signal.astype(np.float32))
        for number, name in enumerate(("b", "c")):
            self.session(f"data/{name}.npz", 10 + number)

    def weights(self, name: str, seed: int) -> None:
        torch.manual_seed(seed)
        layer = torch.nn.Linear(4, 3)
        torch.save({"only.weight": layer.weight, "only.bias": layer.bias}, self.folder / name)

    def session(self, name: str, seed: int) -> None:
        rng, path = np.random.default_rng(seed), self.folder / name
        path.parent.mkdir(exist_ok=True)
        label = np.repeat(np.arange(6) % 3, 500)
        np.savez(path, emg=rng.normal(size=(3000, 4)) * seed, rate=1000, label=label)

    def __call__(self, *words: str, code: int = 0) -> str:
        """What a command prints, its errors too."""
        assert tendon([*words[:1], "--model", "net.py", *words[1:]]) == code
        said = self._capsys.readouterr()
        return said.out + said.err

    def hash(self) -> str:
        return g.load(self.folder / "build" / "net" / "w8a16" / "graph.npz").hash()

    def remembered(self) -> dict[str, object]:
        content = json.loads((self.folder / "build" / "net" / "sources.json").read_text())
        return dict(content)


@pytest.fixture
def project(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Project]:
    monkeypatch.chdir(tmp_path)
    named.those.clear()
    yield Project(tmp_path, capsys)
    named.those.clear()


INFER = ("infer", "--input", "signal.npy", "--output", "out.npy")
SIGNAL = ("--calibration", "signal.npy")
MINE = ("--checkpoint", "mine.pt")


def test_a_command_without_a_checkpoint_goes_on_with_that_of_the_folder_and_says_which(
    project: Project,
) -> None:
    project("export", "--format", "c", *MINE, *SIGNAL)
    mine = project.hash()
    for words in (
        ("firmware", "--board", "posix"),
        (*INFER, "--engine", "native"),
        (*INFER, "--engine", "graph"),
        ("diagnose", "--input", "signal.npy", "--seconds", "1"),
        ("macs",),
        ("quantize",),
        ("export", "--format", "onnx"),
        ("quantize", "--precision", "w8a8"),
    ):
        said = project(*words)
        assert "build/net: goes on with CHECKPOINT=mine.pt, CALIBRATION=signal.npy" in said
        assert project.hash() == mine


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        (("--checkpoint", "other.pt"), "CHECKPOINT=other.pt"),
        (("--checkpoint", "default"), "CHECKPOINT=default"),
        (("--calibration", "another.npy"), "CALIBRATION=another.npy"),
        (("--data", "data"), "DATA=data"),
    ],
)
def test_only_quantize_and_export_replace_what_a_folder_was_made_from(
    project: Project, asked: tuple[str, str], told: str
) -> None:
    project("export", "--format", "c", *MINE, *SIGNAL)
    mine, remembered = project.hash(), project.remembered()
    for words in (
        ("firmware", "--board", "posix"),
        INFER,
        ("compress", "--flash", "1M"),
    ):
        if words[0] == "compress" and "--calibration" in asked:
            continue  # it takes none
        said = project(*words, *asked, code=2)
        assert "was made from CHECKPOINT=mine.pt, CALIBRATION=signal.npy" in said
        assert f"`make quantize MODEL={project.folder}/net.py {told}`" in said
        assert said.count("\n") == 1
        assert project.hash() == mine and project.remembered() == remembered
    said = project("quantize", *asked)
    assert "was made from CHECKPOINT=mine.pt, CALIBRATION=signal.npy; made anew from" in said
    assert told in said or "default" in told
    assert project.remembered() != remembered


def test_the_same_file_under_another_name_is_the_same_network(project: Project) -> None:
    project("export", "--format", "c", *MINE, *SIGNAL)
    (project.folder / "mine.pt").rename(project.folder / "moved.pt")
    said = project(*INFER, "--checkpoint", "moved.pt")
    assert "error" not in said
    assert "CHECKPOINT=moved.pt" in project(*INFER)


def test_default_takes_a_folder_back_to_what_counts_without_a_checkpoint(project: Project) -> None:
    project("quantize", *SIGNAL)
    theirs = project.hash()
    project("quantize", *MINE)
    assert project.hash() != theirs
    said = project("quantize", "--checkpoint", "default")
    assert "the weights that net.py gives, CALIBRATION=signal.npy" in said
    assert project.hash() == theirs
    assert "the weights that net.py gives" in project("firmware", "--board", "posix")
    assert project.hash() == theirs


@pytest.mark.parametrize("name", ["mine.pt", "signal.npy"])
def test_a_remembered_file_that_is_gone_or_changed_is_named(project: Project, name: str) -> None:
    project("export", "--format", "c", *MINE, *SIGNAL)
    mine = project.hash()
    before = (project.folder / name).read_bytes()
    if name == "mine.pt":
        project.weights("mine.pt", 3)
    else:
        (project.folder / name).write_bytes((project.folder / "another.npy").read_bytes())
    said = project(*INFER, code=1)
    assert f"={name}, which has changed since; `make quantize" in said
    (project.folder / name).unlink()
    for words in (("macs",), ("quantize",)):
        said = project(*words, code=1)
        assert f"={name}, which is gone; put it back, or say" in said
    assert project.hash() == mine
    (project.folder / name).write_bytes(before)
    assert f"={name}" in project("macs")


def test_quantize_takes_a_changed_file_as_it_is_and_says_so(project: Project) -> None:
    project("export", "--format", "c", *MINE, *SIGNAL)
    mine = project.hash()
    project.weights("mine.pt", 3)
    said = project(*INFER, *MINE, code=1)
    assert "not from CHECKPOINT=mine.pt as it is now" in said and project.hash() == mine
    assert "made anew" in project("quantize") and project.hash() != mine


def test_recordings_that_calibrated_are_believed_by_their_content(project: Project) -> None:
    project("quantize", *MINE, "--data", "data")
    first = project.hash()
    project.session("data/d.npz", 12)  # it is held out, as c is
    assert "DATA=data" in project(*INFER)
    project.session("data/a.npz", 13)  # the first by name would calibrate
    said = project(*INFER, code=1)
    assert "a.npz calibrates now, b.npz did; `make quantize" in said
    (project.folder / "data" / "a.npz").unlink()
    project.session("data/b.npz", 14)
    said = project("firmware", "--board", "posix", code=1)
    assert "b.npz has changed since; `make quantize" in said
    assert project.hash() == first
    project("quantize")
    assert project.hash() != first
    assert "error" not in project("firmware", "--board", "posix")


def test_a_network_file_that_changed_since_is_named(project: Project) -> None:
    project("export", "--format", "c", *SIGNAL)
    first, path = project.hash(), project.folder / "net.py"
    path.write_text(NET.replace("self.only(x", "self.only(0.5 * x"))
    said = project("firmware", "--board", "posix", code=1)
    assert f"{path}: has changed since build/net was made of it; `make quantize" in said
    assert project.hash() == first
    project("quantize")
    assert project.hash() != first


def test_what_fails_replaces_nothing(project: Project) -> None:
    project("export", "--format", "c", *MINE, *SIGNAL)
    remembered, mine = project.remembered(), project.hash()
    (project.folder / "bad.pt").write_bytes(b"no weights")
    project("quantize", "--checkpoint", "bad.pt", code=1)
    project("quantize", "--checkpoint", "missing.pt", code=1)
    assert project.remembered() == remembered and project.hash() == mine


@pytest.mark.parametrize("content", ["", "[]", '{"version": 1, "calibrated": {}, "data": 3}'])
def test_a_damaged_memory_is_none(project: Project, content: str) -> None:
    project("export", "--format", "c", *MINE, *SIGNAL)
    (project.folder / "build" / "net" / "sources.json").write_text(content)
    project("quantize", *MINE, *SIGNAL)
    assert "CHECKPOINT=mine.pt" in project("macs")


# --- networks by name -----------------------------------------------------------------------------


def theirs(folder: Path) -> Path:
    """The shipped checkpoint with one row of weights gone."""
    content = torch.load(SHIPPED / "TC_S4_small.ckpt", map_location="cpu", weights_only=True)
    content["state_dict"]["model.4.layers.0.weight"][5] = 0
    content["state_dict"]["model_HF.layers.0.weight"][5] = 0
    torch.save(content, folder / "mine.ckpt")
    return folder / "mine.ckpt"


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: content.replace(b'"checkpoint"', b'"chackpoint"'),
        lambda content: content.replace(b"mine.pt", b"mime.pt"),
        lambda content: content[:100],
        lambda content: b"",
        lambda content: b"{}",
    ],
)
def test_a_damaged_record_is_refused_and_written_anew_where_a_checkpoint_is_named(
    project: Project, damage: Callable[[bytes], bytes]
) -> None:
    project("export", "--format", "c", *MINE, *SIGNAL)
    mine, record = project.hash(), project.folder / "build/net/sources.json"
    record.write_bytes(damage(record.read_bytes()))
    for words in (
        ("firmware", "--board", "posix"),
        (*INFER, "--engine", "native"),
        ("quantize",),
        ("quantize", *SIGNAL),
    ):
        said = project(*words, code=1)
        assert "sources.json: damaged" in said and "CHECKPOINT=" in said
        assert project.hash() == mine
    assert "written anew" in project("quantize", *MINE, *SIGNAL)
    assert project.hash() == mine
    assert "goes on with CHECKPOINT=mine.pt" in project("export", "--format", "onnx")


@pytest.mark.parametrize(
    ("given", "why"),
    [("signal.npy", "is INPUT="), ("mine.pt", "expected a name that ends in .npy")],
)
def test_an_output_never_replaces_what_is_read(project: Project, given: str, why: str) -> None:
    project("quantize", *MINE, *SIGNAL)
    before = (project.folder / given).read_bytes()
    words = ("infer", *MINE, "--input", "signal.npy", "--output", f"./{given}")
    assert f"OUTPUT={given}: {why}" in project(*words, code=2)
    assert (project.folder / given).read_bytes() == before


def test_an_output_follows_a_link_and_leaves_what_is_no_file(project: Project) -> None:
    project("quantize", *MINE, *SIGNAL)
    (project.folder / "link.npy").symlink_to("there.npy")
    project("infer", "--input", "signal.npy", "--output", "link.npy")
    assert (project.folder / "link.npy").is_symlink() and (project.folder / "there.npy").is_file()
    os.mkfifo(project.folder / "pipe.npy")
    said = project("infer", "--input", "signal.npy", "--output", "pipe.npy", code=1)
    assert "OUTPUT=pipe.npy: expected a file to write" in said
    assert (project.folder / "pipe.npy").is_fifo()


@pytest.fixture
def macs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., str]:
    monkeypatch.chdir(tmp_path)

    def run(*words: str, code: int = 0) -> str:
        assert tendon(["macs", *words]) == code
        said = capsys.readouterr()
        return said.out + said.err

    return run


def test_a_published_network_goes_on_too(tmp_path: Path, macs: Callable[..., str]) -> None:
    path = theirs(tmp_path)
    macs("--checkpoint", str(path))
    assert "build/TC_S4_small: goes on with CHECKPOINT=mine.ckpt" in macs()


def test_macs_looks_at_another_checkpoint_beside_what_is_there(
    tmp_path: Path, macs: Callable[..., str]
) -> None:
    macs("--checkpoint", str(theirs(tmp_path)))
    counted = Path("build/TC_S4_small/macs.json")
    before = counted.read_bytes()
    said = macs("--checkpoint", "default")
    assert "build/TC_S4_small was made from CHECKPOINT=mine.ckpt" in said
    assert "stays as it is: this looks at CHECKPOINT=default beside it" in said
    assert "wrote" not in said and counted.read_bytes() == before
    assert "build/TC_S4_small: goes on with CHECKPOINT=mine.ckpt" in macs()


def test_the_shipped_checkpoint_is_the_same_whether_it_is_named_or_not(
    macs: Callable[..., str],
) -> None:
    macs()
    assert "the shipped network, the simulated recordings" in macs()
    macs("--checkpoint", str(SHIPPED / "TC_S4_small.ckpt"))


def test_a_graph_of_another_checkpoint_in_a_folder_that_remembers_nothing_is_not_replaced(
    tmp_path: Path, macs: Callable[..., str]
) -> None:
    from compress import pipeline
    from compress.artifacts import Folder

    folder = Folder(tmp_path / "build", "TC_S4_small", "w8a16")
    g.save(pipeline.load_float("TC_S4_small", theirs(tmp_path)), folder.graph)
    said = macs(code=2)
    assert "made from another checkpoint than" in said and "CHECKPOINT=…" in said
    assert "mine.ckpt" not in said and said.count("\n") == 1
    macs("--checkpoint", "mine.ckpt")


# --- how it was exported --------------------------------------------------------------------------


def test_the_name_in_c_and_the_latency_are_gone_on_with_too(project: Project) -> None:
    project("export", "--board", "posix", *SIGNAL, "--latency", "20", "--name", "mine")
    target = project.folder / "build" / "net" / "w8a16" / "c" / "posix"

    def exported() -> tuple[bool, int]:
        plan = json.loads((target / "memory.json").read_text())
        return (target / "project" / "model" / "mine.h").is_file(), plan["frames_per_step"]

    first = exported()
    assert first[0] and first[1] > 1
    said = project("firmware", "--board", "posix")
    assert "build/net/w8a16/c/posix: goes on with LATENCY=20, NAME=mine, as it was" in said
    assert exported() == first
    project("diagnose", "--board", "posix", "--input", "signal.npy", "--seconds", "1")
    assert exported() == first  # its project lies beside
    said = project("firmware", "--board", "posix", "--latency", "0")
    assert "was exported with LATENCY=20, NAME=mine, now with LATENCY=0, NAME=mine" in said
    assert exported() == (True, 1)
    project("export", "--format", "c", "--board", "posix", "--name", "default")
    assert exported() == (False, 1)


@pytest.mark.parametrize("output", ["net.py", "mine.pt", "out.txt", "signal.npy", "data/new.npy"])
def test_an_output_is_never_what_the_network_was_made_from(project: Project, output: str) -> None:
    project("export", "--board", "posix", *MINE, *SIGNAL)
    there = {path: path.read_bytes() for path in project.folder.glob("*.*") if path.is_file()}
    words = ["--input", "another.npy", "--output", output]
    if output.startswith("data"):
        project("quantize", "--data", "data", "--calibration", "default")
    assert "OUTPUT=" in project("infer", *words, "--engine", "graph", code=2)
    assert all(path.read_bytes() == content for path, content in there.items())

"""What is slow to import is imported when it is needed, and not before: not for a word of help, and
torch not for a graph that is there."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from bench.tendon import COMMANDS
from compress import pipeline
from compress.artifacts import Folder, Sources
from compress.cli import Command
from compress.data.simulator import pose
from compress.frontend import checkpoint
from compress.frontend.families import build
from tests.compress.test_pose_networks import tiny
from tests.conftest import ROOT

SLOW = {
    *("torch", "scipy", "h5py", "onnx", "onnxruntime", "ai_edge_litert", "tflite_micro"),
    *("matplotlib", "tqdm", "omegaconf", "kenlm", "serial", "joblib", "elftools", "yaml", "bokeh"),
}
ASK = """
import contextlib, io, sys
from bench.tendon import main
for words in {words}:
    try:
        with contextlib.redirect_stdout(io.StringIO()) as said:
            main(words)
    except SystemExit as end:
        assert end.code == 0 and said.getvalue().startswith("usage: tendon"), words
    else:
        raise AssertionError(words)
print(*sorted({slow} & sys.modules.keys()))
"""


def test_help_imports_nothing_that_is_slow() -> None:
    words = [["--help"], *([command.name, "--help"] for command in COMMANDS)]
    script = ASK.format(words=words, slow=SLOW)
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout.split()) == (0, []), done.stderr


def cpu_seconds(*arguments: str) -> float:
    """Of a Python process with these arguments, user and system, best of three."""
    found = []
    for _ in range(3):
        process = subprocess.Popen(
            [sys.executable, *arguments], cwd=ROOT, stdout=subprocess.DEVNULL
        )
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        assert process.returncode == 0, arguments
        found.append(usage.ru_utime + usage.ru_stime)
    return min(found)


def test_help_takes_at_most_three_times_as_long_as_importing_numpy() -> None:
    numpy = cpu_seconds("-c", "import numpy")
    for words in ((), ("hil",), ("flash",)):
        assert cpu_seconds("-m", "bench", *words, "--help") <= 3 * numpy, words


@pytest.mark.parametrize(
    "command",
    [pytest.param(c, id=c.name) for c in COMMANDS],
)
def test_the_code_of_a_command_is_where_its_table_says(command: Command) -> None:
    module, _, function = command.runs.partition(":")
    assert callable(getattr(importlib.import_module(module), function))


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the scored graph of a tiny network, what it was made from, and a torch that
    cannot be imported."""
    folder = tmp_path_factory.mktemp("made")
    torch.manual_seed(0)
    checkpoint.save(folder / "net.ckpt", build(tiny()).eval(), tiny())
    for number in range(2):
        recording = pose.simulate("heldout", number, 4.0, seed=3)
        pose.write(folder / "data" / f"{number}.hdf5", recording, str(number))
    made = Folder(folder / "build", "tiny", "w8a16")
    pipeline.run(made, folder / "net.ckpt", Sources(data=folder / "data"))
    (folder / "path" / "torch").mkdir(parents=True)
    (folder / "path" / "torch" / "__init__.py").write_text("raise ImportError('torch is needed')\n")
    return folder


def without_torch(here: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """`tendon` with these words and the graph in `here`, where torch cannot be imported."""
    places = ("--build", "build", "--checkpoint", "net.ckpt", "--data", "data")
    options = [str(here / word) if word[0] != "-" else word for word in places]
    return subprocess.run(
        [sys.executable, "-m", "bench", *words, "--model", "tiny", *options],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(here / "path")},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    "words",
    [
        ("export", "--board", "posix"),
        ("firmware", "--board", "posix"),
        ("hil", "--board", "posix", "--seconds", "1"),
    ],
    ids=" ".join,
)
def test_a_graph_that_is_there_is_exported_built_and_run_without_torch(
    here: Path, words: tuple[str, ...]
) -> None:
    done = without_torch(here, *words)
    assert done.returncode == 0, done.stderr
    assert f"{here / 'build/tiny/w8a16/graph.npz'}: unchanged" in done.stderr


def test_without_a_graph_the_same_commands_do_need_torch(here: Path) -> None:
    done = without_torch(here, "export", "--board", "posix", "--precision", "w8a8")
    assert done.returncode == 1 and "torch is needed" in done.stderr

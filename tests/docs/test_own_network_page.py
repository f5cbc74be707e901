"""The page on networks of one's own: its commands run as they stand, one after the other, and
every other line of it that is a command is one."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests import toy
from tests.conftest import ROOT
from tests.test_makefile import called

PAGE = ROOT / "docs" / "own-network.md"
TEXT = PAGE.read_text()
BLOCKS = re.findall(r"^```(python|sh)\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
MAKE = 'make() { command make -o setup -o tools "$@"; }\nset -e\n'  # the environment is there


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project as a folder in which nothing else lies: links to all that is in it."""
    folder = tmp_path_factory.mktemp("project")
    for path in ROOT.iterdir():
        if path.name != "build" and not path.name.startswith("."):
            (folder / path.name).symlink_to(path)
    (folder / ".venv").symlink_to(sys.prefix)
    return folder


def none_stale(output: str) -> None:
    """What the page shows of sizes and layers is what came: no weight or score is in it."""
    shown = re.findall(r"^(?:  (?:flash|ram) |inward|blocks|total).*", TEXT, re.MULTILINE)
    assert len(shown) == 5
    said = " ".join(output.split())
    assert not [line for line in shown if " ".join(line.split("…")[0].split()) not in said]


def test_the_page_runs_from_the_file_to_the_board(project: Path) -> None:
    toy.need_emulator()
    toy.need("make")
    assert [language for language, _ in BLOCKS].count("python") == 1
    subprocess.run([sys.executable, "-c", dict(BLOCKS)["python"]], cwd=project, check=True)
    commands = "".join(block for language, block in BLOCKS if language == "sh")
    done = subprocess.run(
        ["bash", "-c", MAKE + commands], cwd=project, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    assert "run                    VALID" in done.stdout
    assert "bit-exact              yes: 1,600 output words of 400 frames" in done.stdout
    assert "wrote answers.npy: 2000 frames of 4 values by native, (4, 2000)" in done.stdout
    none_stale(done.stdout)
    assert np.load(project / "answers.npy").shape == (4, 2000)
    assert "signal.npy, the signal that calibrates it; nothing is scored" in done.stdout
    for made in ("w8a16/onnx/qdq.onnx", "w8a16/tflite/step.tflite", "macs.json"):
        assert (project / "build/tcn_gru" / made).is_file()


OTHERS = [line.strip() for line in re.findall(r"^    make .*", TEXT, re.MULTILINE)]
OTHERS += [" ".join(found.split()) for found in re.findall(r"`(make \w+ [^`]*)`", TEXT)]


@pytest.mark.parametrize("line", OTHERS)
def test_what_else_the_page_names_is_a_command(line: str) -> None:
    _, target, *variables = shlex.split(line, comments=True)
    assert called(target, dict(v.split("=", 1) for v in variables))


@pytest.mark.parametrize("link", re.findall(r"\]\(([^)#]+)\)", TEXT))
def test_what_the_page_links_is_there(link: str) -> None:
    assert (PAGE.parent / link).is_file()

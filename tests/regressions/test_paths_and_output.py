"""Paths with blanks, accents, quotes and bytes that are no text; output of another encoding, that
nobody reads, that is closed or full."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from bench.cycles.counting import NO_CACHES, Watch, arguments
from bench.cycles.instructions import Instruction
from compress.files import write_text
from export.c.project import build_project, write_project
from host.boards import open_board
from host.run import Run
from tests import toy
from tests.conftest import ROOT

NAMES = ("my tendön's", 'a "quoted" one', "$HOME & (co), #1", os.fsdecode(b"no text \xff\xe4"))
SAYS = r"""
import sys
from compress import cli
from compress.cli import Command
def add(parser): parser.add_argument("name")
def run(args):
    print(args.name + ": 3 \u00b5V \u2192 1 \u00d7 2 \u2026 \u2265 0 \u00b0")
    for _ in range(20000): print("work")
    print("done", file=open(sys.argv[1], "w"))
sys.modules["says"] = sys.modules["__main__"]
command = Command("say", "say much", add, "says:run")
sys.exit(cli.run(cli.parser_of("tendon", "", (command,), "0"), sys.argv[2:]))
"""


def said(
    name: str, done: Path, shell: str, **environment: str
) -> subprocess.CompletedProcess[bytes]:
    """A command that names a file and says much, in a shell that decides where that goes."""
    line = shell.replace("COMMAND", '"$PYTHON" -c "$SAYS" "$DONE" say "$NAME"')
    variables = {"PYTHON": sys.executable, "SAYS": SAYS, "NAME": name, "DONE": str(done)}
    given = {k: v for k, v in os.environ.items() if not k.startswith(("LC_", "LANG"))}
    command = ["bash", "-c", line]
    return subprocess.run(
        command, cwd=ROOT, env=given | variables | environment, capture_output=True, timeout=60
    )


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"PYTHONIOENCODING": "utf-8"}, "no text \\xff\\xe4: 3 µV → 1 × 2 … ≥ 0 °".encode()),
        ({"PYTHONIOENCODING": "latin-1"}, b"no text \\xff\\xe4: 3 \xb5V -> 1 \xd7 2 ... >= 0 \xb0"),
        ({"PYTHONIOENCODING": "ascii"}, b"no text \\xff\\xe4: 3 uV -> 1 x 2 ... >= 0  deg"),
        (
            {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
            b"no text \\xff\\xe4: 3 uV -> 1 x 2 ... >= 0  deg",
        ),
    ],
)
def test_what_an_encoding_lacks_is_written_in_signs_that_it_has(
    environment: dict[str, str], expected: bytes, tmp_path: Path
) -> None:
    done = said(NAMES[-1], tmp_path / "done", "COMMAND", **environment)
    assert done.returncode == 0 and done.stderr == b""
    assert done.stdout.splitlines()[0] == expected


@pytest.mark.parametrize("buffered", [{}, {"PYTHONUNBUFFERED": "1"}])
@pytest.mark.parametrize(
    "shell", ["COMMAND | head -1", "COMMAND 2>&1 | true", "COMMAND >&-", "COMMAND <&- >&- 2>&-"]
)
def test_what_nobody_reads_is_dropped_and_the_work_is_done(
    shell: str, buffered: dict[str, str], tmp_path: Path
) -> None:
    done = said("x", tmp_path / "done", f"set -o pipefail; {shell}", **buffered)
    assert (done.returncode, done.stderr) == (0, b"")
    assert (tmp_path / "done").read_text() == "done\n"


@pytest.mark.parametrize("words", ["COMMAND", '"$PYTHON" -m bench --help'])
def test_a_full_disk_is_one_line(words: str, tmp_path: Path) -> None:
    done = said("x", tmp_path / "done", f"{words} > /dev/full")
    assert done.returncode == 1
    assert done.stderr == (
        b"error: what this command says cannot be written: No space left on device\n"
    )


def test_a_page_takes_names_that_are_no_text(tmp_path: Path) -> None:
    write_text(tmp_path / "page.html", f"é {NAMES[-1]}")
    assert (tmp_path / "page.html").read_text() == "é no text \\udcff\\udce4"


@pytest.mark.parametrize("name", NAMES)
def test_a_project_builds_and_runs_whatever_its_folder_is_called(name: str, tmp_path: Path) -> None:
    toy.need("arm-none-eabi-gcc", "gcc", "make")
    toy.need_emulator()
    project = tmp_path / name / "project"
    write_project(project, "virtual-f405", toy.model_files(), [], "toy model")
    samples = toy.samples(2)
    for board in ("virtual-f405", "posix"):
        image = build_project(project, board)
        with open_board(board, image, toy.MODEL_HASH) as running:
            hello = running.link.handshake()
            assert hello.crc_covers == (board != "posix")
            outputs = Run(samples).start(running.link).outputs
        np.testing.assert_array_equal(outputs, toy.run(samples))


def test_a_comma_in_a_path_is_none_between_the_plugins_options(tmp_path: Path) -> None:
    call = Instruction(0x10, 4, "bl", "20 <model_step>", "main")
    step = Instruction(0x20, 2, "bx", "lr", "model_step")
    watch = Watch({0x10: call, 0x20: step}, 1, NO_CACHES)
    words = arguments(tmp_path / "a,b.so", watch, tmp_path / "c,d")
    assert words[1].startswith(f"{tmp_path}/a,,b.so,out={tmp_path}/c,,d,")

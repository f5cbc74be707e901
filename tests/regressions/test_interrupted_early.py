"""Ctrl-C, and a polite kill, end every command with one line, whatever it is at: imports too."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT

COMMANDS = {
    "macs": ["macs"],
    "export": ["export", "--board", "posix"],
    "infer": ["infer", "--input", "x.npy", "--output", "y.npy"],
    "hil": ["hil", "--board", "posix"],
}
SIGNALS = {
    signal.SIGINT: "interrupted",
    signal.SIGTERM: "terminated",
    signal.SIGHUP: "ended with its terminal",
}
# sends itself a signal at a module's import, as if someone typed Ctrl-C there and then
HOOK = """
import os, signal, sys

class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == {module!r}:
            sys.meta_path.remove(self)
            os.kill(os.getpid(), {number})

sys.meta_path.insert(0, Finder())
"""


def interrupted(command: list[str], module: str, number: int, folder: Path) -> str:
    """What a command says that a signal met at this import; asserts its exit code."""
    hooks = folder / "hooks"
    hooks.mkdir()
    (hooks / "sitecustomize.py").write_text(HOOK.format(module=module, number=int(number)))
    done = subprocess.run(
        [sys.executable, "-m", "bench", *command, "--build", str(folder / "build")],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": f"{hooks}:{ROOT}"},
        capture_output=True,
        text=True,
        preexec_fn=lambda: signal.signal(number, signal.SIG_DFL),  # ignored behind nohup
    )
    assert done.returncode == 128 + number, done.stderr
    return done.stderr


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_while_options_are_imported_is_one_line(
    command: str, number: signal.Signals, tmp_path: Path
) -> None:
    said = interrupted(COMMANDS[command], "compress.cli", number, tmp_path)
    assert said == f"{SIGNALS[number]}; nothing half-written was left, and the same command can" + (
        " be repeated\n"
    )
    assert not (tmp_path / "build").exists()


@pytest.mark.parametrize("module", ["numpy", "torch", "torch.fx", "compress.frontend.lower"])
@pytest.mark.parametrize("number", SIGNALS)
def test_so_is_one_while_a_command_imports_what_it_needs(
    module: str, number: signal.Signals, tmp_path: Path
) -> None:
    said = interrupted(COMMANDS["macs"], module, number, tmp_path)
    assert said.startswith(SIGNALS[number]) and said.count("\n") == 1
    assert not (tmp_path / "build" / "TC_S4_small").exists()


def test_an_exception_that_an_interruption_became_is_not_shown(tmp_path: Path) -> None:
    """A library that meets a signal while it is imported may make an ImportError of it."""
    code = """
import os, signal, sys
from compress import cli, interruption
from compress.cli import Command
interruption.begin()

def run(args):
    try:
        os.kill(os.getpid(), signal.SIGINT)
        os.stat(".")
    except KeyboardInterrupt:
        raise ImportError("cannot load numpy")

sys.modules["fails"] = sys.modules["__main__"]
command = Command("fail", "fail", lambda parser: None, "fails:run")
sys.exit(cli.run(cli.parser_of("tendon", "", (command,), "0"), ["fail"]))
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 130
    assert done.stderr.startswith("interrupted; ") and done.stderr.count("\n") == 1

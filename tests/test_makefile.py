"""Every target calls a command with options that the command knows; make prints its recipes without
running them."""

from __future__ import annotations

import argparse
import importlib
import os
import re
import shlex
import subprocess
from pathlib import Path

import pytest

from compress import artifacts, cli
from compress.artifacts import Folder, Sources
from compress.errors import TendonError
from tests.conftest import ROOT

GIVEN = {  # a value for every variable that a recipe may pass on
    "CHECKPOINT": "a.ckpt",
    "DATA": "folder",
    "SPLIT": "user0.yaml",
    "CALIBRATION": "a.npy",
    "PORT": "socket://localhost:1",
    "LATENCY": "100",
    "TASK": "pose",
    "INPUT": "a.npy",
    "OUTPUT": "b.npy",
    "INITIAL": "pose.npy",
    "ENGINE": "integer",
    "DECODER": "greedy",
    "LM": "a.klm",
    "TFLM": "tflm",
    "CMSIS_NN": "cmsis",
    "COREMARK": "coremark",
    "AES": "aes",
    "TOOL": "openocd",
    "COMPILER": "clang",
    "TAP": "1",
    "MODELS": "TC_S4_small",
    "CHECKPOINTS": "folder",
    "PRECISIONS": "w8a16 w4a16",
    "DECODERS": "greedy beam",
    "JOBS": "2",
    "BACKEND": "local",
    "SCHEDULER": "tcp://localhost:1",
    "FLASH": "2M",
    "RAM": "400K",
    "LOAD": "0.6",
    "STEPS": "10",
    "SECONDS": "5",
    "WINDOW": "1920",
}
NEEDED = {"INPUT": "a.npy", "OUTPUT": "b.npy", "FLASH": "2M"}
OWN = {"diagnose": {"ENGINE": "graph native"}}  # it takes two engines
TARGETS = re.findall(r"^([a-z]+):.*##", (ROOT / "Makefile").read_text(), re.MULTILINE)
TESTS = ("test", "accuracy", "fuzz", "networks", "compilers")
COMMANDS = [t for t in TARGETS if t not in ("help", *TESTS, "tools", "setup", "clean")]


def called(target: str, variables: dict[str, str]) -> list[str]:
    """Arguments of the `python -m` command that a target would run, beginning with the package."""
    words = [
        "make",
        "-n",
        "-o",
        "setup",
        "-o",
        "tools",
        target,
        *(f"{k}={v}" for k, v in variables.items()),
    ]
    environment = {k: v for k, v in os.environ.items() if k not in GIVEN}
    recipe = subprocess.run(
        words, cwd=ROOT, env=environment, check=True, capture_output=True, text=True
    ).stdout
    commands = [
        shlex.split(line) for line in recipe.replace("\\\n", " ").splitlines() if " -m " in line
    ]
    assert len(commands) == 1, recipe
    return commands[0][commands[0].index("-m") + 1 :]


@pytest.mark.parametrize(
    "model",
    ["my nets/net.py", "net.py:wide", "ünter é/n.py", "it's/n.py", 'a"b/n.py', "a$b/$(n).py", "#"],
)
def test_whatever_is_in_a_variable_is_one_argument(model: str) -> None:
    words = called("quantize", {"MODEL": model, "BUILD": f"{model}-b", "CHECKPOINT": f"{model}.c"})
    given = dict(zip(words[2::2], words[3::2], strict=True))
    assert given == {"--model": model, "--build": f"{model}-b", "--checkpoint": f"{model}.c"}


def test_a_compressed_network_is_meant_by_the_checkpoint_that_it_was_made_from(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = Folder(tmp_path, "net", "compressed")
    given, sources = tmp_path / "my weights.pt", Sources(tmp_path / "my weights.pt")
    given.write_text("weights")
    assert artifacts.usual_precision(folder, sources) == "w8a16"
    assert not capsys.readouterr().out
    folder.path.mkdir(parents=True)
    folder.checkpoint.touch()
    for made_from, usual in ((None, "w8a16"), (given, "compressed")):
        artifacts.compressed_from(folder, made_from)
        assert artifacts.usual_precision(folder, sources) == usual
        assert ("not taking" in capsys.readouterr().out) == (usual == "w8a16")
    assert artifacts.checkpoint_for(folder, sources) == folder.checkpoint
    given.write_text("trained on")
    assert artifacts.usual_precision(folder, sources) == "w8a16"
    assert not artifacts.was_made_from(folder, given)
    assert artifacts.usual_precision(folder, Sources()) == "w8a16"
    with pytest.raises(TendonError, match="was made from another checkpoint"):
        artifacts.checkpoint_for(folder, Sources())


@pytest.mark.parametrize("target", COMMANDS)
def test_a_path_with_a_blank_and_an_accent_is_one_argument(target: str) -> None:
    strange = {
        name: f"mein é/{value}"
        for name, value in GIVEN.items()
        if Path(value).suffix or value in ("folder", "cmsis", "coremark", "aes", "tflm")
    }
    del strange["LOAD"]
    words = called(target, NEEDED | strange | {"BUILD": "mein é/build", "MODEL": "mein é/net.py"})
    for word in words:
        assert not word.startswith("é") and word not in ("mein", "é"), words
    assert not any("mein" in word and "é" not in word for word in words)


@pytest.mark.parametrize("target", COMMANDS)
@pytest.mark.parametrize("variables", [NEEDED, GIVEN], ids=["plain", "all variables"])
def test_a_target_passes_what_its_command_takes(
    target: str, variables: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    package, *arguments = called(
        target, variables | (OWN.get(target, {}) if variables is GIVEN else {})
    )
    parsed: list[argparse.Namespace] = []

    def parse_only(parser: argparse.ArgumentParser, given: list[str] | None) -> int:
        parsed.append(parser.parse_args(given))
        return 0

    monkeypatch.setattr(cli, "run", parse_only)
    importlib.import_module(f"{package}.__main__").main(arguments)
    assert parsed and parsed[0].run

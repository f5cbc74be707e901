"""Every target calls a command with options that the command knows; make prints its recipes without
running them."""

from __future__ import annotations

import argparse
import os
import re
import shlex
import subprocess
from pathlib import Path

import pytest

from bench import tendon
from compress import artifacts
from compress.artifacts import Folder, Sources
from compress.cli import named as names
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
GIVEN |= {
    "PRECISION": "w8a16",
    "FORMAT": "c",
    "BOARD": "posix",
    "NAME": "net",
    "USERS": "someone",
    "REPORTS": "a.json",
    "FRAMES": "3",
    "RESETS": "3",
    "FLIPS": "3",
    "RECORD": "1",
}
NEEDED = {"INPUT": "a.npy", "OUTPUT": "b.npy", "FLASH": "2M"}
OWN = {"diagnose": {"ENGINE": "graph native"}}  # it takes two engines
OUTSIDE = {k: v for k, v in os.environ.items() if k not in GIVEN and not k.startswith("MAKE")}
TARGETS = re.findall(r"^([a-z]+):.*##", (ROOT / "Makefile").read_text(), re.MULTILINE)
TESTS = ("test", "accuracy", "fuzz", "networks", "compilers", "ray")
COMMANDS = [t for t in TARGETS if t not in ("help", *TESTS, "tools", "setup", "clean")]


def taken(target: str) -> set[str]:
    """The variables that the Makefile lets a target have."""
    command = ["make", "-s", "-f", "-", "asked"]
    asked = f"include Makefile\nasked: ; @echo $(takes.{target})\n"
    done = subprocess.run(
        command, cwd=ROOT, check=True, input=asked, capture_output=True, text=True
    )
    return set(done.stdout.split())


def of(target: str, variables: dict[str, str]) -> dict[str, str]:
    """Those of the variables that a target takes."""
    known = taken(target)
    return {name: value for name, value in variables.items() if name in known}


def called(target: str, variables: dict[str, str]) -> list[str]:
    """Arguments of the command that a target would run."""
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
    recipe = subprocess.run(
        words, cwd=ROOT, env=OUTSIDE, check=True, capture_output=True, text=True
    ).stdout
    commands = [
        shlex.split(line) for line in recipe.replace("\\\n", " ").splitlines() if " -m " in line
    ]
    assert len(commands) == 1, recipe
    return commands[0][commands[0].index("-m") + 2 :]


@pytest.mark.parametrize(
    "model",
    ["my nets/net.py", "net.py:wide", "ünter é/n.py", "it's/n.py", 'a"b/n.py', "a$b/$(n).py", "#"],
)
def test_whatever_is_in_a_variable_is_one_argument(model: str) -> None:
    words = called("quantize", {"MODEL": model, "BUILD": f"{model}-b", "CHECKPOINT": f"{model}.c"})
    given = dict(zip(words[1::2], words[2::2], strict=True))
    assert given == {"--model": model, "--build": f"{model}-b", "--checkpoint": f"{model}.c"}


def test_a_compressed_network_is_meant_by_the_checkpoint_that_it_was_made_from(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = Folder(tmp_path, "net", "compressed")
    given, sources = tmp_path / "my weights.pt", Sources(tmp_path / "my weights.pt")
    given.write_text("weights")
    assert artifacts.usual_precision(folder, sources) == "w8a16"
    said = capsys.readouterr()
    assert not said.out + said.err
    folder.path.mkdir(parents=True)
    folder.checkpoint.touch()
    for made_from, usual in ((None, "w8a16"), (given, "compressed")):
        artifacts.compressed_from(folder, made_from)
        assert artifacts.usual_precision(folder, sources) == usual
        assert ("not taking" in capsys.readouterr().err) == (usual == "w8a16")
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
    given = NEEDED | strange | {"BUILD": "mein é/build", "MODEL": "mein é/net.py"}
    words = called(target, of(target, given))
    for word in words:
        assert not word.startswith("é") and word not in ("mein", "é"), words
    assert not any("mein" in word and "é" not in word for word in words)


@pytest.mark.parametrize("target", COMMANDS)
@pytest.mark.parametrize("variables", [NEEDED, GIVEN], ids=["plain", "all variables"])
def test_a_target_passes_what_its_command_takes(
    target: str, variables: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    given = variables | (OWN.get(target, {}) if variables is GIVEN else {})
    if target == "diagnose":  # engines, or a board
        given = {name: value for name, value in given.items() if name not in ("BOARD", "PORT")}
    arguments = called(target, of(target, given))
    parsed: list[argparse.Namespace] = []

    def parse_only(parser: argparse.ArgumentParser, given: list[str] | None, _: object) -> int:
        parsed.append(parser.parse_args(given))
        return 0

    monkeypatch.setattr(tendon, "run", parse_only)
    tendon.main(arguments)
    assert parsed and parsed[0].run


@pytest.mark.parametrize("target", COMMANDS)
def test_what_a_target_takes_is_what_its_recipe_passes_on(target: str) -> None:
    """A variable counts where it changes what is called, and is refused elsewhere."""
    plain, known = called(target, {}), taken(target)
    assert known <= GIVEN.keys() | {"BUILD", "MODEL"}
    for name in known:
        other = GIVEN.get(name, "x") if name != "FORMAT" else "tflm"
        assert called(target, {name: other}) != plain, name
    others = [f"{name}={GIVEN[name]}" for name in sorted(GIVEN.keys() - known)]
    said = refusal(target, *others)
    assert all(f"make {target} takes no {word.partition('=')[0]}=" in said for word in others)


def refusal(*words: str) -> str:
    """What make says, in a line, of these words; "" where it goes on."""
    command = ["make", "-n", "-o", "setup", "-o", "tools", *words]
    done = subprocess.run(command, cwd=ROOT, env=OUTSIDE, capture_output=True, text=True)
    assert done.stderr.count("\n") == (1 if done.returncode else 0), done.stderr
    return done.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("quantize", "CHEKPOINT=x"), "the nearest is CHECKPOINT="),
        (("quantize", "checkpoint=x"), "the nearest is CHECKPOINT="),
        (("-j4", "hil", "SECOND=1"), "the nearest is SECONDS="),
        (("quantize", "SECOND=1"), "nor the nearest, SECONDS=, which is of other targets"),
        (("hil", "STEPS=3"), "which is of other targets"),
        (("quantize", "DATE=it's a MODEL=b \" $x"), "the nearest is DATA="),
        (("quantize", "firmware", "SECONDS=1"), "make quantize firmware takes no SECONDS="),
        (("MODEL=x",), "make help takes no MODEL="),
    ],
)
def test_a_variable_that_no_goal_takes_is_refused_and_the_nearest_named(
    words: tuple[str, ...], said: str
) -> None:
    assert said in refusal(*words)


@pytest.mark.parametrize(
    "words",
    [
        ("quantize", "firmware", "BOARD=posix"),
        ("quantize", "V=1", "SHELL=/bin/sh", "CC=clang"),
        ("quantize", "DATA=it's a SECOND=1 \" $x"),
    ],
)
def test_what_one_of_the_goals_takes_and_what_make_takes_is_allowed(words: tuple[str, ...]) -> None:
    assert not refusal(*words)


def test_below_another_make_its_own_variables_are_allowed_and_slips_are_not(tmp_path: Path) -> None:
    outer = tmp_path / "Makefile"
    outer.write_text(f"all:\n\t@$(MAKE) -C {ROOT} -n -o setup quantize $(MORE)\n")
    for typed, code in (("PROFILE=debug", 0), ("BOARD=posix", 0), ("CHEKPOINT=x", 2)):
        command = ["make", "-f", str(outer), typed]
        done = subprocess.run(command, env=OUTSIDE, capture_output=True, text=True)
        assert done.returncode == code, done.stderr


def test_options_are_called_as_make_calls_them() -> None:
    """In messages, the variable stands beside the option."""
    recipes = (ROOT / "Makefile").read_text()
    for option, variable in re.findall(r"\$\(call (?:given|asked),([a-z-]+),([A-Z_]+)\)", recipes):
        if variable != "FUZZ_SECONDS":
            assert names.variable(f"--{option}") == variable
    for command in tendon.COMMANDS:
        parser = argparse.ArgumentParser()
        command.add_arguments(parser)
        for action in parser._actions:
            found = [names.variable(o) for o in action.option_strings if o.startswith("--")]
            assert all(name is None or name in recipes for name in found), found
    said = names.both("the following arguments are required: --input, --cmsis-nn; --seed x")
    assert said.endswith(": INPUT= (--input), CMSIS_NN= (--cmsis-nn); --seed x")

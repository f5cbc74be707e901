"""A folder that was copied to become a board: what is not written down yet is said by name, and
everything else goes on."""

from __future__ import annotations

import importlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from bench.tendon import main as tendon
from export import boards
from tests.conftest import ROOT

PORT = ROOT / "firmware" / "port"
COPIED = "nucleo-f446re"
TESTS = ("tests/firmware/test_clock_trees.py", "tests/firmware/test_resets.py")
TABLES = {  # who asks it -> what it says of a board that it does not know
    "every_cause_has_its_word": "resets.py, table BITS",
    "every_chip_is_simulated": "known.py, table KNOWN",
    "has_addresses_bits_and_interrupts": "facts.py, table FACTS",
    "on_its_pins": "known.py, table KNOWN",
}


@pytest.fixture
def firmware(tmp_path: Path) -> Path:
    """Beside the boards that there are a copy of one, called myboard. What takes the folder of
    boards when it is imported is imported before."""
    for module in ("export.build", "export.commands", "host.flash"):
        importlib.import_module(module)
    port = tmp_path / "port"
    port.mkdir()
    for board in PORT.glob("*/board.toml"):
        (port / board.parent.name).symlink_to(board.parent)
    shutil.copytree(PORT / COPIED, port / "myboard")
    return tmp_path


def named(firmware: Path, name: str) -> None:
    toml = firmware / "port" / "myboard" / "board.toml"
    text = toml.read_text(encoding="utf-8")
    toml.write_text(text.replace(f'name = "{COPIED}"', name), encoding="utf-8")


def test_a_board_with_the_name_of_another_is_said(
    firmware: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(boards, "FIRMWARE", firmware)
    command = ["export", "--board", "myboard", "--build", str(firmware / "build")]
    assert tendon(command) == 1
    assert capsys.readouterr().err == (
        "error: firmware/port/myboard/board.toml: name is nucleo-f446re, expected myboard, the name"
        " of its folder\n"
    )
    assert boards.load_board(COPIED).name == COPIED
    named(firmware, 'name = "myboard"')
    assert boards.load_board("myboard").loading and "myboard" in boards.chips()


@pytest.mark.parametrize("name", ["", "name = 3", 'name = "', 'name = "other"'])
def test_a_board_that_cannot_be_read_keeps_no_other_from_work(
    name: str,
    firmware: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(boards, "FIRMWARE", firmware)
    named(firmware, name)
    with pytest.raises(SystemExit):
        tendon(["flash", "--help"])
    assert COPIED in capsys.readouterr().out
    assert tendon(["flash", "--board", "myboard", "--build", str(firmware / "build")]) == 1
    said = capsys.readouterr().err
    assert "myboard/board.toml: " in said and said.count("\n") == 1


def test_a_board_that_no_table_describes_is_told_which_table_asks(firmware: Path) -> None:
    named(firmware, 'name = "myboard"')
    program = (
        "import sys, pathlib, pytest\n"
        "from export import boards\n"
        "boards.FIRMWARE = pathlib.Path(sys.argv[1])\n"
        "sys.exit(pytest.main(sys.argv[2:]))"
    )
    asked = ["-q", "-p", "no:cacheprovider", "-k", "myboard", "--tb=short", *TESTS]
    done = subprocess.run(
        [sys.executable, "-c", program, str(firmware), *asked],
        cwd=ROOT,
        env=os.environ | {"COLUMNS": "300"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1 and "KeyError" not in done.stdout, done.stdout[-2000:]
    failed = [line for line in done.stdout.splitlines() if line.startswith("FAILED")]
    for test, table in TABLES.items():
        (line,) = (line for line in failed if test in line)
        assert f"describe myboard in tests/firmware/chip/{table}" in line

"""Two commands at once, in one build folder, on one fresh set of recordings, or two set-ups in one
checkout: one waits and says for whom, and both succeed."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from compress.artifacts import locks
from tests import toy
from tests.conftest import ROOT

NET = """
from torch import nn

SAMPLE_RATE, ELECTRODES, TASK = 200, 4, "classes"


def network():
    return nn.Conv1d(4, 3, 1)
"""
ENVIRONMENT = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}


def start(folder: Path, *words: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, *words],
        cwd=folder,
        env=ENVIRONMENT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def ended(*processes: subprocess.Popen[str]) -> list[str]:
    """What they said on stderr; both succeeded."""
    said = []
    for process in processes:
        _, error = process.communicate(timeout=300)
        assert process.returncode == 0, error
        said.append(error)
    return said


HOLDS = """
import sys, time
from pathlib import Path
from compress.artifacts import locks
with locks.held(Path("build"), "net"):
    print("held", flush=True)
    time.sleep(float(sys.argv[1]))
"""


def test_a_second_command_says_who_holds_the_folder_and_waits(tmp_path: Path) -> None:
    first = start(tmp_path, "-c", HOLDS, "2")
    assert first.stdout is not None and first.stdout.readline() == "held\n"
    second = start(tmp_path, "-c", HOLDS, "0")
    said = ended(first, second)
    assert said[0] == ""
    assert said[1].startswith(f"net: process {first.pid} is at it since 20")
    assert "-c" in said[1] and said[1].endswith("; waiting until it ends\n")


def test_the_lock_of_a_killed_command_holds_nobody_up(tmp_path: Path) -> None:
    first = start(tmp_path, "-c", HOLDS, "600")
    assert first.stdout is not None and first.stdout.readline() == "held\n"
    first.send_signal(signal.SIGKILL)
    first.communicate()
    assert ended(start(tmp_path, "-c", HOLDS, "0")) == [""]


@pytest.mark.parametrize("there", ["folder", "pipe", "dangling link"])
def test_whatever_lies_where_the_holder_signs_the_lock_holds(there: str, tmp_path: Path) -> None:
    record = tmp_path / "build" / locks.FOLDER / "net.json"
    record.parent.mkdir(parents=True)
    if there == "folder":
        record.mkdir()
    elif there == "pipe":
        os.mkfifo(record)
    else:
        record.symlink_to(tmp_path / "nowhere" / "else.json")
    first = start(tmp_path, "-c", HOLDS, "1.5")
    assert first.stdout is not None and first.stdout.readline() == "held\n"
    said = ended(first, start(tmp_path, "-c", HOLDS, "0"))
    if there == "dangling link":
        assert said[0] == "" and f"net: process {first.pid} is at it" in said[1]
        assert not (tmp_path / "nowhere").exists()
    else:
        assert "expected a file to write, found" in said[0] and said[0].count("\n") == 1
        assert said[1].startswith("net: another command is at it; waiting until it ends\n")


def test_one_that_waits_can_be_interrupted(tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text(NET)
    first = start(tmp_path, "-c", HOLDS, "600")
    try:
        assert first.stdout is not None and first.stdout.readline() == "held\n"
        second = start(tmp_path, "-m", "bench", "macs", "--model", "net.py")
        assert second.stderr is not None and "waiting" in second.stderr.readline()
        second.send_signal(signal.SIGINT)
        _, error = second.communicate(timeout=60)
        assert second.returncode == 130 and error.startswith("interrupted; ")
    finally:
        first.kill()
        first.communicate()


def test_other_networks_do_not_wait(tmp_path: Path) -> None:
    with locks.held(tmp_path, "a"), locks.held(tmp_path, "b", "c"):
        pass


def test_what_is_locked_together_is_locked_in_one_order(tmp_path: Path) -> None:
    code = """
import sys
from pathlib import Path
from compress.artifacts import locks
for _ in range(50):
    with locks.held(Path("build"), *sys.argv[1:]):
        pass
"""
    ended(start(tmp_path, "-c", code, "a", "b"), start(tmp_path, "-c", code, "b", "a"))


def test_two_firmware_builds_of_one_network_from_nothing(tmp_path: Path) -> None:
    """Both make the graph, the project and the image."""
    toy.need("gcc", "make")
    (tmp_path / "net.py").write_text(NET)
    noise = np.random.default_rng(1).normal(size=(4, 2000)).astype(np.float32)
    np.save(tmp_path / "signal.npy", noise)
    words = ["--model", "net.py", "--calibration", "signal.npy", "--board", "posix"]
    ended(*(start(tmp_path, "-m", "bench", "firmware", *words) for _ in range(2)))
    made = tmp_path / "build" / "net" / "w8a16" / "c" / "posix"
    assert (made / "firmware").is_file()
    assert json.loads((made / "firmware.json").read_text())["graph"]


ENSURES = """
import sys, time
from pathlib import Path
from compress.data import recordings
from compress.data.recordings import Collection, Split
from compress.tasks.values.simulated import collection_for
from compress.tasks.shape import Shape
from dataclasses import replace
from fractions import Fraction

made = collection_for(Shape(Fraction(200), 4, 2))
small = replace(made, splits={name: Split(3, 2.0) for name in ("calibration", "heldout")})
print("ready", flush=True)
sys.stdin.readline()
for split in small.splits:
    assert len(recordings.ensure(Path("build") / small.folder, split, small)) == 3
"""


def test_two_commands_on_one_fresh_set_of_recordings(tmp_path: Path) -> None:
    both = [start(tmp_path, "-c", ENSURES) for _ in range(2)]
    for process in both:  # they begin together
        assert process.stdout is not None and process.stdout.readline() == "ready\n"
    for process in both:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    ended(*both)
    for split in ("calibration", "heldout"):
        (sums,) = (tmp_path / "build").rglob(f"{split}/SHA256SUMS")
        assert len(sums.read_text().splitlines()) == len(list(sums.parent.glob("*.hdf5"))) == 3


def test_two_set_ups_in_one_checkout(tmp_path: Path) -> None:
    """With programs that stand in for Python and pip, which take their time."""
    toy.need("make", "flock")
    (tmp_path / "firmware").mkdir()
    for name in ("alone.sh", "setup.sh", "tools.sh"):
        shutil.copy(ROOT / "firmware" / name, tmp_path / "firmware")
    for name in ("Makefile", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path)
        os.utime(tmp_path / name, (time.time() - 100,) * 2)
    (tmp_path / "bin").mkdir()
    python = tmp_path / "bin" / "python3.11"
    python.write_text(
        "#!/bin/sh\n"
        'case "$*" in *ensurepip*|*sysconfig*) exit 0;; esac\n'
        "mkdir .venv || exit 1\n"
        "sleep 0.5; mkdir .venv/bin\n"
        "printf '#!/bin/sh\\necho pip >> log; sleep 0.5\\n' > .venv/bin/python\n"
        "chmod +x .venv/bin/python\n"
    )
    python.chmod(0o755)
    (tmp_path / "bin" / "g++").symlink_to("/bin/true")
    environment = os.environ | {"PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}"}
    both = [
        subprocess.Popen(
            ["make", "setup"],
            cwd=tmp_path,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    said = ended(*both)
    assert sum("waiting until set-up ends, process" in text for text in said) == 1
    assert (tmp_path / "log").read_text() == "pip\npip\n"  # installed and compiled once
    assert (tmp_path / ".venv" / "ready").is_file()

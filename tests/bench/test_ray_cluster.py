"""A sweep on a Ray cluster of this machine, two workers: it gives what it gives without a cluster,
also where a worker dies. `make ray` installs Ray and runs this; elsewhere it is skipped."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from bench.pareto import clusters, sweep
from bench.pareto.sweep import Backend
from compress.errors import TendonError
from tests.bench import made_up_sweeps, sweeps
from tests.bench.sweeps import alone, here  # noqa: F401  fixtures
from tests.conftest import ROOT

if os.environ.get("RAY") != "1":
    pytest.importorskip("ray", reason="Ray is not installed; make ray does it")

PATIENCE_S = 120.0
PORT = 6397


@pytest.fixture(scope="module")
def head(tmp_path_factory: pytest.TempPathFactory) -> Iterator[psutil.Process]:
    """`ray start` of a cluster of two workers; ends with the tests."""
    words = ["start", "--head", "--block", f"--port={PORT}", "--num-cpus=2"]
    command = [sys.executable, "-m", "ray.scripts.scripts", *words, "--include-dashboard=false"]
    environment = os.environ | {
        "PYTHONPATH": str(ROOT),
        "RAY_USAGE_STATS_ENABLED": "0",
        "OMP_NUM_THREADS": "1",
    }
    folder = tmp_path_factory.mktemp("ray")
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, env=environment, cwd=ROOT, stdout=log, stderr=log)
    deadline = time.monotonic() + PATIENCE_S
    while b"Ray runtime started" not in (folder / "log").read_bytes():
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.1)
    yield psutil.Process(process.pid)
    process.send_signal(signal.SIGTERM)
    process.wait(PATIENCE_S)


OPTIONS = ("--backend", "ray", "--scheduler", f"127.0.0.1:{PORT}")


def test_two_workers_give_what_this_machine_gives(
    here: Path, alone: list[dict[str, Any]], head: psutil.Process
) -> None:
    assert sweeps.points(here, "on-two", *OPTIONS) == alone


def kill_one(head: psutil.Process, log: list[int]) -> None:
    """SIGKILL for a worker in the middle of a job; Ray names its processes by what they do."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline and not log:
        for process in psutil.process_iter(["cmdline"]):
            words = " ".join(process.info["cmdline"] or [])
            if words.startswith("ray::checked") and process.cpu_times().user > 2.0:
                process.send_signal(signal.SIGKILL)
                log.append(process.pid)
                return
        time.sleep(0.05)


def test_the_job_of_a_killed_worker_runs_again(
    here: Path, alone: list[dict[str, Any]], head: psutil.Process
) -> None:
    killed: list[int] = []
    killer = threading.Thread(target=kill_one, args=(head, killed), daemon=True)
    killer.start()
    assert sweeps.points(here, "on-one", *OPTIONS) == alone
    assert len(killed) == 1


def test_where_no_cluster_is_one_line_says_so_in_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clusters, "ANSWERS_S", 1.0)
    backend = Backend("ray", None, "127.0.0.1:9")
    with pytest.raises(TendonError, match=r"SCHEDULER=127.0.0.1:9: expected a Ray cluster"):
        sweep.run(made_up_sweeps.setting(tmp_path), backend, made_up_sweeps.fake)

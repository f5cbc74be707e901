"""A sweep on a Dask cluster: a scheduler and two workers, processes of this machine that speak TCP.
It gives what it gives without a cluster, also where a worker dies."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import distributed
import pytest

from bench.pareto import clusters, fitness, sweep
from bench.pareto.sweep import Backend
from compress.errors import TendonError
from tests.bench import made_up_sweeps, sweeps
from tests.bench.sweeps import alone, here  # noqa: F401  fixtures
from tests.conftest import ROOT

PATIENCE_S = 120.0


@dataclass
class Cluster:
    """A scheduler and its workers, by their process."""

    folder: Path
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)
    address: str | None = None

    def start(self, root: Path, *words: str) -> None:
        """A process of the cluster, of the code in a folder."""
        places = os.environ | {"PYTHONPATH": str(root), "OMP_NUM_THREADS": "1"}
        command = [sys.executable, "-m", "dask", *words, "--no-dashboard"]
        with (self.folder / "log").open("ab") as log:
            self.processes.append(
                subprocess.Popen(command, cwd=root, env=places, stdout=log, stderr=log)
            )

    def scheduler(self) -> None:
        known = self.folder / "scheduler.json"
        self.start(ROOT, "scheduler", "--host=127.0.0.1", "--port=0", f"--scheduler-file={known}")
        until(known.is_file)
        self.address = json.loads(known.read_text())["address"]

    def worker(self, root: Path = ROOT) -> None:
        place = f"--local-directory={self.folder}"
        self.start(root, "worker", str(self.address), "--nthreads=1", "--no-nanny", place)

    def stop(self) -> None:
        for process in reversed(self.processes):
            process.kill()
            process.wait()


def until(done: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not done():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@contextlib.contextmanager
def a_cluster(folder: Path, *roots: Path) -> Iterator[Cluster]:
    """With a worker of the code in each of these folders."""
    cluster = Cluster(folder)
    try:
        cluster.scheduler()
        for root in roots:
            cluster.worker(root)
        yield cluster
    finally:
        cluster.stop()


@contextlib.contextmanager
def looking(cluster: Cluster) -> Iterator[distributed.Client]:
    with distributed.Client(cluster.address, set_as_default=False) as client:
        yield client


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with a_cluster(tmp_path_factory.mktemp("two"), ROOT, ROOT) as cluster:
        with looking(cluster) as client:
            client.wait_for_workers(2, timeout=PATIENCE_S)
        yield cluster


def kill_at(two: Cluster, begin: str, seen: list[str]) -> None:
    """SIGKILL for the worker that is at the job whose key begins so, once every worker had work;
    adds who was killed, and who then took the job."""
    with looking(two) as client:
        pids, busy = client.run(os.getpid), set()

        def at(begin: str) -> tuple[str, str] | None:
            queues = client.processing()
            busy.update(worker for worker, keys in queues.items() if keys)
            found = ((w, str(k)) for w, keys in queues.items() for k in keys)
            return next(((w, k) for w, k in found if k.startswith(begin)), None)

        until(lambda: at(begin))
        worker, key = at(begin) or ("", "")
        time.sleep(0.3)  # into the middle of it
        os.kill(pids[worker], signal.SIGKILL)
        until(lambda: (now := at(key)) is not None and now[0] != worker)
        assert busy == pids.keys()
        seen += [worker, (at(key) or ("", ""))[0]]


def test_two_workers_one_of_them_killed_give_what_this_machine_gives(
    here: Path, alone: list[dict[str, Any]], two: Cluster
) -> None:
    seen: list[str] = []
    killer = threading.Thread(
        target=kill_at, args=(two, f"{sweeps.NAME} w8a16 ", seen), daemon=True
    )
    killer.start()
    options = ("--backend", "dask", "--scheduler", two.address)
    assert sweeps.points(here, "on-two", *options) == alone
    killer.join(PATIENCE_S)
    with looking(two) as client:
        assert [*client.run(os.getpid)] == seen[1:]
    assert not list((here / "on-two/pareto/results").glob(".*"))


def swept(
    cluster: Cluster, folder: Path, worker: sweep.Worker = made_up_sweeps.fake
) -> sweep.Swept:
    return sweep.run(made_up_sweeps.setting(folder), Backend("dask", None, cluster.address), worker)


def copied(to: Path) -> Path:
    """The project in another folder."""
    for name in fitness.FOLDERS:
        shutil.copytree(ROOT / name, to / name, ignore=shutil.ignore_patterns("__pycache__"))
    (to / "tests").symlink_to(ROOT / "tests")
    return to


def test_a_worker_of_other_code_is_refused_by_the_name_of_the_file(tmp_path: Path) -> None:
    root = copied(tmp_path / "copy")
    (root / "compress/errors.py").open("a").write("\nOTHER = 1\n")
    with a_cluster(tmp_path, root) as cluster:
        message = "compress/errors.py differs from that of this sweep.*scaling-out"
        with pytest.raises(TendonError, match=message):
            swept(cluster, tmp_path)


@pytest.mark.parametrize("project", [True, False])
def test_a_cluster_that_lost_its_last_worker_is_not_waited_for_for_ever(
    project: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a job that ends it, or since it cannot import what it is sent."""
    monkeypatch.setattr(clusters, "ALONE_S", 1.0)
    monkeypatch.setattr(clusters, "_LOOKS_S", 0.2)
    (tmp_path / "bench").mkdir()
    (tmp_path / "bench/__init__.py").touch()
    message = "no worker for 1 s with [13] jobs left.*workers need this folder"
    with (
        a_cluster(tmp_path, ROOT if project else tmp_path) as cluster,
        pytest.raises(TendonError, match=message),
    ):
        swept(cluster, tmp_path, made_up_sweeps.ends)


def test_where_no_scheduler_or_no_worker_is_one_line_says_so_in_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clusters, "ANSWERS_S", 1.0)
    with pytest.raises(TendonError, match=r"SCHEDULER=tcp://127.0.0.1:9: expected .* within 1 s"):
        swept(Cluster(tmp_path, address="tcp://127.0.0.1:9"), tmp_path)
    with pytest.raises(TendonError, match=r"SCHEDULER=no\\where: expected a Dask scheduler"):
        swept(Cluster(tmp_path, address="no\\where"), tmp_path)
    with pytest.raises(TendonError, match=r"BACKEND=dask: .* give SCHEDULER="):
        swept(Cluster(tmp_path), tmp_path)
    with a_cluster(tmp_path) as cluster, pytest.raises(TendonError, match="at least one worker"):
        swept(cluster, tmp_path)
    with pytest.raises(TendonError, match="JOBS=2: is for this machine"):
        sweep.run(
            made_up_sweeps.setting(tmp_path), Backend("dask", 2, "tcp://h:1"), made_up_sweeps.fake
        )
    with pytest.raises(TendonError, match="SCHEDULER=tcp://h:1: of BACKEND=dask"):
        sweep.run(
            made_up_sweeps.setting(tmp_path), Backend("loky", 2, "tcp://h:1"), made_up_sweeps.fake
        )


def test_a_worker_says_what_it_does_not_see(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    setting = made_up_sweeps.setting(tmp_path)
    with fitness.asked(setting) as mark:
        assert fitness.lacks(mark) == ""
    assert "build folder" in fitness.lacks(tmp_path / "elsewhere")
    with fitness.asked(setting) as mark:
        (tmp_path / "s1").write_text("another one")
        assert fitness.lacks(mark) == f"expected {tmp_path / 's1'} of 2 bytes, found 11"
    with fitness.asked(setting) as mark:
        (tmp_path / "s1").unlink()
        assert fitness.lacks(mark) == f"expected {tmp_path / 's1'}, found none"
    (tmp_path / "s1").write_text("s1")
    with fitness.asked(setting) as mark:
        own = fitness._own()
        other = own | {"versions": own["versions"] | {"torch": "1.0"}}
        monkeypatch.setattr(fitness, "_own", lambda: other)
        assert "expected torch 2" in fitness.lacks(mark) and "1.0" in fitness.lacks(mark)

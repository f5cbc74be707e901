"""A campaign of damaged files: every reader reads them in a process of its own, so that a crash or
a hang is counted and the rest goes on. Whatever fails is kept as a file, with its seed."""

from __future__ import annotations

import json
import queue
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.fuzz.reader import Reader
from tests.fuzz.registry import readers

ROOT = Path(__file__).parents[2]
START_S = 300.0  # for a worker to import what readers need
AS_MANY_AS_FIT = 1 << 40
SHOWN, LONGEST = 5, 600  # failures of a reader, characters of one


@dataclass
class Figures:
    """Of one reader: how many inputs were tried and what became of them. `failures`: a line for
    each input that was taken wrongly, with its seed and where it is kept."""

    tried: int = 0
    refused: int = 0
    accepted: int = 0
    wrong: int = 0
    crashes: int = 0
    hangs: int = 0
    slowest_s: float = 0.0
    failures: list[str] = field(default_factory=list)

    @property
    def bad(self) -> int:
        """Inputs that were neither refused in one line nor accepted."""
        return self.wrong + self.crashes + self.hangs


class Worker:
    """The process that reads, and what it says."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.fuzz.worker", str(folder)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._said: queue.Queue[str] = queue.Queue()
        threading.Thread(target=self._listen, daemon=True).start()
        if not self.next(START_S):
            raise RuntimeError("the process that reads damaged files does not start")

    def _listen(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._said.put(line)
        self._said.put("")

    def ask(self, task: dict[str, Any]) -> None:
        """Give it something to do."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(task) + "\n")
        self.process.stdin.flush()

    def next(self, seconds: float) -> dict[str, Any] | None:
        """What it says next; nothing when it ended. TimeoutError when it says nothing."""
        try:
            line = self._said.get(timeout=seconds)
        except queue.Empty:
            raise TimeoutError from None
        return dict(json.loads(line)) if line else None

    def close(self) -> None:
        """End it, whatever it does."""
        self.process.kill()
        self.process.wait()


def run(
    names: Sequence[str], folder: Path, count: int | None, seconds: float, first: int = 0
) -> Iterator[tuple[str, Figures]]:
    """(reader, figures) one after the other, after `count` inputs each, or as many as fit into the
    seconds of each."""
    known = readers()
    worker = Worker(folder / "work")
    try:
        for name in names:
            figures = Figures()
            worker = _one(worker, known[name], figures, count or AS_MANY_AS_FIT, seconds, first)
            yield name, figures
    finally:
        worker.close()


def _one(
    worker: Worker, reader: Reader, figures: Figures, count: int, seconds: float, first: int
) -> Worker:
    """The inputs of one reader; returns the worker that goes on, another one after a crash."""
    end, last = time.monotonic() + seconds, first + count
    while first < last and time.monotonic() < end:
        left = end - time.monotonic()
        worker.ask({"reader": reader.name, "first": first, "count": last - first, "seconds": left})
        first, ended = _follow(worker, reader, figures, first)
        if not ended:
            break
        worker.close()
        worker = Worker(worker.folder)
    return worker


def _follow(worker: Worker, reader: Reader, figures: Figures, first: int) -> tuple[int, bool]:
    """Count what the worker says until it is done or ended; (the next seed, whether it ended)."""
    while True:
        try:
            said = worker.next(reader.seconds + (START_S if not figures.tried else 0))
        except TimeoutError:
            figures.hangs += 1
            said = None
            _keep(worker, reader, figures, first, f"no answer within {reader.seconds:g} s")
        else:
            if said is None:
                figures.crashes += 1
                code = worker.process.wait()
                _keep(worker, reader, figures, first, f"the process ended with {code}")
        if said is None:
            figures.tried += 1
            return first + 1, True
        if said.get("done"):
            return first, False
        first = said["seed"] + 1
        _count(worker, reader, figures, said)


def _count(worker: Worker, reader: Reader, figures: Figures, said: dict[str, Any]) -> None:
    outcome = said["outcome"]
    figures.tried += 1
    figures.slowest_s = max(figures.slowest_s, said["seconds"])
    setattr(figures, outcome, getattr(figures, outcome) + 1)
    if outcome == "wrong":
        _keep(worker, reader, figures, said["seed"], said["message"])


def _keep(worker: Worker, reader: Reader, figures: Figures, seed: int, why: str) -> None:
    """The input that failed, made again from its seed, lies in `failures` from now on; after some
    of a reader only the first are kept."""
    if len(figures.failures) >= SHOWN:
        return
    from tests.fuzz.mutate import mutated

    home = worker.folder.parent / "failures" / f"{reader.name.replace(' ', '-')}-{seed}"
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(parents=True)
    path = home / reader.file
    reader.make(path)
    path.write_bytes(mutated(path.read_bytes(), f"{reader.name}/{seed}", reader.tokens))
    figures.failures.append(f"{reader.name}, seed {seed}, {path}: {why.strip()[-LONGEST:]}")

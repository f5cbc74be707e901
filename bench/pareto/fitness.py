"""Whether a worker of a cluster can work for a sweep: it sees the same build folder and inputs, and
runs the same code.

The sweep writes a mark with what it expects into the build folder; every worker process reads it
once, before its first job.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import platform
import socket
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from bench.pareto.jobs import Job, Outcome, Setting
from compress.artifacts.keys import ROOT, SUFFIXES
from compress.files import read_json, write_json

PACKAGES = ("torch", "numpy", "scipy")  # that compute
FOLDERS = ("bench", "compress", "export", "firmware", "host")


@dataclass(frozen=True)
class Unfit:
    """A worker that is no use for this sweep, and why."""

    worker: str
    reason: str


@contextlib.contextmanager
def asked(setting: Setting) -> Iterator[Path]:
    """The mark of a sweep, as long as it has jobs out."""
    mark = setting.results / f".expected-{uuid.uuid4().hex}.json"
    inputs = {str(path): path.stat().st_size for path in _inputs(setting) if path.is_file()}
    write_json(mark, {"inputs": inputs} | _own())
    try:
        yield mark
    finally:
        mark.unlink(missing_ok=True)


def checked(
    worker: Callable[[Setting, Job], Outcome], mark: Path, setting: Setting, job: Job
) -> Outcome | Unfit:
    """A job, by a process that can do it."""
    reason = lacks(mark)
    if reason:
        return Unfit(f"{socket.gethostname()}, process {os.getpid()}", reason)
    return worker(setting, job)


@functools.lru_cache(maxsize=8)  # once for each wave
def lacks(mark: Path) -> str:
    """What this process lacks for the sweep that wrote this mark; "" where it lacks nothing."""
    expected = read_json(mark)
    if not expected:
        return f"does not see the build folder of this sweep: expected {mark}, found none"
    for name, size in expected["inputs"].items():
        if not Path(name).is_file():
            return f"expected {name}, found none"
        if Path(name).stat().st_size != size:
            return f"expected {name} of {size} bytes, found {Path(name).stat().st_size}"
    own = _own()
    for name, version in expected["versions"].items():
        if own["versions"][name] != version:
            return f"expected {name} {version}, found {own['versions'][name]}"
    theirs, ours = expected["sources"], own["sources"]
    other = sorted(n for n in {*theirs, *ours} if theirs.get(n) != ours.get(n))
    if other:
        which = f"{ROOT / other[0]}" + (f" and {len(other) - 1} more" if other[1:] else "")
        return f"runs another state of the code: {which} differs from that of this sweep"
    return ""


def _inputs(setting: Setting) -> list[Path]:
    networks = [file.path for file in setting.networks.values()]
    checkpoints = [*setting.checkpoints.values(), *setting.compressed.values()]
    lm = [setting.lm] if setting.decoders != ("",) else []
    return [*checkpoints, *setting.calibration, *setting.heldout, *lm, *networks]


@functools.cache  # a process is one state of the code
def _own() -> dict[str, dict[str, str]]:
    versions = {"Python": platform.python_version()}
    versions |= {name: metadata.version(name) for name in PACKAGES}
    sources = {
        path.relative_to(ROOT).as_posix(): _digest(path)
        for folder in FOLDERS
        for path in sorted((ROOT / folder).rglob("[!.]*"))
        if path.suffix in SUFFIXES and path.is_file()
    }
    return {"versions": versions, "sources": sources}


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16]

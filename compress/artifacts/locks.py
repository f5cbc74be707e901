"""Who writes in a build folder. Commands that write the same files run one after the other: the
second waits, and says for whom. A lock is the operating system's, so it ends with its process,
however that ends."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import shlex
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from compress.errors import TendonError
from compress.files import read_json, replace_atomically
from compress.reading.words import one_line

log = logging.getLogger(__name__)

FOLDER = ".locks"  # in the build folder
_EVERY_S = 0.1
_LONGEST = 200  # characters of a command in a message


@contextlib.contextmanager
def held(build: Path, *names: str) -> Iterator[None]:
    """Be the only process that writes what these names mean, folders of networks or of recordings
    under `build`; waits for others. TendonError for a build folder that cannot be made or written.
    """
    folder = build / FOLDER
    make(build, "BUILD")
    make(folder, "BUILD")
    with contextlib.ExitStack() as stack:
        for name in sorted(set(names)):  # in one order, so that no two wait for each other
            stack.enter_context(_held(folder / f"{name}.lock"))
        yield


def make(folder: Path, variable: str) -> None:
    """A folder that is there to be written in; TendonError in one line."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise TendonError(f"{variable}={folder}: cannot be made: {_why(folder, error)}") from error
    if not os.access(folder, os.W_OK | os.X_OK):
        raise TendonError(
            f"{variable}={folder}: cannot be written in: no permission, or a disk that is read only"
        )


def _why(folder: Path, error: OSError) -> str:
    for parent in (folder, *folder.parents):
        with contextlib.suppress(OSError):
            if parent.exists() and not parent.is_dir():
                return f"{parent} is a file"
    return error.strerror or str(error)


@contextlib.contextmanager
def _held(path: Path) -> Iterator[None]:
    from filelock import FileLock, Timeout

    lock = FileLock(path, thread_local=False)
    try:
        try:
            lock.acquire(blocking=False)
        except Timeout:
            log.warning(f"{path.stem}: {_holder(path)}; waiting until it ends")
            lock.acquire(poll_interval=_EVERY_S)
    except OSError as error:
        raise TendonError(f"{path}: cannot be locked: {error.strerror or error}") from error
    try:
        _sign(path)
        yield
    finally:
        lock.release()


def _sign(path: Path) -> None:
    """Say beside the lock who holds it. Where that cannot be written the lock holds all the same,
    and who waits is not told for whom."""
    said = {"pid": os.getpid(), "command": _command(), "since": time.strftime("%Y-%m-%d %H:%M:%S")}
    record = path.with_suffix(".json")
    try:
        if record.is_symlink():  # it is ours, wherever it leads
            record.unlink()
        replace_atomically(record, json.dumps(said).encode())
    except (OSError, TendonError) as error:
        log.warning(
            f"{one_line(error)}: commands that wait for this one cannot say so; remove {record}",
        )


def _holder(path: Path) -> str:
    said = read_json(path.with_suffix(".json"))
    if not said:
        return "another command is at it"
    pid, since, command = (one_line(said.get(key)) for key in ("pid", "since", "command"))
    return f"process {pid} is at it since {since} ({command})"


def _command() -> str:
    """As it was typed, in one line that is not too long."""
    words = " ".join(shlex.join(sys.orig_argv).split())
    return words if len(words) <= _LONGEST else f"{words[:_LONGEST]} …"

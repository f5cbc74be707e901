"""The attributes of an HDF5 group, read in a process of its own unless the file is known to be
whole.

HDF5 trusts what a file says of itself. Of 13,500 sessions with one to four damaged bytes outside
their samples, 16 crashed the library (2.0) or held it up for ever while it read attributes, by
their types and by the heap of their strings, and not always the same way. Neither can be caught in
the process that reads. It costs a third of a second, once for each file and process. Not covered: 5
of the 13,500 crashed it while it read the table of samples, which is read where it is wanted.
"""

from __future__ import annotations

import json
import resource
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np

LIMIT_S = 20  # of processor time: attributes of an hour of typing take less than a second
_known: dict[tuple[int, int, int, int, str], str] = {}  # what was read in this process, as JSON


class UnreadableError(Exception):
    """What reading the attributes did, in words that follow "its structure is damaged: "."""


def read(path: Path, group: str, whole: bool) -> dict[str, Any]:
    """Every attribute of a group by name, as str, int, float, bool or lists of them;
    UnreadableError when they cannot be read.

    `whole`: a digest vouches for the file, so it is read here.
    """
    if whole:
        return _read(path, group)
    stat = path.stat()
    identity = stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns, group
    if identity not in _known:
        _known[identity] = _elsewhere(path, group)
    found: dict[str, Any] = json.loads(_known[identity])
    return found


def _elsewhere(path: Path, group: str) -> str:
    done = subprocess.run(
        [sys.executable, "-I", __file__, str(path), group, str(LIMIT_S)],
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    if -done.returncode in (signal.SIGXCPU, signal.SIGKILL):
        raise UnreadableError(
            f"the HDF5 library does not come to an end with its attributes ({LIMIT_S} s of"
            " processor time)"
        )
    if done.returncode < 0:
        raise UnreadableError(
            f"the HDF5 library crashes on its attributes ({signal.Signals(-done.returncode).name})"
        )
    if done.returncode:
        raise UnreadableError(
            (done.stderr.strip() or "its attributes cannot be read").splitlines()[-1]
        )
    return done.stdout


def _read(path: Path, group: str) -> dict[str, Any]:
    import h5py  # slow to import, and needed only here

    try:
        with h5py.File(path, "r") as file:
            return {str(name): _plain(value) for name, value in file[group].attrs.items()}
    except Exception as error:  # a damaged file makes h5py raise whatever it meets first
        raise UnreadableError(str(error)) from error


def _plain(value: Any) -> Any:
    """As JSON has it."""
    if isinstance(value, bytes):
        return value.decode("utf-8", errors="replace")
    if isinstance(value, np.ndarray | np.generic):
        return _plain(value.tolist())
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    return value if isinstance(value, str | int | float | bool) else repr(value)


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_CPU, (int(sys.argv[3]), int(sys.argv[3]) + 1))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    try:
        print(json.dumps(_read(Path(sys.argv[1]), sys.argv[2])))
    except UnreadableError as error:
        sys.exit(str(error))

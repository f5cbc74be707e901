"""Typing sessions of a few samples, which say whose they are: enough to choose between them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from compress.data.recording_file import SUMS, file_digest
from compress.tasks.typing.session import DTYPE, GROUP
from compress.tasks.typing.simulated import COLLECTION as TYPING
from tests import recording_files

__all__ = ["TYPING", "put"]


def put(folder: Path, *names: str, user: str = "someone") -> list[Path]:
    """Sessions of these names, beside the digests by which they are known to be whole."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = np.zeros(1024, DTYPE)
    rows["time"] = 1.6e9 + np.arange(1024) / 2000
    about = {"user": user, "condition": "on_keyboard", "duration_mins": 0.1}
    about |= {"keystrokes": "[]", "prompts": "[]"}
    paths = []
    for name in names:
        path = folder / f"{name}.hdf5"
        recording_files.write(path, GROUP, rows, about | {"session_name": name})
        with (folder / SUMS).open("a") as sums:
            sums.write(f"{file_digest(path)}  {path.name}\n")
        paths.append(path)
    return paths

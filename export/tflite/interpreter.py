"""Running a step file in the TFLite-Micro interpreter of this machine: always in a process of its
own.

An arena that is too small usually raises, but may also write past its end; a process of its own
turns that into an error message.
"""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

import numpy as np
import numpy.typing as npt

from export.tflite.read import TfliteError, notes, read

AMPLE = 16 << 20  # bytes of arena for any published network on a 64-bit machine
GRAIN = 256
PROCESS = Path(__file__).with_name("process.py")


Words = npt.NDArray[np.int16]


def run(path: Path, samples: Words, arena: int = AMPLE, initial: Words | None = None) -> Words:
    """int16 samples (time, features), whole steps -> int16 output words (frames, outputs), from the
    zero state.

    initial (joints,): words of the pose that the stream begins with; TfliteError where the file
    begins with none.
    """
    step = read(path).subgraphs[0]
    content = io.BytesIO()
    np.save(content, samples.reshape(-1, *step.tensors[step.inputs[0]].shape).astype(np.int16))
    index = 0
    if initial is not None:
        index = initial_pose(notes(path), str(path))
        np.save(content, initial.astype(np.int16))
    done = _start("run", path, arena, index, content=content.getvalue())
    if done.returncode:
        raise TfliteError(f"{path}: TFLite-Micro stopped ({_reason(done)})")
    return np.asarray(np.load(io.BytesIO(done.stdout)), np.int16)


def initial_pose(noted: dict[str, str], name: str) -> int:
    """The input that takes the pose a stream begins with, from the notes of a file."""
    if "initial_pose" not in noted:
        raise TfliteError(f"{name}: the step begins with no pose")
    return int(noted["initial_pose"])


def smallest_arena(path: Path) -> int:
    """Bytes of arena, to 256, with which one step runs here; a microcontroller, with pointers of 32
    bits, needs less."""
    read(path)
    low, high = 0, AMPLE // GRAIN
    while high - low > 1:
        done = _start("arena", path, low, high)
        known = [line.split() for line in done.stdout.decode().splitlines()]
        if not known:
            raise TfliteError(f"{path}: TFLite-Micro stopped ({_reason(done)})")
        low, high = (int(n) for n in known[-1])
    if high == AMPLE // GRAIN:
        raise TfliteError(f"{path}: one step does not run in {AMPLE} bytes of arena")
    return high * GRAIN


def _start(
    task: str, path: Path, *numbers: int, content: bytes = b""
) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, str(PROCESS), task, str(path), *(str(n) for n in numbers)]
    return subprocess.run(command, input=content, capture_output=True)


def _reason(done: subprocess.CompletedProcess[bytes]) -> str:
    if done.returncode < 0:
        return f"signal {-done.returncode}; is the arena too small?"
    return " / ".join(done.stderr.decode(errors="replace").strip().splitlines()[-2:])

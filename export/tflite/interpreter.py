"""Running a step file in the TFLite-Micro interpreter of this machine: always in a process of its
own.

An arena that is too small usually raises, but may also write past its end; a process of its own
turns that into an error message.
"""

from __future__ import annotations

import io
import math
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt

from compress.graph.kept import Kept
from compress.graph.samples import blocks
from export.tflite.read import TfliteError, notes, read

AMPLE = 16 << 20  # bytes of arena for any published network on a 64-bit machine
GRAIN = 256
TOGETHER = 4096  # frames that are read at once
PROCESS = Path(__file__).with_name("process.py")


Words = npt.NDArray[np.int16]


def run(
    path: Path, samples: Words, arena: int = AMPLE, initial: Mapping[str, Words] | None = None
) -> Words:
    """int16 samples (time, features), whole steps -> int16 output words (frames, outputs), from the
    zero state; many of them stay on disk.

    initial: words (features,) of the extra inputs that the stream begins with, by name; TfliteError
    where the file has no such input.
    """
    step = read(path).subgraphs[0]
    together = math.prod(step.tensors[step.inputs[0]].shape) // samples.shape[1]
    content = io.BytesIO()
    inputs = initial_inputs(notes(path) if initial else {}, initial or {}, str(path))
    for value in inputs.values():
        np.save(content, np.asarray(value, np.int16))
    with tempfile.TemporaryDirectory() as folder:
        given, found = Path(folder) / "samples", Path(folder) / "frames"
        with given.open("wb") as file:
            for block in blocks(samples, together):
                file.write(np.ascontiguousarray(block, np.int16).tobytes())
        files = str(given), str(found)
        done = _start("run", path, arena, *files, *inputs, content=content.getvalue())
        if done.returncode:
            raise TfliteError(f"{path}: TFLite-Micro stopped ({_reason(done)})")
        given.unlink()
        return _frames(found, step.tensors[step.outputs[0]].shape[-1])


def _frames(path: Path, outputs: int) -> Words:
    """Those in a file, which is read some at a time."""
    kept = Kept(path.stat().st_size // 2 // outputs, (outputs,), np.int16)
    with path.open("rb") as file:
        while kept.done < kept.rows:
            kept.append(np.fromfile(file, np.int16, TOGETHER * outputs).reshape(-1, outputs))
    return kept.array()


def initial_inputs(
    noted: Mapping[str, str], initial: Mapping[str, Words], name: str
) -> dict[int, Words]:
    """Input of the step -> what it begins with, from the notes of a file and values by the names of
    extra inputs."""
    found = {}
    for extra, value in initial.items():
        if f"initial_{extra}" not in noted:
            raise TfliteError(f"{name}: the step begins with no {extra}")
        found[int(noted[f"initial_{extra}"])] = value
    return found


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
    task: str, path: Path, *more: int | str, content: bytes = b""
) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, str(PROCESS), task, str(path), *map(str, more)]
    return subprocess.run(command, input=content, capture_output=True)


def _reason(done: subprocess.CompletedProcess[bytes]) -> str:
    if done.returncode < 0:
        return f"signal {-done.returncode}; is the arena too small?"
    return " / ".join(done.stderr.decode(errors="replace").strip().splitlines()[-2:])

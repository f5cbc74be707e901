"""Exact instruction counts of a network's steps, without running its board.

They are counted on QEMU's bare Cortex-M (cores.py), from the objects that are linked into the
board's image, over a few steps of real samples and without the serial line; steps.c reads the
samples and writes what the steps answer.
"""

from __future__ import annotations

import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bench.bare.cores import HERE, TICKS, Core, core_of
from compress.errors import TendonError
from compress.graph import Array, Graph
from compress.graph.samples import Initial
from export import boards
from export.boards import Description
from export.c import memory
from export.c.project import build_objects

PATIENCE_S = 300.0


@dataclass(frozen=True)
class Counted:
    """Executed instructions of each step, exact to one tick (31 to 50) over all of them, and int16
    answers (steps, outputs)."""

    instructions: list[int]
    words: Array


def count(
    graph: Graph,
    project: Path,
    board: str,
    samples: Array,
    initial: Initial | None = None,
    compiler: str = "gcc",
) -> Counted:
    """Executed instructions of the steps in int16 samples (time, inputs), on an emulated core of
    the board's kind, of the graph's project for that board. The board need not hold it. `initial`:
    real values of the graph's extra inputs to begin with, else zeros; `compiler`: of model and
    kernels."""
    description = boards.load_board(board)
    core = core_of(description.flags)
    with tempfile.TemporaryDirectory() as private:
        here = Path(private)
        given = memory.initial_state(graph, initial or {}) if graph.initial else b""
        steps = len(samples) // graph.samples_per_step
        defines = [f"-DSTEPS={steps}", *(["-DSTATE_GIVEN"] if given else [])]
        elf = _link(description, core, project, here, defines, compiler)
        (here / "cases.bin").write_bytes(
            given + np.ascontiguousarray(samples, dtype="<i2").tobytes()
        )
        _execute([*core.emulator, "-kernel", str(elf)], here)
        return _read((here / "results.bin").read_bytes(), graph, core)


def _link(
    board: Description, core: Core, project: Path, here: Path, defines: list[str], compiler: str
) -> Path:
    """The objects of model and kernels that the board's image is made of, with a main that reads
    samples and writes times."""
    elf = here / "steps.elf"
    own = [str(HERE / name) for name in ("steps.c", "port_qemu.c")]
    own.append(str(project.resolve() / "app" / "model.c"))
    include = [f"-I{HERE}", *(f"-I{project.resolve() / name}" for name in ("model", "app"))]
    parts, objects = ("model", "nn"), here / "objects"
    built = build_objects(project.resolve(), board.name, parts, objects, compiler=compiler)
    options = ["-std=c11", "-O2", *core.link_flags, *defines]
    _execute(
        [board.compiler, *board.flags, *options, *include, *own, *map(str, built), "-o", str(elf)],
        here,
    )
    return elf


def _execute(command: list[str], here: Path) -> None:
    try:
        done = subprocess.run(
            command, cwd=here, capture_output=True, text=True, errors="replace", timeout=PATIENCE_S
        )
    except FileNotFoundError:
        raise TendonError(f"{command[0]} is not installed; run make tools") from None
    except subprocess.TimeoutExpired:
        raise TendonError(
            f"{command[0]}: expected an end within {PATIENCE_S:.0f} s, found none"
        ) from None
    if done.returncode:
        raise TendonError(
            f"{command[0]} ended with status {done.returncode}:\n{done.stderr[-2000:]}"
        )


def _read(raw: bytes, graph: Graph, core: Core) -> Counted:
    """results.bin: uint32 times (steps + 1), then int16 words (frames, outputs)."""
    steps = (len(raw) - 4) // (4 + 2 * graph.chunk * graph.output.features)
    times = np.frombuffer(raw, "<u4", steps + 1).astype(np.int64)
    words = np.frombuffer(raw, "<i2", offset=4 * (steps + 1)).reshape(-1, graph.output.features)
    return Counted([round(t / core.ticks_per_instruction) for t in np.diff(times) % TICKS], words)

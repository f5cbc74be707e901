"""One short emulated run of the image that is flashed, counted: what it executes, and what that
takes on the chip."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from bench.cycles import chips, counting, modelling
from bench.cycles.counting import Counts, Watch
from bench.cycles.instructions import Instruction, calls, disassemble
from bench.cycles.modelling import Modelled
from compress import graph as g
from export.boards import Description, load_board
from export.c import emit, names, streaming
from export.c.streaming import Table
from host.boards import open_emulator
from host.protocol import Hello

STEPS = 20  # about one second of signal
PATIENCE_S = 120.0


@dataclass(frozen=True)
class Counted:
    """The image's instructions, what was executed of them with one segment per call of the counted
    function, and the int16 answers (steps, outputs), and what the board said of itself."""

    code: dict[int, Instruction]
    counts: Counts
    words: npt.NDArray[np.int16]
    hello: Hello


def count(
    board: Description, image: Path, graph: g.Graph, samples: npt.NDArray[np.int16], tools: Path
) -> Counted:
    """The first steps of int16 samples (time, inputs) on an emulated board. `tools`: folder for the
    compiled plugin."""
    chip = chips.of_image(board, image, tables=tables_of(board, graph))
    code, plugin = disassemble(image, board.prefix), counting.build_plugin(tools)
    steps = min(STEPS, len(samples) // graph.samples_per_step)
    step = step_of(code, graph)
    boundaries = tuple(call.returns_to for call in calls(code, step))
    watch = Watch(code, steps, chip.memory if chip else counting.NO_CACHES, step, boundaries)
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "counts"
        with open_emulator(
            board, image, graph.hash(), extra=counting.arguments(plugin, watch, out)
        ) as emulated:
            hello = emulated.link.handshake()
            emulated.link.reset()
            words = emulated.link.stream(samples[: steps * graph.samples_per_step]).outputs
            emulated.link.status()  # one more turn of the application: the last step has returned
            counts = counting.wait_for(out, PATIENCE_S, lambda: emulated.process.poll() is None)
    return Counted(code, counts, words, hello)


def step_of(code: dict[int, Instruction], graph: g.Graph) -> str:
    """The function of an image that computes a step: the network's own, or where an interpreter
    does that, the one around it."""
    own = f"{names.identifier(graph.name)}_step"
    return own if any(i.function == own for i in code.values()) else counting.STEP


def tables_of(board: Description, graph: g.Graph) -> list[Table]:
    """The tables of a network as the board's kernels read them."""
    return streaming.tables(emit.build(graph, board.kernels))


def modelled(
    board: str, image: Path, graph: g.Graph, samples: npt.NDArray[np.int16], tools: Path
) -> Modelled | None:
    """Modelled cycles over the first steps of int16 samples (time, inputs), or None without a model
    of the core."""
    description = load_board(board)
    chip = chips.of_image(description, image, tables=tables_of(description, graph))
    if chip is None:
        return None
    run = count(description, image, graph, samples, tools)
    return modelling.model(run.code, run.counts, chip)

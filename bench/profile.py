"""One short emulated run of the image that is flashed, counted by the plugin: what its instructions take on the chip."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import numpy.typing as npt

from bench import chips, counting, cycles
from bench.cycles import Modelled
from bench.instructions import disassemble
from compress import graph as g
from export.boards import load_board
from host.boards import open_emulator

STEPS = 20  # output frames; about one second of signal
PATIENCE_S = 120.0


def profile(board: str, image: Path, graph: g.Graph, samples: npt.NDArray[np.int16], tools: Path) -> Modelled | None:
    """Modelled cycles over the first frames of int16 samples (time, inputs), or None without a model of the core.

    `tools`: folder for the compiled plugin.
    """
    description = load_board(board)
    chip = chips.of_board(description)
    if chip is None:
        return None
    code, plugin = disassemble(image, description.prefix), counting.build_plugin(tools)
    steps = min(STEPS, len(samples) // graph.samples_per_step)
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "counts"
        extra = counting.arguments(plugin, counting.Watch(code, steps, chip.memory), out)
        with open_emulator(description, image, graph.hash(), extra=extra) as emulated:
            emulated.link.handshake()
            emulated.link.reset()
            emulated.link.stream(samples[: steps * graph.samples_per_step])
            emulated.link.status()  # one more turn of the application: the last step has returned
            counts = counting.wait_for(out, PATIENCE_S, lambda: emulated.process.poll() is None)
    return cycles.model(code, counts, chip)

"""The forms a network takes on a board, and what the board's words must equal in each."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from compress.graph import Graph
from compress.graph.samples import words_of
from compress.tasks.recorded import Recorded
from export import build
from export.exported import as_exported
from host.engines import Artifacts

Words = list[npt.NDArray[np.int16]]


@dataclass(frozen=True)
class C:
    """Generated C with Tendon's kernels: equal to the integer reference."""

    latency_ms: float | None = 0.0  # LATENCY=; None: as it was exported
    compiler: str = "gcc"  # COMPILER=
    name: str = "c"
    title: str = "C, generated"
    reference: str = "the integer reference"

    def build(self, made: Artifacts, board: str) -> Path:
        """The image of a board."""
        return build.make_firmware(self.graph(made, board), made.folder, board, self.compiler)

    def graph(self, made: Artifacts, board: str) -> Graph:
        """The network in the steps that the image computes."""
        return as_exported(made.integer, made.folder, board, self.latency_ms)

    def expected(
        self, made: Artifacts, board: str, parts: list[Recorded], integers: Words
    ) -> Words:
        """What the board must answer to each stretch; `integers`: what the integer reference
        answers."""
        return integers


@dataclass(frozen=True)
class Tflm:
    """TFLite-Micro's interpreter with CMSIS-NN kernels: equal to the interpreter here, reference
    kernels, same file."""

    checkout: Path | None  # TFLM=
    name: str = "tflm"
    title: str = "TFLite-Micro's interpreter with CMSIS-NN"
    reference: str = "TFLite-Micro's interpreter on this machine (reference kernels, the same file)"

    def build(self, made: Artifacts, board: str) -> Path:
        """The image of a board."""
        from export.tflm import build as tflm_build

        return tflm_build.make_firmware(made.integer, made.folder, board, self.checkout)

    def graph(self, made: Artifacts, board: str) -> Graph:
        """The network in the steps that the image computes: one frame each."""
        return made.integer

    def expected(
        self, made: Artifacts, board: str, parts: list[Recorded], integers: Words
    ) -> Words:
        """What the board must answer to each stretch."""
        from export.tflite import interpreter

        file = made.folder.target(board, self.name) / "project" / "model" / "model.tflite"
        return [interpreter.run(file, words_of(made.integer, part.samples)) for part in parts]


Format = C | Tflm

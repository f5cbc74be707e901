"""The forms a network takes on a board, and what the board's words must equal in each."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from bench.streaming import Stretch
from compress.samples import to_int16
from export import build
from export.boards import load_board
from export.tflite import interpreter
from export.tflm import build as tflm_build
from export.tflm import library
from host.engines import Artifacts

Words = list[npt.NDArray[np.int16]]


@dataclass(frozen=True)
class C:
    """Generated C with Tendon's kernels: equal to the integer reference."""

    name: str = "c"
    title: str = "C, generated"
    reference: str = "the integer reference"

    def build(self, made: Artifacts, board: str) -> Path:
        """The image of a board."""
        return build.make_firmware(made.integer, made.folder, board)

    def expected(self, made: Artifacts, board: str, parts: list[Stretch], integers: Words) -> Words:
        """What the board must answer to each stretch; `integers`: what the integer reference answers."""
        return integers


@dataclass(frozen=True)
class Tflm:
    """TFLite-Micro's interpreter with CMSIS-NN kernels: equal to the interpreter here, reference kernels, same file."""

    checkout: Path | None  # TFLM=
    name: str = "tflm"
    title: str = "TFLite-Micro's interpreter with CMSIS-NN"
    reference: str = "TFLite-Micro's interpreter on this machine (reference kernels, the same file)"

    def build(self, made: Artifacts, board: str) -> Path:
        """The image of a board."""
        return tflm_build.make_firmware(made.integer, made.folder, board, self.checkout)

    def expected(self, made: Artifacts, board: str, parts: list[Stretch], integers: Words) -> Words:
        """What the board must answer to each stretch."""
        file = made.folder.target(board, self.name) / "project" / "model" / "model.tflite"
        return [interpreter.run(file, to_int16(made.integer, part.signal)) for part in parts]


Format = C | Tflm


def named(name: str, board: str, tflm: Path | None) -> Format:
    """By its FORMAT=; TendonError when the board or TFLM= does not suit it, before anything long begins."""
    if name == "c":
        return C()
    library.find(tflm, load_board(board))
    return Tflm(tflm)

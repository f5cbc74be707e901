"""Networks on the emulated Cortex-M55."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bench import footprint
from compress.interpreter.integer import IntegerInterpreter
from export.boards import load_board
from export.build import check_fit
from export.c import emit
from export.c.project import build_project, write_project
from host.boards import open_board
from tests import toy

BOARD = "virtual-m55"


@pytest.mark.parametrize(
    ("name", "precision", "steps", "tables"),
    [
        ("TC_S4_small", "w8a16", 5, "itcm"),
        ("TC_S4_small", "w8a8", 5, "itcm"),
        ("S4_large", "w8a16", 2, "sram"),
    ],
)
def test_a_network_on_the_emulated_core_equals_the_reference(  # type: ignore[no-untyped-def]
    quantized,
    name: str,
    precision: str,
    steps: int,
    tables: str,
    tmp_path: Path,
) -> None:
    """Bytes arrive while it computes, so interrupts find the vector registers in use; no word is
    lost, and no stack."""
    toy.need_emulator()
    _, graph = quantized(name, precision)
    model = emit.build(graph, "mve")
    placed = check_fit(model, BOARD)
    assert placed is not None and placed.where["tables"] == tables
    write_project(
        tmp_path / "p", BOARD, emit.files(model), emit.kernels(graph, "mve"), name, placed.where
    )
    image = build_project(tmp_path / "p", BOARD)
    footprint.check_limits(footprint.read(image, load_board(BOARD).memory), BOARD)
    samples = (
        np.random.default_rng(5)
        .integers(-32768, 32768, (steps * graph.samples_per_step, 32))
        .astype(np.int16)
    )
    with open_board(BOARD, image, graph.hash()) as board:
        board.link.handshake()
        board.link.reset()
        result = board.link.stream(samples)
        assert board.link.status().stack_used < load_board(BOARD).stack_bytes // 2
    np.testing.assert_array_equal(result.outputs, IntegerInterpreter(graph).run(samples[None])[0])

"""A network on the emulated Cortex-M33, in its secure state."""

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

BOARD, ALIKE = "virtual-m33", "virtual-m7"  # alike: the same kernels, chosen by the same macro


@pytest.mark.parametrize("precision", ["w8a16", "w4a16"])
def test_a_network_on_the_emulated_core_equals_the_reference(  # type: ignore[no-untyped-def]
    precision: str, quantized, tmp_path: Path
) -> None:
    """And takes the instructions of a Cortex-M7, within what the compiler orders otherwise."""
    toy.need_emulator()
    _, graph = quantized("TC_S4_small", precision)
    model = emit.build(graph)
    samples = (
        np.random.default_rng(5)
        .integers(-32768, 32768, (5 * graph.samples_per_step, 32))
        .astype(np.int16)
    )
    counted = {}
    for name in (BOARD, ALIKE):
        placed = check_fit(model, name)
        assert placed is not None
        project = tmp_path / name
        write_project(
            project, name, emit.files(model), emit.kernels(graph), "TC_S4_small", placed.where
        )
        image = build_project(project, name)
        footprint.check_limits(footprint.read(image, load_board(name).memory), name)
        with open_board(name, image, graph.hash()) as board:
            board.link.handshake()
            board.link.reset()
            result = board.link.stream(samples)
            assert board.link.status().stack_used < load_board(name).stack_bytes // 2
        np.testing.assert_array_equal(
            result.outputs, IntegerInterpreter(graph).run(samples[None])[0]
        )
        counted[name] = int(result.cycles.min())
    assert abs(counted[BOARD] / counted[ALIKE] - 1) < 0.02, counted

"""The emulated Cortex-M33 over its UART, in its secure state: the same words as everywhere, exact
counts, a hanging program survived."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from bench import footprint
from compress.interpreter.integer import IntegerInterpreter
from export.boards import load_board
from export.build import check_fit
from export.c import emit
from export.c.project import build_project, write_project
from host.boards import ProcessBoard, open_board
from host.errors import BoardLostError
from host.run import Run
from tests import toy

BOARD, ALIKE = "virtual-m33", "virtual-m7"  # alike: the same kernels, chosen by the same macro


@pytest.fixture(scope="module")
def board() -> Iterator[ProcessBoard]:
    toy.need_emulator()
    with open_board(BOARD, toy.image(BOARD), toy.MODEL_HASH) as board:
        assert isinstance(board, ProcessBoard)
        board.link.handshake()
        yield board


def test_the_emulated_board_computes_what_the_model_says(board: ProcessBoard) -> None:
    content = toy.samples(4)
    result = Run(content, snapshot_every=3).start(board.link)
    np.testing.assert_array_equal(result.outputs, toy.run(content))
    status = board.link.status()
    assert (status.frames, status.overruns, status.bytes_dropped, status.frames_bad) == (4, 0, 0, 0)
    assert 100 < status.stack_used < status.stack_bytes == 4096


def test_the_board_says_what_it_is(board: ProcessBoard) -> None:
    hello = board.link.hello
    assert hello is not None
    assert (hello.board, hello.clock_hz, hello.counts) == (BOARD, 20_000_000, "instructions")
    assert "-mcpu=cortex-m33" in hello.compiler
    assert (hello.tick_num, hello.tick_den) == (50, 1), (
        "20 MHz of ticks, a nanosecond an instruction"
    )


def test_a_step_is_counted_to_a_tick(board: ProcessBoard) -> None:
    """96 · 99 turns of an inner loop. Steps differ by SysTick's interrupt and one tick of 50
    instructions."""
    board.link.reset()
    counted = toy.counted_alone(board.link, 3)
    assert counted.min() > 96 * 99 * 5 and counted.max() < 96 * 99 * 20
    assert counted.max() - counted.min() < 100


def test_an_emulator_that_gets_no_time_for_seconds_is_not_reset(board: ProcessBoard) -> None:
    """Its clock goes on with the host's while the core sleeps, its watchdog does not."""
    content = toy.samples(2)
    board.link.reset()
    before = board.link.stream(content[: toy.PER_STEP]).outputs
    toy.starve(board, 3.0)
    after = board.link.stream(content[toy.PER_STEP :]).outputs
    np.testing.assert_array_equal(np.concatenate([before, after]), toy.run(content))


def test_a_program_that_hangs_is_reset_by_the_watchdog(tmp_path: Path) -> None:
    toy.need_emulator()
    files = toy.model_files()
    files["model.c"] = files["model.c"].replace(
        b"state[511]++;", b"state[511]++;\n    while (state[511] == 2) {\n    }"
    )
    write_project(tmp_path / "p", BOARD, files, [], "toy model that hangs")
    with open_board(
        BOARD, build_project(tmp_path / "p", BOARD), toy.MODEL_HASH, toy.PATIENT
    ) as board:
        board.link.handshake()
        with pytest.raises(BoardLostError, match="the board was reset"):
            Run(toy.samples(3)).start(board.link)


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

"""Each emulated core over its UART: the same words as everywhere, exact counts, seconds without
time and a hanging program survived."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from export.c.project import build_project, write_project
from host.boards import ProcessBoard, open_board
from host.errors import BoardLostError
from host.run import Run
from tests import toy

# board -> its core, and how fast its counter ticks: one instruction takes a nanosecond
CORES = {
    "virtual-m7": ("cortex-m7", 25_000_000, (40, 1)),
    "virtual-m33": ("cortex-m33", 20_000_000, (50, 1)),
    "virtual-m55": ("cortex-m55", 32_000_000, (125, 4)),
}


@pytest.fixture(scope="module", params=CORES)
def board(request: pytest.FixtureRequest) -> Iterator[ProcessBoard]:
    toy.need_emulator()
    with open_board(request.param, toy.image(request.param), toy.MODEL_HASH) as board:
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
    core, clock_hz, tick = CORES[hello.board]
    assert (hello.clock_hz, hello.stack_bytes, hello.counts) == (clock_hz, 4096, "instructions")
    assert f"-mcpu={core}" in hello.compiler
    assert (hello.tick_num, hello.tick_den) == tick


def test_a_step_is_counted_to_a_tick(board: ProcessBoard) -> None:
    """The same C: 96 · 99 turns of an inner loop. Steps differ by SysTick's interrupt and one tick
    of up to 50 instructions."""
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
    """Its first time-out is an NMI, which is a fault, which is a reset: the host hears of it and
    could resume. On the other cores test_faults.py asks besides where it hung."""
    toy.need_emulator()
    name = "virtual-m33"
    files = toy.model_files()
    files["model.c"] = files["model.c"].replace(
        b"state[511]++;", b"state[511]++;\n    while (state[511] == 2) {\n    }"
    )
    write_project(tmp_path / "p", name, files, [], "toy model that hangs")
    with open_board(
        name, build_project(tmp_path / "p", name), toy.MODEL_HASH, toy.PATIENT
    ) as board:
        board.link.handshake()
        with pytest.raises(BoardLostError, match="the board was reset"):
            Run(toy.samples(3)).start(board.link)

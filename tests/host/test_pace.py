"""Networks whose steps take long: a board is silent while it computes, and the host finds out how
long that is."""

from __future__ import annotations

import functools
import signal
import tempfile
from pathlib import Path

import numpy as np
import pytest

from export.c.project import build_project, write_project
from host.boards import ProcessBoard, open_process
from host.conversation import Timing
from host.errors import BoardLostError
from tests import toy

STEP_S = 0.4
HASTY = Timing(
    answer_s=0.05, silence_s=0.2, first_step_s=20.0
)  # a step takes twice as long as this host waits for a good frame


@functools.cache
def slow_image() -> Path:
    """The toy model, with a step that takes STEP_S."""
    toy.need("gcc", "make")
    files = toy.model_files()
    nap = f"    nanosleep(&(struct timespec){{.tv_nsec = {round(STEP_S * 1e9)}}}, 0);\n"
    source = (
        files["model.c"]
        .decode()
        .replace("    uint32_t all = 0;\n", nap + "    uint32_t all = 0;\n")
    )
    files["model.c"] = f"#define _POSIX_C_SOURCE 200809L\n#include <time.h>\n{source}".encode()
    project = Path(tempfile.mkdtemp(dir=toy.folder())) / "slow"
    write_project(project, "posix", files, [], "slow toy model")
    return build_project(project, "posix")


def slow_board(timing: Timing) -> ProcessBoard:
    """Everything sent is fetched at once into a ring of 4096 bytes, as by the interrupt of a UART,
    and lost beyond that."""
    board = open_process(
        slow_image(), toy.MODEL_HASH, timing, environment={"TENDON_LINE_BYTES": "4096"}
    )
    board.link.handshake()
    board.link.reset()
    return board


def test_a_step_longer_than_every_time_out_is_waited_for() -> None:
    """The first one on trust, the others by what it took; questions meanwhile are few enough for
    the board's buffer."""
    content = toy.samples(4)
    with slow_board(HASTY) as board:
        first = board.link.stream(content[: toy.PER_STEP])
        rest = board.link.stream(content[toy.PER_STEP :])
        status = board.link.status()
    np.testing.assert_array_equal(np.concatenate([first.outputs, rest.outputs]), toy.run(content))
    assert board.link.step_s >= 0.9 * STEP_S
    assert 1 <= first.traffic.polls <= 5 and rest.traffic.polls == 0
    assert (status.bytes_dropped, status.duplicates, status.gaps, status.frames_bad) == (0, 0, 0, 0)


def test_a_step_nobody_has_measured_is_not_waited_for_without_end() -> None:
    impatient = Timing(answer_s=0.02, silence_s=0.05, first_step_s=0.1)
    with (
        slow_board(impatient) as board,
        pytest.raises(BoardLostError, match=r"silence for 0\.1 s, while it computed a step"),
    ):
        board.link.stream(toy.samples(1))


def test_a_slow_board_that_hangs_is_lost_after_a_few_of_its_steps() -> None:
    """Not after the time that the first step is allowed."""
    with slow_board(HASTY) as board:

        def hang(step: int, outputs: np.ndarray, ticks: int) -> None:
            if step == 1:
                board.process.send_signal(signal.SIGSTOP)

        with pytest.raises(BoardLostError, match=r"silence for [1-9]\.\d* s"):
            board.link.stream(toy.samples(4), hang)


def test_lost_results_do_not_pass_for_long_steps() -> None:
    """What came only when asked for was lost on the line: patience stays what it was."""
    schedule = [(toy.GOOD, 0)] * 8 + [
        (toy.LOSE, 0)
    ]  # of the board's frames: a step's eight acknowledgements, then its result
    with open_process(
        toy.posix_image(), toy.MODEL_HASH, Timing(answer_s=0.3, silence_s=5.0)
    ) as board:
        board.link.handshake()
        board.link.reset()
        board.link.line = toy.HarmfulLine(board.line, toy.Tamper([]), toy.Tamper(schedule))
        result = board.link.stream(toy.samples(1))
    np.testing.assert_array_equal(result.outputs, toy.run(toy.samples(1)))
    assert result.traffic.polls == 1 and board.link.step_s < 0.25

"""A line that does not wait: the ring, the credits, and what happens when bytes are lost all the
same."""

from __future__ import annotations

import dataclasses
import signal

import numpy as np
import pytest

from host.boards import ProcessBoard, open_process
from host.link import Link
from host.run import Run
from tests import toy


class BusyBoardLine:
    """The board is busy for as long as the host sends: everything the host dares to send arrives at
    once."""

    def __init__(self, board: ProcessBoard):
        self.name = "busy"
        self.board = board

    def send(self, content: bytes) -> None:
        self.board.process.send_signal(signal.SIGSTOP)
        self.board.line.send(content)

    def receive(self, timeout_s: float) -> bytes:
        self.board.process.send_signal(signal.SIGCONT)
        return self.board.line.receive(timeout_s)

    def close(self) -> None:
        self.board.line.close()


def busy(**environment: str) -> tuple[ProcessBoard, Link]:
    board = open_process(toy.posix_image(), environment=environment)
    link = Link(BusyBoardLine(board), toy.MODEL_HASH, toy.QUICK)
    link.handshake()
    return board, link


def test_a_line_that_does_not_wait_loses_nothing_while_the_host_keeps_its_credit() -> None:
    """Everything sent is fetched at once into a ring of 4096 bytes, as by the interrupt of a
    UART."""
    content = toy.samples(30)
    board, link = busy(TENDON_LINE_BYTES="4096")
    link.timing = dataclasses.replace(toy.QUICK, answer_s=2.0)
    with board:
        result, status = Run(content, snapshot_every=7).start(link), link.status()
    np.testing.assert_array_equal(result.outputs, toy.run(content))
    assert (
        status.bytes_dropped,
        status.overruns,
        status.frames_bad,
        result.traffic.frames_repeated,
    ) == (0, 0, 0, 0)


def test_a_host_that_ignores_its_credit_overruns_the_ring_and_is_repaired() -> None:
    content = toy.samples(12)
    board, link = busy(TENDON_LINE_BYTES="4096")
    with board:
        link.reset()
        assert link.hello is not None
        link.hello = dataclasses.replace(link.hello, credit=12_000)
        result, status = link.stream(content), link.status()
    np.testing.assert_array_equal(result.outputs, toy.run(content))
    assert status.bytes_dropped > 0 and result.traffic.frames_repeated > 0
    assert (status.frames, status.expected) == (12, 96)


@pytest.mark.parametrize("held", [900, 1700, 3000])
def test_a_board_that_holds_less_than_it_promised_is_repaired(held: int) -> None:
    content = toy.samples(5)
    board, link = busy(TENDON_LINE_BYTES=str(held))
    with board:
        result, status = Run(content).start(link), link.status()
    np.testing.assert_array_equal(result.outputs, toy.run(content))
    assert status.bytes_dropped > 0, "the line did overrun"


@pytest.mark.parametrize("one_in", [700, 3000, 20_000])
def test_bytes_overwritten_in_the_receiver_are_counted_and_repaired(one_in: int) -> None:
    content = toy.samples(10)
    board, link = busy(TENDON_LOSE_EVERY=str(one_in))
    with board:
        result, status = Run(content).start(link), link.status()
    np.testing.assert_array_equal(result.outputs, toy.run(content))
    assert status.overruns > 0 and status.frames_bad > 0
    assert status.frames == 10


def test_the_process_says_that_it_has_no_counter() -> None:
    with open_process(toy.posix_image(), toy.MODEL_HASH, toy.QUICK) as board:
        hello = board.link.handshake()
        board.link.reset()
        cycles = board.link.stream(toy.samples(2)).cycles
    assert (hello.counts, hello.clock_hz, hello.stack_bytes) == ("nothing", 0, 0)
    assert cycles.tolist() == [0, 0]
    assert (hello.board, hello.model, hello.generator, hello.model_hash) == (
        "posix",
        "toy",
        "by hand",
        toy.MODEL_HASH,
    )
    assert hello.compiler.startswith("gcc ") and "-fsanitize=address,undefined" in hello.compiler

"""The host against the real application on a line that does harm: the outputs are always those of a
faultless run."""

from __future__ import annotations

import dataclasses
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from host import protocol as p
from host.boards import ProcessBoard, open_board, open_process
from host.conversation import Timing
from host.errors import (
    BoardLostError,
    DamagedImageError,
    HashMismatchError,
    LinkError,
    NoBoardError,
    SnapshotError,
)
from host.lines import Line, PtyLine
from host.link import Link
from host.run import Run
from host.snapshot import Snapshot
from tests import toy

SCHEDULE = st.lists(
    st.tuples(st.sampled_from((*toy.FAULTS, *[toy.GOOD] * 12)), st.integers(0, 10_000)),
    max_size=120,
)


@pytest.fixture(scope="module")
def board() -> Iterator[ProcessBoard]:
    with open_process(toy.posix_image(), toy.MODEL_HASH, toy.QUICK) as board:
        board.link.handshake()
        yield board


@pytest.fixture
def fresh() -> Iterator[ProcessBoard]:
    with open_process(toy.posix_image(), toy.MODEL_HASH, toy.QUICK) as board:
        board.link.handshake()
        yield board


def linked(line: Line) -> Link:
    return Link(line, toy.MODEL_HASH, toy.QUICK)


# --- repair ---------------------------------------------------------------------------------------


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(SCHEDULE, SCHEDULE)
def test_a_harmful_line_changes_nothing(
    board: ProcessBoard, outward: list[tuple[str, int]], inward: list[tuple[str, int]]
) -> None:
    """Corrupted, lost, doubled, swapped, truncated frames and noise, both ways: same outputs, every
    step taken once."""
    content = toy.samples(6, seed=1)
    link = linked(toy.HarmfulLine(board.line, toy.Tamper(outward), toy.Tamper(inward)))
    link.handshake()
    result = Run(content).start(link)
    np.testing.assert_array_equal(result.outputs, toy.run(content))
    assert link.status().frames == 6


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(SCHEDULE, SCHEDULE)
def test_snapshots_survive_a_harmful_line(
    board: ProcessBoard, outward: list[tuple[str, int]], inward: list[tuple[str, int]]
) -> None:
    content = toy.samples(5, seed=2)
    clean = linked(board.line)
    clean.handshake()
    clean.reset()
    clean.stream(content[: 3 * toy.PER_STEP])
    link = linked(toy.HarmfulLine(board.line, toy.Tamper(outward), toy.Tamper(inward)))
    link.handshake()
    link.open(clean.session)
    link.frames, link.next_data = clean.frames, clean.next_data
    snapshot = link.snapshot()
    assert link.restore(snapshot) == 3
    np.testing.assert_array_equal(
        link.stream(content[3 * toy.PER_STEP :]).outputs, toy.run(content)[3:]
    )


def test_the_harm_was_real() -> None:
    """A schedule of every fault makes the host repeat and the board count."""
    schedule = [
        step
        for where in (5, 77, 300)
        for fault in toy.FAULTS
        for step in ((fault, where), (toy.GOOD, 0), (toy.GOOD, 0), (toy.GOOD, 0))
    ]
    content = toy.samples(8, seed=3)
    with open_process(toy.posix_image(), toy.MODEL_HASH, toy.QUICK) as board:
        board.link.handshake()
        board.link.reset()
        board.link.line = toy.HarmfulLine(board.line, toy.Tamper(schedule), toy.Tamper(schedule))
        result = board.link.stream(content)
        status = board.link.status()
    np.testing.assert_array_equal(result.outputs, toy.run(content))
    assert status.frames_bad > 0 and status.duplicates > 0 and status.gaps > 0
    assert result.traffic.frames_repeated > 0 and result.traffic.polls > 0
    assert (status.frames, status.expected) == (8, 64)


def test_a_faultless_line_repeats_nothing(fresh: ProcessBoard) -> None:
    content = toy.samples(20)
    fresh.link.reset()
    result = fresh.link.stream(content)
    status = fresh.link.status()
    np.testing.assert_array_equal(result.outputs, toy.run(content))
    assert (result.traffic.frames_repeated, status.duplicates, status.gaps, status.frames_bad) == (
        0,
        0,
        0,
        0,
    )
    assert result.traffic.sample_bytes == content.nbytes
    assert result.traffic.bytes_sent < 1.03 * content.nbytes, (
        "framing costs less than three percent"
    )


def test_a_stream_goes_on_where_the_last_one_stopped(fresh: ProcessBoard) -> None:
    content = toy.samples(7)
    fresh.link.reset()
    parts = [
        fresh.link.stream(part).outputs
        for part in np.split(content, [2 * toy.PER_STEP, 3 * toy.PER_STEP])
    ]
    np.testing.assert_array_equal(np.concatenate(parts), toy.run(content))


def test_reset_means_the_zero_state(fresh: ProcessBoard) -> None:
    content = toy.samples(3)
    for _ in range(2):
        fresh.link.reset()
        np.testing.assert_array_equal(fresh.link.stream(content).outputs, toy.run(content))


# --- boards that go away --------------------------------------------------------------------------


class SwitchedLine:
    """A line whose board can be exchanged behind the host's back: the reset button."""

    name = "switched"

    def __init__(self) -> None:
        self.board = open_process(toy.posix_image(), timing=toy.QUICK)

    def press_reset(self) -> None:
        self.board.close()
        self.board = open_process(toy.posix_image(), timing=toy.QUICK)

    def send(self, content: bytes) -> None:
        self.board.line.send(content)

    def receive(self, timeout_s: float) -> bytes:
        return self.board.line.receive(timeout_s)

    def close(self) -> None:
        self.board.close()


@pytest.mark.parametrize("snapshot_every", [0, 3, 5])
def test_a_run_over_a_reset_board_is_bit_exact(snapshot_every: int) -> None:
    content, seen = toy.samples(14, seed=4), []
    line = SwitchedLine()
    try:
        link = linked(line)
        link.handshake()
        run = Run(content, snapshot_every)

        def on_frame(step: int, outputs: np.ndarray, ticks: int) -> None:
            seen.append(step)
            if step in (7, 11):
                line.press_reset()

        with pytest.raises(
            BoardLostError, match=r"the board was reset: expected session [0-9a-f]{8}, found none"
        ) as lost:
            run.start(link, on_frame)
        assert f"Model hash expected {toy.MODEL_HASH}, found {toy.MODEL_HASH}" in str(lost.value)
        with pytest.raises(BoardLostError):
            run.resume(link, on_frame)
        result = run.resume(link, on_frame)
    finally:
        line.close()
    np.testing.assert_array_equal(result.outputs, toy.run(content))
    assert seen == list(range(14)), "every frame is reported once"


def test_a_vanished_board_is_named_and_the_run_goes_on_with_another() -> None:
    content = toy.samples(9, seed=5)
    run = Run(content, snapshot_every=2)
    with open_process(toy.posix_image(), toy.MODEL_HASH, toy.QUICK) as first:
        first.link.handshake()
        with pytest.raises(BoardLostError) as lost:
            run.start(first.link, lambda step, outputs, ticks: first.kill() if step == 5 else None)
    message = str(lost.value)
    for part in (
        "Serial ports seen",
        "bytes heard",
        "the last ",
        "Model hash expected",
        "can be resumed",
    ):
        assert part in message
    with open_process(toy.posix_image(), toy.MODEL_HASH, toy.QUICK) as second:
        second.link.handshake()
        result = run.resume(second.link)
        assert second.link.status().frames == 9
    np.testing.assert_array_equal(result.outputs, toy.run(content))
    assert run.resumed == 1


def test_a_silent_board_is_lost_after_the_stated_time() -> None:
    quiet = Timing(answer_s=0.02, silence_s=0.2, boot_s=5.0)
    with open_process(toy.posix_image(), toy.MODEL_HASH, quiet) as board:
        board.link.handshake()
        board.link.reset()
        board.link.line = toy.HarmfulLine(
            board.line, toy.Tamper([(toy.LOSE, 0)] * 10_000), toy.Tamper([])
        )
        with pytest.raises(BoardLostError, match=r"silence for 0\.2 s"):
            board.link.stream(toy.samples(2))


def test_a_board_that_answers_but_accepts_nothing_is_lost() -> None:
    class Deaf(toy.Tamper):
        """Loses every DATA frame and no other."""

        def __call__(self, frame: bytes) -> bytes:
            return b"" if toy.kind_of(frame) == p.DATA else frame

    stalling = Timing(answer_s=0.02, silence_s=5.0, stall_s=0.3)
    with open_process(toy.posix_image(), toy.MODEL_HASH, stalling) as board:
        board.link.handshake()
        board.link.reset()
        board.link.line = toy.HarmfulLine(board.line, Deaf([]), toy.Tamper([]))
        with pytest.raises(BoardLostError, match=r"answers, but has accepted nothing for 0\.3 s"):
            board.link.stream(toy.samples(2))


def test_a_resumed_run_that_differs_is_an_error(fresh: ProcessBoard) -> None:
    run = Run(toy.samples(3))
    run.start(fresh.link)
    run.outputs[1] = run.outputs[1] + 1
    with pytest.raises(LinkError, match="output frame 1 differs"):
        run.resume(fresh.link)


def test_a_damaged_or_foreign_snapshot_is_refused(fresh: ProcessBoard) -> None:
    fresh.link.reset()
    fresh.link.stream(toy.samples(1))
    good = fresh.link.snapshot()
    with pytest.raises(SnapshotError, match="CRC-32 expected"):
        fresh.link.restore(good[:100] + bytes([good[100] ^ 1]) + good[101:])
    foreign = Snapshot("00" * 32, 1, Snapshot.from_bytes(good).state).to_bytes()
    with pytest.raises(SnapshotError, match="snapshot of model 0000"):
        fresh.link.restore(foreign)


# --- the wrong board ------------------------------------------------------------------------------


def test_another_model_is_refused_by_its_hash() -> None:
    with (
        open_process(toy.posix_image(), "ab" * 32, toy.QUICK) as board,
        pytest.raises(HashMismatchError) as error,
    ):
        board.link.handshake()
    assert "ab" * 32 in str(error.value) and toy.MODEL_HASH in str(error.value)


def test_a_damaged_image_answers_and_infers_nothing(tmp_path: Path) -> None:
    image = toy.posix_image().read_bytes()
    at = image.index(toy.table_bytes()) + 100
    damaged = tmp_path / "firmware"
    damaged.write_bytes(image[:at] + bytes([image[at] ^ 0x10]) + image[at + 1 :])
    damaged.chmod(0o755)
    with open_process(damaged, toy.MODEL_HASH, toy.QUICK) as board:
        with pytest.raises(DamagedImageError, match="CRC-32 of the model's tables expected"):
            board.link.handshake()
        with pytest.raises(DamagedImageError):
            board.link.reset()
        board.link.open(p.Session.draw())
        with pytest.raises(DamagedImageError):
            board.link.request(p.DATA, bytes(768))
        assert board.link.status().frames == 0


def test_no_port_lists_the_ports_there_are() -> None:
    with pytest.raises(NoBoardError, match=r"/dev/ttyNONE7: no such port; ports are: .*"):
        open_board("/dev/ttyNONE7")


def test_a_port_where_nobody_answers_says_what_was_heard() -> None:
    line = PtyLine()
    os.write(line.slave, b"login: ")
    link = Link(line, timing=Timing(answer_s=0.05, boot_s=0.2))
    with pytest.raises(
        NoBoardError,
        match=(
            r"(?s)no board answers.*text was heard.*login:.*7 bytes heard.*6c 6f 67 69 6e 3a 20.*"
            r" next .*make flash"
        ),
    ):
        link.handshake()
    line.close()


def test_samples_of_another_shape_are_refused(fresh: ProcessBoard) -> None:
    fresh.link.reset()
    with pytest.raises(
        LinkError, match=r"expected samples of shape \(n · 96, 32\), found \(95, 32\)"
    ):
        fresh.link.stream(toy.samples(1)[:95])


# --- ways to be connected -------------------------------------------------------------------------


def test_a_pty_is_a_line() -> None:
    content = toy.samples(4)
    with open_process(toy.posix_image(), toy.MODEL_HASH, toy.QUICK, use_pty=True) as board:
        board.link.handshake()
        np.testing.assert_array_equal(Run(content).start(board.link).outputs, toy.run(content))


def test_a_socket_url_is_a_port() -> None:
    content, image = toy.samples(4), toy.posix_image()
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                subprocess.run(
                    [image], stdin=connection.fileno(), stdout=connection.fileno(), check=False
                )

        thread = threading.Thread(target=serve)
        thread.start()
        with open_board(
            f"socket://127.0.0.1:{server.getsockname()[1]}",
            expect_hash=toy.MODEL_HASH,
            timing=toy.QUICK,
        ) as board:
            board.link.handshake()
            np.testing.assert_array_equal(Run(content).start(board.link).outputs, toy.run(content))
        thread.join(10)
    assert not thread.is_alive()


class LateLine:
    """A line whose other end is far away: what the board says comes later than the host asks
    again."""

    def __init__(self, inner: Line, late_s: float):
        self.name, self.inner, self.late_s = f"late {inner.name}", inner, late_s
        self._coming: list[tuple[float, bytes]] = []

    def send(self, content: bytes) -> None:
        self.inner.send(content)

    def receive(self, timeout_s: float) -> bytes:
        until = time.monotonic() + timeout_s
        while True:
            now = time.monotonic()
            if content := self.inner.receive(min(0.005, max(until - now, 0.0))):
                self._coming.append((time.monotonic() + self.late_s, content))
            if self._coming and self._coming[0][0] <= time.monotonic():
                return self._coming.pop(0)[1]
            if now >= until:
                return b""

    def close(self) -> None:
        self.inner.close()


def test_a_line_that_answers_later_than_the_host_asks_again_is_a_line(fresh: ProcessBoard) -> None:
    content, timing = toy.samples(4), dataclasses.replace(toy.QUICK, stall_s=3.0)
    fresh.link.reset()
    late = Link(LateLine(fresh.link.line, 3.5 * timing.answer_s), toy.MODEL_HASH, timing)
    late.handshake()
    result = Run(content).start(late)
    np.testing.assert_array_equal(result.outputs, toy.run(content))
    assert result.traffic.polls > 0 and late.status().frames_bad == 0


def test_a_board_dies_with_the_host_that_started_it() -> None:
    script = (
        "import sys, time; from pathlib import Path; from host.boards import open_process\nboard ="
        " open_process(Path(sys.argv[1])); board.link.handshake(); print(board.process.pid,"
        " flush=True); time.sleep(60)"
    )
    host = subprocess.Popen(
        [sys.executable, "-c", script, toy.posix_image()],
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[2],
    )
    assert host.stdout is not None
    child = int(host.stdout.readline())
    host.kill()
    host.communicate()
    for _ in range(500):
        if (
            not Path(f"/proc/{child}").exists()
            or "\nState:\tZ" in Path(f"/proc/{child}/status").read_text()
        ):
            return
        time.sleep(0.01)
    raise AssertionError("the board's process outlived its host")

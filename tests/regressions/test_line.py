"""The serial line: nothing of another session counts, what is said is what happened, and nobody can
make a board talk for ever."""

from __future__ import annotations

import random
import struct
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from cobs import cobs

from export.c.project import build_project, write_project
from host import protocol as p
from host.boards import ProcessBoard, open_process
from host.conversation import Timing
from host.errors import BoardLostError, LinkError, UnknownRequestError
from host.lines import LineClosed
from host.link import Link
from host.run import Run
from tests import toy
from tests.host.script import STANDS_STILL, Script

A, B = p.Session(7, 0x1234_5678), p.Session(2**32 - 1, 0x9ABC_DEF0)


@pytest.fixture
def board() -> Iterator[ProcessBoard]:
    with open_process(toy.posix_image(), toy.MODEL_HASH, toy.QUICK) as board:
        board.link.handshake()
        yield board


def frames_of(content: bytes) -> list[bytes]:
    return [b"\0" + block + b"\0" for block in content.split(b"\0") if block]


# --- what outlives a reset ------------------------------------------------------------------------


class Replaying:
    """A line that keeps all that passes, and after a reset brings it once more: frames of the board
    before the board's own, frames of the host before the host's own."""

    name = "replaying"

    def __init__(self) -> None:
        self.sent: list[bytes] = []
        self.heard: list[bytes] = []
        self.before: tuple[list[bytes], list[bytes]] = ([], [])
        self.board = open_process(toy.posix_image(), timing=toy.QUICK)

    def reset(self) -> None:
        self.board.close()
        self.board = open_process(toy.posix_image(), timing=toy.QUICK)
        self.before = self.sent, self.heard
        self.sent, self.heard = [], []

    def send(self, content: bytes) -> None:
        self.sent += frames_of(content)
        try:
            for frame in self.before[0][:2]:
                self.board.line.send(frame)
            del self.before[0][:2]
            self.board.line.send(content)
        except LineClosed:
            pass

    def receive(self, timeout_s: float) -> bytes:
        content = self.board.line.receive(timeout_s)
        self.heard += frames_of(content)
        old = b"".join(self.before[1][:3])
        del self.before[1][:3]
        return old + content

    def close(self) -> None:
        self.board.close()


def test_results_that_outlive_a_reset_are_not_taken_for_the_new_sessions() -> None:
    """A stream, a reset, another stream of the same length on a line that brings everything of the
    first once more, both ways."""
    line = Replaying()
    for seed in range(8):
        content = toy.samples(6, seed=seed)
        link = Link(line, toy.MODEL_HASH, toy.QUICK)
        link.handshake()
        np.testing.assert_array_equal(Run(content, 2).start(link).outputs, toy.run(content))
        assert link.status().frames == 6
        line.reset()
    line.close()


def test_a_run_resumed_over_a_reset_on_such_a_line_is_bit_exact() -> None:
    content, line = toy.samples(9, seed=3), Replaying()
    link = Link(line, toy.MODEL_HASH, toy.QUICK)
    link.handshake()
    run = Run(content, snapshot_every=2)
    with pytest.raises(BoardLostError, match="the board was reset"):
        run.start(link, lambda frame, *_: line.reset() if frame == 6 else None)
    np.testing.assert_array_equal(run.resume(link).outputs, toy.run(content))
    line.close()


def test_a_frame_of_another_key_never_passes() -> None:
    """Not by chance: for one length, what a CRC begins with changes it one to one."""
    frame = p.Frame(p.RESULT, A.number, 4, bytes(range(202)))
    line = p.encode(frame, A.key)
    for bit in range(32):
        other = p.Session(A.number, A.key ^ 1 << bit)
        assert p.Decoder(other).feed(line) == []
    assert p.Decoder(A).feed(line) == [frame]
    stranger = p.Decoder(B)
    assert stranger.feed(line) == [] and (stranger.foreign, stranger.damaged) == (1, 0)


def test_the_board_takes_no_data_of_another_session_or_key() -> None:
    step = toy.samples(1).tobytes()
    script = Script().hello().begin(A)
    for session in (B, p.Session(A.number, A.key ^ 1), p.NONE):
        script.session = session
        for part in range(8):
            script.say(p.DATA, part, step[768 * part : 768 * part + 768])
    script.session = A
    frames = script.say(p.POLL, 9, bytes(4)).answers(toy.posix_image())
    assert frames[-1].type == p.POLL | p.ANSWER and p.Ack.parse(frames[-1].payload)[:2] == (0, 0)
    assert p.RESULT not in {frame.type for frame in frames}


def test_a_begin_that_was_late_is_refused() -> None:
    """It repeats a challenge that has been used; the session it would have ended goes on."""
    late = Script().hello().begin(A)
    script = Script().hello().begin(A).begin(B)
    script.line += late.line[-(len(late.line) - len(Script().hello().line)) :]
    frames = script.say(p.POLL, 9, bytes(4)).answers(toy.posix_image())
    refused = [p.Refusal.parse(f.payload) for f in frames if f.type == p.ERROR]
    assert [(r.code, r.request, r.detail) for r in refused] == [(p.SESSION, p.BEGIN, B.number)]
    assert frames[-1].type == p.POLL | p.ANSWER


def test_two_processes_draw_other_challenges_for_one_question() -> None:
    """By their clock, as boards do by their counter."""
    question = bytes(Script().hello().line)
    image = toy.posix_image()
    drawn = set()
    for _ in range(3):
        done = subprocess.run([image], input=question, capture_output=True, timeout=60, check=True)
        (answer,) = (f for f in p.Decoder().feed(done.stdout) if f.type == p.HELLO | p.ANSWER)
        drawn.add(p.Hello.parse(answer.payload).challenge)
    assert len(drawn) == 3


def test_the_clock_of_a_process_is_no_time_of_a_step(board: ProcessBoard) -> None:
    assert board.link.hello is not None and board.link.hello.counts == "nothing"
    run = Run(toy.samples(3))
    result = run.start(board.link)
    assert run.ticks.any() and not result.cycles.any()


def test_the_highest_session_number_is_one_like_any_other() -> None:
    script = Script().hello().begin(B).begin(A).begin(B).begin(A)
    frames = script.answers(toy.posix_image(), A, B)
    begun = [frame.session for frame in frames if frame.type == p.BEGIN | p.ANSWER]
    assert begun == [B.number, A.number, B.number, A.number]


def test_sessions_and_questions_are_drawn_anew(board: ProcessBoard) -> None:
    seen = set()
    for _ in range(20):
        board.link.reset()
        seen.add(board.link.session)
    assert len(seen) == len({s.number for s in seen}) == len({s.key for s in seen}) == 20
    assert len({Link(board.line)._request for _ in range(20)}) == 20


def test_a_session_that_is_full_offers_to_resume(board: ProcessBoard) -> None:
    board.link.reset()
    board.link.next_data = 2**32 - 5
    with pytest.raises(BoardLostError, match=r"the session is full.*in another one"):
        board.link.stream(toy.samples(1))


def test_another_host_on_the_same_board_is_named(board: ProcessBoard) -> None:
    first, second = board.link, Link(board.line, toy.MODEL_HASH, toy.QUICK)

    def intrude(frame: int, *_: object) -> None:
        if frame == 2:
            second.handshake()
            second.reset()

    first.reset()
    with pytest.raises(BoardLostError, match="another host took the board: expected session"):
        first.stream(toy.samples(6), intrude)
    np.testing.assert_array_equal(second.stream(toy.samples(3)).outputs, toy.run(toy.samples(3)))


# --- what is said ---------------------------------------------------------------------------------


class Reordering(toy.Tamper):
    """Holds a frame back until some later ones have passed; every frame arrives, once."""

    def __init__(self, seed: int, share: float, most: int):
        super().__init__([])
        self._rng, self._share, self._most = random.Random(seed), share, most
        self._late: list[tuple[int, bytes]] = []
        self._count = 0

    def __call__(self, frame: bytes) -> bytes:
        self._count += 1
        due = b"".join(held for at, held in self._late if at <= self._count)
        self._late = [(at, held) for at, held in self._late if at > self._count]
        if self._rng.random() < self._share:
            self._late.append((self._count + self._rng.randint(1, self._most), frame))
            return due
        return frame + due


@pytest.mark.parametrize("seed", range(6))
def test_frames_out_of_order_are_put_right_and_not_called_a_reset(
    board: ProcessBoard, seed: int
) -> None:
    """Both ways, also answers that come behind later ones."""
    content = toy.samples(12, seed=seed)
    line = toy.HarmfulLine(board.line, Reordering(seed, 0.25, 12), Reordering(-seed, 0.25, 12))
    link = Link(line, toy.MODEL_HASH, toy.QUICK)
    link.handshake()
    np.testing.assert_array_equal(Run(content, 5).start(link).outputs, toy.run(content))


class Replacing(toy.Tamper):
    """Puts other frames of the board in the place of some."""

    def __init__(self, link: Link, code: int, detail: int):
        super().__init__([])
        self.link, self.code, self.detail = link, code, detail
        self.left = 1

    def __call__(self, frame: bytes) -> bytes:
        whole = p.decode(frame.strip(b"\0"), self.link.session)
        if whole is None or whole.type == p.RESULT:
            return b"" if self.left else frame
        if whole.type != p.POLL | p.ANSWER or not self.left:
            return frame
        self.left -= 1
        refusal = struct.pack("<HHII", self.code, p.POLL, self.detail, 8)
        error = p.Frame(p.ERROR, self.link.session.number, whole.sequence, refusal)
        return p.encode(error, self.link.session.key)


def test_a_result_no_longer_kept_offers_to_resume(board: ProcessBoard) -> None:
    link = board.link
    link.reset()
    link.line = toy.HarmfulLine(board.line, toy.Tamper([]), Replacing(link, p.GONE, 0))
    with pytest.raises(BoardLostError, match="output frame 0 is no longer kept, those from 8 on"):
        link.stream(toy.samples(2))


def test_a_result_that_came_meanwhile_is_not_missed(board: ProcessBoard) -> None:
    """An answer to a question of before: the board no longer has what the host has by now."""
    content, link = toy.samples(4), board.link
    link.reset()
    link.stream(content[: 2 * toy.PER_STEP])
    link.line = toy.HarmfulLine(board.line, toy.Tamper([]), Replacing(link, p.GONE, 1))
    rest = link.stream(content[2 * toy.PER_STEP :]).outputs
    np.testing.assert_array_equal(rest, toy.run(content)[2:])


class Losing(toy.Tamper):
    def __init__(self, seed: int, share: float):
        super().__init__([])
        self._rng, self._share = random.Random(seed), share

    def __call__(self, frame: bytes) -> bytes:
        return b"" if self._rng.random() < self._share else frame


def lossy(board: ProcessBoard, share: float, timing: Timing) -> Link:
    line = toy.HarmfulLine(board.line, Losing(1, share), Losing(2, share))
    return Link(line, toy.MODEL_HASH, timing)


def test_a_line_that_loses_nearly_everything_is_given_up_by_a_stated_limit(
    board: ProcessBoard,
) -> None:
    """The times of a real line, a hundred times as fast."""
    link = lossy(board, 0.7, Timing(answer_s=0.01, silence_s=5.0, boot_s=5.0, stall_s=0.6))
    link.handshake()
    link.reset()
    limit = r"loses nearly everything: \d frames came through in 0\.6 s, fewer than 10"
    with pytest.raises(BoardLostError, match=f"{limit}|accepted nothing for 0.6 s|silence"):
        link.stream(toy.samples(1000))


def test_a_line_that_loses_a_third_goes_on(board: ProcessBoard) -> None:
    content = toy.samples(6)
    link = lossy(board, 0.3, Timing(answer_s=0.01, silence_s=5.0, boot_s=5.0, stall_s=0.6))
    link.handshake()
    np.testing.assert_array_equal(Run(content).start(link).outputs, toy.run(content))


def test_a_damaged_session_number_is_damage_and_no_loss(board: ProcessBoard) -> None:
    rng = random.Random(5)

    class Renumbering(toy.Tamper):
        def __call__(self, frame: bytes) -> bytes:
            body = bytearray(cobs.decode(frame.strip(b"\0")))
            if rng.random() < 0.3 and body[0] in (p.DATA, p.STATE_READ, p.STATE_INFO):
                body[4] ^= 0x40
            return b"\0" + cobs.encode(bytes(body)) + b"\0"

    content = toy.samples(6)
    line = toy.HarmfulLine(board.line, Renumbering([]), toy.Tamper([]))
    link = Link(line, toy.MODEL_HASH, toy.QUICK)
    link.handshake()
    np.testing.assert_array_equal(Run(content, 2).start(link).outputs, toy.run(content))


@pytest.mark.parametrize("kind", [p.ACK, p.ERROR])
def test_a_message_of_another_length_is_one_line(board: ProcessBoard, kind: int) -> None:
    link = board.link
    link.reset()

    class Cutting(toy.Tamper):
        def __call__(self, frame: bytes) -> bytes:
            wrong = p.Frame(kind, link.session.number, link._request, b"12345")
            return p.encode(wrong, link.session.key) + frame

    link.line = toy.HarmfulLine(board.line, toy.Tamper([]), Cutting([]))
    with pytest.raises(LinkError) as error:
        link.stream(toy.samples(2))
        link.snapshot()
    assert "does not keep to its protocol" in str(error.value)


# --- what a board can be made to do ---------------------------------------------------------------


def said(line: bytes) -> bytes:
    """By a board that is in session A, beyond what it says anyway."""
    before = bytes(Script().hello().begin(A).line)
    image = toy.posix_image()
    both = [
        subprocess.run(
            [image], input=content, capture_output=True, timeout=60, check=True, env=STANDS_STILL
        ).stdout
        for content in (before, before + line)
    ]
    assert both[1].startswith(both[0])
    return both[1][len(both[0]) :]


@pytest.mark.parametrize("bad", [b"\1\1\0", b"\5\0", b"\2\3\0", b"\xff\0"])
def test_damaged_frames_get_back_less_than_they_are(bad: bytes) -> None:
    for count in (1, 100, 5000):
        assert len(said(count * bad)) <= 40 + count * len(bad)


def test_frames_of_other_sessions_get_back_less_than_they_are() -> None:
    stale = p.encode(p.Frame(p.POLL, B.number, 5, bytes(4)), B.key)
    assert 0 < len(said(200 * stale)) < 0.2 * 200 * len(stale)


@pytest.mark.parametrize("session", [p.NONE, A, B])
def test_answers_are_never_answered(session: p.Session) -> None:
    """As on a line that is its own echo, or on which two boards meet."""
    kinds = [p.ACK, p.RESULT, p.READY, p.ERROR, *(kind | p.ANSWER for kind in range(16))]
    frames = [
        p.Frame(kind, 0 if kind in p.OPEN else session.number, 1, bytes(12)) for kind in kinds
    ]
    line = b"".join(p.encode(f, 0 if f.type in p.OPEN else session.key) for f in frames)
    assert said(line) == b""


def test_a_count_that_would_wrap_is_refused() -> None:
    for count, refused in ((2**31 - 1, False), (2**31, True), (2**32 - 1, True)):
        script = Script().hello().begin(A, p.RESTORE)
        commit = struct.pack("<2I", count, 0xF1E8BA9E)  # of the toy's state of zeros
        answer = script.say(p.STATE_COMMIT, 3, commit).answers(toy.posix_image())[-1]
        assert (answer.type == p.ERROR) == refused, (count, answer)


def test_an_older_host_is_answered_and_begins_nothing() -> None:
    """Version 3 counted sessions up, and its BEGIN had four bytes."""
    for session in (0, 1, 7):
        script = Script()
        script.line += p.encode(p.Frame(p.HELLO, session, 5, b""))
        script.line += p.encode(p.Frame(p.BEGIN, session + 1, 6, bytes(4)))
        script.line += p.encode(p.Frame(p.BEGIN, 0, 7, bytes(4)))
        frames = script.answers(toy.posix_image())
        answer = next(f for f in frames if f.type == p.HELLO | p.ANSWER)
        assert (answer.sequence, answer.payload[:2]) == (5, p.VERSION.to_bytes(2, "little"))
        codes = [p.Refusal.parse(f.payload).code for f in frames if f.type == p.ERROR]
        assert codes == [p.SESSION, p.LENGTH]


def test_an_older_board_is_heard_in_whatever_session_it_is() -> None:
    """Its answer to HELLO carries a session number, and no key."""
    answer = p.Frame(p.HELLO | p.ANSWER, 3, 9, (3).to_bytes(2, "little") + bytes(200))
    assert p.Decoder().feed(p.encode(answer)) == [answer]
    assert p.Decoder(A).feed(p.encode(answer)) == [answer]
    assert p.Hello.parse(answer.payload).version == 3


# --- a port that others can reach -----------------------------------------------------------------


def locked() -> str:
    return f"{toy.SANITIZE} -DAPP_LOCKED"


def test_a_locked_image_knows_no_request_for_the_state_or_the_tap() -> None:
    content = toy.samples(7)
    with open_process(toy.posix_image(locked()), toy.MODEL_HASH, toy.QUICK) as board:
        link = board.link
        link.handshake()
        result = Run(content, snapshot_every=2).start(link)
        np.testing.assert_array_equal(result.outputs, toy.run(content))
        for kind in (p.STATE_INFO, p.STATE_READ, p.STATE_WRITE, p.STATE_COMMIT, p.TAP_WATCH):
            with pytest.raises(UnknownRequestError, match="unknown request"):
                link.request(kind, bytes(8))
        with pytest.raises(UnknownRequestError, match="unknown request"):
            link._begin(p.RESTORE)


def test_the_makefile_of_a_project_locks_it(tmp_path: Path) -> None:
    toy.need("gcc", "make")
    write_project(tmp_path / "p", "posix", toy.model_files(), [], "toy model")
    image = build_project(tmp_path / "p", "posix", variables={"LOCKED": "1"})
    with open_process(image, toy.MODEL_HASH, toy.QUICK) as board:
        assert "-DAPP_LOCKED" in board.link.handshake().compiler
        board.link.reset()
        with pytest.raises(UnknownRequestError):
            board.link.snapshot()


def sizes(flags: Sequence[str]) -> list[int]:
    """Bytes of flash of the image for the STM32F405."""
    toy.need("arm-none-eabi-size")
    images = [toy.image("virtual-f405", flag) for flag in flags]
    done = subprocess.run(
        ["arm-none-eabi-size", *images], capture_output=True, text=True, check=True
    )
    return [int(row.split()[0]) for row in done.stdout.splitlines()[1:]]


def test_a_locked_image_is_smaller() -> None:
    whole, without = sizes(["", "-DAPP_LOCKED"])
    assert without < whole - 300


def test_what_a_locked_image_hides_a_tap_does_not_show() -> None:
    with pytest.raises(Exception, match="MODEL_TAP shows what APP_LOCKED hides"):
        toy.image("virtual-f405", "-DAPP_LOCKED -DMODEL_TAP")

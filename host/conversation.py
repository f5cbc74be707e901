"""A conversation with one board: who is there, requests that are repeated until answered, frames
both ways."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from compress.reading.words import counted
from host import checklist, faults, ports
from host import protocol as p
from host.errors import (
    BoardLostError,
    DamagedImageError,
    HashMismatchError,
    ModelFaultError,
    NoBoardError,
    OvertakenError,
    ProtocolError,
    UnknownRequestError,
)
from host.lines import Line, LineClosed


@dataclass(frozen=True)
class Timing:
    """How long to wait. A line that loses much, or is slow, changes these and nothing else; a
    network whose steps take long stretches them by itself, as soon as one step was seen."""

    answer_s: float = 1.0  # before a request is repeated, and before a silent stream is asked
    silence_s: float = 10.0  # without one good frame: the board is lost
    boot_s: float = 10.0  # for the first answer
    stall_s: float = 60.0  # of answers, but no sample accepted and no result: the board is lost
    # DATA frames accepted and results in every `stall_s` in which nothing was computed: on a line
    # that loses more a run would take for ever
    least: int = 10
    # of silence while a board computes its first step: nobody knows yet how long one takes
    first_step_s: float = 120.0


OUTSIDE = (p.HELLO, p.BEGIN, p.STATUS)  # requests of no session
STRETCH = 4  # times the longest step seen: what a board may take for one before it is lost


@dataclass
class Traffic:
    """What a stream cost on the line. Seconds are wall-clock and only informative."""

    bytes_sent: int = 0
    bytes_received: int = 0
    sample_bytes: int = 0
    frames_sent: int = 0
    frames_repeated: int = 0
    polls: int = 0
    seconds: float = 0.0


@dataclass
class Pace:
    """What came through since the last look, over streams and sessions."""

    waited_s: float = 0.0  # while no step was computed
    moved: int = 0  # DATA frames accepted, results received


@dataclass
class Conversation:
    """One line to one board. Not for several threads."""

    line: Line
    expect_hash: str | None = None  # of the model; None accepts any
    timing: Timing = field(default_factory=Timing)
    traffic: Traffic = field(default_factory=Traffic)
    decoder: p.Decoder = field(default_factory=p.Decoder)
    hello: p.Hello | None = None
    session: p.Session = p.NONE
    frames: int = 0  # output frames of the session, received without a gap
    next_data: int = 0  # sequence of the session's next new DATA frame
    expected: checklist.Expected = field(
        default_factory=checklist.Expected
    )  # who should be at the other end
    explain: Callable[[], str] | None = None  # what became of the board's process, if it is one
    image: Path | None = None  # what the board should carry: names the lines of its faults
    # what the last READY told, which a board says by itself after every reset, and how many came
    started: p.Hello | None = None
    starts: int = 0
    # the longest silence that a result has ended: one step as seen from here; 0 before the first
    step_s: float = 0.0
    # for a good frame since the last one, in receive(): what the host does itself is no silence
    waited_s: float = 0.0
    pace: Pace = field(default_factory=Pace)
    echoed: int = 0  # requests heard: a line that gives back what it is given
    _request: int = field(default_factory=lambda: int.from_bytes(os.urandom(4), "little"))
    _inbox: list[p.Frame] = field(default_factory=list)

    # --- who is there -----------------------------------------------------------------------------

    def handshake(self) -> p.Hello:
        """Who is there? Errors: NoBoardError, ProtocolError, DamagedImageError,
        HashMismatchError."""
        try:
            return self._meet(self.timing.boot_s)
        except BoardLostError as error:
            raise NoBoardError(self._check_list()) from error

    def _check_list(self) -> str:
        """What was seen of a board that does not answer, and what to do."""
        d, found = self.decoder, ports.here()
        told = self.told(self.started)
        heard = checklist.Heard(
            d.bytes_heard,
            d.good,
            d.misread,
            d.tail,
            self.starts,
            told.text if told else "",
            self.echoed,
        )
        finding = checklist.diagnose(
            heard, self.expected, found, self.explain() if self.explain else None
        )
        return finding.lines(f"{self.line.name}: no board answers", found, self._heard())

    def _meet(self, patience_s: float) -> p.Hello:
        hello = self._ask_hello(patience_s)
        self._check(hello)
        self.hello = hello
        self.started, self.starts = None, 0  # what comes from now on is a reset
        return hello

    def status(self) -> p.Status:
        """The board's counts."""
        return p.Status.parse(self.request(p.STATUS).payload)

    def _check(self, hello: p.Hello) -> None:
        if hello.version != p.VERSION:
            step = (
                "the board's firmware is older than this host: load it again"
                if hello.version < p.VERSION
                else "this host is older than the board's firmware: use the Tendon that built it,"
                " or load this one's"
            )
            raise ProtocolError(
                f"{self.line.name}: expected protocol version {p.VERSION}, found {hello.version};"
                f" {step}, {self.expected.flash}"
            )
        if hello.error == p.TABLES:
            raise DamagedImageError(
                f"{self.line.name}: the image on {hello.board} is damaged: CRC-32 of"
                f" {p.COVERS.get(hello.crc_covers, 'it')} expected {hello.crc_expected:08x}, found"
                f" {hello.crc_found:08x}; it infers nothing. Load the firmware again"
            )
        if hello.error == p.MODEL:
            why = p.FAULTS.get(hello.fault, f"reason {hello.fault}")
            raise ModelFaultError(
                f"{self.line.name}: the model on {hello.board} cannot start: {why}"
                f" ({hello.compiler})"
            )
        if self.expect_hash is not None and hello.model_hash != self.expect_hash:
            raise HashMismatchError(
                f"{self.line.name}: expected model hash {self.expect_hash}, found"
                f" {hello.model_hash} ({hello.model} on {hello.board}); load the firmware that was"
                " built from this model"
            )

    # --- frames -----------------------------------------------------------------------------------

    def send(self, kind: int, sequence: int, payload: bytes) -> int:
        """One frame of the current session, or of none where its kind belongs to none; returns its
        bytes on the line."""
        session = p.NONE if kind in OUTSIDE else self.session
        encoded = p.encode(p.Frame(kind, session.number, sequence, payload), session.key)
        try:
            self.line.send(encoded)
        except LineClosed as error:
            raise self.lost(self._closed(error)) from error
        self.traffic.bytes_sent += len(encoded)
        self.traffic.frames_sent += 1
        return len(encoded)

    def receive(self, timeout_s: float) -> p.Frame | None:
        """The next good frame, or None when none came in time. Either way `waited_s` says for how
        long there was none."""
        begin = time.monotonic()
        while not self._inbox and (left := begin + timeout_s - time.monotonic()) > 0:
            try:
                content = self.line.receive(left)
            except LineClosed as error:
                raise self.lost(self._closed(error)) from error
            self.traffic.bytes_received += len(content)
            self._inbox = self._answers(self.decoder.feed(content))
        self.waited_s += time.monotonic() - begin
        frame = self._inbox.pop(0) if self._inbox else None
        if frame is not None and frame.type == p.READY:
            self._note_start(frame.payload)
        return frame

    def _closed(self, error: LineClosed) -> str:
        """What became of the line, which a message names by itself."""
        return str(error).removeprefix(f"{self.line.name}: ")

    def _answers(self, heard: list[p.Frame]) -> list[p.Frame]:
        """Without what this host said itself."""
        answers = [frame for frame in heard if frame.type & p.ANSWER]
        self.echoed += len(heard) - len(answers)
        return answers

    def open(self, session: p.Session) -> None:
        """From here on frames are of this session; those of others are not heard."""
        self.session = self.decoder.session = session

    def _note_start(self, ready: bytes) -> None:
        self.starts += 1
        with contextlib.suppress(ValueError):  # of other firmware: who asks is told so
            self.started = p.Hello.parse(ready)

    def told(self, hello: p.Hello | None) -> faults.Told | None:
        """What a board of this protocol says of its last start; None: nothing."""
        if hello is None or hello.version != p.VERSION:
            return None
        return faults.tell(hello.past, self.image)

    def patience_s(self) -> float:
        """How long a board that has computed a step before may be silent."""
        return max(self.timing.silence_s, STRETCH * self.step_s)

    def new_request(self) -> int:
        """A number that no answer on its way can carry."""
        self._request = (self._request + 1) % 2**32
        return self._request

    def request(self, kind: int, payload: bytes = b"", patience_s: float | None = None) -> p.Frame:
        """Repeats a request until its answer comes. BoardLostError: silence, or another session;
        ProtocolError: refused."""
        deadline = time.monotonic() + (self.patience_s() if patience_s is None else patience_s)
        number = self.new_request()
        while time.monotonic() < deadline:
            self.send(kind, number, payload)
            repeat = time.monotonic() + self.timing.answer_s
            while (left := repeat - time.monotonic()) > 0:
                frame = self.receive(left)
                if frame is None or frame.type == p.READY:
                    break
                if frame.sequence != number:
                    continue
                if frame.type == kind | p.ANSWER and (
                    kind in (p.HELLO, p.STATUS) or frame.session == self.session.number
                ):
                    return frame
                if frame.type == p.ERROR and p.Refusal.parse(frame.payload).request == kind:
                    self._refuse(p.Refusal.parse(frame.payload))
        raise self.lost("the board does not answer")

    def _ask_hello(self, patience_s: float) -> p.Hello:
        answer = self.request(p.HELLO, patience_s=patience_s).payload
        try:
            return p.Hello.parse(answer)
        except ValueError as error:
            raise ProtocolError(
                f"{self.line.name}: expected the answer of protocol version {p.VERSION}, found"
                f" {error}"
            ) from error

    def _refuse(self, refusal: p.Refusal) -> None:
        """Raises what a refusal means; nothing where only the request was damaged on its way."""
        if refusal.code == p.SESSION:
            if refusal.request == p.BEGIN:
                raise OvertakenError(f"{self.line.name}: the board refused: {refusal}")
            if refusal.detail == self.session.number:
                return
            raise self.lost(self.gone(refusal.detail))
        if refusal.code == p.TABLES:
            raise DamagedImageError(
                f"{self.line.name}: the image on the board is damaged; load the firmware again"
            )
        kind = UnknownRequestError if refusal.code == p.TYPE else ProtocolError
        raise kind(f"{self.line.name}: the board refused: {refusal}")

    def confirm_session(self) -> None:
        """Something looked like a reset: ask. BoardLostError when it was one."""
        hello = self._ask_hello(self.patience_s())
        if hello.session != self.session.number:
            raise self.lost(self.gone(hello.session), hello)

    def gone(self, found: int) -> str:
        """What it means that a board is in this session and not in ours."""
        ours = f"expected session {self.session.number:08x}, found"
        if not found:
            return f"the board was reset: {ours} none"
        return f"another host took the board: {ours} {found:08x}"

    def lost(
        self,
        what: str,
        hello: p.Hello | None = None,
        then: str = "Reconnect the board: the run can be resumed",
    ) -> BoardLostError:
        """Says what was heard last."""
        expected = self.expect_hash or (self.hello.model_hash if self.hello else "any")
        last = hello or self.hello
        found = last.model_hash if last else "none"
        seen = ports.listed(ports.here())
        fate = f"; {self.explain()}" if self.explain else ""
        others = ports.holders(self.expected.port) if self.expected.port else []
        fate += f"; {', '.join(others)} has the port open too" if others else ""
        told = self.told(hello or self.started)
        why = f" {told.text[0].upper()}{told.text[1:]}." if told else ""
        return BoardLostError(
            f"{self.line.name}: {what}.{why} Serial ports seen: {seen}. {self._heard()}{fate}."
            f" Model hash expected {expected}, found {found}. {self.frames} output frames were"
            f" received. {then}",
            told,
        )

    def _heard(self) -> str:
        d = self.decoder
        heard = f"{counted(d.bytes_heard, 'byte')} heard, {counted(d.damaged, 'damaged frame')}"
        heard += f", {d.foreign} of other sessions" if d.foreign else ""
        last = f", the last {self.decoder.tail.hex(' ')}" if self.decoder.tail else ""
        return heard + last

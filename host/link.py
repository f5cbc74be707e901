"""A conversation with one board: handshake, requests that are repeated until answered, sessions, snapshots, streaming."""

from __future__ import annotations

import os
import time
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from host import protocol as p
from host.errors import (
    BoardLostError,
    DamagedImageError,
    HashMismatchError,
    LinkError,
    ModelFaultError,
    NoBoardError,
    ProtocolError,
    SnapshotError,
    UnknownRequestError,
)
from host.lines import Line, LineClosed, ports_seen

OnFrame = Callable[[int, NDArray[np.int16], int], None]  # step, outputs (outputs,), ticks


@dataclass(frozen=True)
class Timing:
    """How long to wait. A line that loses much, or is slow, changes these and nothing else."""

    answer_s: float = 1.0  # before a request is repeated, and before a silent stream is asked
    silence_s: float = 10.0  # without one good frame: the board is lost
    boot_s: float = 10.0  # for the first answer
    stall_s: float = 60.0  # of answers, but no sample accepted and no result: the board is lost


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


@dataclass(frozen=True)
class Result:
    """Output frames of a stream: outputs (frames, outputs) int16, cycles (frames,) in what Hello.counts says."""

    outputs: NDArray[np.int16]
    cycles: NDArray[np.uint64]
    traffic: Traffic


@dataclass
class Link:
    """One line to one board. Not for several threads."""

    line: Line
    expect_hash: str | None = None  # of the model; None accepts any
    timing: Timing = field(default_factory=Timing)
    traffic: Traffic = field(default_factory=Traffic)
    decoder: p.Decoder = field(default_factory=p.Decoder)
    hello: p.Hello | None = None
    session: int = 0
    steps: int = 0  # of the session, results received without a gap
    next_data: int = 0  # sequence of the session's next new DATA frame
    explain: Callable[[], str] = lambda: ""  # what the board's process said last, if it is one
    _request: int = field(default_factory=lambda: int.from_bytes(os.urandom(3), "little"))
    _inbox: list[p.Frame] = field(default_factory=list)
    _heard_at: float = 0.0

    # --- handshake and sessions -------------------------------------------------------------------------------------

    def handshake(self) -> p.Hello:
        """Who is there? Errors: NoBoardError, ProtocolError, DamagedImageError, HashMismatchError."""
        try:
            return self._meet(self.timing.boot_s)
        except BoardLostError as error:
            advice = "Check power, wiring and baud rate, and that firmware of this protocol is loaded"
            raise NoBoardError(f"{self.line.name}: no board answers. {ports_seen()}. {self._heard()}. {advice}") from error

    def _meet(self, patience_s: float) -> p.Hello:
        hello = self._ask_hello(patience_s)
        self._check(hello)
        self.hello = hello
        return hello

    def reset(self) -> None:
        """A new session from the zero state."""
        self._begin(p.FROM_ZERO)

    def status(self) -> p.Status:
        """The board's counts."""
        return p.Status.parse(self.request(p.STATUS).payload)

    def _begin(self, how: int) -> None:
        """Sessions only count up on a board, so a frame that was delayed on the line never belongs to the current one."""
        self.session = self._meet(self.timing.silence_s).session + 1
        self.request(p.BEGIN, how.to_bytes(4, "little"))
        self.steps = self.next_data = 0

    def _check(self, hello: p.Hello) -> None:
        if hello.version != p.VERSION:
            raise ProtocolError(
                f"{self.line.name}: expected protocol version {p.VERSION}, found {hello.version}; "
                "build and load the firmware of this version"
            )
        if hello.error == p.TABLES:
            raise DamagedImageError(
                f"{self.line.name}: the image on {hello.board} is damaged: CRC-32 of the model's tables expected "
                f"{hello.tables_crc_expected:08x}, found {hello.tables_crc_found:08x}; it infers nothing. Load the firmware again"
            )
        if hello.error == p.MODEL:
            why = p.FAULTS.get(hello.fault, f"reason {hello.fault}")
            raise ModelFaultError(f"{self.line.name}: the model on {hello.board} cannot start: {why} ({hello.compiler})")
        if self.expect_hash is not None and hello.model_hash != self.expect_hash:
            raise HashMismatchError(
                f"{self.line.name}: expected model hash {self.expect_hash}, found {hello.model_hash} "
                f"({hello.model} on {hello.board}); "
                "load the firmware that was built from this model"
            )

    # --- frames -------------------------------------------------------------------------------------------------------

    def send(self, kind: int, sequence: int, payload: bytes) -> int:
        """One frame of the current session; returns its bytes on the line."""
        encoded = p.encode(p.Frame(kind, self.session, sequence, payload))
        try:
            self.line.send(encoded)
        except LineClosed as error:
            raise self.lost(str(error)) from error
        self.traffic.bytes_sent += len(encoded)
        self.traffic.frames_sent += 1
        return len(encoded)

    def receive(self, timeout_s: float) -> p.Frame | None:
        """The next good frame, or None when none came in time."""
        deadline = time.monotonic() + timeout_s
        while not self._inbox:
            left = deadline - time.monotonic()
            if left <= 0:
                return None
            try:
                content = self.line.receive(left)
            except LineClosed as error:
                raise self.lost(str(error)) from error
            self.traffic.bytes_received += len(content)
            self._inbox = self.decoder.feed(content)
        self._heard_at = time.monotonic()
        return self._inbox.pop(0)

    def silent(self) -> bool:
        """Nothing good was heard for too long."""
        return time.monotonic() - self._heard_at > self.timing.silence_s

    def new_request(self) -> int:
        """A number that no answer on its way can carry."""
        self._request = (self._request + 1) % 2**32
        return self._request

    def request(self, kind: int, payload: bytes = b"", patience_s: float | None = None) -> p.Frame:
        """Repeats a request until its answer comes. BoardLostError: silence, or another session; ProtocolError: refused."""
        deadline = time.monotonic() + (self.timing.silence_s if patience_s is None else patience_s)
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
                if frame.type == kind | p.ANSWER and (kind in (p.HELLO, p.STATUS) or frame.session == self.session):
                    return frame
                if frame.type == p.ERROR and p.Refusal.parse(frame.payload).request == kind:
                    raise self._refused(p.Refusal.parse(frame.payload))
        raise self.lost("the board does not answer")

    def _ask_hello(self, patience_s: float) -> p.Hello:
        answer = self.request(p.HELLO, patience_s=patience_s).payload
        try:
            return p.Hello.parse(answer)
        except ValueError as error:
            raise ProtocolError(
                f"{self.line.name}: expected the answer of protocol version {p.VERSION}, found {error}"
            ) from error

    def _refused(self, refusal: p.Refusal) -> LinkError:
        if refusal.code == p.SESSION:
            return self.lost(
                f"the board was reset, or belongs to someone else: expected session {self.session}, found {refusal.detail}"
            )
        if refusal.code == p.TABLES:
            return DamagedImageError(f"{self.line.name}: the model's tables on the board are damaged; load the firmware again")
        kind = UnknownRequestError if refusal.code == p.TYPE else ProtocolError
        return kind(f"{self.line.name}: the board refused: {refusal}")

    def confirm_session(self) -> None:
        """Something looked like a reset: ask. BoardLostError when it was one."""
        hello = self._ask_hello(self.timing.silence_s)
        if hello.session != self.session:
            raise self.lost(f"the board was reset: expected session {self.session}, found {hello.session}", hello)

    def lost(self, what: str, hello: p.Hello | None = None) -> BoardLostError:
        """Says what was heard last."""
        expected = self.expect_hash or (self.hello.model_hash if self.hello else "any")
        last = hello or self.hello
        found = last.model_hash if last else "none"
        return BoardLostError(
            f"{self.line.name}: {what}. {ports_seen()}. {self._heard()}. Model hash expected {expected}, found {found}. "
            f"{self.steps} steps were answered. Reconnect the board: the run can be resumed"
        )

    def _heard(self) -> str:
        heard = f"{self.decoder.bytes_heard} bytes heard, {self.decoder.damaged} damaged frames"
        last = f", the last {self.decoder.tail.hex(' ')}" if self.decoder.tail else ""
        said = self.explain()
        return heard + last + (f". Its process said: {said}" if said else "")

    # --- state --------------------------------------------------------------------------------------------------------

    def snapshot(self) -> bytes:
        """The model's state between two steps, with its CRC-32 and the model's hash."""
        assert self.hello is not None, "handshake() comes first"
        info = p.StateInfo.parse(self.request(p.STATE_INFO).payload)
        state = bytearray()
        while len(state) < info.size:
            count = min(self.hello.payload, info.size - len(state))
            where = len(state).to_bytes(4, "little") + count.to_bytes(4, "little")
            state += self.request(p.STATE_READ, where).payload
        if zlib.crc32(state) != info.crc:
            raise SnapshotError(
                f"{self.line.name}: state CRC-32 expected {info.crc:08x}, found {zlib.crc32(state):08x}; take it again"
            )
        return p.Snapshot(self.hello.model_hash, info.steps, bytes(state)).to_bytes()

    def restore(self, content: bytes) -> int:
        """A new session that goes on where the snapshot was taken; returns after how many steps that was."""
        assert self.hello is not None, "handshake() comes first"
        try:
            snapshot = p.Snapshot.from_bytes(content)
        except ValueError as error:
            raise SnapshotError(f"snapshot refused: {error}") from error
        if snapshot.model_hash != self.hello.model_hash:
            raise SnapshotError(f"snapshot of model {snapshot.model_hash}, the board carries {self.hello.model_hash}")
        self._begin(p.RESTORE)
        piece = self.hello.payload - 4
        for offset in range(0, len(snapshot.state), piece):
            self.request(p.STATE_WRITE, offset.to_bytes(4, "little") + snapshot.state[offset : offset + piece])
        commit = snapshot.steps.to_bytes(4, "little") + zlib.crc32(snapshot.state).to_bytes(4, "little")
        self.request(p.STATE_COMMIT, commit)
        self.steps = snapshot.steps
        return snapshot.steps

    # --- streaming ----------------------------------------------------------------------------------------------------

    def stream(self, samples: NDArray[np.int16], on_frame: OnFrame | None = None) -> Result:
        """Samples (n, inputs) int16 through the model, from its present state; n a multiple of samples per step."""
        from host.stream import Stream

        return Stream(self, samples, on_frame).run()

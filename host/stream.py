"""One stream of samples: DATA frames in sequence, credits in bytes, and repetition only of what the board says it lacks.

The host never guesses: when something seems missing it stops sending and asks (POLL). The answer comes behind everything that
was on the line, so at that moment the board's buffer is empty, what it expects next is exact, and sending again overruns nothing.
"""

from __future__ import annotations

import time

import numpy as np
from numpy.typing import NDArray

from host import protocol as p
from host.errors import LinkError, ProtocolError
from host.link import Link, OnFrame, Result, Traffic


class Stream:
    """State of one Link.stream()."""

    def __init__(self, link: Link, samples: NDArray[np.int16], on_frame: OnFrame | None):
        hello = link.hello
        assert hello is not None, "handshake() comes first"
        if samples.ndim != 2 or samples.shape[1] != hello.inputs or len(samples) % hello.samples_per_step:
            raise LinkError(
                f"expected samples of shape (n · {hello.samples_per_step}, {hello.inputs}), found {samples.shape}: "
                f"{hello.model} eats {hello.samples_per_step} samples of {hello.inputs} inputs per step"
            )
        self.link, self.hello, self.on_frame = link, hello, on_frame
        self.content = np.ascontiguousarray(samples, dtype="<i2").tobytes()
        self.frames = len(self.content) // hello.step_bytes
        self.per_step = -(-hello.step_bytes // hello.payload)  # DATA frames
        self.first_step, self.first_data = link.steps, link.next_data
        self.end_data = self.first_data + self.frames * self.per_step
        self.acked = self.first_data  # the board has every DATA frame below
        self.next = self.first_data  # the next to send
        self.highest = self.first_data  # everything below was sent at least once
        self.on_the_way: dict[int, int] = {}  # sequence -> encoded bytes, not acknowledged
        self.poll: int | None = None  # number of the POLL we wait for
        self.outputs = np.zeros((self.frames, hello.outputs), np.int16)
        self.ticks = np.zeros(self.frames, np.uint32)
        self.received = np.zeros(self.frames, bool)
        self.done = 0  # results received without a gap
        self.progress_at = time.monotonic()

    def run(self) -> Result:
        """Until every result is here. BoardLostError when the board vanishes, falls silent or was reset."""
        before, begin = self.link.traffic, time.monotonic()
        self.link.traffic = traffic = Traffic()
        self.link._heard_at = begin
        try:
            while self.done < self.frames:
                self._turn()
        finally:
            traffic.seconds = time.monotonic() - begin
            _add(before, traffic)
            self.link.traffic = before
        self.link.next_data = self.end_data
        return Result(self.outputs, self.hello.in_counts(self.ticks), traffic)

    def _turn(self) -> None:
        if time.monotonic() - self.progress_at > self.link.timing.stall_s:
            raise self.link.lost(f"the board answers, but has accepted nothing for {self.link.timing.stall_s:g} s")
        while self.poll is None and self._may_send():
            self._send_next()
        frame = self.link.receive(self.link.timing.answer_s)
        if frame is not None:
            self._on_frame(frame)
        elif self.link.silent():
            raise self.link.lost(f"silence for {self.link.timing.silence_s:g} s")
        else:
            self._ask()

    # --- sending ------------------------------------------------------------------------------------------------------

    def _part(self, sequence: int) -> tuple[int, bytes]:
        """Step within this stream, and payload, of one DATA frame. No frame crosses the end of a step."""
        step, part = divmod(sequence - self.first_data, self.per_step)
        begin = part * self.hello.payload
        end = min(begin + self.hello.payload, self.hello.step_bytes)
        base = step * self.hello.step_bytes
        return step, self.content[base + begin : base + end]

    def _may_send(self) -> bool:
        """Credit left, and no step so far ahead that a result the host still lacks would be forgotten."""
        if self.next >= self.end_data:
            return False
        step, _ = self._part(self.next)
        return step < self.done + self.hello.results_kept and sum(self.on_the_way.values()) + p.ENCODED <= self.hello.credit

    def _send_next(self) -> None:
        _, payload = self._part(self.next)
        self.on_the_way[self.next] = self.link.send(p.DATA, self.next, payload)
        if self.next < self.highest:
            self.link.traffic.frames_repeated += 1
        else:
            self.link.traffic.sample_bytes += len(payload)
        self.next += 1
        self.highest = max(self.highest, self.next)

    def _ask(self) -> None:
        """Stop sending; ask what arrived, and for every result from the first missing one."""
        self.poll = self.link.new_request()
        self.link.traffic.polls += 1
        self.link.send(p.POLL, self.poll, (self.first_step + self.done).to_bytes(4, "little"))

    # --- receiving ----------------------------------------------------------------------------------------------------

    def _on_frame(self, frame: p.Frame) -> None:
        if frame.type == p.READY:
            self._suspect()
        elif frame.type == p.ERROR:
            self._on_error(p.Refusal.parse(frame.payload))
        elif frame.session != self.link.session:
            return
        elif frame.type == p.RESULT:
            self._on_result(frame)
        elif frame.type == p.ACK:
            self._on_ack(p.Ack.parse(frame.payload))
        elif frame.type == p.POLL | p.ANSWER and frame.sequence == self.poll:
            self._on_poll(p.Ack.parse(frame.payload))

    def _suspect(self) -> None:
        """Was the board reset? Frames that came while asking are gone, so ask for what is missing as well."""
        self.link.confirm_session()
        self._ask()

    def _on_error(self, refusal: p.Refusal) -> None:
        if refusal.code in (p.SESSION, p.TABLES):
            self._suspect()
        elif refusal.request in (p.DATA, p.POLL):
            raise ProtocolError(f"{self.link.line.name}: the board refused: {refusal}")

    def _on_ack(self, ack: p.Ack) -> None:
        self._acknowledge(ack.expected)
        if ack.reason in (p.GAP, p.DAMAGED) and self.poll is None:
            self._ask()

    def _acknowledge(self, expected: int) -> None:
        if self.acked < expected <= self.highest:
            self.acked, self.progress_at = expected, time.monotonic()
            self.next = max(self.next, expected)
            self.on_the_way = {k: v for k, v in self.on_the_way.items() if k >= expected}

    def _on_poll(self, ack: p.Ack) -> None:
        """Everything sent before has been taken off the line: go back to exactly what the board lacks."""
        if ack.expected < self.acked or ack.steps < self.first_step + self.done:
            raise self.link.lost(f"the board was reset: expected DATA {self.acked}, it is at {ack.expected}")
        self._acknowledge(ack.expected)
        self.poll = None
        self.on_the_way = {}
        self.next = self.acked

    def _on_result(self, frame: p.Frame) -> None:
        step = frame.sequence - self.first_step
        if not 0 <= step < self.frames or len(frame.payload) != 4 + 2 * self.hello.outputs:
            return
        outputs = np.frombuffer(frame.payload, "<i2", offset=4)
        if self.received[step]:
            if not np.array_equal(outputs, self.outputs[step]):
                raise ProtocolError(f"{self.link.line.name}: step {frame.sequence} was answered twice, with different outputs")
            return
        self.outputs[step], self.received[step] = outputs, True
        self.ticks[step] = int.from_bytes(frame.payload[:4], "little")
        if step > self.done and self.poll is None:
            self._ask()
        self._advance()

    def _advance(self) -> None:
        while self.done < self.frames and self.received[self.done]:
            if self.on_frame is not None:
                self.on_frame(self.first_step + self.done, self.outputs[self.done], int(self.ticks[self.done]))
            self.done, self.progress_at = self.done + 1, time.monotonic()
            self.link.steps += 1


def _add(total: Traffic, part: Traffic) -> None:
    for name, value in vars(part).items():
        setattr(total, name, getattr(total, name) + value)

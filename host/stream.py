"""One stream of samples: DATA frames in sequence, credits in bytes, and repetition only of what the
board says it lacks.

The host never guesses: when something seems missing it stops sending and asks (POLL). The answer
comes behind all DATA that was on the line, so what the board expects next is exact, and sending
again overruns nothing. On a line that answers later than the host asks again, the answer to any of
its questions will do: nothing but questions lies behind the first one, and they count against the
credit.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from host import protocol as p
from host.conversation import Conversation, Pace, Traffic
from host.errors import LinkError, ProtocolError

OnFrame = Callable[[int, NDArray[np.int16], int], None]  # step, outputs (outputs,), ticks

BACKWARDS = 10  # answers in a row from before what was acknowledged: not the line's order any more
DATA_OF_A_SESSION = 2**32 - 1  # frames: their sequence has 32 bits
RAREST = 16  # a board that computes is asked at intervals that double up to so many times the first


@dataclass(frozen=True)
class Result:
    """Output frames of a stream: outputs (frames, outputs) int16, cycles (frames,) in what
    Hello.counts says."""

    outputs: NDArray[np.int16]
    cycles: NDArray[np.uint64]
    traffic: Traffic


class Stream:
    """Samples (n, inputs) int16 through a board's model, from its present state."""

    def __init__(self, link: Conversation, samples: NDArray[np.int16], on_frame: OnFrame | None):
        hello = link.hello
        assert hello is not None, "handshake() comes first"
        if (
            samples.ndim != 2
            or samples.shape[1] != hello.inputs
            or len(samples) % hello.samples_per_step
        ):
            raise LinkError(
                f"expected samples of shape (n · {hello.samples_per_step}, {hello.inputs}), found"
                f" {samples.shape}: {hello.model} eats {hello.samples_per_step} samples of"
                f" {hello.inputs} inputs per step"
            )
        self.link, self.hello, self.on_frame = link, hello, on_frame
        self.content = np.ascontiguousarray(samples, dtype="<i2").tobytes()
        steps = len(self.content) // hello.step_bytes
        self.frames = steps * hello.frames_per_step  # to come out
        self.per_step = -(-hello.step_bytes // hello.payload)  # DATA frames
        self.first_frame, self.first_data = link.frames, link.next_data
        self.end_data = self.first_data + steps * self.per_step
        if self.end_data > DATA_OF_A_SESSION:
            raise link.lost("the session is full", then="The run can be resumed, in another one")
        self.acked = self.first_data  # the board has every DATA frame below
        self.next = self.first_data  # the next to send
        self.highest = self.first_data  # everything below was sent at least once
        self.on_the_way: dict[int, int] = {}  # sequence -> encoded bytes, not acknowledged
        self.asked: dict[
            int, int
        ] = {}  # number -> encoded bytes of every POLL not answered, oldest first
        self.waiting_from: int | None = None  # the first POLL since DATA was sent; None: sending
        self.questions = 0  # asked since the last good frame
        self.newest = (
            -1,
            0.0,
            # result, by its output frame, and the silence before it: the step's time, if it came
            # unasked
        )
        self.outputs = np.zeros((self.frames, hello.outputs), np.int16)
        self.ticks = np.zeros(self.frames, np.uint32)
        self.received = np.zeros(self.frames, bool)
        self.done = 0  # results received without a gap
        self.progress_at = time.monotonic()
        self.backwards = 0  # answers in a row that were behind what was acknowledged

    def run(self) -> Result:
        """Until every result is here. BoardLostError when the board vanishes, falls silent or was
        reset."""
        before, begin = self.link.traffic, time.monotonic()
        self.link.traffic = traffic = Traffic()
        self.link.waited_s = 0.0
        try:
            while self.done < self.frames:
                self._turn()
            self._settle()
        finally:
            traffic.seconds = time.monotonic() - begin
            _add(before, traffic)
            self.link.traffic = before
        self.link.next_data = self.end_data
        return Result(self.outputs, self.hello.in_counts(self.ticks), traffic)

    def _turn(self) -> None:
        patience_s = self._patience_s()
        stall_s = max(self.link.timing.stall_s, patience_s if self._computing() else 0.0)
        if time.monotonic() - self.progress_at > stall_s:
            raise self.link.lost(f"the board answers, but has accepted nothing for {stall_s:g} s")
        while self.waiting_from is None and self._may_send():
            self._send_next()
        begin, computing = time.monotonic(), self._computing()
        frame = self.link.receive(min(self._question_s(), patience_s - self.link.waited_s))
        if not computing:
            self._look_at_pace(time.monotonic() - begin)
        if frame is not None:
            self._on_frame(frame)
            self.link.waited_s, self.questions = 0.0, 0
        elif self.link.waited_s >= patience_s:
            raise self.link.lost(
                f"silence for {patience_s:g}"
                f" s{', while it computed a step' if self._computing() else ''}"
            )
        else:
            self._ask()
            self.questions += 1

    def _look_at_pace(self, waited_s: float) -> None:
        """A line on which next to nothing comes through is given up; of nothing, _turn() does."""
        pace, timing = self.link.pace, self.link.timing
        pace.waited_s += waited_s
        if pace.waited_s <= timing.stall_s:
            return
        moved, self.link.pace = pace.moved, Pace()
        if 0 < moved < timing.least:
            raise self.link.lost(
                f"the line loses nearly everything: {moved} frames came through in"
                f" {timing.stall_s:g} s, fewer than {timing.least}"
            )

    def _settle(self) -> None:
        """Every result is here; the answer to a question that is still on its way says whether the
        last one came unasked."""
        while self.asked and (frame := self.link.receive(self.link.timing.answer_s)) is not None:
            self._on_frame(frame)

    # --- patience ---------------------------------------------------------------------------------

    def _computing(self) -> bool:
        """Has the board confirmed all samples of a step whose result is missing? Then it is silent
        because it computes."""
        return (
            self.acked - self.first_data
        ) // self.per_step * self.hello.frames_per_step > self.done

    def _question_s(self) -> float:
        """How long to wait before asking. A board that computes answers nothing, and questions fill
        its buffer: ever fewer."""
        if not self._computing():
            return self.link.timing.answer_s
        return max(self.link.timing.answer_s, 2 * self.link.step_s) * min(2**self.questions, RAREST)

    def _measured(self) -> None:
        """The newest result came by itself: no question was on its way, or its answer has brought
        the result a second time. One that was lost and came when asked for says nothing of the
        step's time."""
        self.link.step_s = max(self.link.step_s, self.newest[1])

    def _patience_s(self) -> float:
        if self._computing() and not self.link.step_s:
            return max(self.link.timing.first_step_s, self.link.timing.silence_s)
        return self.link.patience_s()

    # --- sending ----------------------------------------------------------------------------------

    def _part(self, sequence: int) -> tuple[int, bytes]:
        """Step within this stream, and payload, of one DATA frame. No frame crosses the end of a
        step."""
        step, part = divmod(sequence - self.first_data, self.per_step)
        begin = part * self.hello.payload
        end = min(begin + self.hello.payload, self.hello.step_bytes)
        base = step * self.hello.step_bytes
        return step, self.content[base + begin : base + end]

    def _may_send(self) -> bool:
        """Credit left, and no step so far ahead that a result the host still lacks would be
        forgotten."""
        if self.next >= self.end_data:
            return False
        step, _ = self._part(self.next)
        results = (step + 1) * self.hello.frames_per_step - self.done
        on_the_line = sum(self.on_the_way.values()) + sum(self.asked.values())
        return results <= self.hello.results_kept and on_the_line + p.ENCODED <= self.hello.credit

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
        number = self.link.new_request()
        self.link.traffic.polls += 1
        self.asked[number] = self.link.send(
            p.POLL, number, (self.first_frame + self.done).to_bytes(4, "little")
        )
        if self.waiting_from is None:
            self.waiting_from = number

    # --- receiving --------------------------------------------------------------------------------

    def _on_frame(self, frame: p.Frame) -> None:
        if frame.type == p.READY:
            self._suspect()
        elif frame.type == p.ERROR:
            self._on_error(frame, p.Refusal.parse(frame.payload))
        elif frame.session != self.link.session.number:
            return
        elif frame.type == p.RESULT:
            self._on_result(frame)
        elif frame.type == p.ACK:
            self._on_ack(p.Ack.parse(frame.payload))
        elif frame.type == p.POLL | p.ANSWER and frame.sequence in self.asked:
            self._on_poll(frame.sequence, p.Ack.parse(frame.payload))

    def _suspect(self) -> None:
        """Was the board reset? Frames that came while asking are gone, so ask for what is missing
        as well."""
        self.link.confirm_session()
        self._ask()

    def _on_error(self, frame: p.Frame, refusal: p.Refusal) -> None:
        ours = frame.session == self.link.session.number
        if refusal.code == p.SESSION and refusal.detail == self.link.session.number:
            self._repair()  # the number of a frame was damaged
        elif refusal.code in (p.SESSION, p.TABLES):
            self._suspect()
        elif ours and refusal.request == p.POLL:
            self._on_refused_poll(frame.sequence, refusal)
        elif ours and refusal.request == p.DATA:
            raise ProtocolError(f"{self.link.line.name}: the board refused: {refusal}")

    def _on_refused_poll(self, number: int, refusal: p.Refusal) -> None:
        """Of a question that was overtaken by what it asked for: nothing."""
        if number not in self.asked:
            return
        if refusal.code != p.GONE:
            raise ProtocolError(f"{self.link.line.name}: the board refused: {refusal}")
        if refusal.detail >= self.first_frame + self.done:
            raise self.link.lost(
                f"output frame {refusal.detail} is no longer kept, those from {refusal.more} on"
                " are",
                then="The run can be resumed",
            )
        del self.asked[number]
        self.waiting_from = None
        self._ask()

    def _repair(self) -> None:
        """Something is missing: ask, unless that was done."""
        if self.waiting_from is None:
            self._ask()

    def _on_ack(self, ack: p.Ack) -> None:
        self._acknowledge(ack.expected)
        if ack.reason in (p.GAP, p.DAMAGED):
            self._repair()

    def _acknowledge(self, expected: int) -> None:
        if self.acked < expected <= self.highest:
            self.link.pace.moved += expected - self.acked
            self.acked, self.progress_at = expected, time.monotonic()
            self.next = max(self.next, expected)
            self.on_the_way = {k: v for k, v in self.on_the_way.items() if k >= expected}

    def _on_poll(self, number: int, ack: p.Ack) -> None:
        """All DATA sent before has been taken off the line: go back to exactly what the board
        lacks."""
        order = list(self.asked)
        done = order[: order.index(number) + 1]  # older ones were lost: answers keep their order
        self.asked = {k: size for k, size in self.asked.items() if k not in done}
        if self.waiting_from not in done:
            return  # DATA was sent behind this question
        self.waiting_from = None
        if ack.expected < self.acked or ack.frames < self.first_frame + self.done:
            self._on_backwards(ack)
            return
        self._acknowledge(ack.expected)
        self.backwards = 0
        self.on_the_way = {}
        self.next = self.acked

    def _on_backwards(self, ack: p.Ack) -> None:
        """An answer that is behind what was acknowledged: the board was reset, or the line does not
        keep the order. A board that is in our session and stays behind was reset, and begun again
        by a request that was late."""
        self.link.confirm_session()
        self.backwards += 1
        if self.backwards >= BACKWARDS:
            raise self.link.lost(
                "the board was reset, and frames that were late began its session again: expected"
                f" DATA {self.acked}, it is at {ack.expected}"
            )
        self._ask()

    def _on_result(self, frame: p.Frame) -> None:
        at = frame.sequence - self.first_frame
        if not 0 <= at < self.frames or len(frame.payload) != 4 + 2 * self.hello.outputs:
            return
        outputs = np.frombuffer(frame.payload, "<i2", offset=4)
        if self.received[at]:
            if not np.array_equal(outputs, self.outputs[at]):
                raise ProtocolError(
                    f"{self.link.line.name}: output frame {frame.sequence} came twice, with"
                    " different outputs"
                )
            if at == self.newest[0]:
                self._measured()
            return
        self.outputs[at], self.received[at] = outputs, True
        self.newest = at, self.link.waited_s
        if not self.asked:
            self._measured()
        self.ticks[at] = int.from_bytes(frame.payload[:4], "little")
        if at > self.done:
            self._repair()
        self._advance()

    def _advance(self) -> None:
        while self.done < self.frames and self.received[self.done]:
            if self.on_frame is not None:
                self.on_frame(
                    self.first_frame + self.done,
                    self.outputs[self.done],
                    int(self.ticks[self.done]),
                )
            self.done, self.progress_at = self.done + 1, time.monotonic()
            self.link.pace.moved += 1
            self.link.frames += 1


def _add(total: Traffic, part: Traffic) -> None:
    for name, value in vars(part).items():
        setattr(total, name, getattr(total, name) + value)

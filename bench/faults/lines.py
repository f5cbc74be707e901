"""A line that does harm: between a host and a board that is a process, and can be reset."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from host.boards import ProcessBoard
from host.lines import LineClosed

DAMAGE, CUT, LOSE, DOUBLE, LATE, NOISE, OLD = (
    *("damaged", "cut", "lost", "doubled", "late", "noise", "of before a reset"),
)
BROKEN = (DAMAGE, CUT)  # what is no longer the frame that was sent
RATES = {DAMAGE: 0.2, CUT: 0.05, LOSE: 0.02, DOUBLE: 0.04, LATE: 0.04, NOISE: 0.02, OLD: 0.1}
LATEST = 12  # frames that may pass one that is late
KEPT = 4000  # frames of before a reset, each way


@dataclass
class Harm:
    """To the frames of one direction. `old`: frames of before a reset, that may come once more."""

    rng: random.Random
    rates: dict[str, float]
    done: Counter[str] = field(default_factory=Counter)
    old: list[bytes] = field(default_factory=list)
    passed: list[bytes] = field(default_factory=list)
    _late: list[tuple[int, bytes]] = field(default_factory=list)
    _count: int = 0

    def __call__(self, frame: bytes) -> bytes:
        """What comes out at the other end in place of a frame: 00, its block, 00."""
        self._count += 1
        self.passed.append(frame)
        due = b"".join(late for at, late in self._late if at <= self._count)
        self._late = [(at, late) for at, late in self._late if at > self._count]
        fault = self._drawn()
        self.done[fault] += fault != ""
        return self._changed(fault, frame) + due

    def _drawn(self) -> str:
        at = self.rng.random()
        for fault, rate in self.rates.items():
            if at < rate:
                return "" if fault == OLD and not self.old else fault
            at -= rate
        return ""

    def _changed(self, fault: str, frame: bytes) -> bytes:
        rng = self.rng
        if fault == DAMAGE:
            return self._flipped(frame)
        if fault == CUT:
            return frame[: rng.randrange(1, len(frame))]
        if fault == LOSE:
            return b""
        if fault == DOUBLE:
            return frame + frame
        if fault == LATE:
            self._late.append((self._count + rng.randint(1, LATEST), frame))
            return b""
        if fault == NOISE:
            return rng.randbytes(rng.randrange(1, 60)) + frame
        if fault == OLD:
            return rng.choice(self.old) + frame
        return frame

    def _flipped(self, frame: bytes) -> bytes:
        """One to four bytes between the zeros are others."""
        content = bytearray(frame)
        for _ in range(self.rng.randint(1, 4)):
            content[self.rng.randrange(1, len(frame) - 1)] ^= self.rng.randint(1, 255)
        return bytes(content)

    def reset(self) -> None:
        """What has passed is of before a reset now."""
        self.old = (self.old + self.passed)[-KEPT:]
        self.passed = []


class HarmfulLine:
    """The line of a board that is started again behind the host's back, or unplugged."""

    name = "harmful line"

    def __init__(
        self, start: Callable[[], ProcessBoard], seed: int, rates: dict[str, float] | None = None
    ):
        self._start = start
        self.board = start()
        rates = RATES if rates is None else rates
        self.outward = Harm(random.Random(seed), rates)
        self.inward = Harm(random.Random(seed + 1), rates)
        self._rest = b""
        self._unplugged = False

    def reset(self) -> None:
        """The board starts again; the host is told nothing but what the board says."""
        self.board.close()
        self.board = self._start()
        self._rest = b""
        self.outward.reset()
        self.inward.reset()

    def unplug(self) -> None:
        """As reset(), and the line closes under the host; the next use of it finds a new one."""
        self.reset()
        self._unplugged = True

    def _look(self) -> None:
        if self._unplugged:
            self._unplugged = False
            raise LineClosed(f"{self.name}: unplugged")

    def send(self, content: bytes) -> None:
        self._look()
        self.board.line.send(self.outward(content))

    def receive(self, timeout_s: float) -> bytes:
        self._look()
        content = self._rest + self.board.line.receive(timeout_s)
        end = content.rfind(b"\0") + 1
        self._rest = content[end:]
        blocks = [block for block in content[:end].split(b"\0") if block]
        return b"".join(self.inward(b"\0" + block + b"\0") for block in blocks)

    def close(self) -> None:
        self.board.close()

    @property
    def broken(self) -> int:
        """Frames that were changed, both ways."""
        return sum(self.outward.done[fault] + self.inward.done[fault] for fault in BROKEN)

    @property
    def done(self) -> dict[str, int]:
        """Frames by what was done to them, both ways."""
        return dict(self.outward.done + self.inward.done)

"""What a host says to the posix process that does not listen to the answers.

The process's counter stands still, so that its challenges are known beforehand.
"""

from __future__ import annotations

import os
import struct
import subprocess
import zlib
from dataclasses import dataclass, field
from pathlib import Path

from host import protocol as p

STANDS_STILL = {**os.environ, "TENDON_TICKS": "0"}


@dataclass
class Script:
    """Bytes for the line, frame by frame, as one host would send them."""

    line: bytearray = field(default_factory=bytearray)
    session: p.Session = p.NONE
    challenge: int = 0

    def say(self, kind: int, sequence: int = 0, payload: bytes = b"") -> Script:
        """A frame of the current session."""
        self.line += p.encode(
            p.Frame(kind, self.session.number, sequence, payload), self.session.key
        )
        return self

    def hello(self, number: int = 1) -> Script:
        self.line += p.encode(p.Frame(p.HELLO, 0, number, b""))
        self.challenge = self.challenge or zlib.crc32(struct.pack("<I", number))
        return self

    def begin(self, session: p.Session, how: int = p.FROM_ZERO) -> Script:
        """A session that the board obeys."""
        payload = p.begin(how, session, self.challenge)
        self.line += p.encode(p.Frame(p.BEGIN, 0, 2, payload))
        self.challenge, self.session = zlib.crc32(payload), session
        return self

    def answers(self, image: Path, *sessions: p.Session) -> list[p.Frame]:
        """What the process makes of it, in order: frames of these sessions (of the last one
        without), and of none."""
        done = subprocess.run(
            [image], input=bytes(self.line), capture_output=True, timeout=60, env=STANDS_STILL
        )
        assert done.returncode == 0, done.stderr.decode()[-2000:]
        heard: list[tuple[int, p.Frame]] = []
        blocks = [block for block in done.stdout.split(b"\0") if block]
        for session in sessions or (self.session,):
            frames = [p.decode(block, session) for block in blocks]
            heard += [(at, frame) for at, frame in enumerate(frames) if frame is not None]
        return [frame for _, frame in sorted(dict(heard).items())]

"""One line to one board: sessions, snapshots, streams."""

from __future__ import annotations

import zlib

import numpy as np
from numpy.typing import NDArray

from host import protocol as p
from host.conversation import Conversation
from host.errors import OvertakenError, SnapshotError
from host.snapshot import Snapshot
from host.stream import OnFrame, Result, Stream

BEGINS = 5  # attempts at a session


class Link(Conversation):
    """A conversation about sessions. Not for several threads."""

    def begin(self, snapshot: bytes | None) -> int:
        """A new session from a snapshot, or from the zero state without one; returns after how many
        output frames."""
        if snapshot is not None:
            return self.restore(snapshot)
        self.reset()
        return 0

    def reset(self) -> None:
        """A new session from the zero state."""
        self._begin(p.FROM_ZERO)

    def _begin(self, how: int) -> None:
        """A session nobody ever had, so that no frame of an earlier one passes for one of its own.
        The challenge is that of the board's last start or BEGIN: asked for again where another
        host, or a frame that was late, came between."""
        for _ in range(BEGINS):
            hello = self._meet(self.patience_s())
            self.open(p.Session.draw())
            try:
                self.request(p.BEGIN, p.begin(how, self.session, hello.challenge))
            except OvertakenError:
                continue
            self.frames = self.next_data = 0
            return
        raise self.lost(f"{BEGINS} times another host began a session before this one could")

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
                f"{self.line.name}: state CRC-32 expected {info.crc:08x}, found"
                f" {zlib.crc32(state):08x}; take it again"
            )
        return Snapshot(self.hello.model_hash, info.frames, bytes(state)).to_bytes()

    def restore(self, content: bytes) -> int:
        """A new session that goes on where the snapshot was taken; returns after how many output
        frames that was."""
        assert self.hello is not None, "handshake() comes first"
        try:
            snapshot = Snapshot.from_bytes(content)
        except ValueError as error:
            raise SnapshotError(f"snapshot refused: {error}") from error
        if snapshot.model_hash != self.hello.model_hash:
            raise SnapshotError(
                f"snapshot of model {snapshot.model_hash}, the board carries"
                f" {self.hello.model_hash}"
            )
        if snapshot.frames % self.hello.frames_per_step:
            raise SnapshotError(
                f"snapshot after {snapshot.frames} output frames: the board computes"
                f" {self.hello.frames_per_step} at a time and can go on only after a multiple of"
                " that; replay from the beginning"
            )
        self._begin(p.RESTORE)
        piece = self.hello.payload - 4
        for offset in range(0, len(snapshot.state), piece):
            self.request(
                p.STATE_WRITE,
                offset.to_bytes(4, "little") + snapshot.state[offset : offset + piece],
            )
        commit = snapshot.frames.to_bytes(4, "little") + zlib.crc32(snapshot.state).to_bytes(
            4, "little"
        )
        self.request(p.STATE_COMMIT, commit)
        self.frames = snapshot.frames
        return snapshot.frames

    def stream(self, samples: NDArray[np.int16], on_frame: OnFrame | None = None) -> Result:
        """Samples (n, inputs) int16 through the model, from its present state; n a multiple of
        samples per step."""
        return Stream(self, samples, on_frame).run()

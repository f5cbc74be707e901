"""The state of a model in a file: docs/spec/serial-line.md, Snapshots."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass

from host.protocol import CRC

_SNAPSHOT = struct.Struct("<8s32sIII")
_MAGIC = b"TNDNSNP1"


@dataclass(frozen=True)
class Snapshot:
    """The state of a model after `frames` output frames; as bytes it carries its model's hash and a
    CRC-32 of everything."""

    model_hash: str
    frames: int
    state: bytes

    def to_bytes(self) -> bytes:
        head = _SNAPSHOT.pack(
            _MAGIC,
            bytes.fromhex(self.model_hash),
            self.frames,
            len(self.state),
            zlib.crc32(self.state),
        )
        return head + self.state + CRC.pack(zlib.crc32(head + self.state))

    @staticmethod
    def from_bytes(content: bytes) -> Snapshot:
        """ValueError says what is wrong."""
        if len(content) < _SNAPSHOT.size + CRC.size or not content.startswith(_MAGIC):
            raise ValueError(
                f"expected a snapshot that begins with {_MAGIC!r}, found {content[:8]!r} and"
                f" {len(content)} bytes"
            )
        found, (expected,) = zlib.crc32(content[: -CRC.size]), CRC.unpack(content[-CRC.size :])
        if found != expected:
            raise ValueError(f"CRC-32 expected {expected:08x}, found {found:08x}")
        _, digest, frames, size, _ = _SNAPSHOT.unpack_from(content)
        state = content[_SNAPSHOT.size : -CRC.size]
        if len(state) != size:
            raise ValueError(f"expected {size} bytes of state, found {len(state)}")
        return Snapshot(digest.hex(), frames, state)

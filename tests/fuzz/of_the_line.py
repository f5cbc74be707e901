"""Bytes of the serial line: heard by the host, and by the application of a board."""

from __future__ import annotations

import functools
import struct
import subprocess
from pathlib import Path

from host import protocol as p
from host.errors import ProtocolError
from host.snapshot import Snapshot
from tests import toy
from tests.fuzz.reader import Reader
from tests.host.script import STANDS_STILL, Script

OURS = p.Session(0x1122_3344, 0x5566_7788)
PARSERS = {
    p.HELLO | p.ANSWER: p.Hello.parse,
    p.READY: p.Hello.parse,
    p.ACK: p.Ack.parse,
    p.POLL | p.ANSWER: p.Ack.parse,
    p.ERROR: p.Refusal.parse,
    p.STATUS | p.ANSWER: p.Status.parse,
    p.STATE_INFO | p.ANSWER: p.StateInfo.parse,
    p.TAP_WATCH | p.ANSWER: p.Watched.parse,
    p.TAP_STEP | p.ANSWER: p.TapRecords.parse,
    p.TAP_VALUES | p.ANSWER: p.TapValues.parse,
}
FLAGS = "-fsanitize=undefined -fno-sanitize-recover=all -O1"
LAST = p.encode(p.Frame(p.HELLO, 0, 0x7777_7777, b""))
TOKENS = (b"\0", b"\0\0\0", b"\1\0", b"\xff" * 300)


@functools.cache
def image() -> Path:
    return toy.posix_image(FLAGS)


def requests() -> bytes:
    """A host's: two sessions, one of them from a snapshot."""
    script, step = Script().hello().begin(OURS), toy.samples(1).tobytes()
    for part in range(8):
        script.say(p.DATA, part, step[768 * part : 768 * part + 768])
    script.say(p.POLL, 20, bytes(4)).say(p.STATUS, 21).say(p.STATE_INFO, 22)
    script.say(p.STATE_READ, 23, struct.pack("<2I", 0, 768))
    script.begin(p.Session(5, 6), p.RESTORE)
    script.say(p.STATE_WRITE, 24, struct.pack("<I", 64) + bytes(range(200)))
    return bytes(script.say(p.STATE_COMMIT, 25, struct.pack("<2I", 8, 1)).line)


@functools.cache
def answers() -> bytes:
    """The board's to them."""
    return _told(requests()).stdout


def _told(content: bytes) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [image()], input=content, capture_output=True, timeout=60, env=STANDS_STILL
    )


@functools.cache
def sent() -> frozenset[p.Frame]:
    return frozenset(p.Decoder(OURS).feed(answers()))


def hear(path: Path) -> None:
    """As the host: nothing is heard that was not sent, and every message has a meaning or is
    refused."""
    decoder, content = p.Decoder(OURS), path.read_bytes()
    for at in range(0, len(content), 61):
        for frame in decoder.feed(content[at : at + 61]):
            assert frame in sent(), f"heard, and never sent: {frame}"
    for frame in sent():
        if frame.type in PARSERS:
            PARSERS[frame.type](frame.payload)


def understand(path: Path) -> None:
    """A message whose frame was right, whatever is in it."""
    content = path.read_bytes()
    for parse in PARSERS.values():
        try:
            parse(content)
        except (ProtocolError, ValueError):
            continue


def obey(path: Path) -> None:
    """As a board: whatever comes, it answers the next host, and says no more than a few bytes for
    each that it was told."""
    content = path.read_bytes() + b"\0" + LAST
    done = _told(content)
    assert done.returncode == 0, done.stderr.decode("utf-8", "replace")[-500:]
    last = [f for f in p.Decoder().feed(done.stdout) if f.type == p.HELLO | p.ANSWER][-1]
    assert last.sequence == 0x7777_7777
    assert len(done.stdout) <= 1000 + 40 * len(content)


def snapshot(path: Path) -> None:
    Snapshot.from_bytes(path.read_bytes())


READERS = (
    Reader(
        "frames of a board",
        "heard.bin",
        lambda path: path.write_bytes(answers()) and None,
        hear,
        (),
        TOKENS,
    ),
    Reader(
        "messages of a board",
        "message.bin",
        lambda path: path.write_bytes(max((f.payload for f in sent()), key=len)) and None,
        understand,
        (),
        (struct.pack("<H", p.VERSION), b"\xff\xff", b"\0"),
    ),
    Reader(
        "frames of a host",
        "said.bin",
        lambda path: path.write_bytes(requests()) and None,
        obey,
        (),
        (*TOKENS, LAST),
    ),
    Reader(
        "snapshot",
        "state.bin",
        lambda path: path.write_bytes(Snapshot("ab" * 32, 7, bytes(500)).to_bytes()) and None,
        snapshot,
        (ValueError,),
        (b"TNDNSNP1",),
    ),
)

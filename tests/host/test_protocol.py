"""Frames and messages: what is damaged is noticed, what is not comes through, and the C decoder
survives everything."""

from __future__ import annotations

import random
import struct
import zlib

import pytest
from cobs import cobs
from hypothesis import given, settings
from hypothesis import strategies as st

from host import protocol as p
from host.snapshot import Snapshot
from tests import toy
from tests.host.script import Script

KEYS = st.integers(0, 2**32 - 1)
FRAMES = st.builds(
    p.Frame,
    st.integers(0, 255),
    st.sampled_from([0, 77]) | st.integers(0, 2**32 - 1),
    st.integers(0, 2**32 - 1),
    st.binary(max_size=p.PAYLOAD),
)


@given(st.lists(FRAMES, max_size=6), KEYS, st.integers(1, 100))
def test_frames_come_through_in_any_pieces(frames: list[p.Frame], key: int, piece: int) -> None:
    frames = [frame._replace(session=77) for frame in frames if frame.type not in p.OPEN]
    line = b"".join(p.encode(frame, key) for frame in frames)
    decoder = p.Decoder(p.Session(77, key))
    heard = [f for at in range(0, len(line), piece) for f in decoder.feed(line[at : at + piece])]
    assert heard == frames
    assert decoder.damaged == 0 and decoder.bytes_heard == len(line)


@given(FRAMES, KEYS, st.data())
def test_a_changed_byte_is_noticed(frame: p.Frame, key: int, data: st.DataObject) -> None:
    line = p.encode(frame._replace(session=77), key)
    at = data.draw(st.integers(1, len(line) - 2))
    change = data.draw(st.integers(1, 255))
    changed = line[:at] + bytes([line[at] ^ change]) + line[at + 1 :]
    assert p.Decoder(p.Session(77, key)).feed(changed) == []


@given(FRAMES, st.data())
def test_a_truncated_frame_is_noticed_and_the_next_one_heard(
    frame: p.Frame, data: st.DataObject
) -> None:
    line = p.encode(frame)
    cut = data.draw(st.integers(0, len(line) - 2))
    following = p.Frame(p.DATA, 0, 2, b"after")
    assert p.Decoder().feed(line[:cut] + p.encode(following)) == [following]


@given(st.binary(max_size=300))
def test_noise_before_a_frame_costs_nothing(noise: bytes) -> None:
    frame = p.Frame(p.POLL, 0, 4, b"\0\0\0\0")
    assert p.Decoder().feed(noise + p.encode(frame))[-1:] == [frame]


def test_the_longest_frame_has_the_length_the_specification_says() -> None:
    assert (
        len(p.encode(p.Frame(p.DATA, 2**32 - 1, 2**32 - 1, b"\xff" * p.PAYLOAD)))
        == p.ENCODED
        == 790
    )


@pytest.mark.parametrize("damage", [0, 8, 45, 60, -1])
def test_a_damaged_snapshot_is_refused(damage: int) -> None:
    content = bytearray(Snapshot(toy.MODEL_HASH, 7, bytes(range(200))).to_bytes())
    assert Snapshot.from_bytes(bytes(content)).frames == 7
    content[damage] ^= 1
    with pytest.raises(ValueError, match="expected"):
        Snapshot.from_bytes(bytes(content))


# --- the decoder on the board ---------------------------------------------------------------------


def _request(rng: random.Random, session: int, sequence: int) -> bytes:
    """The body of a frame that may well be legal."""
    kind = rng.choice([*range(1, 10), *[p.DATA] * 4, rng.randrange(256)])
    lengths = {
        p.HELLO: 0,
        p.BEGIN: 16,
        p.DATA: 768,
        p.POLL: 4,
        p.STATE_READ: 8,
        p.STATE_WRITE: 300,
        p.STATE_COMMIT: 8,
    }
    length = lengths.get(kind, 0) if rng.random() < 0.8 else rng.randrange(p.PAYLOAD + 1)
    payload = bytearray(rng.randbytes(length))
    if (
        kind in (p.BEGIN, p.POLL, p.STATE_READ, p.STATE_WRITE)
        and length >= 4
        and rng.random() < 0.8
    ):
        payload[:4] = struct.pack("<I", rng.choice([0, 1, 2, 768, 2040, 2048, 2**32 - 4]))
    if kind == p.STATE_READ and length == 8:
        payload[4:] = struct.pack("<I", rng.choice([0, 1, 768, 769, 2048, 2**32 - 1]))
    if kind == p.STATE_COMMIT and length == 8 and rng.random() < 0.5:
        payload[4:] = struct.pack("<I", zlib.crc32(bytes(2048)))
    return p.HEADER.pack(kind, 0, length, session, sequence) + bytes(payload)


def _sealed(body: bytes, key: int = 0) -> bytes:
    return body + p.CRC.pack(zlib.crc32(body, key))


def _hostile(rng: random.Random, session: p.Session, sequence: int) -> bytes:
    """One block for the line: legal, wrong under a right CRC, of another session or key, damaged,
    too long, or noise."""
    number = session.number if rng.random() < 0.9 else rng.choice([0, 1, 2**32 - 1])
    body = bytearray(_request(rng, number, sequence))
    how = rng.random()
    if how < 0.1:
        body[rng.choice([0, 1, 2, 3, 8, 9, 10, 11])] ^= 1 << rng.randrange(8)
    if how > 0.97:
        body += rng.randbytes(rng.randrange(2000))
    key = session.key if number and rng.random() < 0.95 else 0
    block = bytearray(cobs.encode(_sealed(bytes(body), key)))
    if 0.1 < how < 0.3:
        block[rng.randrange(len(block))] = rng.randrange(256)
    if 0.3 < how < 0.4:
        del block[rng.randrange(len(block)) :]
    return (bytes(rng.randbytes(rng.randrange(1000))) if how > 0.95 else bytes(block)) + b"\0"


def test_the_c_decoder_survives_hostile_frames_under_sanitizers() -> None:
    rng, script, sessions = random.Random(2), Script().hello(), []
    for number in range(12_000):
        if number % 200 == 0:
            sessions.append(p.Session(1 + rng.randrange(2**32 - 1), rng.randrange(2**32)))
            script.begin(sessions[-1], number // 200 % 2)
        script.line += _hostile(rng, script.session, number % 200 // 20)
    script.line += b"\0"
    frames = script.hello(77_777).answers(toy.posix_image(), *sessions)
    assert frames[-1].type == p.HELLO | p.ANSWER and frames[-1].sequence == 77_777
    kinds = {frame.type for frame in frames}
    assert {p.ACK, p.RESULT, p.ERROR, 0x82, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89} <= kinds, (
        "the fuzzing reached every handler"
    )


@settings(max_examples=25, deadline=None)
@given(st.lists(FRAMES, max_size=20), KEYS)
def test_c_and_python_agree_on_every_frame(frames: list[p.Frame], key: int) -> None:
    """The board counts as good exactly the frames that Python encoded for its session, and as bad
    those of others."""
    ours = p.Session(77, key)
    frames = [frame for frame in frames if frame.type != p.BEGIN]  # which might begin another
    script = Script().hello().begin(ours)
    for frame in frames:
        opened = not frame.session or frame.type == p.HELLO  # of no session, as a board hears it
        script.line += p.encode(frame, 0 if opened else key)
    good = [f for f in frames if f.session in (0, 77) or f.type == p.HELLO]
    answers = script.say(p.STATUS, 9).answers(toy.posix_image())
    found = [f for f in answers if f.type == p.STATUS | p.ANSWER and f.sequence == 9]
    status = p.Status.parse(found[-1].payload)
    assert status.frames_good == len(good) + 3
    assert status.frames_bad == len(frames) - len(good)

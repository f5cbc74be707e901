"""The bytes of the serial line: frames and messages of docs/spec/serial-line.md. No input or
output here."""

from __future__ import annotations

import os
import struct
import zlib
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from cobs import cobs
from numpy.typing import NDArray

from host.errors import ProtocolError

VERSION = 4
HEADER = struct.Struct("<BBHII")  # type, zero, payload length, session, sequence
CRC = struct.Struct("<I")
PAYLOAD = 768  # most payload bytes of a frame
FRAME = HEADER.size + PAYLOAD + CRC.size
ENCODED = FRAME + -(-FRAME // 254) + 2  # most bytes of one frame on the line

HELLO, BEGIN, DATA, POLL, STATUS = 0x01, 0x02, 0x03, 0x04, 0x05
STATE_INFO, STATE_READ, STATE_WRITE, STATE_COMMIT = 0x06, 0x07, 0x08, 0x09
TAP_WATCH, TAP_STEP, TAP_VALUES = 0x0A, 0x0B, 0x0C
ANSWER = 0x80
ACK, RESULT, READY, ERROR = 0x83, 0xA0, 0xA1, 0xAF
OPEN = (HELLO, HELLO | ANSWER, READY)  # of the same form in every version, and of no session
ACCEPTED, DUPLICATE, GAP, DAMAGED = range(4)
FROM_ZERO, RESTORE = 0, 1
WATCH_TICKS, WATCH_CRCS, WATCH_TENSOR = range(
    3
)  # what TAP_WATCH asks to be kept; each includes the ones before
TABLES, SESSION, LENGTH, TYPE, MODE, STATE, GONE, MODEL = range(1, 9)
ERROR_NAMES = {
    TABLES: "damaged image",
    SESSION: "another session",
    LENGTH: "length",
    TYPE: "unknown request",
    MODE: "not possible now",
    STATE: "damaged state",
    GONE: "result no longer kept",
    MODEL: "the model cannot start",
}
FAULTS = {  # of a model around an interpreter
    1: "an operator could not be added to its resolver",
    2: (
        "tensors cannot be allocated: the arena is too small, or the library lacks what an operator"
        " needs"
    ),
    3: "input or output have another size than model.h says",
    4: "the state does not lie where the file's memory plan puts it",
}


class Frame(NamedTuple):
    """One frame whose CRC was right. For an answer, `sequence` is that of its request."""

    type: int
    session: int  # its number; 0: of none
    sequence: int
    payload: bytes


class Session(NamedTuple):
    """What the host draws for BEGIN. The check of every frame of the session begins with `key`,
    which no frame carries: one of another session never passes."""

    number: int  # 1 ... 2^32 - 1; 0: none
    key: int

    @staticmethod
    def draw() -> Session:
        """A session that never was."""
        return Session(int.from_bytes(os.urandom(4), "little") or 1, _random())


def _random() -> int:
    return int.from_bytes(os.urandom(4), "little")


NONE = Session(0, 0)


def encode(frame: Frame, key: int = 0) -> bytes:
    """The bytes on the line: a zero, COBS of header, payload and CRC, a zero. `key`: of the
    frame's session."""
    body = (
        HEADER.pack(frame.type, 0, len(frame.payload), frame.session, frame.sequence)
        + frame.payload
    )
    return b"\0" + cobs.encode(body + CRC.pack(zlib.crc32(body, key))) + b"\0"


def decode(block: bytes, session: Session = NONE) -> Frame | None:
    """The frame between two zeros, of this session or of none; None when it is damaged or of
    another."""
    body = _body(block)
    key = None if body is None else _key(body, session)
    if body is None or key is None:
        return None
    if CRC.unpack(body[-CRC.size :])[0] != zlib.crc32(body[: -CRC.size], key):
        return None
    kind, _, _, number, sequence = HEADER.unpack_from(body)
    return Frame(kind, number, sequence, body[HEADER.size : -CRC.size])


def _key(body: bytes, session: Session) -> int | None:
    """What the check of a body begins with; None: it is of another session."""
    kind, _, _, number, _ = HEADER.unpack_from(body)
    if not number or kind in OPEN:
        return 0
    return session.key if number == session.number else None


def _body(block: bytes) -> bytes | None:
    """What has the shape of a frame, whatever its CRC: header, payload, CRC."""
    try:
        body = cobs.decode(block)
    except cobs.DecodeError:
        return None
    if not HEADER.size + CRC.size <= len(body) <= FRAME:
        return None
    _, zero, length, _, _ = HEADER.unpack_from(body)
    return body if not zero and length == len(body) - HEADER.size - CRC.size else None


@dataclass
class Decoder:
    """Cuts the bytes of a line into frames of one session, and of none. Counts what was damaged;
    remembers the last bytes heard."""

    session: Session = NONE
    bytes_heard: int = 0
    good: int = 0
    damaged: int = 0
    foreign: int = 0  # of the shape of a frame of another session: they outlived a reset, or their
    # number is damaged; nobody can tell
    misread: int = 0  # of the damaged, those of a frame's shape: only their CRC was wrong
    tail: bytes = b""  # the last 64 bytes heard
    _open: bytearray = field(default_factory=bytearray)

    def feed(self, received: bytes) -> list[Frame]:
        """Frames completed by these bytes, in order."""
        self.bytes_heard += len(received)
        self.tail = (self.tail + received)[-64:]
        *blocks, rest = (bytes(self._open) + received).split(b"\0")
        self._open = bytearray(rest[-2 * ENCODED :])
        frames = []
        for block in filter(None, blocks):
            frame = decode(block, self.session)
            if frame is not None:
                frames.append(frame)
            else:
                self._count(_body(block))
        self.good += len(frames)
        return frames

    def _count(self, body: bytes | None) -> None:
        """Why a block is no frame."""
        if body is not None and _key(body, self.session) is None:
            self.foreign += 1
            return
        self.damaged += 1
        self.misread += body is not None


_MODEL = struct.Struct("<HH32sIIHHHHHHI")
_BOARD = struct.Struct("<9I")
_PAST = struct.Struct("<3I2H9I")
_CHALLENGE = struct.Struct("<I")
_FIXED = _MODEL.size + _BOARD.size + _PAST.size + _CHALLENGE.size
COUNTS = {0: "nothing", 1: "cycles", 2: "instructions"}
COVERS_TABLES, COVERS_IMAGE = range(2)
COVERS = {  # what the CRC of the start is of
    COVERS_TABLES: "the model's tables",
    COVERS_IMAGE: "its code and tables",
}


@dataclass(frozen=True)
class Past:
    """Why a board started last, and its last fault since power-on, in the words of its core; 0
    where nothing is known. `host/faults.py` says it in ours."""

    cause: int  # one of faults.CAUSES
    flags: int  # the chip's own register of causes
    code_crc: int  # CRC-32 of the code in the board's image
    exception: int  # its number; 0: no fault
    stack: int  # where its pointer was: 0 inside, 1 below: overflowed, 2 lost
    pc: int
    lr: int
    caller: int  # the first return address on the stack
    sp: int
    cfsr: int
    hfsr: int
    address: int
    starts: int  # since the fault; 1: it caused the last one
    faults: int  # since power-on

    @staticmethod
    def parse(payload: bytes, offset: int = 0) -> Past:
        return Past(*_PAST.unpack_from(payload, offset))

    @property
    def by_fault(self) -> bool:
        """Did the fault that is told here cause the last start?"""
        return bool(self.exception) and self.starts == 1


NOTHING = Past(*[0] * 14)


@dataclass(frozen=True)
class Hello:
    """What a board says of itself: answer to HELLO, and READY after a reset."""

    version: int
    error: int  # 0, TABLES or MODEL
    fault: int  # with MODEL: why, one of FAULTS; otherwise 0
    model_hash: str  # 64 hex digits
    crc_expected: int  # of what `crc_covers` says; found at the start
    crc_found: int
    samples_per_step: int
    inputs: int
    outputs: int
    payload: int  # most payload bytes of a frame
    frames_per_step: int  # output frames that one step computes
    crc_covers: int  # COVERS_TABLES or COVERS_IMAGE
    state_bytes: int
    credit: int  # encoded bytes of DATA frames the host may have on the way
    results_kept: int
    session: int  # its number; 0: none since the reset
    frames: int  # output frames computed in it
    clock_hz: int
    counts: str  # what the counter counts: nothing, cycles, instructions
    tick_num: int
    tick_den: int
    stack_bytes: int
    past: Past
    challenge: int  # BEGIN repeats it
    generator: str
    model: str
    board: str
    memory: str  # how external memory is mapped and how fast; "" where there is none
    compiler: str

    @staticmethod
    def parse(payload: bytes) -> Hello:
        """ValueError when it is too short. Of another version nothing but `version` is to be
        believed."""
        if len(payload) >= 2 and payload[:2] != VERSION.to_bytes(2, "little"):
            payload += bytes(_FIXED)
        if len(payload) < _FIXED:
            raise ValueError(f"{len(payload)} bytes")
        version, error, digest, *model = _MODEL.unpack_from(payload)
        credit, kept, session, frames, clock, counts, num, den, stack = _BOARD.unpack_from(
            payload, _MODEL.size
        )
        texts = [t.decode("utf-8", "replace") for t in payload[_FIXED:].split(b"\0")] + [""] * 5
        what = COUNTS.get(counts, f"unknown ({counts})")
        numbers = [*model, credit, kept, session, frames, clock]
        fields: list[Any] = [
            version,
            error & 255,
            error >> 8,
            digest.hex(),
            *numbers,
            what,
            num,
            den or 1,
            stack,
            Past.parse(payload, _MODEL.size + _BOARD.size),
            *_CHALLENGE.unpack_from(payload, _FIXED - _CHALLENGE.size),
        ]
        return Hello(*fields, *texts[:5])

    @property
    def step_bytes(self) -> int:
        """Bytes of samples that one step of the model eats."""
        return 2 * self.samples_per_step * self.inputs

    def in_counts(self, ticks: NDArray[np.uint32]) -> NDArray[np.uint64]:
        """Counter ticks -> cycles or instructions; 0 where the board counts neither."""
        if self.counts == COUNTS[0]:
            return np.zeros(ticks.shape, np.uint64)
        return (ticks.astype(np.uint64) * np.uint64(self.tick_num)) // np.uint64(self.tick_den)


def _unpack(layout: str, payload: bytes) -> tuple[int, ...]:
    """The fields of a message whose frame was right. ProtocolError where it has another length."""
    if len(payload) != struct.calcsize(layout):
        raise ProtocolError(
            f"the board answered {len(payload)} bytes where {struct.calcsize(layout)} are expected:"
            " it does not keep to its protocol"
        )
    return struct.unpack(layout, payload)


class Ack(NamedTuple):
    """Up to where a board has received: DATA frames below `expected`, and computed: output frames
    below `frames`."""

    expected: int
    frames: int
    reason: int

    @staticmethod
    def parse(payload: bytes) -> Ack:
        return Ack(*_unpack("<3I", payload))


class Refusal(NamedTuple):
    """An ERROR answer."""

    code: int
    request: int
    detail: int
    more: int

    @staticmethod
    def parse(payload: bytes) -> Refusal:
        return Refusal(*_unpack("<HHII", payload))

    def __str__(self) -> str:
        name = ERROR_NAMES.get(self.code, f"error {self.code}")
        return f"{name} (request 0x{self.request:02x}, details 0x{self.detail:x}, 0x{self.more:x})"


class Status(NamedTuple):
    """Counts of a board since its start. Ticks are of its counter; stack figures 0 where
    unknown."""

    frames_good: int
    frames_bad: int
    duplicates: int
    gaps: int
    bytes_received: int
    overruns: int
    bytes_dropped: int
    line_errors: int
    stack_used: int
    stack_bytes: int
    step_ticks_max: int
    handler_ticks_max: int
    masked_instructions: int
    frames: int  # output frames computed in the session
    expected: int
    arena_used: int

    @staticmethod
    def parse(payload: bytes) -> Status:
        return Status(*_unpack("<16I", payload))


class StateInfo(NamedTuple):
    """The model's state on the board: after how many output frames, how long, its CRC-32."""

    frames: int
    size: int
    crc: int

    @staticmethod
    def parse(payload: bytes) -> StateInfo:
        return StateInfo(*_unpack("<3I", payload))


class Watched(NamedTuple):
    """What a board with a tap can keep: answer to TAP_WATCH."""

    operators: int
    kept: int  # values of one operator

    @staticmethod
    def parse(payload: bytes) -> Watched:
        return Watched(*_unpack("<2I", payload))


class TapRecords(NamedTuple):
    """Operators of the last step: crcs (n,) of their outputs, 0 unless watched, and ticks (n,)."""

    steps: int  # taken since the zero state
    crcs: NDArray[np.uint32]
    ticks: NDArray[np.uint32]

    @staticmethod
    def parse(payload: bytes) -> TapRecords:
        if len(payload) % 8 != 4:
            raise ProtocolError(f"records of a tap: expected 4 + n · 8 bytes, found {len(payload)}")
        records = np.frombuffer(payload, "<u4", offset=4).reshape(-1, 2)
        return TapRecords(int.from_bytes(payload[:4], "little"), records[:, 0], records[:, 1])


class TapValues(NamedTuple):
    """A piece of what the watched operator put out in the last step."""

    steps: int  # taken since the zero state
    operator: int
    first: int  # index of the first value here
    total: int  # values that the operator puts out in a step
    values: NDArray[np.int16]

    @staticmethod
    def parse(payload: bytes) -> TapValues:
        if len(payload) < 16 or len(payload) % 2:
            raise ProtocolError(f"values of a tap: expected 16 + n · 2 bytes, found {len(payload)}")
        steps, operator, first, total = struct.unpack_from("<4I", payload)
        return TapValues(steps, operator, first, total, np.frombuffer(payload, "<i2", offset=16))


def begin(how: int, session: Session, challenge: int) -> bytes:
    """The payload of BEGIN."""
    return struct.pack("<4I", how, *session, challenge)

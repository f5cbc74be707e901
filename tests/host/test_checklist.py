"""A board that does not answer: every case is told from the others by what was seen, and gives one
next step."""

from __future__ import annotations

import os
import socket
import subprocess
import zlib

import numpy as np
import pytest
from cobs import cobs
from hypothesis import given, settings
from hypothesis import strategies as st

from host import checklist
from host import protocol as p
from host.boards import open_process
from host.checklist import Expected
from host.conversation import Timing
from host.errors import HashMismatchError, NoBoardError, ProtocolError
from host.lines import PtyLine, SerialLine, SocketLine
from host.link import Link
from host.ports import Port
from tests import toy

BRIEF = Timing(answer_s=0.02, boot_s=0.1)
ST_LINK, CABLE, PC = (
    Port("/dev/ttyACM0", "ST-LINK/V2-1"),
    Port("/dev/ttyUSB0", "FTDI adapter"),
    Port("/dev/ttyS0", ""),
)
ON_ST_LINK = Expected("nucleo-h743zi2", ST_LINK.device, 921_600)
ON_CABLE = Expected("virtual-f405", CABLE.device, 921_600)


def case(
    content: bytes, expected: Expected = ON_CABLE, ports: tuple[Port, ...] = (CABLE,)
) -> checklist.Finding:
    """What is made of these bytes, heard on a line on which nobody answers."""
    decoder = p.Decoder()
    decoder.feed(content)
    heard = checklist.Heard(decoder.bytes_heard, decoder.good, decoder.misread, decoder.tail)
    return checklist.diagnose(heard, expected, list(ports))


def at_another_rate(content: bytes, ratio: float) -> bytes:
    """What a receiver of `ratio` times the sender's rate makes of its bytes: 8N1, sampled in the
    middle of its own bits."""
    bits = np.array(
        [1] * 20
        + [b for byte in content for b in (0, *(byte >> k & 1 for k in range(8)), 1)]
        + [1] * 20
    )
    received, at = bytearray(), 0.0
    while at < len(bits) - 12 / ratio:
        if bits[int(at)]:
            at += 0.05
            continue
        received.append(sum(int(bits[int(at + (1.5 + k) / ratio)]) << k for k in range(8)))
        at += 9.5 / ratio
        while at < len(bits) - 12 / ratio and not bits[int(at)]:
            at += 0.05  # a stop bit that is low: the next start bit is a falling edge
    return bytes(received)


def ready() -> bytes:
    """A frame as a board sends after its reset."""
    return p.encode(p.Frame(p.READY, 0, 0, bytes(range(200))))


@pytest.mark.parametrize(
    ("content", "expected", "ports", "name", "step"),
    [
        (
            b"",
            ON_ST_LINK,
            (ST_LINK,),
            "silent board",
            "make flash BOARD=nucleo-h743zi2, then press the board's reset button",
        ),
        (b"", ON_CABLE, (ST_LINK, CABLE), "other port", "PORT=/dev/ttyACM0"),
        (b"", ON_CABLE, (CABLE,), "silent line", "TX and RX are crossed"),
        (bytes(2), ON_CABLE, (CABLE,), "open line", "its TX, and ground"),
        (b"\xff" * 40, ON_CABLE, (CABLE,), "open line", "its TX, and ground"),
        (b"m-ready\r\n" * 9, ON_CABLE, (CABLE,), "text", "make flash BOARD=virtual-f405"),
        (ready(), ON_CABLE, (CABLE,), "deaf", "this machine's TX to the board's RX"),
    ],
)
def test_every_case_has_its_own_next_step(
    content: bytes, expected: Expected, ports: tuple[Port, ...], name: str, step: str
) -> None:
    finding = case(content, expected, ports)
    assert finding.case == name and step in finding.step


def test_a_board_that_starts_again_and_again_is_told_by_its_own_words() -> None:
    heard = checklist.Heard(900, good=4, starts=4, told="the board was reset by a fault: HardFault")
    for process in (None, "its process runs and said nothing"):
        finding = checklist.diagnose(heard, ON_CABLE, [CABLE], process)
        assert finding.case == "restarting" and "4 times" in finding.seen
        assert finding.seen.endswith("reset by a fault: HardFault")
        assert finding.step == "mend what it says of its reset; then make flash BOARD=virtual-f405"
    silent = checklist.diagnose(checklist.Heard(900, good=4, starts=4), ON_CABLE, [CABLE])
    assert "does not say why" in silent.seen and "check its supply" in silent.step


def test_frames_with_wrong_bits_are_noise_and_not_another_rate() -> None:
    body = p.HEADER.pack(p.READY, 0, 100, 0, 0) + bytes(100)
    wrong = zlib.crc32(body) ^ 1
    assert case(b"\0" + cobs.encode(body + p.CRC.pack(wrong)) + b"\0").case == "noise"


@pytest.mark.parametrize(
    ("rate", "named"),
    [
        (9600, "102400 baud or less"),
        (57_600, "102400 baud or less"),
        (115_200, "115200 baud"),
        (230_400, "230400 baud"),
        (460_800, "460800 baud"),
        (1_500_000, "another rate"),
        (3_000_000, "another rate"),
    ],
)
def test_a_sender_of_another_rate_is_recognized_and_its_rate_estimated(
    rate: int, named: str
) -> None:
    """READY as heard by this machine at 921,600 baud."""
    heard = at_another_rate(ready(), 921_600 / rate)
    finding = case(heard)
    assert finding.case == "other rate", heard.hex(" ")
    assert f"a sender of {named}; this machine listens at 921600 baud" in finding.seen


def test_the_right_rate_is_none_of_these() -> None:
    assert at_another_rate(ready(), 1.0) == ready()


@settings(deadline=None)
@given(st.binary(max_size=300))
def test_whatever_is_heard_gets_a_next_step(content: bytes) -> None:
    finding = case(content, Expected("virtual-f405", baud=921_600))
    assert finding.seen and finding.step


def test_a_port_that_is_shared_names_with_whom() -> None:
    line = PtyLine()
    first = SerialLine(line.path, 921_600)
    with open(line.path, "rb", buffering=0) as port:
        process = subprocess.Popen(["sleep", "60"], stdin=port)
    with process:
        finding = case(b"\x93garbage", Expected("virtual-f405", line.path, 921_600))
        assert finding.case == "shared" and f"(process {process.pid})" in finding.seen
        assert finding.step == "close that program"
        process.kill()
    first.close()
    line.close()


def test_a_line_that_gives_back_what_it_is_given_is_told() -> None:
    finding = checklist.diagnose(checklist.Heard(57, good=3, echoed=3), ON_CABLE, [CABLE])
    assert finding.case == "echo" and "take the loop-back plug" in finding.step


def test_the_check_list_is_what_the_user_reads() -> None:
    line = PtyLine()
    os.write(line.slave, b"\r\nPress any key\r\n")
    link = Link(line, timing=BRIEF, expected=ON_CABLE)
    with pytest.raises(NoBoardError) as error:
        link.handshake()
    line.close()
    rows = [row.split()[0] for row in str(error.value).splitlines()[1:]]
    assert rows == ["seen", "heard", "ports", "next"]
    assert "'Press any key'" in str(error.value) and "make flash BOARD=virtual-f405" in str(
        error.value
    )


def answering(hello: bytes) -> Link:
    """A board that answers HELLO with these bytes, sent before it is asked."""
    ours, theirs = socket.socketpair()
    link = Link(SocketLine(ours, "board"), toy.MODEL_HASH, BRIEF)
    number = link._request + 1
    theirs.sendall(p.encode(p.Frame(p.HELLO | p.ANSWER, 0, number, hello)))
    link.held = theirs  # type: ignore[attr-defined]
    return link


def test_firmware_of_another_protocol_or_model_is_named() -> None:
    with open_process(toy.posix_image(), toy.MODEL_HASH, toy.QUICK) as board:
        board.link.handshake()
        hello = board.link.request(p.HELLO).payload
    for other, step in (
        (p.VERSION - 1, "the board's firmware is older than this host: load it again"),
        (p.VERSION + 1, "this host is older than the board's firmware: use the Tendon that built"),
    ):
        with pytest.raises(
            ProtocolError, match=f"expected protocol version {p.VERSION}, found {other}; {step}"
        ):
            answering(other.to_bytes(2, "little") + hello[2:]).handshake()
    with pytest.raises(HashMismatchError, match="load the firmware that was built from this model"):
        answering(hello[:4] + bytes(32) + hello[36:]).handshake()

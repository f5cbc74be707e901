"""A board that does not answer: what was seen, which of the usual cases that is, and the one thing
to do next.

Nothing here talks to a board. What was seen comes from the system (serial ports, who holds one) and
from the bytes heard on the line.
"""

from __future__ import annotations

import contextlib
import errno
import grp
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import serial.tools.list_ports

ST_LINK = {  # product ids of vendor 0483
    0x3744: "ST-LINK/V1, which has no serial port",
    0x3748: "ST-LINK/V2, which has no serial port",
    0x374B: "ST-LINK/V2-1",
    0x3752: "ST-LINK/V2-1",
    0x374E: "STLINK-V3",
    0x374F: "STLINK-V3",
    0x3753: "STLINK-V3",
    0x3754: "STLINK-V3",
}
ADAPTERS = {
    0x0403: "FTDI adapter",
    0x10C4: "CP210x adapter",
    0x1A86: "CH340 adapter",
    0x067B: "PL2303 adapter",
}
TEXT = frozenset(range(0x20, 0x7F)) | {0x09, 0x0A, 0x0D}
# The bytes that a receiver n times as fast as the sender gets: every bit is read n times, the first
# ones as the start bit's rest.
SLOWER = {
    8: frozenset((0x00, 0x80)),
    4: frozenset((0x00, 0x78, 0x80, 0xF8)),
    2: frozenset(b for b in range(0, 256, 2) if (b >> 1 ^ b >> 2) & 0b10101 == 0),
}


@dataclass(frozen=True)
class Port:
    """A serial port of this machine. `kind`: the debugger or adapter behind it, by its USB ids; ""
    when unknown."""

    device: str
    kind: str


@dataclass(frozen=True)
class Heard:
    """What came over a line on which nobody answered. `misread`: frames of the right shape with a
    wrong CRC."""

    count: int = 0
    good: int = 0
    misread: int = 0
    tail: bytes = b""  # the last of it
    starts: int = 0  # times the board said that it had started
    told: str = ""  # what it said of its last start (faults.py)


@dataclass(frozen=True)
class Expected:
    """Who should be at the other end. `port`: a device path, "" for anything else; `baud` 0 where a
    line has no rate."""

    board: str = ""
    port: str = ""
    baud: int = 0

    @property
    def flash(self) -> str:
        """How its firmware gets there."""
        return f"make flash BOARD={self.board or '<board>'}"


@dataclass(frozen=True)
class Finding:
    """One case: what was seen, in words, and the next step."""

    case: str
    seen: str
    step: str

    def lines(self, title: str, found: list[Port], heard: str = "") -> str:
        """The check list as a message, its title first."""
        rows = {"seen": self.seen, "heard": heard, "ports": ports_seen(found), "next": self.step}
        return "\n".join([title, *(f"  {name:5}  {text}" for name, text in rows.items() if text)])


def ports() -> list[Port]:
    """The serial ports of this machine; debuggers and adapters first."""
    found = [Port(c.device, _kind(c.vid, c.pid)) for c in serial.tools.list_ports.comports()]
    return sorted(found, key=lambda port: (not port.kind, port.device))


def _kind(vendor: int | None, product: int | None) -> str:
    if vendor is None or product is None:
        return ""
    if vendor == 0x0483:
        return ST_LINK.get(product, f"STMicroelectronics device {product:04x}")
    return ADAPTERS.get(vendor, f"USB device {vendor:04x}:{product:04x}")


def ports_seen(found: list[Port]) -> str:
    """Serial ports by name."""
    return ", ".join(f"{p.device} ({p.kind or 'no USB device'})" for p in found) or "none"


# --- a port that cannot be opened -----------------------------------------------------------------


def missing(found: list[Port]) -> Finding:
    """There is no such device."""
    seen = "this machine has no serial port of that name"
    likely = [p for p in found if p.kind]
    if likely:
        step = f"PORT={likely[0].device}, which is an {likely[0].kind}"
    else:
        step = (
            "connect the board by the USB connector of its debugger with a cable that carries data,"
            " and look again; in a virtual machine or container pass the device through"
        )
    return Finding("no such port", seen, step)


def refused(device: str, error: Exception, holders: list[str]) -> Finding:
    """The device is there and cannot be opened."""
    number = getattr(error, "errno", None)  # pyserial's carry the system's number
    if number == errno.EACCES:
        group = _group(device)
        step = f"sudo usermod -a -G {group} $USER, then log out and in again"
        return Finding("permission", f"you may not open it; it belongs to group {group}", step)
    if holders or number in (errno.EBUSY, errno.EWOULDBLOCK):
        who = ", ".join(holders) or "a process of another user (sudo fuser -v shows which)"
        return Finding(
            "busy", f"it is in use by {who}", "close that program, or give another PORT="
        )
    return Finding(
        "unusable", f"it cannot be opened: {error}", "unplug the board and connect it again"
    )


def _group(device: str) -> str:
    try:
        return grp.getgrgid(os.stat(device).st_gid).gr_name
    except (OSError, KeyError):
        return "dialout"


def holders(device: str, processes: Path = Path("/proc")) -> list[str]:
    """Other processes that have a device open, as far as this user may see."""
    real, found = os.path.realpath(device), []
    for folder in processes.glob("[0-9]*"):
        if folder.name != str(os.getpid()) and real in _open_files(folder / "fd"):
            try:
                name = (folder / "comm").read_text(encoding="utf-8").strip()
            except OSError:
                name = "a process"
            found.append(f"{name} (process {folder.name})")
    return sorted(found)


def _open_files(folder: Path) -> Iterable[str]:
    try:
        entries = list(folder.iterdir())
    except OSError:
        return  # ended meanwhile, or another user's
    for entry in entries:
        with contextlib.suppress(OSError):  # closed meanwhile; the others may still be open
            yield os.readlink(entry)


# --- a line on which nobody answers ---------------------------------------------------------------


def diagnose(
    heard: Heard, expected: Expected, found: list[Port], process: str | None = None
) -> Finding:
    """Which case it is. `process`: what became of the board's own process when it is one (an
    emulator), else None."""
    others = holders(expected.port) if expected.port else []
    if others:
        seen = f"{', '.join(others)} has the port open too and takes a share of the bytes"
        return Finding("shared", seen, "close that program")
    if heard.starts > 1:
        return _restarting(heard, expected)
    if process is not None:
        step = (
            f"build its image again (make firmware BOARD={expected.board or '<board>'}); then try"
            " the emulator by itself"
        )
        return Finding("process", process, step)
    if not heard.count:
        return _silent(expected, found)
    if heard.good:
        return Finding(
            "deaf",
            f"{heard.good} good frames were heard, but none answers a question: the board sends and"
            " does not hear",
            "check the wire from this machine's TX to the board's RX",
        )
    if heard.misread:
        return Finding(
            "noise",
            f"frames of this protocol arrive with a wrong CRC ({heard.misread} of them), no"
            " good one",
            "use a shorter cable with a ground wire of its own; the rate is right, bits are lost on"
            " the way",
        )
    return _strange(heard, expected)


def _restarting(heard: Heard, expected: Expected) -> Finding:
    """It comes up, says so, and is reset before it answers."""
    seen = f"the board started {heard.starts} times while it was asked"
    step = "mend what it says of its reset" if heard.told else "check its supply and its reset pin"
    told = f": {heard.told}" if heard.told else ", and does not say why"
    return Finding("restarting", f"{seen}{told}", f"{step}; then {expected.flash}")


def _silent(expected: Expected, found: list[Port]) -> Finding:
    kind = next((p.kind for p in found if p.device == expected.port), "")
    nothing = "not one byte was heard"
    if kind in ST_LINK.values():
        seen = (
            f"{nothing}; {expected.port} is an {kind}: the debugger has power, the board's program"
            " is silent"
        )
        return Finding(
            "silent board",
            seen,
            f"{expected.flash}, then press the board's reset button; jumpers as delivered",
        )
    others = [p for p in found if p.kind in ST_LINK.values() and p.device != expected.port]
    if others:
        seen = (
            f"{nothing}; {expected.port or 'this line'} is no ST-LINK, but {others[0].device} is an"
            f" {others[0].kind}"
        )
        return Finding("other port", seen, f"PORT={others[0].device}")
    step = (
        "check that the board has power, that TX and RX are crossed and the grounds connected;"
        f" then {expected.flash}"
    )
    return Finding("silent line", f"{nothing}{f' on {kind} {expected.port}' if kind else ''}", step)


def _strange(heard: Heard, expected: Expected) -> Finding:
    """Bytes that are no frames."""
    tail = heard.tail
    if set(tail) == {0xFF} or (set(tail) == {0} and heard.count < 4):
        seen = (
            f"nothing but {tail[0]:02x} was heard: spikes or a break on a line where nobody sends"
        )
        return Finding(
            "open line",
            seen,
            "check that the board has power and that its TX, and ground, reach this machine's RX",
        )
    if _share(tail, TEXT) >= 0.9:
        text = (tail.decode("ascii", "replace").strip().splitlines() or [""])[-1]
        seen = (
            f"text was heard, not frames: {text!r}: another program is on the board, or another"
            " device on this port"
        )
        return Finding("text", seen, f"{expected.flash}, or give another PORT=")
    listening = (
        f"this machine listens at {expected.baud} baud"
        if expected.baud
        else "this line has no rate of its own"
    )
    seen = (
        "bytes that are neither frames nor text were heard, as from a sender of"
        f" {_rate(tail, expected.baud)}; {listening}"
    )
    return Finding(
        "other rate",
        seen,
        f"load firmware of the right rate: {expected.flash}; or give the PORT= of this board",
    )


def _rate(tail: bytes, baud: int) -> str:
    """The rate that bytes were sent at which were heard at another."""
    if baud and set(tail) == {0}:
        return f"{baud // 9} baud or less"
    for times, readings in SLOWER.items():
        if baud and _share(tail, readings) >= 0.9:
            return f"{baud // times} baud"
    return "another rate"


def _share(content: bytes, wanted: frozenset[int]) -> float:
    return sum(byte in wanted for byte in content) / len(content)

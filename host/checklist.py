"""A board that does not answer: what was seen, which of the usual cases that is, and the one thing
to do next.

Nothing here talks to a board. What was seen comes from the system (host/ports.py) and from the
bytes heard on the line.
"""

from __future__ import annotations

from dataclasses import dataclass

from compress.reading.words import counted
from host.ports import ST_LINK, Port, holders, listed

TEXT = frozenset(range(0x20, 0x7F)) | {0x09, 0x0A, 0x0D}
# The bytes that a receiver n times as fast as the sender gets: every bit is read n times, the first
# ones as the start bit's rest.
SLOWER = {
    8: frozenset((0x00, 0x80)),
    4: frozenset((0x00, 0x78, 0x80, 0xF8)),
    2: frozenset(b for b in range(0, 256, 2) if (b >> 1 ^ b >> 2) & 0b10101 == 0),
}


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
    echoed: int = 0  # good frames that were this host's own


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
        rows = {"seen": self.seen, "heard": heard, "ports": listed(found), "next": self.step}
        return "\n".join([title, *(f"  {name:5}  {text}" for name, text in rows.items() if text)])


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
    if heard.echoed and heard.echoed == heard.good:
        return Finding(
            "echo",
            f"{counted(heard.echoed, 'frame')} came back as they were sent and nothing else: a"
            " line that ends in itself, no board",
            "take the loop-back plug or the wire from TX to RX away, and connect the board",
        )
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

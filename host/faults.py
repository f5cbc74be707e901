"""Why a board was reset, and what its last fault was, in words; with function and line from the
image.

The bits are those of ARM DDI 0403 (Armv7-M), B3.2.15 and B3.2.16; Armv8-M adds the stack's limit.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from host import image as images
from host.image import Image, Place
from host.protocol import Past

UNKNOWN, POWER_ON, BROWN_OUT, PIN, SOFTWARE, WATCHDOG, FAULT, OTHER = range(8)
CAUSES = {
    UNKNOWN: ("unknown", "was reset and does not say why"),
    POWER_ON: ("power-on", "started because its power came on"),
    BROWN_OUT: ("brown-out", "was reset by a brown-out: its supply fell too low"),
    PIN: ("pin", "was reset by its pin: the button, or whoever pulls it"),
    SOFTWARE: ("software", "was reset by software or a debugger"),
    WATCHDOG: ("watchdog", "was reset by its watchdog: the program did not come back in time"),
    FAULT: ("fault", "was reset by a fault"),
    OTHER: ("other", "was reset by a low-power mode or its option bytes"),
}
NMI = 2
INTERRUPTS = 16  # the first of them
EXCEPTIONS = {
    NMI: "NMI",
    3: "HardFault",
    4: "MemManage fault",
    5: "BusFault",
    6: "UsageFault",
    7: "SecureFault",
    11: "SVCall",
    12: "debug monitor",
    14: "PendSV",
}
INSIDE, OVERFLOWED, LOST = range(3)  # of Past.stack
CFSR = {
    0: "instruction from memory that holds no code",
    1: "access to protected memory",
    3: "stack protected at the end of an exception",
    4: "stack protected at the begin of an exception",
    5: "stack protected where floating point registers go",
    8: "instruction bus error",
    9: "precise data bus error",
    10: "imprecise data bus error (of an instruction somewhat before)",
    11: "stack that cannot be read at the end of an exception",
    12: "stack that cannot be written at the begin of an exception",
    13: "stack that cannot be written where floating point registers go",
    16: "undefined instruction",
    17: "jump to an address that is no code's",
    18: "damaged return from an exception",
    19: "floating point or vectors that are switched off",
    20: "the stack's limit",
    24: "unaligned access",
    25: "division by zero",
}
HFSR = {1: "vector table that cannot be read", 31: "breakpoint without a debugger"}
VALID = 1 << 7 | 1 << 15  # of CFSR: the address is known


@dataclass(frozen=True)
class Told:
    """What a board says of its last start. `cause`: a name of CAUSES; `text`: all of it; function,
    file and line of the fault, "" and 0 where nothing or no image says them."""

    cause: str
    text: str
    function: str = ""
    file: str = ""
    line: int = 0
    pc: int = 0


def tell(past: Past, image: Path | None = None) -> Told | None:
    """None when it says nothing at all. `image`: the ELF that the board should carry."""
    if not past.cause and not past.exception:
        return None
    cause, text = CAUSES.get(past.cause, CAUSES[UNKNOWN])
    text = f"the board {text}"
    if not past.exception:
        return Told(cause, text)
    read = None if image is None else images.read(image)
    known = read if read is not None and read.code_crc == past.code_crc else None
    if not past.by_fault:
        text += f"; {past.starts} starts ago there was a fault"
    text += f": {_fault(past, known)}"
    if known is None:
        text += f"; {_why_no_line(image, read)}"
    if past.faults > 1:
        text += f"; fault number {past.faults} since its power came on"
    place = _place(past, known)
    return Told(cause, text, place.function, place.file, place.line, past.pc)


def _why_no_line(image: Path | None, read: Image | None) -> str:
    if image is None:
        return "no image is at hand that would name function and line"
    if read is None:
        return f"{image} cannot be read, which would name function and line"
    return f"{image.name} here is not the board's image, so function and line are not known"


def _place(past: Past, image: Image | None) -> Place:
    """Where it was; where that is no function, who called it; behind an overflowed stack, the
    deepest call."""
    at = [past.pc] if past.stack == INSIDE else []
    at += [back - 2 for back in (past.lr, past.caller) if back & 1]
    if image is not None and past.exception < INTERRUPTS:
        for place in map(image.place, at):
            if place.function:
                return place
    return Place(past.pc, "", "", 0)


def _fault(past: Past, image: Image | None) -> str:
    hung = past.by_fault and past.cause == WATCHDOG
    what = ["it was"] if hung else [", ".join([_exception(past.exception), *_kinds(past)])]
    where = "" if image is None else _where(past, image)
    registers = [f"lr 0x{past.lr:08x}", f"sp 0x{past.sp:08x}"]
    if past.stack == INSIDE:
        registers.insert(0, f"pc 0x{past.pc:08x}")
    if hung:
        return " ".join([*what, where or "at", f"({', '.join(registers)})"])
    registers += [f"CFSR 0x{past.cfsr:08x}", f"HFSR 0x{past.hfsr:08x}"]
    return f"{', '.join(filter(None, [*what, where]))} ({', '.join(registers)})"


def _exception(number: int) -> str:
    if number >= INTERRUPTS:
        return f"interrupt {number - INTERRUPTS}, which has no handler"
    return EXCEPTIONS.get(number, f"exception {number}")


def _kinds(past: Past) -> list[str]:
    """The stack first: what else there is comes of it, as it does of a handler that is missing."""
    if past.exception >= INTERRUPTS:
        return []
    if past.stack == OVERFLOWED:
        return ["the stack overflowed"]
    found = ["the stack pointer is nowhere near the stack"] if past.stack == LOST else []
    found += [text for bit, text in CFSR.items() if past.cfsr >> bit & 1]
    found += [text for bit, text in HFSR.items() if past.hfsr >> bit & 1]
    if past.cfsr & VALID:
        found.append(f"at 0x{past.address:08x}")
        found[-2:] = [" ".join(found[-2:])]
    return found


def _where(past: Past, image: Image) -> str:
    """In which function, and who called it: as the link register says; where that points into the
    function itself or is used for something else, as the stack seems to. What lies deepest on an
    overflowed stack may be older than the overflow."""
    if past.exception >= INTERRUPTS:
        return ""
    if past.stack != INSIDE:
        nearest = _place(past, image)
        return f"it seems near {nearest}" if nearest.function else ""
    place = image.place(past.pc)
    where = f"in {place}" if place.function or place.file else f"at {place}"
    for back, how in ((past.lr, "called from"), (past.caller, "it seems called from")):
        caller = image.place(back - 2) if back & 1 else None
        if caller is not None and caller.function not in ("", place.function):
            return f"{where}, {how} {caller}"
    return where

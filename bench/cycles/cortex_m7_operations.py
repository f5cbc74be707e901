"""What a Thumb instruction needs, gives and competes for in a Cortex-M7, stage by stage;
cortex_m7.py issues it.

Arm publishes no timings of this core. The rules are measured by others on silicon, and agree with
what Arm gave to compilers: [J] the pipeline measurements of github.com/jnk0le/random ("pipeline
cycle test", STM32H743), [Q] quinapalus.com/cm7cycles.html (STM32H730), [L] LLVM's ARMScheduleM7.td,
contributed by Arm. Stages count from the cycle in which an instruction issues:

    0 EARLY   addresses, shifted operands, bit fields; moves, sums and shifts whose operands are
    there 1 LATE    everything else of an ALU; the factors of a product 2 SUM     what a product is
    added to 3 DATA    what is stored

A result that ALUs have after stage 0 can be used from stage 1 on, one of stage 1 from stage 2 on:
by an ALU in the next cycle, by an address in the one after. Products, saturations and bytes come a
stage later; words just loaded are early for ALUs only.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache

from bench.cycles.instructions import Instruction

EARLY, LATE, SUM, DATA = 0, 1, 2, 3
FLAGS = "flags"
# a loaded word as an address [Q], 2 in [L]; as a factor it comes a cycle later than for an ALU [J]
POINTER = 3
_CONDITIONS = "eq|ne|cs|cc|mi|pl|vs|vc|hi|ls|ge|lt|gt|le"
_FLEXIBLE = {
    "add",
    "addw",
    "sub",
    "subw",
    "mov",
    "movw",
    "movt",
    "adr",
    "lsl",
    "lsr",
    "asr",
    "ror",
    "cpy",
}
_SHIFTS = {"lsl", "lsr", "asr", "ror", "rrx"}
_LOGIC = {
    "and",
    "orr",
    "eor",
    "bic",
    "orn",
    "mvn",
    "adc",
    "sbc",
    "rsb",
    "neg",
    "cmp",
    "cmn",
    "tst",
    "teq",
}
_COMPARES = {"cmp", "cmn", "tst", "teq"}
_REVERSES = {"rev", "rev16", "revsh", "rbit"}
_PLAIN = {"it", "nop", "yield"}
_BRANCHES = {"b", "bl", "blx", "bx", "cbz", "cbnz"}
_PRODUCT = re.compile(
    r"(mul|mla|mls|[us]mull|[us]mlal|umaal|smul[btw]|smla[btwlds]|smls|smuad|smusd|smmul|smml)"
)
_EXTEND = re.compile(r"[us]xt(a?)[bh]")
_PARALLEL = re.compile(
    r"(u|s|q|uq|sh|uh)(add|sub|asx|sax)(8|16)?$|sel$|usada?8$|clz$|qd?(add|sub)$"
)
_BASES = sorted(
    _FLEXIBLE
    | _SHIFTS
    | _LOGIC
    | _REVERSES
    | _BRANCHES
    | {
        "bfi",
        "bfc",
        "ubfx",
        "sbfx",
        "pkhbt",
        "pkhtb",
        "mul",
        "mla",
        "mls",
        "ldr",
        "ldrb",
        "ldrh",
        "ldrsb",
        "ldrsh",
        "ldrd",
        "str",
        "strb",
        "strh",
        "strd",
        "smull",
        "umull",
        "smlal",
        "umlal",
    },
    key=len,
    reverse=True,
)
_NAME = re.compile(rf"^({'|'.join(_BASES)})(s?)({_CONDITIONS})?$")
_REGISTER = re.compile(r"^(r\d+|sl|fp|ip|sp|lr|pc)$")
_NUMBERS = {"sl": 10, "fp": 11, "ip": 12, "sp": 13, "lr": 14, "pc": 15}


@dataclass(frozen=True)
class Need:
    """A register and the stage in which it must be there; `patient`: for this use, a word just
    loaded comes a cycle later."""

    register: str
    stage: int
    patient: bool = False


@dataclass(frozen=True)
class Result:
    """A register and the stage from which on it can be used, and the same for patient needs."""

    register: str
    stage: int
    patient: int


@dataclass(frozen=True)
class Operation:
    """One instruction as the pipeline sees it.

    `kind`: alu, field (bit field and DSP: one a cycle, first of a pair), product, load, store,
    branch, float, plain. `flexible`: all in stage 0 when its operands are there. `alone`: pairs
    with nothing, and takes `cycles`. `shifter`: what it shifts with: "operand" (an inline shifted
    register or constant), "shift", "field" or "". `word`: base register and word offset of a load.
    """

    kind: str
    needs: tuple[Need, ...] = ()
    results: tuple[Result, ...] = ()
    flexible: bool = False
    alone: bool = False
    cycles: int = 1
    divides: bool = False
    shifter: str = ""
    word: tuple[str, int] | None = None


@cache
def operation(instruction: Instruction) -> Operation:
    """What the pipeline sees of an instruction; one that is not known is taken for a simple ALU
    operation."""
    name, sets_flags, condition = _split(instruction.mnemonic)
    operands = _operands(instruction.operands)
    found = _decode(name, operands)
    needs, results = list(found.needs), list(found.results)
    if sets_flags or name in _COMPARES:
        results.append(
            Result(FLAGS, 3 if found.kind == "product" else 2, 3 if found.kind == "product" else 2)
        )
    if (condition and found.kind != "branch") or name in ("adc", "sbc", "sel"):
        needs.append(Need(FLAGS, LATE))
    return Operation(
        found.kind,
        tuple(needs),
        tuple(results),
        found.flexible and not condition,
        found.alone,
        found.cycles,
        found.divides,
        found.shifter,
        found.word,
    )


def _split(mnemonic: str) -> tuple[str, bool, bool]:
    """Name, whether it sets flags, whether it is conditional."""
    matched = _NAME.match(mnemonic)
    if matched:
        return matched[1], matched[2] == "s", matched[3] is not None
    if mnemonic.startswith("it"):
        return "it", False, False
    conditional = re.match(rf"^(.{{3,}}?)({_CONDITIONS})$", mnemonic)
    if conditional and (
        _PRODUCT.match(conditional[1])
        or _EXTEND.match(conditional[1])
        or _PARALLEL.match(conditional[1])
    ):
        return conditional[1], False, True
    return mnemonic, False, False


def _operands(text: str) -> list[str]:
    """Split at the commas outside brackets and braces."""
    return [part.strip() for part in re.split(r",(?![^\[{]*[\]}])", text) if part.strip()]


def _decode(name: str, operands: list[str]) -> Operation:
    if name.startswith("v"):
        return _float(name, operands)
    if name in _BRANCHES or name in ("tbb", "tbh"):
        return _branch(name)
    if name in _PLAIN:
        return Operation("plain")
    if re.match(r"(ldm|pop|stm|push)", name):
        return _multiple(name, operands)
    if re.match(r"(ldr|str)", name):
        return _access(name, operands)
    if re.match(r"[us]div", name):
        return Operation(
            "alu", _late(operands[1:]), _gives(operands[:1], 2), alone=True, divides=True
        )
    if _PRODUCT.match(name):
        return _product(name, operands)
    if special := _special(name, operands):
        return special
    if name in _FLEXIBLE | _LOGIC | _SHIFTS:
        return _alu(name, operands)
    return Operation("plain", alone=True, cycles=3)  # barriers, system registers [L]


def _late(operands: list[str]) -> tuple[Need, ...]:
    return tuple(Need(o, LATE) for o in operands if _REGISTER.match(o))


def _early(operands: list[str]) -> tuple[Need, ...]:
    return tuple(Need(o, EARLY) for o in operands if _REGISTER.match(o))


def _address(operands: list[str]) -> tuple[Need, ...]:
    return tuple(Need(o, EARLY, patient=True) for o in operands if _REGISTER.match(o))


def _gives(operands: list[str], stage: int) -> tuple[Result, ...]:
    return tuple(Result(o, stage, stage) for o in operands if _REGISTER.match(o))


def _alu(name: str, operands: list[str]) -> Operation:
    """Sums, moves, shifts, logic. An operand with a shift is read in stage 0, a shift alone may run
    there."""
    results = () if name in _COMPARES else _gives(operands[:1], 2)
    sources = (
        operands
        if name in _COMPARES or (len(operands) == 2 and name not in ("mov", "mvn", "adr", "neg"))
        else operands[1:]
    )
    shifted = [o for o in operands if re.match(r"(lsl|lsr|asr|ror|rrx)\b", o)]
    if shifted and name in ("mov", "mvn"):  # mov r0, r1, lsr #1 is a shift
        return Operation(
            "alu", _late(sources[:1]), results, flexible=name == "mov", shifter="shift"
        )
    if shifted:
        inline = sources[-2:-1]
        needs = _late(sources[:-2]) + _early([*inline, shifted[0].split()[-1]])
        return Operation("alu", needs, results, shifter="operand")
    if name in _SHIFTS:
        return Operation("alu", _late(sources), results, flexible=True, shifter="shift")
    shifter = "operand" if _shifted_constant(name, operands) else ""
    return Operation(
        "alu", _late(sources), results, flexible=name in _FLEXIBLE and not shifter, shifter=shifter
    )


def _shifted_constant(name: str, operands: list[str]) -> bool:
    """Constants that are eight bits shifted go through the shifter; repeated bytes and plain ones
    do not [J]."""
    if name in ("addw", "subw", "movw", "movt", "adr") or not operands[-1].startswith("#"):
        return False
    value = int(operands[-1][1:], 0) & 0xFFFFFFFF
    pattern = value & 0xFF
    return value > 0xFF and value not in (
        pattern * 0x10001,
        pattern * 0x1010101,
        (value >> 8 & 0xFF) * 0x1000100,
    )


def _special(name: str, operands: list[str]) -> Operation | None:
    """Bit fields and DSP: one a cycle. Those that shift in stage 0 get in the way of other shifts
    there."""
    to, sources = operands[:1], operands[1:]
    if name in _REVERSES:
        return Operation(
            "field", _early(sources), tuple(Result(o, 1, 2) for o in to), shifter="field"
        )
    if name in ("ubfx", "sbfx", "ssat", "usat", "ssat16", "usat16"):
        return Operation(
            "field", _early(sources), _gives(to, 2 if name[1:] == "bfx" else 3), shifter="field"
        )
    if name in ("bfi", "bfc"):
        return Operation("field", _late(to) + _early(sources[:1]), _gives(to, 2), shifter="field")
    if name in ("pkhbt", "pkhtb"):
        first = _late(sources[:1]) if name == "pkhbt" else _early(sources[:1])
        return Operation("field", first + _early(sources[1:2]), _gives(to, 2), shifter="field")
    if extended := _EXTEND.match(name):
        registers = [o for o in operands if _REGISTER.match(o)]
        if extended[1]:
            needs = _late(registers[1:2]) + _early(registers[2:])
            return Operation("field", needs, _gives(to, 2), shifter="field")
        return Operation("field", _late(registers[-1:]), _gives(to, 2))
    if _PARALLEL.match(name):
        slow, doubles = name.startswith(("q", "uq", "usad")), name.startswith("qd")
        needs = _early(sources) if doubles else _late(sources)
        return Operation(
            "field", needs, _gives(to, 3 if slow else 2), shifter="field" if doubles else ""
        )
    return None


def _product(name: str, operands: list[str]) -> Operation:
    """Factors in stage 1, the sum in stage 2, the result a cycle later than an ALU's."""
    long = re.match(r"(umull|smull|umaal|[us]mlal|smlald|smlsld)", name) is not None
    given = operands[:2] if long else operands[:1]
    rest = operands[len(given) :]
    factors = rest[:2] if len(rest) > 1 else [*given, *rest]  # muls r0, r1: r0 is a factor too
    added = given if long and not name.endswith("mull") else rest[2:]
    needs = tuple(Need(o, LATE, True) for o in factors) + tuple(Need(o, SUM) for o in added)
    return Operation("product", needs, _gives(given, 3))


def _access(name: str, operands: list[str]) -> Operation:
    """Loads and stores of one register or two."""
    pair = name.startswith(("ldrd", "strd"))
    moved, address = operands[: 1 + pair], operands[1 + pair]
    base, *index = _operands(address.strip("[]!").replace("]", ""))
    needs = _address([base, *[part.split()[0] for part in index]])
    update = (Result(base, 1, 1),) if address.endswith("!") or len(operands) > 2 + pair else ()
    if name.startswith("str"):
        return Operation("store", needs + tuple(Need(o, DATA) for o in moved), update, alone=pair)
    slow = re.match(r"ldrs?[bh]", name) is not None
    results = tuple(Result(o, 3, 3) if slow else Result(o, 2, POINTER) for o in moved)
    immediate = not index or index[0].startswith("#")
    offset = int(index[0][1:], 0) if index and immediate else 0
    return Operation(
        "load", needs, results + update, alone=pair, word=(base, offset // 4) if immediate else None
    )


def _multiple(name: str, operands: list[str]) -> Operation:
    """Two registers a cycle [J]."""
    listed = _list(operands[-1])
    base = operands[0].rstrip("!") if len(operands) > 1 else "sp"
    cycles = (len(listed) + 1) // 2
    update = (Result(base, 1, 1),) if operands[0].endswith("!") or len(operands) == 1 else ()
    if name.startswith(("stm", "push")):
        return Operation(
            "store",
            _address([base]) + tuple(Need(r, DATA) for r in listed),
            update,
            alone=True,
            cycles=cycles,
        )
    results = tuple(Result(r, 1 + cycles, 2 + cycles) for r in listed)
    return Operation("load", _address([base]), results + update, alone=True, cycles=cycles)


def _list(text: str) -> list[str]:
    """The registers of {r4-r7, sl, pc}."""
    found: list[str] = []
    for part in text.strip("{} ").split(","):
        first, dash, last = part.strip().partition("-")
        if dash:
            found += [_register(n) for n in range(_number(first), _number(last) + 1)]
        else:
            found.append(first)
    return found


def _number(register: str) -> int:
    return _NUMBERS.get(register) or int(register[1:])


def _register(number: int) -> str:
    return {n: name for name, n in _NUMBERS.items()}.get(number, f"r{number}")


def _branch(name: str) -> Operation:
    if name.startswith("tb"):
        return Operation("branch", alone=True, cycles=2)  # [L]
    return Operation("branch", (), (Result("lr", 1, 1),) if name in ("bl", "blx") else ())


def _float(name: str, operands: list[str]) -> Operation:
    """Latencies only: three cycles, six for a sum of a product, sixteen for a division [L]."""
    if re.match(r"v(ldr|str)", name):
        base = operands[1].strip("[]").split(",")[0]
        if name.startswith("vldr"):
            return Operation("load", _address([base]), (Result(operands[0], 2, 2),))
        return Operation("store", (*_address([base]), Need(operands[0], DATA)))
    if re.match(r"v(ldm|stm|push|pop)", name):
        return Operation("load", alone=True, cycles=2)
    if re.match(r"v(div|sqrt)", name):
        return Operation("float", alone=True, cycles=16)
    stage = 7 if re.match(r"vf?n?m[la][as]", name) else 4
    return Operation(
        "float",
        tuple(Need(o, LATE) for o in operands[1:]),
        (Result(operands[0], stage, stage),) if operands else (),
    )

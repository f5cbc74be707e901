"""What one Thumb instruction costs a Cortex-M4 without wait states.

Source: Arm Cortex-M4 Processor Technical Reference Manual r0p1 (100166_0001), table 3-1 and section 3.3.2 "Load/store timings".
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from bench.instructions import Instruction

_SINGLE = re.compile(r"^v?(ldr|str)(?!d)")
_MULTIPLE = re.compile(r"^v?(ldm|stm|push|pop)")


@dataclass(frozen=True)
class Cost:
    """Cycles beyond those of taken branches: as modelled, and the least and most the manual allows."""

    cycles: int
    least: int
    most: int


def cost(instruction: Instruction, following: Instruction | None) -> Cost:
    """Cycles of one execution. A branch costs one here; its refill, when taken, is counted apart."""
    name, operands = instruction.mnemonic, instruction.operands
    if re.match(r"v?(ldrd|strd)", name):
        return _exact(3)
    if _MULTIPLE.match(name):
        return _exact(1 + _registers(operands))
    if _SINGLE.match(name):
        return _load(instruction, following) if "ldr" in name else _store(operands)
    if re.match(r"[us]div", name):
        return Cost(12, 2, 12)
    if re.match(r"tb[bh]$", name):
        return _exact(2)
    if re.match(r"it[te]*$", name):
        return Cost(1, 0, 1)  # may fold into the instruction before
    if name in ("dsb", "dmb", "isb"):
        return Cost(2, 1, 4)
    return _exact(1)


def _exact(cycles: int) -> Cost:
    return Cost(cycles, cycles, cycles)


def _load(instruction: Instruction, following: Instruction | None) -> Cost:
    """Two cycles; one when the next instruction is a single load or store that can use the bus meanwhile."""
    pipelined = following is not None and _SINGLE.match(following.mnemonic) and not _feeds(instruction, following)
    return Cost(1, 1, 2) if pipelined else _exact(2)


def _feeds(instruction: Instruction, following: Instruction) -> bool:
    """Whether the loaded register is part of the next address."""
    loaded = instruction.operands.split(",")[0].strip()
    return loaded in re.findall(r"[a-z]+\d*", following.operands.partition("[")[2])


def _store(operands: str) -> Cost:
    """One cycle through the write buffer; a register offset takes the bus for a second one."""
    register_offset = re.search(r"\[\w+, (?!#)", operands)
    return _exact(2) if register_offset else Cost(1, 1, 2)


def _registers(operands: str) -> int:
    """How many registers a list names, ranges written out or not."""
    inside = operands[operands.find("{") + 1 : operands.find("}")]
    count = 0
    for part in inside.split(","):
        first, dash, last = part.strip().partition("-")
        names = {"sl": 10, "fp": 11, "ip": 12, "sp": 13, "lr": 14, "pc": 15}
        number = [names.get(n.strip(), int(n.strip()[1:]) if n.strip()[1:].isdigit() else 0) for n in (first, last) if n]
        count += number[1] - number[0] + 1 if dash else 1
    return count

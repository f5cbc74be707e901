"""What Thumb instructions cost a Cortex-M4: one after the other, and what makes them wait.

Source: Arm Cortex-M4 Processor Technical Reference Manual r0p1 (100166_0001), table 3-1 and section
3.3.2 "Load/store timings".

    Σ executions · cycles of the instruction without wait states        table 3-1 + 2 per taken
    branch                                                pipeline refill, 1 to 3 (same table) + 1
    per unaligned access                                            section 3.3.2 + 24 per interrupt
    12 cycles in, 12 out (section 3.9) + W per line of instructions that a jump misses
    W wait states of the flash + W + 1 − n per line that its prefetch brings too late
    n: instructions executed in the line before + W per line of data that misses the flash's data
    cache             weights are streamed: one miss per 16 bytes

Left open, and so between `least` and `most`: 1 or 3 cycles per refill, loads and stores that
pipeline or not, prefetch that hides everything or nothing. Not modelled: instruction and data
misses that meet at the flash, and bus masters other than the core.
"""

from __future__ import annotations

import re

from bench.cycles.chips import Chip
from bench.cycles.cost import NOTHING, Cost, exactly
from bench.cycles.counting import Counts
from bench.cycles.instructions import Instruction, interrupts

_SINGLE = re.compile(r"^v?(ldr|str)(?!d)")
_MULTIPLE = re.compile(r"^v?(ldm|stm|push|pop)")


REFILL = Cost(2, 1, 3)
INTERRUPT = 24


def issue(code: dict[int, Instruction], counts: Counts) -> dict[str, Cost]:
    """Function -> cycles of its instructions alone."""
    functions: dict[str, Cost] = {}
    for address, times in counts.executed.items():
        instruction = code[address]
        each = cost(instruction, code.get(address + instruction.size))
        functions[instruction.function] = (
            functions.get(instruction.function, NOTHING) + each * times
        )
    return functions


def stalls(code: dict[int, Instruction], counts: Counts, chip: Chip) -> dict[str, Cost]:
    """What comes on top of the instructions."""
    return {
        "branches": REFILL * counts.taken,
        "unaligned": exactly(counts.unaligned_reads + counts.unaligned_writes),
        "interrupts": exactly(INTERRUPT) * interrupts(code, counts.executed),
        **chip.instruction_waits(counts),
        **chip.data_waits(counts),
    }


def cost(instruction: Instruction, following: Instruction | None) -> Cost:
    """Cycles of one execution. A branch costs one here; its refill, when taken, is counted
    apart."""
    name, operands = instruction.mnemonic, instruction.operands
    if re.match(r"v?(ldrd|strd)", name):
        return exactly(3)
    if _MULTIPLE.match(name):
        return exactly(1 + _registers(operands))
    if _SINGLE.match(name):
        return _load(instruction, following) if "ldr" in name else _store(operands)
    if re.match(r"[us]div", name):
        return Cost(12, 2, 12)
    if re.match(r"tb[bh]$", name):
        return exactly(2)
    if re.match(r"it[te]*$", name):
        return Cost(1, 0, 1)  # may fold into the instruction before
    if name in ("dsb", "dmb", "isb"):
        return Cost(2, 1, 4)
    return exactly(1)


def _load(instruction: Instruction, following: Instruction | None) -> Cost:
    """Two cycles; one when the next instruction is a single load or store that can use the bus
    meanwhile."""
    pipelined = (
        following is not None
        and _SINGLE.match(following.mnemonic)
        and not _feeds(instruction, following)
    )
    return Cost(1, 1, 2) if pipelined else exactly(2)


def _feeds(instruction: Instruction, following: Instruction) -> bool:
    """Whether the loaded register is part of the next address."""
    loaded = instruction.operands.split(",")[0].strip()
    return loaded in re.findall(r"[a-z]+\d*", following.operands.partition("[")[2])


def _store(operands: str) -> Cost:
    """One cycle through the write buffer; a register offset takes the bus for a second one."""
    register_offset = re.search(r"\[\w+, (?!#)", operands)
    return exactly(2) if register_offset else Cost(1, 1, 2)


def _registers(operands: str) -> int:
    """How many registers a list names, ranges written out or not."""
    inside = operands[operands.find("{") + 1 : operands.find("}")]
    count = 0
    for part in inside.split(","):
        first, dash, last = part.strip().partition("-")
        names = {"sl": 10, "fp": 11, "ip": 12, "sp": 13, "lr": 14, "pc": 15}
        number = [
            names.get(n.strip(), int(n.strip()[1:]) if n.strip()[1:].isdigit() else 0)
            for n in (first, last)
            if n
        ]
        count += number[1] - number[0] + 1 if dash else 1
    return count

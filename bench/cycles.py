"""Modelled Cortex-M4 cycles of one step on an STM32F4 at its full clock, from exact counts of an emulated run.

QEMU executes instructions, not cycles. bench/counting.py counts, in the very image that goes to the chip, executions per
instruction, taken branches, unaligned accesses, and the misses of the flash interface, whose two caches it simulates. The cycles:

    Σ executions · cycles of the instruction without wait states        bench/cortex_m4.py: Cortex-M4 TRM r0p1, table 3-1
    + 2 per taken branch                                                pipeline refill, 1 to 3 (same table)
    + 1 per unaligned access                                            TRM section 3.3.2
    + 24 per interrupt                                                  12 cycles in, 12 out (TRM section 3.9)
    + W per line of instructions that a jump misses                     W wait states: 5 at 168 MHz, 2.7…3.6 V (RM0090 table 10)
    + W + 1 − n per line that its prefetch brings too late              n: instructions executed in the line before
    + W per 128-bit line of data that misses the 8-line data cache      weights are streamed: one miss per 16 bytes

`least` and `most` are what those rules leave open: 1 or 3 cycles per refill, loads and stores that pipeline or not, prefetch
that hides everything or nothing. Not modelled: instruction and data misses that meet at the flash, and bus masters other than
the core. It is a model: only a chip's DWT counter measures.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass
from typing import Any

from bench.chips import Chip
from bench.cortex_m4 import cost
from bench.counting import Counts
from bench.instructions import Instruction
from compress.errors import TendonError

REFILL = (2, 1, 3)  # as modelled, least, most
INTERRUPT = 24
METHOD = "modelled, not measured: exact counts in QEMU, Cortex-M4 TRM timings, simulated STM32F4 flash caches, {} wait states"


@dataclass(frozen=True)
class Modelled:
    """Cycles over all steps of a profile, where they go, and how far the rules leave them open."""

    steps: int
    instructions: int
    cycles: int
    least: int
    most: int
    wait_states: int
    parts: dict[str, int]
    functions: dict[str, dict[str, int]]

    @property
    def cycles_per_instruction(self) -> float:
        return self.cycles / self.instructions

    def of(self, instructions: float) -> float:
        """Modelled cycles of a step of which only the executed instructions are known."""
        return instructions * self.cycles_per_instruction

    @property
    def method(self) -> str:
        """How these cycles came about, in one line."""
        return METHOD.format(self.wait_states)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self) | {"cycles_per_instruction": self.cycles_per_instruction, "method": self.method}


def model(code: dict[int, Instruction], counts: Counts, chip: Chip) -> Modelled:
    """Cycles of everything counted, by the rules above; `counts` may be a segment of a run."""
    wait_states = chip.wait_states
    issue, functions = _issue(code, counts.executed)
    late = sum(max(0, wait_states + 1 - n) * count for n, count in enumerate(counts.next_line_misses))
    fixed = {
        "unaligned": counts.unaligned,
        "interrupts": INTERRUPT * _interrupts(code, counts.executed),
        "flash_data": wait_states * sum(t.read_misses for t in counts.traffic),
    }
    jumped = wait_states * counts.jumped_misses
    parts = {"instructions": issue[0], "branches": REFILL[0] * counts.taken, "flash_instructions": jumped + late, **fixed}
    unhidden = jumped + wait_states * sum(counts.next_line_misses)
    least = issue[1] + REFILL[1] * counts.taken + jumped + sum(fixed.values())
    most = issue[2] + REFILL[2] * counts.taken + unhidden + sum(fixed.values())
    return Modelled(counts.steps, counts.instructions, sum(parts.values()), least, most, wait_states, parts, functions)


def _issue(code: dict[int, Instruction], executed: dict[int, int]) -> tuple[list[int], dict[str, dict[str, int]]]:
    """Cycles (modelled, least, most) of the instructions alone, and instructions and cycles per function."""
    total = [0, 0, 0]
    instructions: Counter[str] = Counter()
    cycles: Counter[str] = Counter()
    for address, count in executed.items():
        instruction = code.get(address)
        if instruction is None:
            raise TendonError(
                f"executed {address:#x}, which is no instruction of this image; profile the image that was disassembled"
            )
        each = cost(instruction, code.get(address + instruction.size))
        total = [t + count * c for t, c in zip(total, (each.cycles, each.least, each.most), strict=True)]
        instructions[instruction.function] += count
        cycles[instruction.function] += count * each.cycles
    table = {name: {"instructions": instructions[name], "cycles_without_waits": cycles[name]} for name, _ in cycles.most_common()}
    return total, table


def _interrupts(code: dict[int, Instruction], executed: dict[int, int]) -> int:
    """Entries into functions named as interrupt handlers are (…_Handler, …_IRQHandler)."""
    entries: dict[str, int] = {}
    for address, instruction in code.items():
        if instruction.function.endswith("Handler"):
            entries.setdefault(instruction.function, address)
    return sum(executed.get(address, 0) for address in entries.values())

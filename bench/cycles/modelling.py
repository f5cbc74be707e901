"""Modelled cycles of one step on a chip at its full clock, from exact counts of an emulated run.

QEMU executes instructions, not cycles. counting.py counts, in the very image that goes to the chip
or its emulated twin, what cycles depend on; chips.py says what the chip's memories are;
cortex_m4.py and cortex_m7.py say what the core makes of it, and from where that is known. `least`
and `most` are what those rules leave open. It is a model: only a chip's DWT counter measures.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass
from typing import Any

from bench.cycles import cortex_m4, cortex_m7, validated
from bench.cycles.chips import Chip
from bench.cycles.cost import total
from bench.cycles.counting import Counts
from bench.cycles.instructions import Instruction
from compress.errors import TendonError

CORES = {"cortex-m4": cortex_m4, "cortex-m7": cortex_m7}
METHOD = (
    "modelled, not measured: exact counts in QEMU, {}, {} at {:g} MHz, caches and flash simulated;"
    " error {} of published cycles"
)
TIMINGS = {
    "cortex-m4": "Cortex-M4 TRM timings",
    "cortex-m7": "Cortex-M7 dual issue by published measurements",
}


@dataclass(frozen=True)
class Modelled:
    """Cycles over all steps of a profile, where they go, and how far the rules leave them open."""

    chip: str
    core: str
    clock_hz: int
    steps: int
    instructions: int
    cycles: int
    least: int
    most: int
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
        return METHOD.format(
            TIMINGS[self.core], self.chip, self.clock_hz / 1e6, validated.errors(self.core)
        )

    def as_dict(self) -> dict[str, Any]:
        derived = {"cycles_per_instruction": self.cycles_per_instruction, "method": self.method}
        return asdict(self) | derived | {"validation": validated.rows(self.core)}


def model(code: dict[int, Instruction], counts: Counts, chip: Chip) -> Modelled:
    """Cycles of everything counted by the chip's rules; `counts` may be a segment of a run."""
    for address in counts.executed:
        if address not in code:
            raise TendonError(
                f"executed {address:#x}, which is no instruction of this image; profile the image"
                " that was disassembled"
            )
    core = CORES[chip.core]
    issued = core.issue(code, counts)
    parts = {"instructions": total(issued.values()), **core.stalls(code, counts, chip)}
    executed = Counter[str]()
    for address, times in counts.executed.items():
        executed[code[address].function] += times
    functions = {
        name: {"instructions": executed[name], "cycles_without_waits": cost.cycles}
        for name, cost in sorted(issued.items(), key=lambda item: -item[1].cycles)
    }
    whole = total(parts.values())
    return Modelled(
        chip=chip.title,
        core=chip.core,
        clock_hz=chip.clock_hz,
        steps=counts.steps,
        instructions=counts.instructions,
        cycles=whole.cycles,
        least=whole.least,
        most=whole.most,
        parts={name: part.cycles for name, part in parts.items()},
        functions=functions,
    )

"""Modelled cycles of one kernel call on a chip with the core, beside the exact instructions.

The call runs CALLS times in a row in the emulator, watched by the plugin. What an export makes a
table (weights, biases, points, coefficients) counts as flash of the chip, behind its data cache,
and so does the code; activations and states count as memory without wait states. Every call finds
the data cache empty, as in a network whose other layers have been through it: tables are streamed.
The code is there from the second call on.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from bench.bare.cases import Case
from bench.bare.cores import Core
from bench.cycles import modelling, on_core
from bench.cycles.chips import CHIPS, Chip
from bench.cycles.counting import Region, Watch
from bench.cycles.instructions import disassemble

CALLS = 4
CHIP_OF = {"cortex-m4": "stm32f405", "cortex-m7": "stm32h743"}
NONE = {"modelled_cycles": None, "cycles_least": None, "cycles_most": None}


def together(calls: list[dict[str, Any]]) -> dict[str, Any]:
    """What `Modeller.of` says of calls one after the other."""
    if calls[0]["modelled_cycles"] is None:
        return calls[0]
    return calls[0] | {name: sum(call[name] for call in calls) for name in NONE}


class Modeller:
    """Models the calls of one program of cases; `tools`: folder for the compiled plugin."""

    def __init__(self, core: Core, elf: Path, tools: Path) -> None:
        self.core, self.elf, self.tools = core, elf, tools
        self.code = disassemble(elf)

    def of(self, case: Case) -> dict[str, Any]:
        """What kernels.json says of a call's cycles; null, and why, for a core whose cycles are not
        modelled."""
        if self.core.name not in CHIP_OF:
            return NONE | {
                "cycles_are": f"not modelled: there is no cycle model of the {self.core.name} yet"
            }
        chip = self._chip(case)
        watch = Watch(self.code, CALLS, chip.memory, case.function, cold=True)
        (self.elf.parent / "cases.bin").write_bytes(replace(case, repeats=CALLS).to_bytes())
        found = modelling.model(
            self.code, on_core.count(self.core, self.elf, watch, self.tools), chip
        )
        each = {
            "modelled_cycles": found.cycles,
            "cycles_least": found.least,
            "cycles_most": found.most,
        }
        return {name: round(total / CALLS) for name, total in each.items()} | {
            "cycles_are": found.method
        }

    def _chip(self, case: Case) -> Chip:
        chip = CHIPS[CHIP_OF[self.core.name]]
        tables = Region(
            "flash", on_core.address_of(self.elf, "arena"), case.table_bytes, cached=True
        )
        constants = Region("flash", 0, 1 << 22, cached=True)  # of the code
        return replace(chip, memory=replace(chip.memory, regions=(tables, constants)))

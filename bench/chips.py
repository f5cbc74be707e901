"""Chips whose cycles are modelled: core, clock, caches and what their flash makes wait. board.toml's `cycle_model` names one.

STM32F405: RM0090, section 3.5.2 "Adaptive real-time memory accelerator": lines of 128 bits, 64 of instructions, 8 of data, the
next line of instructions prefetched; table 10: 5 wait states at 150…168 MHz and 2.7…3.6 V.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from bench.counting import Cache, Memory, Region
from export.boards import Description


@dataclass(frozen=True)
class Chip:
    """One chip at its full clock. `memory` without regions until it is known what image stands for it: see of_board()."""

    name: str
    title: str
    core: str
    clock_hz: int
    wait_states: int
    memory: Memory


CHIPS = {
    chip.name: chip
    for chip in (Chip("stm32f405", "STM32F405", "cortex-m4", 168_000_000, 5, Memory(Cache(1, 64, 16), Cache(1, 8, 16))),)
}


def of_board(board: Description) -> Chip | None:
    """The chip an emulated board's cycles are modelled for, its regions those of the emulated image; None without a model."""
    if board.emulator is None or board.emulator.cycle_model is None:
        return None
    chip, flash = CHIPS[board.emulator.cycle_model], board.memory["flash"]
    return replace(chip, memory=replace(chip.memory, regions=(Region("flash", flash.origin, flash.size, cached=True),)))

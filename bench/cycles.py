"""Modelled Cortex-M4 cycles of one step on an STM32F4 at its full clock, from exact counts of an emulated run.

QEMU executes instructions, not cycles. A plugin (bench/qemu_cycles/plugin.c) watches `model_step` in the very image that goes to
the chip and counts executions per instruction, taken branches, unaligned accesses, and the misses of the flash interface, whose
two caches it simulates. The cycles are then

    Σ executions · cycles of the instruction without wait states        bench/instructions.py: Cortex-M4 TRM r0p1, table 3-1
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

import subprocess
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from bench.instructions import Instruction, address_of, cost, return_addresses
from compress.errors import TendonError

PLUGIN = Path(__file__).parent / "qemu_cycles" / "plugin.c"
STEP = "model_step"
REFILL = (2, 1, 3)  # as modelled, least, most
INTERRUPT = 24
WAIT_STATES = 5  # STM32F405 at 150…168 MHz and 2.7…3.6 V: RM0090 table 10
METHOD = "modelled, not measured: exact counts in QEMU, Cortex-M4 TRM timings, simulated STM32F4 flash caches, {} wait states"


@dataclass
class Counts:
    """What the plugin saw over `steps` calls. `next_line_misses[n]`: prefetched lines needed after n instructions."""

    steps: int = 0
    taken: int = 0
    unaligned: int = 0
    data_reads: int = 0
    data_misses: int = 0
    jumped_misses: int = 0
    next_line_misses: list[int] = field(default_factory=lambda: [0] * 17)
    executed: dict[int, int] = field(default_factory=dict)

    @property
    def instructions(self) -> int:
        return sum(self.executed.values())


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


def build_plugin(folder: Path) -> Path:
    """Compile the plugin for this machine; reused when its source is unchanged."""
    library = folder / "qemu_cycles.so"
    if library.is_file() and library.stat().st_mtime > PLUGIN.stat().st_mtime:
        return library
    folder.mkdir(parents=True, exist_ok=True)
    command = ["gcc", "-shared", "-fPIC", "-O2", "-Wall", "-Wextra", "-Werror", str(PLUGIN), "-o", str(library)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise TendonError(f"{PLUGIN.name}: gcc refused it; expected gcc 12 or later:\n{done.stderr[-2000:]}")
    return library


def emulator_arguments(plugin: Path, code: dict[int, Instruction], out: Path, steps: int, function: str = STEP) -> list[str]:
    """What to add to QEMU's command line so that it counts `steps` calls of a function into `out`."""
    origin = 0x08000000
    stops = "".join(f",stop={origin + address:x}" for address in return_addresses(code, function))
    return [
        "-plugin",
        f"{plugin.resolve()},out={out.resolve()},start={origin + address_of(code, function):x}{stops},steps={steps}",
    ]


def read_counts(path: Path) -> Counts:
    """The plugin's file; TendonError when it is missing or cut short."""
    lines = path.read_text().splitlines() if path.is_file() else []
    if not lines or lines[-1] != "end":
        raise TendonError(f"{path}: expected the counts of a finished profile, found {len(lines)} lines; profile again")
    counts = Counts()
    for line in lines[:-1]:
        name, *values = line.split()
        if name == "at":
            counts.executed[int(values[0], 16)] = int(values[1])
        elif name == "next_line_misses":
            counts.next_line_misses[int(values[0])] = int(values[1])
        else:
            setattr(counts, name, int(values[0]))
    return counts


def wait_for(path: Path, seconds: float, alive: Callable[[], bool] = lambda: True) -> Counts:
    """Counts as soon as the plugin has written them."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and alive():
        if path.is_file() and path.read_bytes().endswith(b"end\n"):
            break
        time.sleep(0.02)
    return read_counts(path)


def model(code: dict[int, Instruction], counts: Counts, wait_states: int = WAIT_STATES) -> Modelled:
    """Cycles of everything counted, by the rules above."""
    issue, functions = _issue(code, counts.executed)
    late = sum(max(0, wait_states + 1 - n) * count for n, count in enumerate(counts.next_line_misses))
    fixed = {
        "unaligned": counts.unaligned,
        "interrupts": INTERRUPT * _interrupts(code, counts.executed),
        "flash_data": wait_states * counts.data_misses,
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

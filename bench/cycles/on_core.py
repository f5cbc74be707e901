"""Modelled cycles of a function in a program of its own on a bare emulated core (bench/bare):
kernels, peers, benchmarks.

    elf = …a program that calls nn_linear_s8_s16 by its name…
    chip = chips.bare("stm32h743", ram="dtcm")
    modelled(CORES["cortex-m7"], elf, "nn_linear_s8_s16", 10, chip).cycles      # of ten calls

The program runs in its folder, where its cases.bin lies, until it ends.
"""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

from elftools.elf.elffile import ELFFile
from elftools.elf.sections import SymbolTableSection

from bench.bare.cores import Core
from bench.cycles import counting, modelling
from bench.cycles.chips import Chip
from bench.cycles.counting import Counts, Watch
from bench.cycles.instructions import disassemble
from bench.cycles.modelling import Modelled
from compress.errors import TendonError

PATIENCE_S = 300.0


def modelled(
    core: Core, elf: Path, function: str, calls: int, chip: Chip, cold: bool = False
) -> Modelled:
    """The first `calls` calls of a function, modelled for a chip. `cold`: every call finds the data
    cache empty, as in a network whose other layers have been through it; otherwise it finds what
    the call before has left there."""
    code = disassemble(elf)
    return modelling.model(
        code, count(core, elf, Watch(code, calls, chip.memory, function, cold=cold)), chip
    )


def count(core: Core, elf: Path, watch: Watch, tools: Path | None = None) -> Counts:
    """What the plugin counts while the program runs to its end. `tools`: where the plugin lies
    compiled."""
    with tempfile.TemporaryDirectory() as folder:
        out, plugin = Path(folder) / "counts", counting.build_plugin(tools or Path(folder))
        command = [
            *core.emulator,
            *counting.arguments(plugin, watch, out),
            "-kernel",
            str(elf.resolve()),
        ]
        try:
            done = subprocess.run(
                command,
                cwd=elf.parent,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=PATIENCE_S,
            )
        except FileNotFoundError:
            raise TendonError(f"{command[0]} not found; run make tools") from None
        except subprocess.TimeoutExpired:
            raise TendonError(
                f"{elf.name} did not finish within {PATIENCE_S:g} s on an emulated {core.name}"
            ) from None
        if done.returncode:
            raise TendonError(
                f"{elf.name} ended with status {done.returncode}:\n{done.stderr[-2000:]}"
            )
        if not out.is_file():
            raise TendonError(
                f"{elf.name} ended before {watch.steps} calls of {watch.function}; expected that"
                " many"
            )
        return counting.read_counts(out)


def address_of(elf: Path, variable: str) -> int:
    """Where a variable of the program lies."""
    with elf.open("rb") as file:
        table = ELFFile(file).get_section_by_name(".symtab")
        found = (
            table.get_symbol_by_name(variable) if isinstance(table, SymbolTableSection) else None
        )
    if not found:
        raise TendonError(
            f"{elf}: expected a symbol {variable}, found none; build it with its symbols"
        )
    return int(found[0]["st_value"])

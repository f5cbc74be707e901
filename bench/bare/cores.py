"""The bare Cortex-M cores that QEMU emulates: what to compile for them, where to run it, and how
their virtual time passes."""

from __future__ import annotations

import functools
import subprocess
from dataclasses import dataclass
from pathlib import Path

from compress.errors import TendonError
from export import compilers

HERE = Path(__file__).parent
TICKS = 1 << 24  # SysTick wraps
COMPILERS = ("gcc", "clang")
CLANG = (
    *(compilers.clang(), "--target=arm-none-eabi"),
    *("-isystem", "/usr/lib/arm-none-eabi/include"),
)


@dataclass(frozen=True)
class Core:
    """One emulated core. Under `-icount shift=0` an instruction is a nanosecond, so SysTick's clock
    tells the instructions.

    `flags` compile the kernels alone; a board may choose others for the same core."""

    name: str
    machine: str
    flags: tuple[str, ...]
    script: str
    systick_hz: int

    @property
    def ticks_per_instruction(self) -> float:
        return self.systick_hz / 1e9

    @property
    def link_flags(self) -> list[str]:
        """What links a program of its own start-up code (port_qemu.c) for this core."""
        return ["-nostartfiles", "-specs=nosys.specs", f"-L{HERE}", f"-T{HERE / self.script}"]

    def clang_link_flags(self) -> list[str]:
        """The same for clang, which has a linker but no C library of its own: gcc's."""
        libraries = [_gcc_file(self.flags, name) for name in ("libc.a", "libnosys.a", "libgcc.a")]
        own = [
            f"-fuse-ld={compilers.lld()}",
            "-nostdlib",
            f"-L{HERE}",
            f"-Wl,-T{HERE / self.script}",
        ]
        return [*own, "-Wl,--start-group", *libraries, "-Wl,--end-group"]

    @property
    def emulator(self) -> list[str]:
        """QEMU's command line up to the image: files by semihosting, no screen, instructions
        counted."""
        quiet = ["-display", "none", "-serial", "none", "-monitor", "none"]
        semihosting = ["-semihosting-config", "enable=on,target=native"]
        return ["qemu-system-arm", "-M", self.machine, *quiet, *semihosting, "-icount", "shift=0"]


CORES = {
    core.name: core
    for core in (
        Core(
            "cortex-m4",
            "mps2-an386",
            ("-mcpu=cortex-m4", "-mthumb", "-mfloat-abi=soft"),
            "mps2.ld",
            25_000_000,
        ),
        Core(
            "cortex-m7",
            "mps2-an500",
            ("-mcpu=cortex-m7", "-mthumb", "-mfloat-abi=soft"),
            "an500.ld",
            25_000_000,
        ),
        Core(
            "cortex-m33",
            "mps2-an505",
            ("-mcpu=cortex-m33", "-mthumb", "-mfloat-abi=soft"),
            "an505.ld",
            20_000_000,
        ),
        Core(
            "cortex-m55",
            "mps3-an547",
            ("-mcpu=cortex-m55", "-mthumb", "-mfloat-abi=hard"),
            "mps3.ld",
            32_000_000,
        ),
    )
}


@functools.cache
def _gcc_file(flags: tuple[str, ...], name: str) -> str:
    """The path of one of gcc's libraries for a core."""
    command = ["arm-none-eabi-gcc", *flags, f"-print-file-name={name}"]
    return subprocess.run(
        command, capture_output=True, text=True, errors="replace", check=True
    ).stdout.strip()


def core_of(flags: list[str]) -> Core:
    """The core that a board's compiler flags name; TendonError when it is none of these."""
    for core in CORES.values():
        if f"-mcpu={core.name}" in flags:
            return core
    raise TendonError(
        f"expected flags of a core that can be emulated bare ({', '.join(CORES)}), found"
        f" {' '.join(flags)}"
    )

"""Cases for the kernels of firmware/nn: written to a file, run natively or on an emulated Cortex-M,
read back.

cases.c is the other side. One call runs any number of cases: booting costs more than computing.
"""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bench.bare.cores import CLANG, HERE, Core
from compress.errors import TendonError

Array = npt.NDArray[Any]

ROOT = Path(__file__).parent.parent.parent


def _kernels() -> tuple[str, ...]:
    """Names of the cases that cases.c knows, in the order of its numbers."""
    source = (HERE / "cases.c").read_text(encoding="utf-8")
    listed = re.search(r"enum kernels? \{([^}]*)\}", source)
    assert listed, "cases.c has no list of kernels"
    return tuple(name.strip().lower() for name in listed.group(1).split(","))


KERNELS = _kernels()
FUNCTIONS = {  # of those that are not nn_…_s16
    "linear": "nn_linear_s8_s16",
    "linear_s4": "nn_linear_s4_s16",
    "linear_s16_mve": "nn_linear_s8_s16_mve",
    "linear_s8_mve": "nn_linear_s8_s8_mve",
    "start_up": "nn_start_up",
    "clear": "nn_clear",
    "depthwise": "nn_depthwise_s8_s16",
}
ACTIVATION_SECOND = (  # whose `second` is no table
    *("add", "subtract", "multiply", "integral", "integrate"),
    *("attention_scores", "attention_context"),
)
BUFFERS = ("table", "second", "third", "x", "y", "state")
TABLES, GUARD = BUFFERS[:3], 16
WARNINGS = ("-std=c11", "-Wall", "-Wextra", "-Werror", "-Wconversion")
HEADER = np.dtype(
    [
        ("kernel", "<u4"),
        ("repeats", "<u4"),
        ("value", "<i4", 9),
        ("bytes", "<u4", 6),
        ("offset", "<u4", 6),
    ]
)


class CaseError(TendonError):
    """The runner could not be built or did not answer."""


@dataclass
class Case:
    """One kernel call. `values` and the roles of the buffers are those of time_kernel() in cases.c;
    no y means in place."""

    kernel: str
    values: tuple[int, ...]
    buffers: dict[str, Array]
    offsets: dict[str, int] = field(default_factory=dict)  # address of a buffer modulo 8
    repeats: int = 1

    @property
    def function(self) -> str:
        """The kernel that the case calls."""
        return FUNCTIONS.get(self.kernel, f"nn_{self.kernel}_s16")

    @property
    def table_bytes(self) -> int:
        """Bytes from the begin of the arena of cases.c up to the end of what an export makes a
        table."""
        tables = TABLES[:1] if self.kernel in ACTIVATION_SECOND else TABLES
        sizes = [
            (self.offsets.get(name, 0), self.buffers[name].nbytes if name in self.buffers else 0)
            for name in tables
        ]
        return sum(GUARD + (offset + size + 7 & ~7) for offset, size in sizes)

    def to_bytes(self) -> bytes:
        header = np.zeros(1, HEADER)
        data = [
            np.ascontiguousarray(self.buffers.get(name, np.zeros(0, np.int8))) for name in BUFFERS
        ]
        header["kernel"], header["repeats"] = KERNELS.index(self.kernel), self.repeats
        header["value"][0, : len(self.values)] = np.array(self.values, np.int64).astype(np.int32)
        header["bytes"] = [b.nbytes for b in data]
        header["offset"] = [self.offsets.get(name, 0) for name in BUFFERS]
        return header.tobytes() + b"".join(b.tobytes() for b in data)

    def answer(self, raw: memoryview) -> tuple[Answer, int]:
        """(what came back, bytes eaten)"""
        ticks, intact = np.frombuffer(raw[:8], "<u4")
        position, buffers = 8, {}
        for name in BUFFERS:
            if name in self.buffers and self.buffers[name].nbytes:
                before = self.buffers[name]
                buffers[name] = np.frombuffer(raw, before.dtype, before.size, position).reshape(
                    before.shape
                )
                position += before.nbytes
        return Answer(int(ticks), bool(intact), buffers), position


@dataclass(frozen=True)
class Answer:
    """SysTick ticks over all repeats, whether the surroundings of every buffer are unchanged, and
    the buffers afterwards."""

    ticks: int
    intact: bool
    buffers: dict[str, Array]

    def instructions(self, core: Core, repeats: int) -> float:
        """Executed by one of the `repeats` calls, on that core."""
        return self.ticks / core.ticks_per_instruction / repeats


def sources() -> list[Path]:
    return [HERE / "cases.c", *sorted((ROOT / "firmware" / "nn").glob("*.c"))]


def build_native(folder: Path, *flags: str, compiler: str = "gcc") -> Path:
    """A program for this machine; flags such as -O3 or -fsanitize=…; `compiler`: its command."""
    target = folder / "cases"
    _compile(
        [
            compiler,
            *WARNINGS,
            *flags,
            *_include(),
            *map(str, sources()),
            str(HERE / "port_pc.c"),
            "-o",
            str(target),
        ]
    )
    return target


def build(core: Core, folder: Path, *flags: str, compiler: str = "gcc") -> Path:
    """An ELF for an emulated core, by one of COMPILERS."""
    target = folder / "cases.elf"
    names = [str(s) for s in (*sources(), HERE / "port_qemu.c")]
    options = [*core.flags, *WARNINGS, *flags, *_include()]
    if compiler == "gcc":
        command = ["arm-none-eabi-gcc", *options, *core.link_flags, *names]
    else:
        command = [*CLANG, *options, *names, *core.clang_link_flags()]
    _compile([*command, "-o", str(target)])
    return target


def run_native(program: Path, cases: list[Case]) -> list[Answer]:
    return _run([str(program)], program.parent, cases)


def run(core: Core, elf: Path, cases: list[Case]) -> list[Answer]:
    return _run([*core.emulator, "-kernel", str(elf.resolve())], elf.parent, cases)


def _include() -> list[str]:
    return [f"-I{HERE}", f"-I{ROOT / 'firmware' / 'nn'}"]


def _compile(command: list[str]) -> None:
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, errors="replace", timeout=300
        )
    except FileNotFoundError:
        raise CaseError(f"{command[0]} not found; install gcc and gcc-arm-none-eabi") from None
    if done.returncode:
        raise CaseError(f"{command[0]} failed:\n{done.stderr[-4000:]}")


def _run(command: list[str], folder: Path, cases: list[Case]) -> list[Answer]:
    (folder / "cases.bin").write_bytes(b"".join(c.to_bytes() for c in cases))
    (folder / "results.bin").unlink(missing_ok=True)
    try:
        done = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, errors="replace", timeout=300
        )
    except FileNotFoundError:
        raise CaseError(f"{command[0]} not found; install qemu-system-arm") from None
    except subprocess.TimeoutExpired:
        raise CaseError(f"{command[0]} did not finish {len(cases)} cases within 300 s") from None
    if done.returncode:
        raise CaseError(
            f"{command[0]} ended with status {done.returncode} over {len(cases)}"
            f" cases:\n{done.stderr[-4000:]}"
        )
    return _read((folder / "results.bin").read_bytes(), cases)


def _read(raw: bytes, cases: list[Case]) -> list[Answer]:
    answers: list[Answer] = []
    view = memoryview(raw)
    for case in cases:
        if len(view) < 8:
            raise CaseError(f"expected {len(cases)} results, found {len(answers)}")
        answer, eaten = case.answer(view)
        answers.append(answer)
        view = view[eaten:]
    return answers

"""Executed instructions of every kernel on the emulated cores, beside CMSIS-NN, the derived floor and the target.

Instructions are exact (QEMU, `-icount`), requantization, call and loop around the call included; they are not cycles.
A row counts only when the kernel's output equals the integer reference.
"""

from __future__ import annotations

import argparse
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bench import cases, kernel_cases
from bench.cases import Answer, CaseError
from bench.cores import CORES, TICKS, Core
from bench.kernel_cases import Check, Contents
from compress.files import write_json

FLAGS = ("-O3",)
PEER = "CMSIS-NN 99f736a6 int8×int8 at -O3, measured 2026-11"
INSTRUCTIONS, REPEATS = 6_000_000, 100  # counted per row, at least: a tick is up to 40 instructions, so a call's mean is exact


@dataclass(frozen=True)
class Row:
    """One line of the table. `units` are multiply-accumulates, or what `unit` says, of one call."""

    kernel: str
    shape: str
    make: Callable[[Contents], Check]
    units: int
    floor: float | None
    peer: float | None = None
    target: float | None = None
    unit: str = "MAC"
    precision: str = "w8a16"  # w8a8 is the same code with a narrower clamp
    core: str = "cortex-m4"


def _linear(shape: str, inputs: int, out: int, frames: int, peer: float | None, target: float | None, gap: int = 0) -> Row:
    """A dense layer or convolution; `gap` values lie between one frame's inputs and the next one's."""

    def make(contents: Contents) -> Check:
        return kernel_cases.linear(contents, inputs, out, frames, (gap, gap and out))

    return Row("linear", shape, make, inputs * out * frames, linear_floor(frames), peer, target)


def _linear_s4(shape: str, inputs: int, out: int, frames: int, peer: float | None, target: float | None, gap: int = 0) -> Row:
    """The same with 4-bit weights; the peer's are 8 bits wide."""

    def make(contents: Contents) -> Check:
        return kernel_cases.linear(contents, inputs, out, frames, (gap, gap and out), bits=4)

    return Row("linear_s4", shape, make, inputs * out * frames, linear_s4_floor(frames), peer, target, precision="w4a16")


def linear_floor(frames: int) -> float:
    """Loads, unpacks and multiply-accumulates of one step of the inner loop, per multiply-accumulate.

    One frame, 4 rows × 4 inputs: 1 load of x, 2 of weights, 4 SXTB16, 4 SMLAD, 4 SMLALD = 15 for 16.
    Three frames, 2 rows × 4 inputs: 1 load of weights, 4 SXTB16, 6 loads of x, 12 SMLAD = 23 for 24.
    Two frames: 1 load of weights, 4 SXTB16, 2 loads of x, 8 SMLAD = 15 for 16.
    """
    threes = frames // 3 - (frames % 3 == 1) if frames > 1 else 0
    return (threes * 3 * 23 / 24 + (frames - threes * 3) * 15 / 16) / frames


def linear_s4_floor(frames: int) -> float:
    """One frame, 4 rows × 4 inputs: 1 load of x, 1 of weights, 8 AND, 8 SMLAD = 18 for 16. Several: as with 8 bits."""
    return linear_floor(frames) if frames > 1 else 18 / 16


ROWS = (
    _linear("96→192", 96, 192, 1, 2.48, 1.35),
    _linear("150→96", 150, 96, 1, 2.33, 1.35),
    _linear("96→150", 96, 150, 1, None, 1.35),
    _linear("150→99", 150, 99, 1, None, 1.35),
    _linear("96→99", 96, 99, 1, 2.50, 1.35),
    _linear("256→512", 256, 512, 1, 2.10, 1.25),
    _linear("512→2048", 512, 2048, 1, 1.99, 1.25),
    _linear("conv 192ch k2 s2 → 150, 1 output", 384, 150, 1, 2.93, 1.35),
    _linear("conv 72ch k4 s4 → 96, 6 outputs", 288, 96, 6, 1.83, 1.05),
    _linear("conv 96ch k3 s3 → 192, 2 outputs", 288, 192, 2, 1.81, None),
    _linear("conv 16ch k21 s10 → 64, 10 outputs", 336, 64, 10, 1.84, None, gap=-176),
    _linear("pointwise 16→36, 24 outputs", 16, 36, 24, 4.18, 1.6, gap=16),
    _linear("pointwise 256→512, 4 outputs", 256, 512, 4, 2.37, None),
    _linear_s4("96→192", 96, 192, 1, 2.48, 1.4),
    _linear_s4("150→99", 150, 99, 1, None, 1.5),
    _linear_s4("512→2048", 512, 2048, 1, 1.99, 1.3),
    _linear_s4("conv 192ch k2 s2 → 150, 1 output", 384, 150, 1, 2.93, 1.4),
    _linear_s4("conv 72ch k4 s4 → 96, 6 outputs", 288, 96, 6, 1.83, 1.1),
    _linear_s4("conv 96ch k3 s3 → 192, 2 outputs", 288, 192, 2, 1.81, None),
    _linear_s4("pointwise 16→36, 24 outputs", 16, 36, 24, 4.18, 2.1, gap=16),
    # ½ load and ½ store of the state, 1 load of a and c, SMLSD, SMLADX, 2 SSAT, PKHBT, SMLSD
    Row("s4d", "96 channels × 16 states", lambda c: kernel_cases.s4d(c, 96, 16, 1), 96 * 16, 8.0, None, 14, "complex state"),
    # 1½ for the statistics; ½ load, 1 unpack, MLA, SMMULR, 1 load of gain and bias, SMMLAR, − lo, USAT, 2 to pack, clamp, store
    Row("layer_norm", "24 × 36", lambda c: kernel_cases.layer_norm(c, 36, 24, 36), 24 * 36, 11.0, unit="value"),
    Row("layer_norm", "1 × 96", lambda c: kernel_cases.layer_norm(c, 96, 1), 96, 11.0, unit="value"),
    # ½ load, 1 sum; for each output, a quarter of the samples: shift, SMMLAR, USAT, 2 to pack, clamp and store
    Row("mean_pool", "96 × 32 by 4", lambda c: kernel_cases.mean_pool(c, 4, 24, 32), 96 * 32, 2.75, unit="sample"),
    # ½ load, 1 segment, 1 fraction, 1 load of both points, MLA, SMLAD, ½ shift, ½ pack, ½ store
    Row("lut", "192", lambda c: kernel_cases.lut(c, 192), 192, 7.0, unit="value"),
    # a lut without its store, ½ load, 1 product, ½ shift, ½ pack, ½ store
    Row("glu", "192 → 96", lambda c: kernel_cases.glu(c, 96, 1), 96, 9.5, unit="value"),
    # two values: 2 loads, QADD16, 1 store
    Row("add", "96", lambda c: kernel_cases.add(c, 96), 96, 2.0, unit="value"),
    Row("log_softmax", "99", lambda c: kernel_cases.log_softmax(c, 99, 1), 99, None, unit="value"),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--out", type=Path, help="JSON twin of the table (default: bench/kernels.json in the build folder)")


def run(args: argparse.Namespace) -> int:
    """Count, print the table, write the JSON; 1 when a target is missed. Expects `args.build` too."""
    table, out = measure(), args.out or args.build / "bench" / "kernels.json"
    write_json(out, table)
    print(format_table(table))
    print(f"\n{out}: the same as JSON")
    return 0 if all(row["met"] is not False for row in table) else 1


def measure(flags: tuple[str, ...] = FLAGS) -> list[dict[str, Any]]:
    """One dictionary per row of ROWS. CaseError when a kernel's output is not the reference's."""
    compiler = subprocess.run(["arm-none-eabi-gcc", "--version"], capture_output=True, text=True).stdout.splitlines()[0]
    counts = {name: _count(core, [r for r in ROWS if r.core == name], flags) for name, core in CORES.items()}
    return [_describe(row, counts[row.core].pop(0), compiler, flags) for row in ROWS]


def _count(core: Core, rows: list[Row], flags: tuple[str, ...]) -> list[int]:
    """Instructions of one call of each row, all of which are for this core."""
    checks = [row.make(Contents(index)) for index, row in enumerate(rows)]
    if not checks:
        return []
    with tempfile.TemporaryDirectory() as folder:
        elf = cases.build(core, Path(folder), *flags)
        for check, answer in zip(checks, cases.run(core, elf, [c.case for c in checks]), strict=True):
            _verify(check, answer)
            check.case.repeats = _repeats(core, answer)
        answers = cases.run(core, elf, [c.case for c in checks])
    return [round(a.instructions(core, c.case.repeats)) for c, a in zip(checks, answers, strict=True)]


def _verify(check: Check, answer: Answer) -> None:
    wrong = [name for name, expected in check.expected.items() if not np.array_equal(answer.buffers[name], expected)]
    if wrong or not answer.intact:
        raise CaseError(f"{check.case.kernel} {check.case.values}: expected the reference's integers, found others in {wrong}")


def _repeats(core: Core, answer: Answer) -> int:
    """Calls that fill the counter enough for an exact mean without wrapping it; `answer` is of one call."""
    once = max(answer.instructions(core, 1), 1 / core.ticks_per_instruction)
    return int(min(max(INSTRUCTIONS // once, REPEATS), 0.9 * TICKS / core.ticks_per_instruction // once))


def _describe(row: Row, count: int, compiler: str, flags: tuple[str, ...]) -> dict[str, Any]:
    per_unit = count / row.units
    return {
        "kernel": row.kernel,
        "shape": row.shape,
        "core": row.core,
        "precision": row.precision,
        "unit": row.unit,
        "macs": row.units,
        "instructions": count,
        "per_mac": round(per_unit, 4),
        "peer_per_mac": row.peer,
        "peer": PEER if row.peer else None,
        "ratio": round(row.peer / per_unit, 3) if row.peer else None,
        "floor_per_mac": round(row.floor, 4) if row.floor else None,
        "target_per_mac": row.target,
        "met": per_unit <= row.target if row.target else None,
        "compiler": compiler,
        "flags": " ".join((*CORES[row.core].flags, *flags)),
    }


def format_table(table: list[dict[str, Any]]) -> str:
    """The rows as text, core by core, with what the figures are."""
    head = f"{'kernel':<12}{'shape':<36}{'MACs':>9}{'instr.':>10}{'each':>8}{'floor':>8}{'peer':>7}{'ratio':>7}{'target':>8}"
    lines = ["Executed instructions in QEMU, exact; `each` is per MAC or per the unit named"]
    for before, row in zip([None, *table], table, strict=False):
        if not before or before["core"] != row["core"]:
            lines += ["", f"{row['core']}: {row['compiler']}, {row['flags']}", head]
        floor, peer, ratio = (f"{row[k]:.2f}" if row[k] else "–" for k in ("floor_per_mac", "peer_per_mac", "ratio"))
        target = f"{row['target_per_mac']:g}" if row["target_per_mac"] else "–"
        verdict = {True: " met", False: " MISSED", None: ""}[row["met"]]
        unit = "" if row["unit"] == "MAC" else f"  per {row['unit']}"
        lines.append(
            f"{row['kernel']:<12}{row['shape']:<36}{row['macs']:>9}{row['instructions']:>10}{row['per_mac']:>8.3f}"
            f"{floor:>8}{peer:>7}{ratio:>7}{target:>8}{verdict}{unit}"
        )
    return "\n".join([*lines, "", f"peer: {PEER}"])

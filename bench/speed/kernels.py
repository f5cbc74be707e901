"""Executed instructions of every kernel on the emulated cores, beside CMSIS-NN, the derived floor
and the target.

Instructions are exact (QEMU, `-icount`), requantization, call and loop around the call included;
they are not cycles, which are modelled (kernel_cycles.py). A row counts only when the kernel's
output equals the integer reference, by either compiler. Targets, ratios and cycles are gcc's;
clang's instructions stand beside.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bench.bare import cases
from bench.bare.cases import Answer, CaseError
from bench.bare.cores import CORES, TICKS, Core
from bench.speed import kernel_cycles
from bench.speed.kernel_cases import Check, Contents
from bench.speed.kernel_cycles import Modeller
from bench.speed.rows import Row, rows
from compress.report.progress import Bar
from export import boards, compilers

FLAGS = ("-O3",)
INSTRUCTIONS, REPEATS = (
    500_000,
    100,
)  # counted per row, at least: a tick is up to 40 instructions, so a call's mean is exact


@dataclass(frozen=True)
class Peers:
    """CMSIS-NN's counts, (core, shape) -> instructions, that were measured now, and what they are;
    recorded ones stand in."""

    counts: dict[tuple[str, str], int]
    what: dict[str, str]  # core -> version, {operands}, where it comes from

    def of(self, row: Row) -> tuple[int | None, str | None]:
        """(instructions, what they are) for a row; (None, None) where nothing compares."""
        core = (
            "cortex-m4" if row.core == "cortex-m7" else row.core
        )  # which executes the same instructions
        measured = self.counts.get((core, row.shape))
        if measured is not None and row.peer is not None:
            return measured, self.what[core].replace("{operands}", row.operands)
        return row.peer, row.recorded if row.peer else None


RECORDED = Peers({}, {})


def measure(tools: Path, peers: Peers = RECORDED, with_clang: bool = True) -> list[dict[str, Any]]:
    """One dictionary per row. CaseError when a kernel's output is not the reference's. `tools`:
    folder for the plugin; `with_clang`: clang's counts in it."""
    every, found, board = rows(), [], boards.load_board("virtual-f405")
    made = {
        "compiler": compilers.version(board, "gcc"),
        "clang": compilers.version(board, "clang") if with_clang else None,
    }
    with Bar(total=len(every), desc="kernels", unit="row", leave=False) as bar:
        for name in dict.fromkeys(row.core for row in every):
            mine = [row for row in every if row.core == name]
            measured = _measure(CORES[name], mine, tools, with_clang)
            for row, what in zip(mine, measured, strict=True):
                found.append(_describe(row, what, peers) | made)
                bar.update()
    return found


def _measure(
    core: Core, mine: list[Row], tools: Path, with_clang: bool
) -> Iterator[dict[str, Any]]:
    """Instructions and modelled cycles of each row, all of which are for this core: of its calls
    together."""
    layers = [row.make(Contents(index)) for index, row in enumerate(mine)]
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as other:
        elf = cases.build(core, Path(folder), *FLAGS)
        counts = _count(core, elf, layers)
        by_clang: Sequence[int | None] = [None] * len(layers)
        if with_clang:
            built = cases.build(core, Path(other), *FLAGS, compiler="clang")
            by_clang = _count(core, built, layers)
        modeller = Modeller(core, elf, tools)
        for calls, count, beside in zip(layers, counts, by_clang, strict=True):
            yield {
                "instructions": count,
                "clang_instructions": beside,
                **kernel_cycles.together([modeller.of(check.case) for check in calls]),
            }


def _count(core: Core, elf: Path, layers: list[list[Check]]) -> list[int]:
    """Instructions of each layer, all its calls together, in one build."""
    checks = [check for calls in layers for check in calls]
    for check in checks:
        check.case.repeats = 1
    for check, answer in zip(checks, cases.run(core, elf, [c.case for c in checks]), strict=True):
        _verify(check, answer)
        check.case.repeats = _repeats(core, answer)
    answers = iter(cases.run(core, elf, [c.case for c in checks]))
    return [
        round(sum(next(answers).instructions(core, check.case.repeats) for check in calls))
        for calls in layers
    ]


def _verify(check: Check, answer: Answer) -> None:
    wrong = [
        name
        for name, expected in check.expected.items()
        if not np.array_equal(answer.buffers[name], expected)
    ]
    if wrong or not answer.intact:
        raise CaseError(
            f"{check.case.kernel} {check.case.values}: expected the reference's integers, found"
            f" others in {wrong}"
        )


def _repeats(core: Core, answer: Answer) -> int:
    """Calls that fill the counter enough for an exact mean without wrapping it; `answer` is of one
    call."""
    once = max(answer.instructions(core, 1), 1 / core.ticks_per_instruction)
    return int(
        min(max(INSTRUCTIONS // once, REPEATS), 0.9 * TICKS / core.ticks_per_instruction // once)
    )


def _describe(row: Row, measured: dict[str, Any], peers: Peers) -> dict[str, Any]:
    count = measured["instructions"]
    each, (peer, what) = count / row.units, peers.of(row)
    return {
        "kernel": row.kernel,
        "shape": row.shape,
        "core": row.core,
        "precision": row.precision,
        "unit": row.unit,
        "macs": row.units,
        "instructions": count,
        "clang_instructions": measured["clang_instructions"],
        "per_mac": round(each, 4),
        "peer_instructions": peer,
        "peer_per_mac": round(peer / row.units, 4) if peer else None,
        "peer": what,
        "ratio": round(peer / count, 3) if peer else None,
        "floor_per_mac": round(row.floor.per_unit, 4) if row.floor else None,
        "floor": row.floor.words if row.floor else None,
        "target_per_mac": row.target,
        "met": each <= row.target if row.target else None,
        **{name: value for name, value in measured.items() if not name.endswith("instructions")},
        "flags": " ".join((*CORES[row.core].flags, *FLAGS)),
    }


# --- as text --------------------------------------------------------------------------------------

NOT_COUNTED = "none is installed that is new enough"
TITLES = {
    "cortex-m4": "Cortex-M4, and the same C compiled for a Cortex-M7",
    "cortex-m55": "Cortex-M55",
}
HEAD = (
    f"{'kernel':<18}{'shape':<36}{'MACs':>9}{'instr.':>10}{'clang':>10}{'each':>8}{'floor':>8}{'peer':>7}"
    f"{'ratio':>7}{'target':>8}"
)


def format_table(table: list[dict[str, Any]]) -> str:
    """One table per core and precision, with what the figures are. A Cortex-M7 executes what a
    Cortex-M4 does; the compiler orders instructions for it otherwise, so its counts, which meet the
    targets for themselves, stand beside."""
    lines = [
        "Executed instructions in QEMU, exact, of gcc's code, clang's beside; `each` is gcc's per"
        " MAC or per the unit named"
    ]
    on_m7 = {
        (r["kernel"], r["shape"], r["precision"]): r for r in table if r["core"] == "cortex-m7"
    }
    for core, precision in dict.fromkeys(
        (r["core"], r["precision"]) for r in table if r["core"] in TITLES
    ):
        group = [r for r in table if (r["core"], r["precision"]) == (core, precision)]
        twins = [
            on_m7.get((r["kernel"], r["shape"], precision)) if core == "cortex-m4" else None
            for r in group
        ]
        lines += ["", f"{TITLES[core]}, {precision}: {group[0]['compiler']}, {group[0]['flags']}"]
        lines += [f"clang: {group[0]['clang'] or NOT_COUNTED}"]
        lines += [HEAD + ("     on M7     clang" if any(twins) else "")]
        lines += [_line(row, twin) for row, twin in zip(group, twins, strict=True)]
    return "\n".join(
        [*lines, "", *sorted({f"peer: {row['peer']}" for row in table if row["peer"]})]
    )


def _line(row: dict[str, Any], twin: dict[str, Any] | None) -> str:
    floor, peer, ratio = (
        f"{row[k]:.2f}" if row[k] else "–" for k in ("floor_per_mac", "peer_per_mac", "ratio")
    )
    target = f"{row['target_per_mac']:g}" if row["target_per_mac"] else "–"
    unit = "" if row["unit"] == "MAC" else f"  per {row['unit']}"
    beside = f"{twin['instructions']:>10}{_clang(twin):>10}" if twin else ""
    return (
        f"{row['kernel']:<18}{row['shape']:<36}{row['macs']:>9}{row['instructions']:>10}"
        f"{_clang(row):>10}"
        f"{row['per_mac']:>8.3f}{floor:>8}{peer:>7}{ratio:>7}{target:>8}{beside}"
        f"{_verdict(row, twin)}{unit}"
    )


def _clang(row: dict[str, Any]) -> str:
    count = row["clang_instructions"]
    return "–" if count is None else str(count)


def _verdict(row: dict[str, Any], twin: dict[str, Any] | None) -> str:
    if row["met"] is None:
        return ""
    if not row["met"]:
        return " MISSED"
    return " met" if twin is None or twin["met"] else " MISSED on M7"

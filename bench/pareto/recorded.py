"""The points of a sweep as a table that is kept."""

from __future__ import annotations

from typing import Any

from bench.pareto.points import Point
from bench.pareto.reports import Report
from bench.pareto.table import SHORT, notes
from bench.results import Cell, Measurement, Table, emulator


def measurement(report: Report, points: list[Point], about: dict[str, Any]) -> Measurement:
    """What `record` keeps: a row for each point that was measured, and for published ones. Seconds
    of native C are of the machine, and not kept."""
    columns = {
        "network": "",
        "precision": "",
        **({"decoder": ""} if report.decodes else {}),
        f"{report.metric} {report.unit}": ".2f",
        "low": ".2f",
        "high": ".2f",
        "MMAC/s": ",.1f",
        "M instr/s": ",.1f",
        "flash KiB": ",.1f",
        "RAM KiB": ",.1f",
        "board": "",
        "front": "",
    }
    measured = [p for p in points if not p.published]
    said = [line for line in notes(points, report, about) if not line.startswith("  ")]
    made = {p.compiler: None for p in measured if p.compiler}
    amount = {f"{p.amount:,}": None for p in measured if p.amount is not None}
    return Measurement(
        report.stem,
        f"Error against cost: {report.task.title}",
        "errors of the integers in native C on held-out"
        f" {'simulated ' if about['simulated'] else ''}recordings; instructions counted"
        " (emulated); bytes of linked images",
        [Table("low, high: 95 % interval", columns, [_row(p, report.decodes) for p in points])],
        {
            "compiler": "; ".join(made),
            "QEMU": emulator(),
            "scored": f"{', '.join(amount)} {report.amount_is}, {len(about['recordings'])}"
            " sessions",
            "notes": "; ".join(said),
            "left out": "; ".join([*about["left_out"], *about["failures"]]) or "nothing",
        },
    )


def _row(p: Point, decodes: bool) -> list[Cell]:
    front = " ".join(SHORT[cost] for cost in p.fronts) or ("published" if p.published else "")
    return [
        p.model,
        p.precision,
        *([p.decoder] if decodes else []),
        p.error,
        p.low,
        p.high,
        p.macs_per_s / 1e6,
        None if p.instructions_per_s is None else p.instructions_per_s / 1e6,
        None if p.flash is None else p.flash / 1024,
        None if p.ram is None else p.ram / 1024,
        p.board,
        front,
    ]

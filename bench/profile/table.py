"""The profile for the console, 130 columns wide, with totals and what they say."""

from __future__ import annotations

import textwrap
from collections.abc import Callable

from bench.profile.classes import CLASSES, TITLES
from bench.profile.schema import Cost, LayerRow, Memory, Report

WIDTH = 130
NAME = 21
SHORT = {"load_store": "ld", "unpack": "un", "mac": "ma", "requantize": "rq", "rest": "re"}


def text(report: Report) -> str:
    """Everything: heading, a line per layer, totals, memory, findings."""
    sections = (
        [*_heading(report), ""],
        _layers(report),
        ["", *_memory(report["memory"])],
        ["", *_findings(report)],
    )
    return "\n".join(line for section in sections for line in section)


def counted_in(report: Report) -> str:
    """What shares and costs are of."""
    return "instructions" if report["counts"] == "instructions" else "cycles"


def each(row: LayerRow) -> str:
    """Cost per multiply-accumulate, or per value (v) where a layer has none."""
    if row["per_unit"] is None:
        return "–"
    return f"{row['per_unit']:.2f}" if row["unit"] == "MAC" else f"{row['per_unit']:.1f}v"


def share_of(cost: Cost, name: str) -> float | None:
    """What part of something's instructions is of a class, in %."""
    if cost["split"] is None or not cost["executed"]:
        return None
    return 100.0 * cost["split"][name] / cost["executed"]


def short(name: str, width: int = NAME) -> str:
    """The end of a module's path, which tells layers apart."""
    return name if len(name) <= width else "…" + name[1 - width :]


def shape(row: LayerRow) -> str:
    """Frames × features of a step, in and out."""
    return "→".join(f"{frames}×{features}" for frames, features in (row["input"], row["output"]))


def _heading(report: Report) -> list[str]:
    exact = "equal" if report["bit_exact"] else "DIFFER FROM"
    lines = [
        (
            f"{report['model']} {report['precision']} on {report['board']}"
            f" ({report['board_title']}; {report['board_status']})"
        ),
        (
            f"{report['steps']} steps of {report['recording']}, {report['steps_per_s']:.2f}"
            f" steps/s; {report['words']:,} output words {exact} the reference"
        ),
        f"compiler {report['compiler']}; {report['flags']}",
        f"cycles and ms are {report['cycles_are']}",
    ]
    return [part for line in lines for part in textwrap.wrap(line, WIDTH, subsequent_indent="  ")]


def _number(value: float | None, form: str = ".0f") -> str:
    return "–" if value is None else f"{value:{form}}"


_COLUMNS: dict[str, tuple[int, Callable[[LayerRow], str]]] = {
    "c_id": (4, lambda r: str(r["c_id"])),
    "name": (-NAME, lambda r: short(r["name"])),
    "type": (-10, lambda r: r["type"]),
    "shape": (-13, shape),
    "Hz": (5, lambda r: f"{r['rate_hz']:.4g}"),
    "macc": (7, lambda r: str(r["macc"]) if r["macc"] else ""),
    "instr": (8, lambda r: _number(r["instructions"])),
    "each": (5, each),
    "cycles": (8, lambda r: _number(r["cycles"])),
    "%": (4, lambda r: f"{r['percent']:.1f}"),
    "cumul": (5, lambda r: f"{r['cumul']:.1f}"),
    **{SHORT[name]: (2, lambda r, name=name: _number(share_of(r, name))) for name in CLASSES},  # type: ignore[misc]
    "ram": (5, lambda r: str(r["activations"] + r["state"])),
    "flash": (7, lambda r: str(r["weights"])),
}


MACC_FROM = sum(
    abs(width) + 1 for width, _ in list(_COLUMNS.values())[: list(_COLUMNS).index("macc")]
)


def _line(cells: list[str]) -> str:
    widths = [width for width, _ in _COLUMNS.values()]
    return " ".join(
        c.ljust(-w) if w < 0 else c.rjust(w) for c, w in zip(cells, widths, strict=True)
    ).rstrip()


def _layers(report: Report) -> list[str]:
    lines = [_line(list(_COLUMNS))]
    lines += [_line([cell(row) for _, cell in _COLUMNS.values()]) for row in report["layers"]]
    lines += [_cost(row["name"], row) for row in report["others"]]
    lines += [_total(report), *(_cost(row["name"], row) for row in report["outside"])]
    legend = ", ".join(f"{SHORT[name]} {TITLES[name]}" for name in CLASSES)
    return [
        *lines,
        *textwrap.wrap(
            f"Of one step; `each`: {counted_in(report)} per MAC, or per value (v). In %: {legend}.",
            WIDTH,
        ),
    ]


def _cost(
    name: str, cost: Cost, macc: str = "", per_macc: str = "", ram: str = "", flash: str = ""
) -> str:
    split = [_number(share_of(cost, c)) for c in CLASSES]
    cells = [
        "",
        "",
        "",
        "",
        "",
        macc,
        _number(cost["instructions"]),
        per_macc,
        _number(cost["cycles"]),
        f"{cost['percent']:.1f}",
    ]
    line = _line([*cells, "", *split, ram, flash])
    return f"     {name}"[:MACC_FROM].ljust(MACC_FROM) + line[MACC_FROM:]


def _total(report: Report) -> str:
    total, memory = report["total"], report["memory"]
    per = total["per_macc"] if total["per_macc"] is not None else total["cycles_per_macc"]
    ram = memory["activations"] + memory["state"]
    return _cost(
        "total", total, str(total["macc"]), _number(per, ".2f"), str(ram), str(memory["weights"])
    )


def _memory(memory: Memory) -> list[str]:
    lines = []
    for name, region in memory["regions"].items():
        if region["bytes"]:
            purposes = ", ".join(
                f"{purpose} {size:,}" for purpose, size in region["purposes"].items()
            )
            line = f"{name:6} {region['bytes']:,} of {region['size']:,} bytes: {purposes}"
            lines += textwrap.wrap(line, WIDTH, subsequent_indent="       ")
    return lines


def _findings(report: Report) -> list[str]:
    return [
        line
        for finding in report["findings"]
        for line in textwrap.wrap(f"- {finding}", WIDTH, subsequent_indent="  ")
    ]

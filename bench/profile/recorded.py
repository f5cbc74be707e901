"""A profile as tables that are kept: layers, kinds of layers, what the core waits for, memory."""

from __future__ import annotations

from bench.profile import table
from bench.profile.schema import Cost, LayerRow, Report
from bench.results import Cell, Measurement, Table, emulator

COST = {"instructions": ",.0f", "cycles": ",.0f", "%": ".1f"}


def measurement(report: Report) -> Measurement:
    """What `record` keeps of a profile."""
    frames = report["frames_per_step"]
    steps = f"-{frames}-frames" if frames > 1 else ""
    about = f"{report['model']} {report['precision']} on {report['board']}"
    return Measurement(
        f"profile-{about.replace(' on ', '-').replace(' ', '-')}{steps}",
        f"Profile of {about}{f', {frames} frames a step' if frames > 1 else ''}",
        f"{report['counts']} of a step counted on {report['board']}"
        f" ({'emulated' if report['emulated'] else 'silicon'}); cycles {report['cycles_are']}",
        [_whole(report), _kinds(report), _layers(report), _memory(report)],
        {
            "compiler": f"{report['compiler']}; {report['flags']}",
            **({"QEMU": emulator()} if report["emulated"] else {}),
            "recording": f"{report['recording']}{' (simulated)' if report['simulated'] else ''},"
            f" {report['steps']} steps, {report['words']:,} words, all equal to the reference",
            "graph": report["graph"],
        },
    )


def _whole(report: Report) -> Table:
    total, memory = report["total"], report["memory"]
    waits: list[list[Cell]] = [
        [f"  of which {name}", round(cycles)] for name, cycles in total["waits"].items()
    ]
    rows: list[list[Cell]] = [
        ["multiply-accumulates a second of signal", round(total["macc_per_s"])],
        ["instructions a second of signal", _round(total["instructions_per_s"])],
        [
            "instructions to a multiply-accumulate",
            total["per_macc"] and round(total["per_macc"], 3),
        ],
        ["modelled or measured cycles a step", _round(total["cycles"])],
        *waits,
        ["clock, Hz", report["clock_hz"] or None],
        ["bytes of flash", memory["flash_total"]],
        ["bytes of RAM", memory["ram_total"]],
        ["bytes of arena", memory["activations"]],
    ]
    return Table("The whole", {"figure": "", "value": ","}, rows)


def _round(value: float | None) -> int | None:
    return None if value is None else round(value)


def _kinds(report: Report) -> Table:
    kinds = dict.fromkeys(row["type"] for row in report["layers"])
    rows = [_kind(kind, [r for r in report["layers"] if r["type"] == kind]) for kind in kinds]
    columns = {"layers": "", "number": "", "macc": ",", **COST}
    return Table("By kind of layer, of a step", columns, rows)


def _kind(kind: str, layers: list[LayerRow]) -> list[Cell]:
    number, macc = len(layers), sum(row["macc"] for row in layers)
    return [kind, number, macc, *_sums(layers)]


def _sums(parts: list[LayerRow]) -> list[Cell]:
    columns = [list(column) for column in zip(*map(_cost, parts), strict=True)]
    return [None if None in column else sum(column) for column in columns]  # type: ignore[arg-type]


def _cost(part: Cost) -> tuple[float | None, float | None, float]:
    return part["instructions"], part["cycles"], part["percent"]


def _layers(report: Report) -> Table:
    columns = {"id": "", "name": "", "type": "", "shape": "", "each": "", **COST, "floor": ",.0f"}
    rows: list[list[Cell]] = [
        [
            row["c_id"],
            table.short(row["name"]),
            row["type"],
            table.shape(row),
            table.each(row),
            *_cost(row),
            row["floor"],
        ]
        for row in report["layers"]
    ]
    for other in (*report["others"], *report["outside"]):
        rows.append([None, table.short(other["name"]), "", "", "", *_cost(other), None])
    total = report["total"]
    rows.append([None, "the network", "", "", "", *_cost(total), total["floor"] or None])
    each = f"each: {table.counted_in(report)} per multiply-accumulate, or per value (v)"
    return Table(f"By layer, of a step; {each}", columns, rows)


def _memory(report: Report) -> Table:
    rows: list[list[Cell]] = [
        [name, purpose, size]
        for name, region in report["memory"]["regions"].items()
        for purpose, size in region["purposes"].items()
        if size
    ]
    return Table("Memory of the image", {"region": "", "purpose": "", "bytes": ","}, rows)

"""What dominates a profile and what would help: sentences, each derived from its figures."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import cast

import numpy as np

from bench.profile.classes import CLASSES
from bench.profile.layers import live_tensors
from bench.profile.schema import LayerRow, Report
from compress import graph as g
from export.c import emit, linear, memory, pieces

SHARE = 2.0  # % of the whole from which on a type of layer is worth a sentence
NAMED = 3  # layers named in one sentence
INNER = ("load_store", "unpack", "mac")  # what a floor counts


def findings(report: Report, model: emit.Model) -> list[str]:
    """Sentences, those about time first."""
    time = (_types, _rates, _concentration, _classes, _distance, _floors, _waits, _duty)
    return [s for find in time for s in find(report)] + [
        *_arena(report, model),
        *_ram(report),
        *_flash(report, model),
    ]


def _cost(row: LayerRow) -> float:
    """Instructions of a step, where they are counted, else cycles."""
    return row["instructions"] if row["instructions"] is not None else row["cycles"] or 0.0


def _what(report: Report) -> str:
    return "instructions" if report["total"]["instructions"] is not None else "cycles"


def _types(report: Report) -> Iterator[str]:
    """Which kind of layer takes how much, and how near its floor it is."""
    types = {
        row["type"]: [r for r in report["layers"] if r["type"] == row["type"]]
        for row in report["layers"]
    }
    for name, rows in sorted(types.items(), key=lambda item: -sum(r["percent"] for r in item[1])):
        share = sum(r["percent"] for r in rows)
        if share < SHARE:
            break
        count, units = len(rows), sum(r["units"] for r in rows)
        each = sum(map(_cost, rows)) / units
        floors = [r["floor"] for r in rows if r["floor"] is not None]
        floor = (
            f", floor {sum(floors) / units:.2f}"
            if len(floors) == count and report["counts"] == "instructions"
            else ""
        )
        where = f"{count} {name} layers" if count > 1 else f"the {name} layer {rows[0]['name']}"
        yield (
            f"{share:.1f} % of the {_what(report)} are in {where}: {each:.2f} per"
            f" {rows[0]['unit']}{floor}."
        )


def _rates(report: Report) -> Iterator[str]:
    """How much is done before the network has slowed down to its output."""
    slowest = report["layers"][-1]["rate_hz"]
    faster = [row for row in report["layers"] if row["rate_hz"] > slowest]
    if faster:
        share, most = sum(row["percent"] for row in faster), max(row["rate_hz"] for row in faster)
        yield (
            f"{share:.1f} % are in the {len(faster)} layers that give more frames than the network,"
            f" up to {most:.4g} a second instead of {slowest:.4g}: what halves their frames halves"
            " that."
        )


def _concentration(report: Report) -> Iterator[str]:
    """The fewest layers that are half of the work."""
    found, covered = list[LayerRow](), 0.0
    for row in sorted(report["layers"], key=_cost, reverse=True):
        if covered >= 50.0:
            break
        found.append(row)
        covered += row["percent"]
    named = ", ".join(f"{row['name']} ({row['percent']:.1f} %)" for row in found[:NAMED])
    more = f" and {len(found) - NAMED} more" if len(found) > NAMED else ""
    yield (
        f"Half of the {_what(report)} ({covered:.0f} %) are in {len(found)} of"
        f" {len(report['layers'])} layers: {named}{more}."
    )


def _classes(report: Report) -> Iterator[str]:
    total = report["total"]
    if total["split"] is not None and total["executed"]:
        load, unpack, mac, requantize, rest = (
            100.0 * total["split"][c] / total["executed"] for c in CLASSES
        )
        yield (
            f"Of 100 instructions {mac:.0f} multiply, {load:.0f} load or store, {unpack:.0f}"
            f" unpack, {requantize:.0f} requantize, and {rest:.0f} are loops, addresses, calls and"
            " sums."
        )


def _distance(report: Report) -> Iterator[str]:
    """The linear layers that lose most above their floors, in instructions, and in what they lose
    them."""
    linear = [row for row in report["layers"] if row["type"] == "Dense" and row["floor"]]
    for row in sorted(linear, key=_above, reverse=True)[:NAMED]:
        split, steps, floor = row["split"], report["steps"], row["floor"] or 0.0
        if split is None:
            return
        inner = sum(split[c] for c in INNER) / steps - floor
        share = 100 * _above(row) / (report["total"]["instructions"] or 1)
        parts = (
            f"{split['requantize'] / steps:,.0f} requantize, {split['rest'] / steps:,.0f} are"
            " loops, addresses and calls"
        )
        more = (
            f", {inner:,.0f} load, unpack or multiply outside the inner loop" if inner >= 1 else ""
        )
        yield (
            f"{row['name']} takes {_cost(row):,.0f} instructions a step, {_above(row):,.0f} above"
            f" its floor of {floor / row['macc']:.2f} per MAC ({share:.1f} % of all):"
            f" {parts}{more}."
        )


def _above(row: LayerRow) -> float:
    return _cost(row) - (row["floor"] or 0.0)


def _floors(report: Report) -> Iterator[str]:
    """What perfect inner loops could give at most, where it is known what those are."""
    known = [row for row in report["layers"] if row["floor"] is not None]
    total = report["total"]["instructions_per_s"]
    if total is None or not any(row["type"] == "Dense" for row in known):
        return
    now = sum(map(_cost, known)) * report["steps_per_s"]
    spared = sum(max(0.0, _above(row)) for row in known) * report["steps_per_s"]
    others = 100.0 - sum(row["percent"] for row in known)
    yield (
        "With nothing but the inner loops of their floors the layers that have one would take"
        f" {(now - spared) / 1e6:.2f} instead of {now / 1e6:.2f} million instructions per second of"
        f" signal: better code for the same integers saves less than {100 * spared / total:.0f} %"
        f" there; the others are {others:.1f} % of all."
    )


def _waits(report: Report) -> Iterator[str]:
    """Where modelled cycles are more than instructions."""
    total, rows = (
        report["total"],
        [row for row in report["layers"] if row["percent"] >= SHARE and row["cycles"]],
    )
    if not total["cycles"] or not total["instructions"] or not rows:
        return
    worst = max(rows, key=lambda row: (row["cycles"] or 0.0) / _cost(row))
    shares = {name: 100.0 * n / total["cycles"] for name, n in total["waits"].items()}
    issue = shares.pop("instructions")
    others = [
        f"{name.replace('_', ' ')} {n:.1f}"
        for name, n in sorted(shares.items(), key=lambda s: -s[1])
        if n >= 0.1
    ]
    yield (
        f"Of 100 modelled cycles {issue:.1f} issue instructions; what they wait for:"
        f" {', '.join(others)}."
    )
    yield from _longer_steps(report, shares)
    yield (
        f"An instruction takes {total['cycles'] / total['instructions']:.2f} modelled cycles; most"
        f" in {worst['name']}, {(worst['cycles'] or 0.0) / _cost(worst):.2f}, which reads"
        f" {worst['weights']:,} bytes of tables a step."
    )


def _longer_steps(report: Report, shares: dict[str, float]) -> Iterator[str]:
    """What it would spare to load tables once for two frames."""
    streamed, once = (
        sum(share for name, share in shares.items() if name.endswith("_data")),
        report["frames_per_step"] == 1,
    )
    if (
        once
        and streamed >= SHARE
        and not any(row["type"] == "Unfold1d" for row in report["layers"])
    ):
        later = 1000.0 / report["steps_per_s"]
        yield (
            f"Two frames a step (LATENCY={later:.0f}, {later:.0f} ms later) would load each table"
            f" once for both: at most half of that wait for data, {streamed / 2:.1f} % of the"
            " cycles."
        )


def _duty(report: Report) -> Iterator[str]:
    total = report["total"]
    if total["duty_percent"] is not None and total["dur_ms"] is not None:
        kind = "modelled" if report["counts"] == "instructions" else "measured"
        room = 1000.0 / report["steps_per_s"]
        duty = f"the core is busy {total['duty_percent']:.1f} % of the time"
        yield f"A step takes {total['dur_ms']:.2f} of {room:.0f} ms ({kind}): {duty}."


def _arena(report: Report, model: emit.Model) -> Iterator[str]:
    """Which layer decides the size of the arena, and what lives there then."""
    sizes, graph = report["memory"], model.graph
    index = max(range(len(graph.ops)), key=lambda i: report["layers"][i]["live"])
    alive = sorted(
        live_tensors(graph)[index] & set(model.plan.offsets),
        key=lambda n: -memory.tensor_bytes(graph, n),
    )
    named = ", ".join(f"{name} ({memory.tensor_bytes(graph, name):,})" for name in alive[:NAMED])
    more = f" and {len(alive) - NAMED} more" if len(alive) > NAMED else ""
    peak = report["layers"][index]["live"]
    minimal = (
        "and no plan can take less"
        if model.plan.arena_minimal
        else f"{peak:,} is the least there could be"
    )
    planned = f"the plan takes {sizes['activations']:,}, {minimal}"
    yield (
        f"The arena is largest at {graph.ops[index].module}: {peak:,} bytes are in use,"
        f" {named}{more}; {planned}."
    )


def _ram(report: Report) -> Iterator[str]:
    sizes, keeping = report["memory"], [row for row in report["layers"] if row["state"]]
    if not keeping:
        return
    largest = max(keeping, key=lambda row: row["state"])
    of = f" of {sizes['ram_total']:,} bytes of RAM" if sizes["ram_total"] else ""
    yield (
        f"State is {sizes['state']:,}{of}, arena {sizes['activations']:,}; {len(keeping)} layers"
        f" keep state, the largest {largest['name']} ({largest['state']:,})."
    )


def _flash(report: Report, model: emit.Model) -> Iterator[str]:
    """The largest tables, and what half as many bits would give."""
    sizes, rows = report["memory"], sorted(report["layers"], key=lambda row: -row["weights"])
    of = f" of {sizes['flash_total']:,} bytes of flash" if sizes["flash_total"] else ""
    named = ", ".join(f"{row['name']} ({row['weights']:,})" for row in rows[:NAMED])
    yield f"Tables are {sizes['weights']:,}{of}; the largest are those of {named}."
    now, then = _linear_bytes(model)
    if now:
        whole = sizes["flash_total"] or sizes["weights"]
        yield (
            f"4-bit weights (PRECISION=w4a16) would hold the linear layers in {then:,} instead of"
            f" {now:,} bytes: {now - then:,} less, {100 * (now - then) / whole:.0f} % of"
            f" {'flash' if sizes['flash_total'] else 'the tables'}."
        )


def _linear_bytes(model: emit.Model) -> tuple[int, int]:
    """Bytes of the tables of linear layers with 8-bit weights, now and with 4-bit weights; what
    layers share counts once."""
    now: dict[bytes, int] = {}
    then: dict[bytes, int] = {}
    for index, any_op in enumerate(model.graph.ops):
        if getattr(any_op, "weight_bits", None) == 8:
            op = cast(g.IntDense, any_op)
            now |= {name.encode(): model.tables[name].nbytes for name in model.first_tables[index]}
            narrow = dataclasses.replace(op, weight=np.clip(op.weight, -7, 7), weight_bits=4)
            kernel = linear.kernel_of(model.graph, narrow, model.family)
            at_once = pieces.frames_at_once(model.graph, op) * op.shared
            frames, _ = linear.frames_and_calls(model.graph, narrow, kernel, at_once)
            for band in range(op.weight.shape[0]):
                tables = linear.tables_of(narrow, band, kernel, frames)
                whole = op.weight[band].tobytes()  # clipped ones may be equal where these are not
                then |= {
                    whole if field == "weights" else t.tobytes(): t.nbytes
                    for field, t in tables.items()
                }
    return sum(now.values()), sum(then.values())

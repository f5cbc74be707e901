"""Layers and what they cost become the rows, totals and memory of profile.json."""

from __future__ import annotations

from typing import Any

from bench.footprint import Footprint
from bench.profile.classes import CLASSES
from bench.profile.layers import Layer
from bench.profile.measured import Measured, Part
from bench.profile.schema import Cost, LayerRow, Memory, OtherRow, Totals
from export.c import emit


def rows(layers: list[Layer], measured: Measured, steps_per_s: float) -> list[LayerRow]:
    """One row per layer, in the order of execution."""
    whole, found, cumul = _whole(measured), list[LayerRow](), 0.0
    for layer, part in zip(layers, measured.operators, strict=True):
        cost = _cost(part, measured, whole)
        cumul += cost["percent"]
        each = cost["instructions"] if cost["instructions"] is not None else cost["cycles"]
        row: LayerRow = {
            "c_id": layer.c_id,
            "m_id": layer.m_id,
            "name": layer.name,
            "type": layer.type,
            "kernel": layer.kernel,
            "calls": layer.calls,
            "input": list(layer.source),
            "output": list(layer.target),
            "rate_hz": layer.rate_hz,
            "macc": layer.macc,
            "macc_per_s": layer.macc * steps_per_s,
            "units": layer.units,
            "unit": layer.unit,
            "per_unit": None if each is None else each / layer.units,
            "cycles_per_macc": _per(cost["cycles"], layer.macc),
            "floor": None if layer.floor is None else layer.floor.per_unit,
            "floor_is": "" if layer.floor is None else layer.floor.words,
            "weights": layer.weights,
            "activations": layer.activations,
            "live": layer.live,
            "state": layer.state,
            "cumul": cumul,
            **cost,
        }
        found.append(row)
    return found


def others(parts: dict[str, Part], measured: Measured) -> list[OtherRow]:
    """Rows of what belongs to no layer; shares of the network's work, so those of interrupts may
    come on top of 100 %."""
    whole = _whole(measured)
    return [{"name": name, **_cost(part, measured, whole)} for name, part in parts.items()]


def totals(layers: list[Layer], measured: Measured, steps_per_s: float) -> Totals:
    """The network: its layers, and what model_step does beside them."""
    whole = _whole(measured)
    cost, macc = _cost(whole, measured, whole), sum(layer.macc for layer in layers)
    instructions, spent = cost["instructions"], cost["cycles"]
    return {
        "macc": macc,
        "macc_per_s": macc * steps_per_s,
        "instructions_per_s": None if instructions is None else instructions * steps_per_s,
        "per_macc": _per(instructions, macc),
        "cycles_per_macc": _per(spent, macc),
        "duty_percent": None
        if spent is None or not measured.clock_hz
        else 100.0 * spent * steps_per_s / measured.clock_hz,
        "floor": sum(layer.floor.per_unit for layer in layers if layer.floor),
        "waits": {name: n / measured.steps for name, n in whole.waits.items()},
        **cost,
    }


def memory(layers: list[Layer], model: emit.Model, image: Footprint | None) -> Memory:
    """Of the network from the plan, of the image from its ELF."""
    return {
        "weights": model.table_bytes,
        "activations": model.plan.arena_bytes,
        "activations_lower_bound": model.plan.lower_bound_bytes,
        "state": model.plan.state_bytes,
        "peak": max(layers, key=lambda layer: layer.live).name,
        "flash_total": None if image is None else image.flash,
        "ram_total": None if image is None else image.ram,
        "regions": {} if image is None else image.as_dict()["regions"],
    }


def _whole(measured: Measured) -> Part:
    """The network: operators and what model_step does beside them, without what fell into it."""
    parts = [*measured.operators, *measured.others.values()]
    return Part(
        _sum([p.executed for p in parts]),
        None
        if any(p.split is None for p in parts)
        else {c: sum((p.split or {}).get(c, 0) for p in parts) for c in CLASSES},
        _sum([p.cycles for p in parts]),
        {
            name: sum(p.waits.get(name, 0) for p in parts)
            for name in dict.fromkeys(n for p in parts for n in p.waits)
        },
    )


def _sum(values: list[Any]) -> Any:
    return None if any(v is None for v in values) else sum(values)


def _cost(part: Part, measured: Measured, whole: Part) -> Cost:
    """Means of a step; the share is of instructions where they are counted, else of cycles."""
    mine, all_ = (
        (part.executed, whole.executed)
        if part.executed is not None
        else (part.cycles, whole.cycles)
    )
    spent = None if part.cycles is None else part.cycles / measured.steps
    classes = None if part.split is None else {c: part.split.get(c, 0) for c in CLASSES}
    return {
        "executed": part.executed,
        "instructions": None if part.executed is None else part.executed / measured.steps,
        "split": classes,
        "cycles": spent,
        "dur_ms": None
        if spent is None or not measured.clock_hz
        else 1000.0 * spent / measured.clock_hz,
        "percent": 100.0 * (mine or 0) / all_ if all_ else 0.0,
    }


def _per(value: float | None, units: int) -> float | None:
    return None if value is None or not units else value / units

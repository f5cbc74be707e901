"""Kernels and networks as tables that are kept."""

from __future__ import annotations

from typing import Any

from bench.results import Cell, Measurement, Table, emulator
from bench.speed.kernels import TITLES

KERNELS = {
    "kernel": "",
    "shape": "",
    "instructions": ",",
    "each": ".3f",
    "floor": ".2f",
    "CMSIS-NN": ".3f",
    "ratio": ".2f",
    "target": "g",
    "met": "",
    "clang": ",",
    "cycles": ",",
    "per": "",
}
NETWORKS = {
    "network": "",
    "core": "",
    "precision": "",
    "M instr/s": ",.2f",
    "clang": ",.2f",
    "MMAC/s": ",.2f",
    "per MAC": ".2f",
    "target": ",.0f",
    "met": "",
}


def measurement(kernels: list[dict[str, Any]], networks: list[dict[str, Any]]) -> Measurement:
    """What `record` keeps of both."""
    groups = dict.fromkeys((row["core"], row["precision"]) for row in kernels)
    both = [*kernels, *networks]
    return Measurement(
        "bench",
        "Kernels and networks in executed instructions, beside CMSIS-NN",
        "instructions counted on bare cores in QEMU (emulated), exact, of gcc's code; cycles"
        " modelled; every row's words equal the reference",
        [
            Table("Networks, a second of signal", NETWORKS, [_network(row) for row in networks]),
            *(_table(core, precision, kernels) for core, precision in groups),
        ],
        {
            "gcc": "; ".join(dict.fromkeys(row["compiler"] for row in both)),
            "clang": "; ".join(dict.fromkeys(row["clang"] or "not counted" for row in both)),
            "flags": "; ".join(dict.fromkeys(row["flags"] for row in kernels)),
            "QEMU": emulator(),
            "CMSIS-NN": "; ".join(dict.fromkeys(row["peer"] for row in kernels if row["peer"])),
        },
    )


def _table(core: str, precision: str, kernels: list[dict[str, Any]]) -> Table:
    rows = [_kernel(r) for r in kernels if (r["core"], r["precision"]) == (core, precision)]
    title = TITLES.get(core, core).partition(",")[0]
    return Table(f"{title}, {precision}; each, floor and CMSIS-NN per unit", KERNELS, rows)


def _kernel(row: dict[str, Any]) -> list[Cell]:
    return [
        row["kernel"],
        row["shape"],
        row["instructions"],
        row["per_mac"],
        row["floor_per_mac"],
        row["peer_per_mac"],
        row["ratio"],
        row["target_per_mac"],
        row["met"],
        row["clang_instructions"],
        row["modelled_cycles"],
        row["unit"],
    ]


def _network(row: dict[str, Any]) -> list[Cell]:
    return [
        row["model"],
        row["core"],
        row["precision"],
        *(_millions(row[of]) for of in ("instructions_per_s", "clang_instructions_per_s")),
        _millions(row["macs_per_s"]),
        row["instructions_per_mac"],
        _millions(row["target_per_s"]),
        row["met"],
    ]


def _millions(value: float | None) -> float | None:
    return None if value is None else value / 1e6

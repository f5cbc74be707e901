"""The cores that a network can be compressed for, and what work costs on each (see cost.py)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Core:
    """Cycles for each multiply-accumulate and for each weight fetched, by bits of the weights;
    elsewhere cycles by the kind of work that an operator says (`Op.work`)."""

    mac: dict[int, float]
    fetch: dict[int, float]
    cycles: dict[str, float]


VALUE = {"value": 4.0, "nothing": 0.0, "matrix": 0.0}  # matrices are counted apart
CORES = {
    "cortex-m7": Core(
        {8: 1.03, 4: 0.95},
        {8: 0.5, 4: 0.27},
        VALUE | {"norm": 20.0, "table": 10.5, "cell": 75.0, "state": 19.4},
    ),
    "cortex-m4": Core(
        {8: 1.45, 4: 1.45},
        {8: 0.32, 4: 0.25},
        VALUE | {"norm": 28.0, "table": 16.0, "cell": 116.0, "state": 18.5},
    ),
}

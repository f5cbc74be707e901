"""How often each table of a network is read, and how many bytes a second that asks of the memory it
lies in.

A kernel reads its tables from the first byte to the last once a call, for all frames of the call:
two or four rows at a time, with every frame before the next rows (nn_linear_s8_s16.c), so that
behind a data cache each byte comes once. Between two calls the rest of the network goes through the
cache. So a table is read as often as calls name it, and a byte of it is as hot as that.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from export.boards import Description
from export.c.step import Model


@dataclass(frozen=True)
class Table:
    """A constant of a network: its bytes, and how many times a second all of them are read."""

    name: str
    size: int
    reads_per_second: float

    @property
    def bytes_per_second(self) -> float:
        return self.size * self.reads_per_second


def tables(model: Model) -> list[Table]:
    """All tables of a network in the order of its file, with the calls of a step that read them
    times the steps of a second."""
    steps_per_second = float(model.graph.input.rate) / model.graph.samples_per_step
    reads = _reads_per_step(model)
    return [
        Table(name, values.nbytes, reads[name] * steps_per_second)
        for name, values in model.tables.items()
    ]


def _reads_per_step(model: Model) -> Counter[str]:
    """Table -> kernel calls of a step that name it, or a description in which it stands."""
    described = {
        f"&{name}": model.tables.keys() & {str(value) for value in description.fields.values()}
        for name, description in model.descriptions.items()
    }
    reads: Counter[str] = Counter()
    for call in model.calls:
        named = {table for word in call.arguments for table in (word, *described.get(word, ()))}
        reads.update(named & model.tables.keys())
    return reads


@dataclass(frozen=True)
class Demand:
    """What a network reads of one region: bytes of its tables there, bytes a second; what the
    region gives, None where any."""

    region: str
    tables: int
    needs: float
    gives: int | None

    @property
    def enough(self) -> bool:
        """The region alone does not keep the network from real time."""
        return self.gives is None or self.needs <= self.gives

    def as_dict(self) -> dict[str, Any]:
        """For memory.json: bytes, and bytes a second."""
        return {
            "tables": self.tables,
            "needs": round(self.needs),
            "gives": self.gives,
            "enough": self.enough,
        }

    def __str__(self) -> str:
        begin = (
            f"{self.region}: {self.tables:,} bytes of tables, read in order: {self.needs / 1e6:.1f}"
            " MB/s"
        )
        if self.gives is None:
            return f"{begin}; no limit but the core's own waits"
        of = f"{begin} of {self.gives / 1e6:.1f} MB/s that it gives"
        if not self.enough:
            return (
                f"{of}: NOT REAL TIME, at best {self.gives / self.needs:.2f} seconds of signal a"
                " second"
            )
        return (
            f"{of} ({self.needs / self.gives:.0%}); enough, and what the core computes comes on top"
        )


def demands(board: Description, regions: Mapping[str, str], found: Sequence[Table]) -> list[Demand]:
    """Every region that holds tables; `regions`: name of a table -> where it lies."""
    by_region: dict[str, list[Table]] = {}
    for table in found:
        by_region.setdefault(regions[table.name], []).append(table)
    return [
        Demand(
            region,
            sum(t.size for t in there),
            sum(t.bytes_per_second for t in there),
            board.memory[region].bytes_per_second,
        )
        for region, there in by_region.items()
    ]

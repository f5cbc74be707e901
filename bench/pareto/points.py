"""The points of the report: one per network, precision and decoder measured here, and the published ones beside them.

`pareto.json` is a list of these, with the keys in this order; `pareto.csv` the same as a table. A figure that a point cannot have
is null: a float network has no image, and nothing was published about instructions and bytes. Costs are those of the network;
what a decoder takes on the host is in none of them.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from bench.pareto.front import Session, error_rate, interval, non_dominated
from bench.pareto.jobs import FLOAT, Job, Setting
from bench.pareto.sweep import Swept
from compress import artifacts
from compress.models import PUBLISHED

COSTS = {
    "macs_per_s": "multiply-accumulates per second of signal",
    "instructions_per_s": "executed instructions per second of signal",
    "flash": "bytes of flash",
    "ram": "bytes of RAM",
}
PUBLISHED_SOURCE = "published, real recordings"


@dataclass(frozen=True)
class Point:
    """One network, precision and decoder.

    `cer` with its 95 % interval in % of the characters typed; `on_front`: measured here, and nothing else measured here has as
    few MACs per second and as low a CER, one of them less; `fronts`: the costs for which the same holds. `source` says whether
    the recordings are simulated, or the point published. The rest makes the figures valid: digests, board, compiler, how much was
    proven equal and counted, and how many seconds of signal native C computes per second of one core here (`pace`).
    """

    model: str
    precision: str
    decoder: str
    macs_per_s: float
    instructions_per_s: float | None
    flash: int | None
    ram: int | None
    cer: float
    cer_low: float | None
    cer_high: float | None
    on_front: bool
    source: str
    fronts: list[str]
    simulated: bool
    board: str | None = None
    board_is: str | None = None
    compiler: str | None = None
    checkpoint: str | None = None
    graph: str | None = None
    recordings: str | None = None
    sessions: int | None = None
    seconds: float | None = None
    characters: int | None = None
    lm: str | None = None
    words_equal: int | None = None
    counted_steps: int | None = None
    pace: float | None = None

    @property
    def published(self) -> bool:
        return self.source == PUBLISHED_SOURCE


def collect(setting: Setting, swept: Swept, simulated: bool) -> list[Point]:
    """Points of everything that was finished, fronts marked; one that missed a session is not comparable and left out."""
    recordings = artifacts.key(heldout=list(setting.heldout))
    lm = artifacts.sha256(setting.lm)
    found = []
    for model in setting.checkpoints:
        for precision in setting.precisions:
            for decoder in setting.decoders:
                point = _point(setting, swept, model, precision, decoder)
                if point is not None:
                    with_lm = lm if decoder.endswith("+lm") else None
                    source = "simulated recordings" if simulated else "recordings"
                    found.append(replace(point, source=source, simulated=simulated, recordings=recordings, lm=with_lm))
    return mark(found)


def _point(setting: Setting, swept: Swept, model: str, precision: str, decoder: str) -> Point | None:
    results = swept.results
    network, placed = results.get(Job(model)), results.get(Job(model, precision), {})
    read = [results.get(Job(model, precision, session)) for session in setting.heldout]
    if network is None or None in read or not (placed or precision == FLOAT):
        return None
    finished = [r for r in read if r is not None]
    sessions = [Session.of(r["target"], r["texts"][decoder]) for r in finished]
    low, high = interval(sessions)
    known = {f.name for f in fields(Point)}
    return Point(
        model=model,
        precision=precision,
        decoder=decoder,
        macs_per_s=network["macs_per_s"],
        cer=error_rate(sessions),
        cer_low=low,
        cer_high=high,
        on_front=False,
        source="",
        fronts=[],
        simulated=True,
        checkpoint=network["checkpoint"],
        sessions=len(sessions),
        seconds=sum(r["seconds"] for r in finished),
        characters=sum(len(r["target"]) for r in finished),
        pace=None if precision == FLOAT else min(r["pace"] for r in finished),
        **({"instructions_per_s": None, "flash": None, "ram": None} | {k: v for k, v in placed.items() if k in known}),
    )


def mark(points: list[Point]) -> list[Point]:
    """The points with their fronts, one for each cost, among those that have it. Published points never stand on one."""
    fronts: dict[int, list[str]] = {index: [] for index in range(len(points))}
    for cost in COSTS:
        having = [i for i, p in enumerate(points) if not p.published and getattr(p, cost) is not None]
        on_front = non_dominated([(getattr(points[i], cost), points[i].cer) for i in having])
        for index, on in zip(having, on_front, strict=True):
            fronts[index] += [cost] * on
    return [replace(p, fronts=fronts[i], on_front="macs_per_s" in fronts[i]) for i, p in enumerate(points)]


def published(models: Iterable[str]) -> list[Point]:
    """What the authors report for these networks on real data, greedy and with their character model."""
    found = []
    for model in models:
        known = PUBLISHED.get(model)
        if known is not None:
            for decoder, cer in (("greedy", known.value), ("beam+lm", known.value_with_lm)):
                found.append(
                    Point(
                        model, FLOAT, decoder, known.gmacs_per_s * 1e9, None, None, None, cer, None, None, False,
                        PUBLISHED_SOURCE, [], False,
                    )
                )  # fmt: skip
    return found


def as_csv(points: list[Point]) -> bytes:
    """One row a point, columns as in pareto.json; what is null there is empty here."""
    text = io.StringIO()
    writer = csv.DictWriter(text, [f.name for f in fields(Point)], lineterminator="\n")
    writer.writeheader()
    for point in points:
        writer.writerow(asdict(point) | {"fronts": " ".join(point.fronts)})
    return text.getvalue().encode()


def as_json(points: list[Point]) -> list[dict[str, Any]]:
    """Plain values for pareto.json."""
    return [asdict(point) for point in points]

"""The points of a report: one per network, precision and decoder measured here, and the published
ones beside them.

`pareto.json` and its like are lists of these, in this order and with the keys that a report gives
them; the CSV is the same as a table. A figure that a point cannot have is null: a
float network has no image, and nothing was published about instructions and bytes. Costs are those
of the network; what a decoder takes on the host is in none of them.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from bench.pareto import FLOAT
from bench.pareto.front import Session, interval, non_dominated, pooled
from bench.pareto.jobs import Job, Setting
from bench.pareto.reports import COSTS, Report
from bench.pareto.sweep import Swept
from compress import artifacts
from compress.artifacts import COMPRESSED
from compress.frontend.families import PUBLISHED
from compress.tasks import groups

PUBLISHED_SOURCE = "published, real recordings"


@dataclass(frozen=True)
class Point:
    """One network, precision and decoder ("" for a task that needs none).

    `error` with its 95 % interval, in the task's unit, over so much (`amount`: characters, or
    samples); `on_front`: measured here, and nothing else
    measured here has as few MACs per second and errs as little, one of them less; `fronts`: the
    costs for which the same holds. `source` says whether the recordings are simulated, or the point
    published. The rest makes the figures valid: digests, board, compiler, how much was proven equal
    and counted, and how many seconds of signal native C computes per second of one core here
    (`pace`). `predictors`: the errors, over the same samples, of predictors that read no sEMG.
    `users`: where recordings are of several, how many and what error of each; the mean over them,
    each alike, and its standard deviation.
    """

    model: str
    precision: str
    decoder: str
    macs_per_s: float
    instructions_per_s: float | None
    flash: int | None
    ram: int | None
    error: float
    low: float | None
    high: float | None
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
    amount: int | None = None
    lm: str | None = None
    words_equal: int | None = None
    counted_steps: int | None = None
    pace: float | None = None
    predictors: dict[str, float] = field(default_factory=dict)
    users: list[dict[str, Any]] = field(default_factory=list)
    users_mean: float | None = None
    users_std: float | None = None

    @property
    def published(self) -> bool:
        return self.source == PUBLISHED_SOURCE


def collect(
    report: Report,
    setting: Setting,
    swept: Swept,
    simulated: bool,
    user_of: Mapping[Path, str] | None = None,
) -> list[Point]:
    """Points of everything that was finished, fronts marked; one that missed a session is not
    comparable and left out. `user_of`: whose the held-out sessions are, where that is known."""
    recordings = artifacts.key(heldout=list(setting.heldout))
    lm = artifacts.sha256(setting.lm) if report.decodes else None
    found = []
    for model in setting.checkpoints:
        for precision in setting.precisions_of(model):
            for decoder in setting.decoders:
                point = _point(report, setting, swept, model, precision, decoder, user_of or {})
                if point is not None:
                    with_lm = lm if decoder.endswith("+lm") else None
                    source = "simulated recordings" if simulated else "recordings"
                    found.append(
                        replace(
                            point,
                            source=source,
                            simulated=simulated,
                            recordings=recordings,
                            lm=with_lm,
                        )
                    )
    return mark(found)


def _point(
    report: Report,
    setting: Setting,
    swept: Swept,
    model: str,
    precision: str,
    decoder: str,
    user_of: Mapping[Path, str],
) -> Point | None:
    results = swept.results
    placed = results.get(Job(model, precision), {})
    network = placed if precision == COMPRESSED else results.get(Job(model))
    read = [results.get(Job(model, precision, session)) for session in setting.heldout]
    if not network or None in read or not (placed or precision == FLOAT):
        return None
    finished = [r for r in read if r is not None]
    sessions = [Session.from_json(r["runs"][decoder]) for r in finished]
    low, high = interval(sessions, report.factor)
    known = {f.name for f in fields(Point)}
    return Point(
        model=model,
        precision=precision,
        decoder=decoder,
        error=pooled(sessions, report.factor),
        low=low,
        high=high,
        on_front=False,
        source="",
        fronts=[],
        simulated=True,
        sessions=len(sessions),
        seconds=sum(r["seconds"] for r in finished),
        amount=sum(int(s.amounts.sum()) for s in sessions),
        pace=None if precision == FLOAT else min(r["pace"] for r in finished),
        **_users(report, setting, sessions, user_of),
        **(
            {"instructions_per_s": None, "flash": None, "ram": None}
            | {k: v for k, v in (network | placed).items() if k in known}
        ),
    )


def _users(
    report: Report, setting: Setting, sessions: list[Session], user_of: Mapping[Path, str]
) -> dict[str, Any]:
    """Of several users the error of each, and the mean over them."""

    def of_group(chosen: list[int]) -> dict[str, Any]:
        of = [sessions[i] for i in chosen]
        amount = sum(int(session.amounts.sum()) for session in of)
        error = pooled(of, report.factor) if amount else None
        return {"amount": amount, "amount_is": report.amount_is, "error": error}

    found = groups.users(groups.grouped(setting.heldout, user_of, of_group))
    if found["over_users"] is None or found["over_users"]["error"] is None:
        return {}
    mean = found["over_users"]["error"]
    return {"users": found["users"], "users_mean": mean["mean"], "users_std": mean["std"]}


def mark(points: list[Point]) -> list[Point]:
    """The points with their fronts, one for each cost, among those that have it. Published points
    never stand on one."""
    fronts: dict[int, list[str]] = {index: [] for index in range(len(points))}
    for cost in COSTS:
        having = [
            i for i, p in enumerate(points) if not p.published and getattr(p, cost) is not None
        ]
        on_front = non_dominated([(getattr(points[i], cost), points[i].error) for i in having])
        for index, on in zip(having, on_front, strict=True):
            fronts[index] += [cost] * on
    return [
        replace(p, fronts=fronts[i], on_front="macs_per_s" in fronts[i])
        for i, p in enumerate(points)
    ]


def published(report: Report, models: Iterable[str]) -> list[Point]:
    """What the authors report for these networks on real data, by the metric of the report, for
    each decoder it names."""
    found = []
    for model in models:
        known = PUBLISHED.get(model)
        if known is not None and known.metric == report.metric:
            for decoder, value in report.published.items():
                error = getattr(known, value)
                found.append(
                    Point(
                        model,
                        FLOAT,
                        decoder,
                        known.gmacs_per_s * 1e9,
                        None,
                        None,
                        None,
                        error,
                        None,
                        None,
                        False,
                        PUBLISHED_SOURCE,
                        [],
                        False,
                    )
                )
    return found


def as_json(points: list[Point], report: Report) -> list[dict[str, Any]]:
    """Plain values, named as the report does."""
    return [
        {_key(report, name): value for name, value in asdict(p).items() if _key(report, name)}
        | {name: p.predictors.get(name) for name in report.predictors}
        for p in points
    ]


def as_csv(points: list[Point], report: Report) -> bytes:
    """One row a point, columns as in the JSON; what is null there is empty here."""
    text = io.StringIO()
    keys = [key for f in fields(Point) if (key := _key(report, f.name))]
    writer = csv.DictWriter(text, [*keys, *report.predictors], lineterminator="\n")
    writer.writeheader()
    for row in as_json(points, report):
        by_user = " ".join(f"{user['name']}={user['error']}" for user in row["users"])
        writer.writerow(row | {"fronts": " ".join(row["fronts"]), "users": by_user})
    return text.getvalue().encode()


def _key(report: Report, name: str) -> str:
    """What an attribute of a point is called in a report; "" for one that it does not have under a
    key of its own."""
    return "" if name == "predictors" or name in report.absent else report.keys.get(name, name)

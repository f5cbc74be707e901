"""Errors of groups of recordings: of each user, and their mean over users as the papers print it;
of each kind of generalization.

Within a group recordings are pooled: all errors over all that there was to get right, as the
published character error rate sums edit distances. Over users each counts alike, and the standard
deviation is the population's, as in emg2qwerty's own table of results.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from compress import graph as g
from compress.report.figures import figure
from compress.tasks.task import Array, Recorded, Task

ENGINES = ("float", "quantized")


def scores(
    task: Task,
    graph: g.Graph,
    frames: tuple[Sequence[Array], Sequence[Array]],
    recorded: Sequence[Recorded],
    names: Mapping[Path, str],
    published: bool = False,
) -> list[dict[str, Any]]:
    """By name, sorted: how many recordings and how much of them, and the error of both engines,
    None where there is nothing to get right.

    frames: of the float network and of the integers, for each part of a recording. names: of the
    groups, by recording; one without a name is in none. published: the figures of a published
    table of results as well.
    """
    found = []
    for name in sorted({*names.values()} - {""}):
        chosen = [i for i, part in enumerate(recorded) if names.get(part.path) == name]
        of = [recorded[i] for i in chosen]
        amount, amount_is = task.amount(of)
        count = len({part.path for part in of})
        entry = {"name": name, "recordings": count, "amount": amount, "amount_is": amount_is}
        for engine, every in zip(ENGINES, frames, strict=True):
            part = [every[i] for i in chosen]
            entry[engine] = task.error(graph, part, of)
            if published:
                entry[f"{engine}_published"] = task.published_figures(graph, part, of)
        found.append(entry)
    return found


def over(groups: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Mean and standard deviation of the groups that have an error, by engine; how many these
    are."""
    found: dict[str, Any] = {"groups": 0}
    for engine in ENGINES:
        errors = [group[engine] for group in groups if group[engine] is not None]
        found["groups"] = len(errors)
        found[engine] = (
            {"mean": float(np.mean(errors)), "std": float(np.std(errors))} if errors else None
        )
    return found


def text(report: dict[str, Any]) -> list[str]:
    """What quantize.json says of users, where there are several, and of kinds of generalization."""
    unit, users = report["metric"]["unit"], report["over_users"]
    by_user = [*lines("user", report["users"], unit), mean_line(users, unit)] if users else []
    return by_user + lines("generalization", report["generalization"], unit)


def lines(what: str, groups: Sequence[dict[str, Any]], unit: str) -> list[str]:
    """A table for the console: a group a line."""
    if not groups:
        return []
    wide = max(len(what), *(len(group["name"]) for group in groups))
    amount_is = groups[0]["amount_is"]
    head = f"  {what:{wide}}  recordings  {amount_is:>12}  {'float':>10}  {'integer':>10}"
    return [head] + [
        f"  {group['name']:{wide}}  {group['recordings']:10,}  {group['amount']:12,}"
        f"  {_figure(group['float'], unit):>10}  {_figure(group['quantized'], unit):>10}"
        for group in groups
    ]


def mean_line(users: dict[str, Any], unit: str) -> str:
    """The mean over users as the papers print it."""
    both = [
        f"{name} {figure(users[engine]['mean'], unit)} ± {users[engine]['std']:.2f}"
        for name, engine in (("float", "float"), ("integer", "quantized"))
        if users[engine]
    ]
    return f"  mean over {users['groups']} users ± standard deviation: {', '.join(both)}"


def csv_of(column: str, groups: Sequence[dict[str, Any]]) -> bytes:
    """A line for each group and engine: the group's name under `column`, network (float or
    quantized), recordings, the amount scored, and the published figures."""
    rows = []
    for group in groups:
        for engine in ENGINES:
            row = {column: group["name"], "network": engine, "recordings": group["recordings"]}
            rows.append(row | {group["amount_is"]: group["amount"]} | group[f"{engine}_published"])
    columns = list(dict.fromkeys(name for row in rows for name in row))
    text = io.StringIO()
    table = csv.DictWriter(text, columns, restval="", lineterminator="\n")
    table.writeheader()
    table.writerows(rows)
    return text.getvalue().encode()


def _figure(value: float | None, unit: str) -> str:
    return "not known" if value is None else figure(value, unit)

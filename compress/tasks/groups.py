"""Errors of groups of recordings: of each user, and their mean over users as the papers print it;
of each kind of generalization.

Within a group recordings are pooled: all errors over all that there was to get right, as the
published character error rate sums edit distances. Over users each counts alike, and the standard
deviation is the population's, as in emg2qwerty's own table of results.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from compress import graph as g
from compress.report.figures import figure
from compress.tasks.recorded import Recorded
from compress.tasks.task import Array, Task

ENGINES = ("float", "quantized")  # of a quantize.json
# what has an error in a group, by its key in any report, in this order: what it is called
TITLES = {
    "float": "float",
    "compressed": "compressed, float",
    "quantized": "integer",
    "native": "native C",
    "board": "board",
    "error": "error",
}

Groups = list[dict[str, Any]]


def scores(
    task: Task,
    graph: g.Graph,
    frames: Mapping[str, Sequence[Array]],
    recorded: Sequence[Recorded],
    names: Mapping[Path, str],
    published: bool = False,
) -> Groups:
    """By name, sorted: how many recordings and how much of them, and the error of each engine,
    None where there is nothing to get right.

    frames: by engine, for each part of a recording. names: of the groups, by recording; one
    without a name is in none. published: the figures of a published table of results as well.
    """

    def of_group(chosen: list[int]) -> dict[str, Any]:
        of = [recorded[i] for i in chosen]
        found: dict[str, Any] = dict(zip(("amount", "amount_is"), task.amount(of), strict=True))
        for engine, every in frames.items():
            part = [every[i] for i in chosen]
            found[engine] = task.error(graph, part, of)
            if published:
                found[f"{engine}_published"] = task.published_figures(graph, part, of)
        return found

    return grouped([part.path for part in recorded], names, of_group)


def grouped(
    paths: Sequence[Path],
    names: Mapping[Path, str],
    of_group: Callable[[list[int]], dict[str, Any]],
) -> Groups:
    """By name, sorted: the recordings of each group, and what `of_group` says of them by their
    indices in `paths`, in which a recording may stand several times."""
    found = []
    for name in sorted({names.get(path, "") for path in paths} - {""}):
        chosen = [i for i, path in enumerate(paths) if names.get(path) == name]
        count = len({paths[i] for i in chosen})
        found.append({"name": name, "recordings": count} | of_group(chosen))
    return found


def users(found: Groups) -> dict[str, Any]:
    """What a report says of users: each, and the mean over them where there are several."""
    return {"users": found, "over_users": over(found) if len(found) > 1 else None}


def over(groups: Groups) -> dict[str, Any]:
    """Mean and standard deviation of the groups that have an error, by engine; how many these
    are."""
    found: dict[str, Any] = {"groups": 0}
    for engine in engines(groups):
        errors = [group[engine] for group in groups if group[engine] is not None]
        found["groups"] = len(errors)
        found[engine] = (
            {"mean": float(np.mean(errors)), "std": float(np.std(errors))} if errors else None
        )
    return found


def engines(groups: Groups) -> list[str]:
    """Those that have an error in these groups."""
    return [engine for engine in TITLES if groups and engine in groups[0]]


def text(report: dict[str, Any]) -> list[str]:
    """What quantize.json says of users, where there are several, and of kinds of generalization."""
    unit = report["metric"]["unit"]
    return users_text(report, unit) + lines("generalization", report["generalization"], unit)


def users_text(report: Mapping[str, Any], unit: str) -> list[str]:
    """What any report says of users, where there are several."""
    over_users = report.get("over_users")
    if not over_users:
        return []
    return [*lines("user", report["users"], unit), mean_line(over_users, unit)]


def table(what: str, groups: Groups, unit: str) -> list[list[str]]:
    """The heads and a row for each group: name, recordings, amount, an error for each engine."""
    heads = [what, "recordings", groups[0]["amount_is"]]
    rows = [heads + [TITLES[engine] for engine in engines(groups)]]
    for group in groups:
        row = [group["name"], f"{group['recordings']:,}", f"{group['amount']:,}"]
        rows.append(row + [_figure(group[engine], unit) for engine in engines(groups)])
    return rows


def lines(what: str, groups: Groups, unit: str) -> list[str]:
    """A table for the console: a group a line."""
    if not groups:
        return []
    rows = table(what, groups, unit)
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    widths[1:] = [max(width, 10) for width in widths[1:]]
    return [
        "  ".join([f"  {row[0]:{widths[0]}}", *map(str.rjust, row[1:], widths[1:])]) for row in rows
    ]


def mean_line(users: dict[str, Any], unit: str) -> str:
    """The mean over users as the papers print it."""
    both = [
        f"{TITLES[engine]} {figure(users[engine]['mean'], unit)} ± {users[engine]['std']:.2f}"
        for engine in users
        if engine != "groups" and users[engine]
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

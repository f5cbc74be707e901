"""`users`: one table of several networks, each of its own user, and the mean over users as papers
print it of personalized networks: from the quantize.json of each."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from glob import glob, has_magic
from pathlib import Path
from typing import Any

from compress.errors import TendonError
from compress.files import read_json, refuse_output, replace_atomically
from compress.tasks import groups

VERSION = 1
SAME = ("precision", "simulated")  # of all reports, beside what the error is called


def run(args: argparse.Namespace) -> None:
    """Read, check, print; and write the JSON where it is asked for."""
    found = collect([Path(path) for word in args.reports for path in _paths(word)])
    print(text(found))
    if args.output is not None:
        refuse_output(args.output)
        replace_atomically(args.output, (json.dumps(found, indent=1) + "\n").encode())
        print(f"wrote {args.output}")


def collect(paths: Sequence[Path]) -> dict[str, Any]:
    """The users of these reports, each once, sorted, and the mean over them; TendonError for
    reports that do not go together."""
    users: dict[str, dict[str, Any]] = {}
    first: dict[str, Any] = {}
    for path in paths:
        report = _read(path)
        first = first or _about(report)
        for name, value in _about(report).items():
            if value != first[name]:
                raise TendonError(
                    f"{path}: {name}: expected {first[name]} as in {paths[0]}, found {value}; put"
                    " together what was scored alike"
                )
        for user in report["users"]:
            before = users.setdefault(user["name"], user | {"report": str(path)})
            if before["report"] != str(path):
                raise TendonError(
                    f"{path}: user {user['name']} is in {before['report']} as well; expected each"
                    " user once"
                )
    each = [users[name] for name in sorted(users)]
    return {"version": VERSION} | first | {"users": each, "over_users": groups.over(each)}


def text(found: dict[str, Any]) -> str:
    """A line for each user, and the mean."""
    kind = "simulated recordings" if found["simulated"] else "recordings"
    head = f"{found['metric']} of {len(found['users'])} users, {found['precision']}, {kind}"
    lines = groups.lines("user", found["users"], found["unit"])
    return "\n".join([head, *lines, groups.mean_line(found["over_users"], found["unit"])])


def _about(report: dict[str, Any]) -> dict[str, Any]:
    metric = report["metric"]
    return {"metric": metric["name"], "unit": metric["unit"]} | {k: report[k] for k in SAME}


def _read(path: Path) -> dict[str, Any]:
    report = read_json(path)
    try:
        users = [(u["name"], u["recordings"], u["amount"], u["amount_is"]) for u in report["users"]]
        errors = [u[engine] for u in report["users"] for engine in groups.ENGINES]
        _about(report)
        whole = bool(users) and all(e is None or isinstance(e, int | float) for e in errors)
    except (KeyError, TypeError):
        whole = False
    if not whole:
        raise TendonError(
            f"{path}: expected a quantize.json with errors of users, found"
            f" {'none' if path.is_file() else 'no such file'}; `make quantize DATA=… SPLIT=…`"
            " writes one"
        )
    return report


def _paths(word: str) -> list[str]:
    """Files of a word: a path, several between blanks, or a pattern."""
    if Path(word).exists():
        return [word]
    found: list[str] = []
    for part in word.split():
        there = sorted(glob(part)) if has_magic(part) and not Path(part).exists() else [part]
        if not there:
            raise TendonError(f"REPORTS={part}: expected files of this pattern, found none")
        found += there
    return found

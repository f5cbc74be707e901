"""python -m tests.fuzz [--seconds 1200] [--reader NAME …]: damaged files for every reader, with
figures and build/fuzz.json; exits with 1 where one was taken wrongly."""

from __future__ import annotations

import argparse
import dataclasses
import random
import sys
import time
from pathlib import Path
from typing import Any

from bench import index, results
from compress.cli import options
from compress.files import write_json
from tests.fuzz import campaign
from tests.fuzz.registry import readers

MOST_S = 1740.0  # of all readers, however long some of them took
COLUMNS = ("tried", "refused", "accepted", "wrong", "crashes", "hangs")


def main() -> int:
    """The campaign, its table and its file."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--seconds", type=float, default=1200.0, help="of all readers together")
    parser.add_argument("--first", type=int, help="the first seed (default: drawn)")
    parser.add_argument("--reader", nargs="*", default=[], help="some readers (default: all)")
    parser.add_argument("--out", type=Path, default=Path("build"))
    options.add_record_argument(parser)
    args = parser.parse_args(namespace=argparse.Namespace(arguments=sys.argv[1:]))
    names = args.reader or list(readers())
    first = random.SystemRandom().randrange(1 << 32) if args.first is None else args.first
    print(f"{len(names)} readers, {args.seconds:g} s, seeds from {first}", flush=True)
    print(f"{'reader':32}" + "".join(f"{column:>10}" for column in COLUMNS) + "   slowest")
    report = {}
    each, begin = args.seconds / len(names), time.monotonic()
    for name, figures in campaign.run(names, args.out / "fuzz", None, each, first):
        report[name] = dataclasses.asdict(figures)
        counts = "".join(f"{report[name][column]:10}" for column in COLUMNS)
        print(f"{name:32}{counts}{figures.slowest_s:8.2f} s", flush=True)
        print("\n".join(figures.failures), end="\n" if figures.failures else "", flush=True)
        if time.monotonic() - begin + each > MOST_S:
            print(f"after {MOST_S:g} s: {len(names) - len(report)} readers were not tried")
            break
    total = {column: sum(of[column] for of in report.values()) for column in COLUMNS}
    print(f"{'all':32}" + "".join(f"{total[column]:10}" for column in COLUMNS))
    write_json(args.out / "fuzz.json", {"first": first, "total": total, "readers": report})
    index.renew(args.out)
    results.record(args, measurement(first, report))
    bad = any(total[column] for column in ("wrong", "crashes", "hangs"))
    return int(bad or len(report) < len(names))


def measurement(first: int, report: dict[str, dict[str, Any]]) -> results.Measurement:
    """What is kept where it is asked for: a row for each reader."""
    columns = {"reader": "", **dict.fromkeys(COLUMNS, ",")}
    return results.Measurement(
        "fuzz",
        "Damaged files for every reader",
        "counted here",
        [results.Table("", columns, [(n, *(of[c] for c in COLUMNS)) for n, of in report.items()])],
        {"first seed": str(first)},
    )


if __name__ == "__main__":
    sys.exit(main())

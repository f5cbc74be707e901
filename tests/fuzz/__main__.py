"""python -m tests.fuzz [--seconds 1500] [--reader NAME …]: damaged files for every reader, with
figures and build/fuzz.json; exits with 1 where one was taken wrongly."""

from __future__ import annotations

import argparse
import dataclasses
import random
import sys
from pathlib import Path

from compress.files import write_json
from tests.fuzz import campaign
from tests.fuzz.registry import readers

COLUMNS = ("tried", "refused", "accepted", "wrong", "crashes", "hangs")


def main() -> int:
    """The campaign, its table and its file."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--seconds", type=float, default=1500.0, help="of all readers together")
    parser.add_argument("--first", type=int, help="the first seed (default: drawn)")
    parser.add_argument("--reader", nargs="*", default=[], help="some readers (default: all)")
    parser.add_argument("--out", type=Path, default=Path("build"))
    args = parser.parse_args()
    names = args.reader or list(readers())
    first = random.SystemRandom().randrange(1 << 32) if args.first is None else args.first
    print(f"{len(names)} readers, {args.seconds:g} s, seeds from {first}", flush=True)
    print(f"{'reader':32}" + "".join(f"{column:>10}" for column in COLUMNS) + "   slowest")
    report = {}
    for name in names:
        each = args.seconds / len(names)
        figures = campaign.run([name], args.out / "fuzz", None, each, first)[name]
        report[name] = dataclasses.asdict(figures)
        counts = "".join(f"{report[name][column]:10}" for column in COLUMNS)
        print(f"{name:32}{counts}{figures.slowest_s:8.2f} s", flush=True)
        print("\n".join(figures.failures), end="\n" if figures.failures else "", flush=True)
    total = {column: sum(of[column] for of in report.values()) for column in COLUMNS}
    print(f"{'all':32}" + "".join(f"{total[column]:10}" for column in COLUMNS))
    write_json(args.out / "fuzz.json", {"first": first, "total": total, "readers": report})
    return int(any(total[column] for column in ("wrong", "crashes", "hangs")))


if __name__ == "__main__":
    sys.exit(main())

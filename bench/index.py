"""`index.html` of a build folder: every report in it with its headline, newest first.

Written anew when a command ends and a report came, changed or went. A report that is damaged is
listed as such; nothing about this page makes a command fail.
"""

from __future__ import annotations

import argparse
import logging
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import quote

from compress.errors import TendonError, printable
from compress.reading.words import counted, one_line

log = logging.getLogger(__name__)

NAME = "index.html"
MARK = "<!-- reports of tendon "  # in the page; a page without it is somebody else's and is left
PATIENCE_S = 20.0  # for another command that writes the page
Headline = Callable[[Any], str]


@dataclass(frozen=True)
class Kind:
    """Reports of one kind: where they lie below the build folder, and what is said of one."""

    title: str
    patterns: tuple[str, ...]
    headline: Headline


@dataclass(frozen=True)
class Found:
    """A report that is there: its JSON, and when that was written, in ns."""

    kind: Kind
    path: Path
    written: int


def renew(build: Path) -> None:
    """Write the page of this folder, where it is not up to date. Never raises for a file."""
    try:
        if os.path.isdir(build) and (_reports(build) or (build / NAME).is_file()):
            _renew(build)
    except (TendonError, OSError, ValueError) as error:
        log.info(f"{build / NAME}: not written anew: {one_line(error)}")


def after(args: argparse.Namespace) -> None:
    """What every command with a build folder does last."""
    if isinstance(getattr(args, "build", None), Path):
        renew(args.build)


def _renew(build: Path) -> None:
    from filelock import FileLock, Timeout

    from compress.artifacts import locks

    page, folder = build / NAME, build / locks.FOLDER
    locks.make(folder, "BUILD")
    try:
        # who looks last writes last, so no report of a command that ends meanwhile is missing
        with FileLock(folder / f"{NAME}.lock", timeout=PATIENCE_S):
            reports = _reports(build)
            seal = _seal(reports)
            before = _beginning(page)
            if before is not None and MARK not in before:
                log.info(f"{page}: is not a list of reports, left as it is")
            elif before is None or f"{MARK}{seal} -->" not in before:
                _write(page, seal, reports)
    except Timeout:
        log.info(f"{page}: another command is at it for {PATIENCE_S:g} s; not written anew")


def _write(page: Path, seal: str, reports: list[Found]) -> None:
    from compress.files import write_text

    write_text(page, _html(page.parent, seal, reports))


def _beginning(page: Path) -> str | None:
    """The first characters of the page that is there; None where there is none."""
    if not os.path.lexists(page):
        return None
    if not page.is_file():
        return ""
    with page.open("rb") as file:
        return file.read(4096).decode("utf-8", "replace")


def _reports(build: Path) -> list[Found]:
    """Newest first."""
    found = {
        path: Found(kind, path, path.stat().st_mtime_ns)
        for kind in KINDS
        for pattern in kind.patterns
        for path in build.glob(pattern)
        if not path.name.startswith(".") and path.is_file()
    }
    return sorted(found.values(), key=lambda f: (-f.written, str(f.path)))


def _seal(reports: list[Found]) -> str:
    """Digest of which reports of when the page lists, and of how it says it."""
    digest = sha256(Path(__file__).read_bytes())
    for found in reports:
        page = found.path.with_suffix(".html").is_file()
        digest.update(os.fsencode(found.path) + f"\0{found.written}\0{page}\0".encode())
    return digest.hexdigest()


# --- the page -------------------------------------------------------------------------------------


def _html(build: Path, seal: str, reports: list[Found]) -> str:
    from bench import markup

    rows = "".join(_row(build, found) for found in reports)
    head = "<tr><th>written</th><th>report</th><th>of</th><th>headline</th></tr>"
    body = (
        "<h1>Reports</h1><p class=soft>Of this build folder, newest first."
        f"</p><table>{head}{rows}</table>"
    )
    first, rest = markup.document("Reports", body, "list").split("\n", 1)
    return f"{first}\n{MARK}{seal} -->\n{rest}"  # where it is found without reading it all


def _row(build: Path, found: Found) -> str:
    from html import escape

    path = found.path.relative_to(build)
    page = path.with_suffix(".html")
    links = [("JSON", path)]
    if (build / page).is_file():
        links.insert(0, (found.kind.title, page))
    when = time.strftime("%Y-%m-%d %H:%M", time.localtime(found.written / 1e9))
    first, *others = (f'<a href="{quote(os.fsencode(p))}">{name}</a>' for name, p in links)
    title = first if others else f"{found.kind.title}"
    json = others[0] if others else first
    where = escape(printable(path.parent.as_posix()))
    said = escape(printable(_said(found)))
    return (
        f"<tr><td class=when>{when}</td><td>{title} <small>{json}</small></td><td>{where}</td>"
        f"<td>{said}</td></tr>"
    )


def _said(found: Found) -> str:
    """The headline of a report; that it cannot be read where that is so."""
    from compress.reading import text

    try:
        return one_line(found.kind.headline(text.read_json(found.path)))
    except (text.UnreadableError, LookupError, TypeError, ValueError, ArithmeticError) as error:
        what = error if isinstance(error, text.UnreadableError) else "another form than expected"
        return f"cannot be read: {one_line(what)}"
    except AttributeError:
        return "cannot be read: another form than expected"


# --- what is said of each kind --------------------------------------------------------------------


def _error(value: float | None, unit: str) -> str:
    from compress.report.figures import figure

    return figure(value, unit)


def _simulated(report: dict[str, Any]) -> str:
    return ", simulated recordings" if report["simulated"] else ""


def _quantize(report: dict[str, Any]) -> str:
    metric, unit = report["metric"], report["metric"]["unit"]
    integers, real = (_error(metric[name], unit) for name in ("quantized", "float"))
    return f"{metric['name']} {integers} of integers, {real} of floats{_simulated(report)}"


def _stream(report: dict[str, Any]) -> str:
    metric, latency = report["metric"], report["latency"]["ms"]
    kind = "measured" if report["latency"]["counts"] == "cycles" else "modelled"
    parts = [
        "VALID" if report["valid"] else "INVALID",
        "bit-exact" if report["bit_exact"] else "NOT bit-exact",
        (
            f"{metric['name']} {_error(metric['board'], metric['unit'])}{_simulated(report)}"
            if metric["board"] is not None
            else ""
        ),
        f"{latency['p50']:.2f} ms {kind}" if latency is not None else "",
    ]
    return ", ".join(filter(None, parts))


def _profile(report: dict[str, Any]) -> str:
    total = report["total"]
    parts = [
        "bit-exact" if report["bit_exact"] else "NOT bit-exact",
        f"{total['macc_per_s'] / 1e6:.2f} million MACs per second",
        (
            f"{total['instructions_per_s'] / 1e6:.2f} million instructions per second"
            if total["instructions_per_s"] is not None
            else ""
        ),
    ]
    return ", ".join(filter(None, parts))


def _crosscheck(report: dict[str, Any]) -> str:
    exact = {column["engine"]: column["bit_exact"] for column in report["columns"]}
    differing = " and ".join(name for name in ("native", "board") if not exact[name])
    return (
        f"NOT bit-exact: of {differing}, against the integer reference"
        if differing
        else "bit-exact: integer reference = native C = board"
    )


def _compress(report: dict[str, Any]) -> str:
    scores = report["scores"]
    name, error = list(scores["errors"].items())[-1]
    budget = f"MISSED {'; '.join(report['missed'])}" if report["missed"] else "within budget"
    said = f"{scores['metric']} {_error(error, scores['unit'])}, {name}"
    return f"{budget}, {said}{_simulated(report)}"


def _drift(report: dict[str, Any]) -> str:
    first, last = report["minutes"][0], report["minutes"][-1]
    lost = (last["quantized"] - last["float"]) - (first["quantized"] - first["float"])
    word = "DRIFT" if lost > report["allowed"] else "no drift"
    minutes = f"in minute {last['minute']} than in minute {first['minute']}"
    return f"{word}: integers lose {lost:+.4f} more {minutes}{_simulated(report)}"


def _faults(report: dict[str, Any]) -> str:
    damaged, wrong = report["frames"]["damaged"], report["wrong"]
    return f"{wrong:,} wrong results accepted, {damaged:,} damaged frames"


def _pareto(points: list[dict[str, Any]]) -> str:
    own = [p for p in points if not p["source"].startswith("published")]
    key = next(key for key in ("cer", "mae", "error") if key in own[0])
    best = min(own, key=lambda p: p[key])
    name = f"{best['model']} {best['precision']} {best.get('decoder', '')}".strip()
    models = counted(len({p["model"] for p in own}), "network")
    simulated = ", simulated recordings" if any(p["simulated"] for p in own) else ""
    lowest = f"lowest {key.upper()} {best[key]:.2f} of {name}"
    return f"{counted(len(own), 'point')} of {models}, {lowest}{simulated}"


def _targets(rows: list[dict[str, Any]]) -> str:
    judged = [row["met"] for row in rows if row["met"] is not None]
    return f"{sum(judged)} of {len(judged)} targets met, {counted(len(rows), 'row')}"


def _diagnose(report: dict[str, Any]) -> str:
    first = report["first_difference"]
    return "no difference" if first is None else f"first difference in {first['module']}"


def _fuzz(report: dict[str, Any]) -> str:
    total = report["total"]
    bad = ", ".join(f"{total[name]:,} {name}" for name in ("wrong", "crashes", "hangs"))
    return f"{counted(len(report['readers']), 'reader')}: {bad}"


def _users(report: dict[str, Any]) -> str:
    return f"{report['metric']} of {counted(len(report['users']), 'user')}{_simulated(report)}"


_BOARD = "*/*/*/*"  # <MODEL>/<PRECISION>/c or tflm/<BOARD>
KINDS = (
    Kind("quantization", ("*/*/quantize.json",), _quantize),
    Kind("run on a board", (f"{_BOARD}/hil.json",), _stream),
    Kind("demo", (f"{_BOARD}/demo.json",), _stream),
    Kind("profile", (f"{_BOARD}/profile.json",), _profile),
    Kind("cross-check", ("*/*/crosscheck.json",), _crosscheck),
    Kind("compression", ("*/*/compress.json",), _compress),
    Kind("drift", ("*/*/drift.json",), _drift),
    Kind("faults", ("*/*/faults.json",), _faults),
    Kind("diagnosis", ("*/*/diagnose.json", f"{_BOARD}/diagnose.json"), _diagnose),
    Kind("error against cost", ("pareto/pareto*.json",), _pareto),
    Kind("kernels", ("bench/kernels.json",), _targets),
    Kind("networks", ("bench/networks.json",), _targets),
    Kind("fuzzing", ("fuzz.json",), _fuzz),
    Kind("users", ("users.json",), _users),
)

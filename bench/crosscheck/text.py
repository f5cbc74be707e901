"""The cross-check in words: its rows and cells, and the table for the console."""

from __future__ import annotations

from typing import Any

from compress.reading.words import counted

NEAR_DB, APART_DB = 60.0, 3.0  # SQNR that is good in any case, and how far apart two are alike


def rows(report: dict[str, Any]) -> list[str]:
    """Names of the figures of a column, each with its unit."""
    return [
        "output SQNR against PyTorch, dB",
        "equal arg-max, % of frames",
        f"{report['error']['name']}, {report['error']['unit']}",
        "  95 % interval",
        "equal to the reference",
    ]


def cells(report: dict[str, Any], column: dict[str, Any]) -> list[str]:
    """The figures of one column, in the order of `rows`."""
    sqnr, exact = column["sqnr_db"], {None: "–", True: "yes", False: "no"}[column["bit_exact"]]
    error, agreement = column[report["error"]["key"]], column["agreement"]
    interval = "–" if column["low"] is None else f"{column['low']:.2f} … {column['high']:.2f}"
    return [
        "–" if sqnr is None else f"{sqnr:.1f}",
        "–" if agreement is None else f"{100 * agreement:.2f}",
        "–" if error is None else f"{error:.2f}",
        interval,
        "the reference" if column["engine"] == "integer" else exact,
    ]


def headline(report: dict[str, Any]) -> str:
    """What was run, and on what."""
    kind = "simulated recordings" if report["simulated"] else "recordings"
    names = ", ".join(w["recording"] for w in report["recordings"])
    return (
        f"{report['seconds']:.1f} s, {counted(report['frames'], 'frame')},"
        f" {report[report['amount_is']]} {report['amount_is']} of {kind} ({names})"
    )


def remark(report: dict[str, Any]) -> list[str]:
    """Why other formats give other words than the reference, if they are as near PyTorch."""
    reference = next(c["sqnr_db"] for c in report["columns"] if c["engine"] == "integer")
    others = [
        column["title"]
        for column in report["columns"]
        if column["bit_exact"] is False
        and column["engine"] not in ("native", "board")
        and column["sqnr_db"] > min(reference, NEAR_DB) - APART_DB
    ]
    if not others:
        return []
    return [f"{', '.join(others)}: last bits differ, for their kernels round differently"]


def table(report: dict[str, Any]) -> str:
    """For the console: one line for each engine, which fits a terminal where eight columns do
    not."""
    lines = [f"{report['model']} {report['precision']}, {headline(report)}"]
    error = f"{report['error']['name']} {report['error']['unit']}"
    width = max(8, len(error) + 2)
    lines.append(
        f"{'':<22}{'SQNR dB':>9}{'arg-max %':>11}{error:>{width}}{'95 % interval':>17}  "
        f" {'bit-exact':<15}engine"
    )
    for column in report["columns"]:
        sqnr, agreement, error, interval, exact = cells(report, column)
        lines.append(
            f"{column['title']:<22}{sqnr:>9}{agreement:>11}{error:>{width}}{interval:>17}  "
            f" {exact:<15}{column['version']}"
        )
    return "\n".join([*lines, *remark(report)])

"""The cross-check in words: its rows and cells, and the table for the console."""

from __future__ import annotations

from typing import Any

ROWS = (
    "output SQNR against PyTorch, dB",
    "equal arg-max, % of frames",
    "CER, %",
    "  95 % interval",
    "equal to the reference",
)


def cells(column: dict[str, Any]) -> list[str]:
    """The figures of one column, in the order of ROWS."""
    sqnr, exact = column["sqnr_db"], {None: "–", True: "yes", False: "no"}[column["bit_exact"]]
    interval = "–" if column["low"] is None else f"{column['low']:.2f} … {column['high']:.2f}"
    return [
        "–" if sqnr is None else f"{sqnr:.1f}",
        f"{100 * column['agreement']:.2f}",
        "–" if column["cer"] is None else f"{column['cer']:.2f}",
        interval,
        "the reference" if column["engine"] == "integer" else exact,
    ]


def headline(report: dict[str, Any]) -> str:
    """What was run, and on what."""
    kind = "simulated recordings" if report["simulated"] else "recordings"
    names = ", ".join(w["recording"] for w in report["recordings"])
    return (
        f"{report['seconds']:.1f} s, {report['frames']} frames, {report['characters']} characters"
        f" of {kind} ({names})"
    )


def table(report: dict[str, Any]) -> str:
    """For the console: one line for each engine, which fits a terminal where eight columns do
    not."""
    lines = [f"{report['model']} {report['precision']}, {headline(report)}"]
    lines.append(
        f"{'':<22}{'SQNR dB':>9}{'arg-max %':>11}{'CER %':>8}{'95 % interval':>17}  "
        f" {'bit-exact':<15}engine"
    )
    for column in report["columns"]:
        sqnr, agreement, cer, interval, exact = cells(column)
        lines.append(
            f"{column['title']:<22}{sqnr:>9}{agreement:>11}{cer:>8}{interval:>17}  "
            f" {exact:<15}{column['version']}"
        )
    return "\n".join(lines)

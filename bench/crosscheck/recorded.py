"""The cross-check as a table that is kept."""

from __future__ import annotations

from typing import Any

from bench.crosscheck import text
from bench.results import Cell, Measurement, Table, emulator


def measurement(report: dict[str, Any]) -> Measurement:
    """What `record` keeps: a row for each engine."""
    error = report["error"]
    columns = {
        "engine": "",
        "SQNR dB": ".1f",
        "equal arg-max %": ".2f",
        f"{error['name']} {error['unit']}": ".2f",
        "low": ".2f",
        "high": ".2f",
        "equal to the reference": "",
        "version": "",
    }
    rows = [_row(column, error["key"]) for column in report["columns"]]
    about = f"{report['model']} {report['precision']}"
    return Measurement(
        f"crosscheck-{about.replace(' ', '-')}",
        f"Every engine on the same signal: {about}",
        f"computed here by each engine; {report['board']} is"
        f" {'emulated' if '(emulated)' in report['columns'][-1]['version'] else 'connected'}",
        [Table("SQNR and arg-max against PyTorch; low, high: 95 % interval", columns, rows)],
        {
            "signal": text.headline(report),
            "checkpoint": report["checkpoint"],
            "graph": report["graph"],
            "QEMU": emulator(),
        },
    )


def _row(column: dict[str, Any], key: str) -> list[Cell]:
    agreement, exact = column["agreement"], column["bit_exact"]
    return [
        column["title"],
        column["sqnr_db"],
        None if agreement is None else 100 * agreement,
        column[key],
        column["low"],
        column["high"],
        "it is" if column["engine"] == "integer" else exact,
        column["version"],
    ]

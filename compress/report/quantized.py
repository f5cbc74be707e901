"""What `quantize` says on the console: quantize.json in words."""

from __future__ import annotations

from typing import Any

from compress.graph import latency
from compress.report.figures import between, difference, figure
from compress.tasks import groups


def text(report: dict[str, Any]) -> str:
    """What a user reads on the console."""
    m = report["metric"]
    agreement = (
        ""
        if report["agreement"] is None
        else f"frames with equal arg-max {100 * report['agreement']:.2f} %, "
    )
    lines = [
        _where(report),
        *(_errors(m) if report["scored"] else []),
        *(groups.text(report) if report["scored"] else []),
        f"  {agreement}output SQNR {report['sqnr_db']:.1f} dB",
    ]
    if report["stream_latency"]:
        lines.append(f"  {latency.text(report['stream_latency'])}")
    if report["trivial"]:
        trivial = ", ".join(
            f"{name.replace('_', ' ')} {figure(value, m['unit'])}"
            for name, value in report["trivial"].items()
        )
        lines.append(f"  trivial predictors: {trivial}")
    if report["published"]:
        lines.append(
            f"  published: {report['published']['value']} {m['unit']}"
            f" ({report['published']['source']})"
        )
    return "\n".join(lines)


def _where(report: dict[str, Any]) -> str:
    """The network, and over what it was compared."""
    where = "simulated recordings" if report["simulated"] else "recordings"
    over = (
        f"{report['amount']:,} held-out {report['amount_is']} of {where}"
        if report["scored"]
        else f"{', '.join(report['recordings'])}, the signal that calibrates it; nothing is scored"
    )
    return f"{report['model']} {report['precision']} on {over}"


def _errors(m: dict[str, Any]) -> list[str]:
    """The errors of both, and how far they are apart."""
    unit, apart = m["unit"], between(m["float"], m["quantized"])
    if apart is None:
        return [f"  {m['name']}: not known, the recordings do not say what is right"]
    change, low, high = (difference(value, unit) for value in (apart, m["low"], m["high"]))
    return [
        f"  {m['name']} float {figure(m['float'], unit)}, integer {figure(m['quantized'], unit)}"
        f" (difference {change}, 95 % interval {low} … {high})"
    ]

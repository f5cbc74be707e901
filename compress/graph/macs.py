"""Multiply-accumulates per layer and per second of signal.

Rules: a dense or convolutional layer counts one MAC per weight and output frame, as fvcore does;
attention one per product of a query or a weight. A complex state counts 6, four for a·x and two
for the real part of c·x; the skip d·u counts one per channel. Norms, tables, pooling and sums count
none. State-space work is listed apart because general tools do not see it.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from compress import graph as g


@dataclass(frozen=True)
class LayerMacs:
    """One operator: MACs of one output frame, and of one second of signal."""

    module: str
    op: str
    shape: str
    rate_hz: float
    macs_per_frame: int
    macs_per_s: float
    state_space: bool


def count(graph: g.Graph) -> list[LayerMacs]:
    """Every operator that multiplies, in execution order."""
    layers = []
    for op in graph.ops:
        source, target = graph.tensors[op.inputs[0]], graph.tensors[op.output]
        macs = op.macs(source.features)
        if macs:
            shape = f"{source.features}×{op.stride} → {target.features}"
            kind = op.title
            per_s = macs * float(target.rate)
            layers.append(
                LayerMacs(
                    op.module,
                    kind,
                    shape,
                    float(target.rate),
                    macs,
                    per_s,
                    op.unseen_macs,
                )
            )
    return layers


def per_step(graph: g.Graph) -> int:
    """Of all operators in one step."""
    return sum(
        op.macs(graph.source(op).features) * graph.frames_per_step(op.output) for op in graph.ops
    )


def report(graph: g.Graph) -> dict[str, Any]:
    """JSON twin of `table`."""
    layers = count(graph)
    dense = sum(m.macs_per_s for m in layers if not m.state_space)
    states = sum(m.macs_per_s for m in layers if m.state_space)
    return {
        "model": graph.name,
        "layers": [asdict(m) for m in layers],
        "macs_per_s": dense + states,
        "dense_macs_per_s": dense,
        "state_space_macs_per_s": states,
        "rule": " ".join((__doc__ or "").split("Rules: ")[1].split()),
    }


def table(graph: g.Graph) -> str:
    """The report as text: layer, rate, MACs, share."""
    content = report(graph)
    total = content["macs_per_s"]
    lines = [
        f"{'layer':44} {'shape':>14} {'frames/s':>9} {'MACs/frame':>11} {'MACs/s':>12} {'share':>6}"
    ]
    for m in count(graph):
        numbers = (
            f"{m.rate_hz:9.2f} {m.macs_per_frame:11,} {m.macs_per_s:12,.0f}"
            f" {m.macs_per_s / total:6.1%}"
        )
        lines.append(f"{m.module:44} {m.shape:>14} {numbers}")
    lines.append(
        f"{'dense, convolution, attention':44} {'':>14} {'':>9} {'':>11}"
        f" {content['dense_macs_per_s']:12,.0f}"
    )
    lines.append(
        f"{'state space (6 per complex state)':44} {'':>14} {'':>9} {'':>11}"
        f" {content['state_space_macs_per_s']:12,.0f}"
    )
    lines.append(
        f"{'total':44} {'':>14} {'':>9} {'':>11} {total:12,.0f}  = {total / 1e9:.4f} GMAC/s"
    )
    return "\n".join(lines)

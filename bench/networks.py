"""docs/networks.md: every published network that is known by name, what it takes and gives and what
it costs. Counted from the networks themselves, so it cannot say anything else than they do."""

from __future__ import annotations

import textwrap
from pathlib import Path

from bench.operators import line
from compress import tasks
from compress.artifacts import SHIPPED
from compress.files import replace_atomically
from compress.frontend import families
from compress.frontend.checkpoint import Checkpoint
from compress.frontend.families import HYPER_PARAMETERS, PUBLISHED
from compress.frontend.lower import lower
from compress.graph import Graph, macs

PAGE = Path(__file__).parent.parent / "docs" / "networks.md"
INTRO = """# Networks

Written by `make docs`; `make test` refuses an old one. These are known by name. Networks of other
sizes of the same families, and networks of your own, go the same way:
[own-checkpoint.md](own-checkpoint.md), [own-network.md](own-network.md). What runs where says
[what-works.md](what-works.md).

*Parameters* and multiply-accumulates (MACs) a second of signal are counted, look-ahead is by how
much later an output comes because of samples that it waits for. *Published* is its authors' figure
on real recordings.
"""
COLUMNS = (
    *("network", "task", "in", "out, a second", "parameters", "million MACs/s"),
    *("window or look-ahead", "checkpoint", "published"),
)


def page() -> str:
    """The whole page in Markdown."""
    lines = [line(COLUMNS), line(["---"] * len(COLUMNS)), *map(row, HYPER_PARAMETERS)]
    sources = [
        textwrap.fill(
            f"- {name}: {found.value:g} {_unit(name)}, {found.source}", 100, subsequent_indent="  "
        )
        for name, found in PUBLISHED.items()
        if name in HYPER_PARAMETERS
    ]
    return "\n".join([INTRO, *lines, "", "Published figures:", "", *sources, ""])


def row(name: str) -> str:
    """One network, with random weights: nothing here depends on them."""
    described = HYPER_PARAMETERS[name]
    model = families.build(described)
    loaded = Checkpoint(model.eval(), name, described, "")
    graph, window = lower(loaded), loaded.family.window(model)
    parameters = sum(p.numel() for p in model.parameters())
    work = sum(layer.macs_per_s for layer in macs.count(graph))
    published = PUBLISHED.get(name)
    return line(
        [
            f"`{name}`",
            graph.provenance["task"],
            f"{graph.input.features} × {float(graph.input.rate):g} Hz",
            f"{graph.output.features} × {float(graph.output.rate):.4g}",
            f"{parameters:,}",
            f"{work / 1e6:,.1f}",
            _waits(graph, window),
            "shipped" if (SHIPPED / f"{name}.ckpt").is_file() else "yours",
            "" if published is None else f"{published.value:g} {_unit(name)}",
        ]
    )


def _unit(name: str) -> str:
    return tasks.named(families.family_of(HYPER_PARAMETERS[name]).task).unit


def _waits(graph: Graph, window: int | None) -> str:
    """The window of a network that is not causal, else how far a stream looks ahead."""
    rate = float(graph.input.rate)
    if window is not None:
        return f"window {1000 * window / rate:g} ms"
    ahead = graph.provenance.get("lookahead", 0)
    return f"{1000 * ahead / rate:g} ms ahead" if ahead else "none"


def write() -> str:
    """Write the page; says so in a line."""
    replace_atomically(PAGE, page().encode())
    return f"{len(HYPER_PARAMETERS)} networks: wrote docs/{PAGE.name}"

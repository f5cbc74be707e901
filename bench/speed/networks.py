"""Whole networks in executed instructions per second of signal, on every core that is emulated
bare.

Counted as in a sweep (bench/bare/model_steps.py): the objects of model and kernels as the core's
board gets them from gcc, and from clang beside it, real samples, no serial line. A figure counts
only when every word equals the integer reference. Targets are gcc's. A core's board need not hold
the network: what does not fit an STM32F405 runs on a larger Cortex-M4.
"""

from __future__ import annotations

import contextlib
import io
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bench.bare import model_steps
from bench.bare.cores import CORES, core_of
from compress import artifacts, pipeline, tasks
from compress import graph as g
from compress.artifacts import Folder
from compress.data import datasets
from compress.errors import TendonError
from compress.frontend import checkpoint
from compress.graph import macs
from compress.graph.samples import to_int16
from compress.interpreter.integer import IntegerInterpreter
from compress.report.progress import Bar
from export import boards, compilers
from export.boards import Description
from export.c import emit
from export.c.project import write_project

STEPS = 24  # counted; the states have settled long before
RUNS = (
    ("cortex-m4", "w8a16"),
    ("cortex-m7", "w8a16"),
    ("cortex-m33", "w8a16"),
    ("cortex-m55", "w8a16"),
    ("cortex-m55", "w8a8"),
)
TARGETS = {
    "TC_S4_small": 20e6,
    "TC_S4_medium": 42e6,
    "S4_large": 260e6,
}  # instructions per second on a Cortex-M4 and M7
TARGET_CORES = ("cortex-m4", "cortex-m7")


@dataclass(frozen=True)
class Network:
    """One model: its integer graph by precision, its MACs per second, and int16 samples for STEPS
    steps by precision."""

    name: str
    graphs: dict[str, g.Graph]
    macs_per_s: float
    samples: dict[str, g.Array]


def measure(
    build_folder: Path, models: tuple[str, ...] = tuple(TARGETS), with_clang: bool = True
) -> list[dict[str, Any]]:
    """One dictionary per model, core and precision; `with_clang`: clang's counts in it. TendonError
    when a core answers other words than the reference."""
    rows = []
    with Bar(total=len(models) * len(RUNS), desc="networks", unit="run") as bar:
        for name in models:
            with contextlib.redirect_stdout(io.StringIO()):  # no lines within the bar
                network = _prepare(build_folder, name)
            for core, precision in RUNS:
                rows.append(_row(network, core, precision, with_clang))
                bar.update()
    return rows


def _prepare(build_folder: Path, name: str) -> Network:
    """Quantize at each precision of RUNS, where something changed; calibration is observed once."""
    precisions = sorted({precision for _, precision in RUNS})
    folders = [Folder(build_folder / "bench", name, precision) for precision in precisions]
    path = artifacts.checkpoint_of(name, None)
    task = tasks.named(checkpoint.task_of(path))
    dataset = datasets.find(None, build_folder, task.collection)
    graphs = pipeline.family(folders, path, dataset.calibration)
    signal = task.first_steps(graphs[0], dataset.heldout[0], STEPS)
    return Network(
        name,
        dict(zip(precisions, graphs, strict=True)),
        macs.report(g.load(folders[0].float_graph))["macs_per_s"],
        {
            precision: to_int16(graph, signal)
            for precision, graph in zip(precisions, graphs, strict=True)
        },
    )


def _row(network: Network, core: str, precision: str, with_clang: bool) -> dict[str, Any]:
    board, graph = board_of(core), network.graphs[precision]
    samples, steps_per_s = network.samples[precision], float(graph.output.rate) / graph.chunk
    counted = _count(graph, board, samples, "gcc")
    per_s = float(np.mean(counted.instructions)) * steps_per_s
    by_clang = _count(graph, board, samples, "clang") if with_clang else None
    target = TARGETS.get(network.name) if core in TARGET_CORES else None
    return {
        "model": network.name,
        "core": core,
        "precision": precision,
        "instructions_per_s": round(per_s),
        "macs_per_s": network.macs_per_s,
        "clang_instructions_per_s": (
            round(float(np.mean(by_clang.instructions)) * steps_per_s) if by_clang else None
        ),
        "instructions_per_mac": round(per_s / network.macs_per_s, 4),
        "target_per_s": target,
        "met": per_s <= target if target else None,
        "steps": len(counted.instructions),
        "steps_per_s": steps_per_s,
        "words_equal": int(counted.words.size),
        "graph": graph.hash(),
        "compiler": compilers.version(board, "gcc"),
        "clang": compilers.version(board, "clang") if with_clang else None,
        "flags": " ".join([*board.flags, "-O3 (kernels) -Os (the rest)"]),
    }


def board_of(core: str) -> Description:
    """The emulated board whose flags are this core's."""
    for board in map(boards.load_board, boards.names()):
        if board.emulator is not None and core_of(board.flags) == CORES[core]:
            return board
    raise TendonError(f"{core}: no emulated board has this core")


def _count(
    graph: g.Graph, board: Description, samples: g.Array, compiler: str
) -> model_steps.Counted:
    """TendonError when the words are not the reference's."""
    with tempfile.TemporaryDirectory() as folder:
        project = Path(folder) / "project"
        model, kernels = emit.build(graph, board.kernels), emit.kernels(graph, board.kernels)
        write_project(project, board.name, emit.files(model), kernels, graph.name)
        counted = model_steps.count(graph, project, board.name, samples, compiler=compiler)
    _verify(graph, samples, counted.words, f"{board.name}, {compiler}")
    return counted


def _verify(graph: g.Graph, samples: g.Array, found: g.Array, where: str) -> None:
    expected = IntegerInterpreter(graph).run(samples[None])[0].astype(np.int16)
    wrong = np.argwhere(found != expected)
    if len(wrong):
        raise TendonError(
            f"{graph.name} on {where}: expected the words of the integer reference, found another"
            f" first at frame {wrong[0][0]}, word {wrong[0][1]}; make diagnose shows the operator"
        )


def format_table(rows: list[dict[str, Any]]) -> str:
    """The rows as text, a network to a line group."""
    lines = [
        (
            "Networks: executed instructions per second of signal, bare cores in QEMU, exact; every"
            " word equals the reference"
        ),
        "",
        (
            f"{'network':<14}{'core':<12}{'precision':<11}{'M instr./s':>11}{'clang':>9}"
            f"{'MMAC/s':>9}{'per MAC':>9}{'target':>8}"
        ),
    ]
    for row in rows:
        target = f"{row['target_per_s'] / 1e6:g}" if row["target_per_s"] else "–"
        by_clang = row["clang_instructions_per_s"]
        clang = f"{by_clang / 1e6:.2f}" if by_clang else "–"
        verdict = {True: " met", False: " MISSED", None: ""}[row["met"]]
        lines.append(
            f"{row['model']:<14}{row['core']:<12}{row['precision']:<11}"
            f"{row['instructions_per_s'] / 1e6:>11.2f}{clang:>9}{row['macs_per_s'] / 1e6:>9.2f}"
            f"{row['instructions_per_mac']:>9.2f}{target:>8}{verdict}"
        )
    return "\n".join(lines)

"""`compress`: a budget -> a compressed network, scored on held-out recordings, built for its board,
its cycles modelled.

`compress.compression` chooses and tunes; here is what needs an image: flash and RAM from the linked
ELF, and the cycles of its steps on the board's chip, from an emulated board that stands for it.
"""

from __future__ import annotations

import argparse
import dataclasses
import logging
from pathlib import Path
from typing import Any

from bench import footprint, results
from bench.compression import beside, page
from bench.cycles import chips, on_board
from compress import artifacts, cli, evaluate, pipeline, tasks
from compress import graph as g
from compress.artifacts import COMPRESSED, Folder, Sources
from compress.compression import fit
from compress.compression.budget import BudgetError
from compress.compression.cores import CORES
from compress.data.datasets import Dataset
from compress.errors import UsageError
from compress.files import write_json, write_text
from compress.graph.samples import to_int16, to_real
from compress.reading.words import counted
from compress.tasks import groups
from export import boards, build
from export.boards import Description, load_board
from host import native

log = logging.getLogger(__name__)


def run(args: argparse.Namespace) -> int:
    """Choose, tune, score, build, model; exit code 1 when what was built is not within the
    budget."""
    folder, sources = cli.folder(args), cli.sources(args)
    board = load_board(args.board)
    core = core_of(board)
    if not 0 < args.load <= 1:
        raise UsageError(
            f"LOAD={args.load:g}: expected a share of the board's clock, more than 0 and at most 1"
        )
    given = artifacts.whole_checkpoint(folder, sources)
    cycles = args.load * board.clock_hz if core else None
    asked = fit.request(args, core or next(iter(CORES)), cycles)
    found = fitted(folder, given, sources, asked, board)
    fit.remember(folder, sources, given)
    print(fit.text(found))
    graph = pipeline.graphs(folder, folder.checkpoint, sources)
    dataset = pipeline.dataset_of(folder, graph, sources)
    found |= {
        "scores": score(
            pipeline.load_float(args.model, given),
            g.load(folder.float_graph),
            graph,
            dataset,
            folder.path / "native",
        )
    }
    found |= {
        "measured": (
            measure(graph, folder, board, dataset)
            | {
                "ram_budget": args.ram,
                "load_budget": args.load,
            }
        )
    }
    found["missed"] = missed(found)
    write_json(folder.path / "compress.json", found)
    out = folder.path / "compress.html"
    write_text(out, page.html(found))
    print(page.text(found))
    model = args.network or args.model
    print(
        f"report: {out}\nnext: make firmware MODEL={model} PRECISION={COMPRESSED}"
        f" BOARD={args.board}"
    )
    results.record(args, measurement(found))
    return 1 if found["missed"] else 0


def measurement(found: dict[str, Any]) -> results.Measurement:
    """What is kept where it is asked for: errors, and what the image takes."""
    scores, measured, budget = found["scores"], found["measured"], found["request"]["budget"]
    unit, apart = scores["unit"], scores["difference"]
    errors: list[tuple[str, float | None]] = [
        *scores["errors"].items(),
        ("integers minus whole float network: least of 95 %", apart["low"]),
        ("most", apart["high"]),
        *((name.replace("_", " "), value) for name, value in scores["trivial"].items()),
    ]
    cycles = measured["cycles_per_s"]
    takes: list[tuple[str, float | None, float | None]] = [
        ("bytes of flash", measured["flash"], budget["flash"]),
        ("bytes of RAM", measured["ram"], measured["ram_budget"]),
        (
            "cycles a second of signal",
            None if cycles is None else round(cycles),
            round(measured["load_budget"] * measured["clock_hz"]),
        ),
    ]
    where = "simulated recordings" if found["simulated"] else "recordings"
    return results.Measurement(
        f"compress-{found['model']}-{measured['board']}",
        f"{found['model']} within {budget['flash']:,} bytes of flash on {measured['board']}",
        f"errors of native C on held-out {where}; bytes of the linked image; cycles"
        f" {measured['method']}",
        [
            results.Table(f"{scores['metric']}, {unit}", {"of": "", "error": ".2f"}, errors),
            results.Table("Takes", {"": "", "takes": ",", "may take": ","}, takes),
        ],
        {
            "scored": f"{scores['amount']:,} {scores['amount_is']}",
            "verdict": "; ".join(found["missed"]) or "within the budget",
        },
    )


def fitted(
    folder: Folder, given: Path, sources: Sources, asked: fit.Request, board: Description
) -> dict[str, Any]:
    """The compressed network within the budget. Where the code beside the tables decides whether it
    can, an image says how much that is; elsewhere the usual allowance does."""
    if asked.budget.flash >= beside.MATTERS:
        try:
            return fit.run(folder, given, sources, asked)
        except BudgetError as error:
            log.info(f"with {asked.budget.code:,} bytes for code: {error}; measuring the code")
    budget = beside.measured(asked.budget, folder, given, sources, board)
    return fit.run(folder, given, sources, dataclasses.replace(asked, budget=budget))


def core_of(board: Description) -> str | None:
    """The board's core where its cycles can be estimated, else None."""
    flags = [flag.removeprefix("-mcpu=") for flag in board.flags if flag.startswith("-mcpu=")]
    return next((flag for flag in flags if flag in CORES), None)


def score(
    whole: g.Graph, real: g.Graph, integer: g.Graph, dataset: Dataset, native_folder: Path
) -> dict[str, Any]:
    """Held-out errors of the whole float network, the compressed one, and its integers (in native
    C), differences with 95 % intervals."""
    log.info(
        f"scoring {counted(len(dataset.heldout), 'held-out session')}: whole, compressed, integers"
    )
    heldout, task = evaluate.read_heldout(integer, dataset.heldout), tasks.of(integer)
    recorded = heldout.recorded
    before, after = heldout.float_frames(whole), heldout.float_frames(real)
    exact = [to_real(integer, words) for words in native.words(integer, heldout, native_folder)]
    frames = {"float": before, "compressed": after, "quantized": exact}
    errors = {NAMES[of]: task.error(integer, found, recorded) for of, found in frames.items()}
    by_user = groups.scores(task, integer, frames, recorded, dataset.user_of)
    low, high = task.difference(integer, before, exact, recorded)
    amount, amount_is = task.amount(recorded)
    return {
        "metric": task.metric,
        "unit": task.unit,
        "points": task.points,
        "amount": amount,
        "amount_is": amount_is,
        "errors": errors,
        "difference": {"low": low, "high": high},
        **groups.users(by_user),
        "trivial": task.trivial(integer, recorded, dataset.calibration),
    }


NAMES = {
    "float": "float network",
    "compressed": "compressed, float",
    "quantized": "compressed, integers",
}


def measure(graph: g.Graph, folder: Folder, board: Description, dataset: Dataset) -> dict[str, Any]:
    """Bytes of the linked image on the board, and modelled cycles per second of signal on its chip
    where there is a model."""
    image = build.make_firmware(graph, folder, board.name)
    measured = footprint.read(image, board.memory) if board.memory else None
    if measured is not None:
        footprint.check_limits(measured, board.name)
    return {
        "board": board.name,
        "title": board.title,
        "clock_hz": board.clock_hz,
        "flash": None if measured is None else measured.flash,
        "ram": None if measured is None else measured.ram,
        "tables": None if measured is None else measured.purpose("tables"),
    } | cycles(graph, folder, board, dataset)


def cycles(graph: g.Graph, folder: Folder, board: Description, dataset: Dataset) -> dict[str, Any]:
    """Modelled cycles per second of signal, and how they came about; None without a model of the
    board's chip."""
    stand_in = emulated_twin(board)
    nothing = {
        "cycles_per_s": None,
        "method": "not modelled: no emulated board stands for this chip",
    }
    if stand_in is None:
        return nothing
    image = build.make_firmware(graph, folder, stand_in.name)
    signal = tasks.of(graph).first_steps(graph, dataset.heldout[0], on_board.STEPS)
    log.info(f"counting {on_board.STEPS} steps on {stand_in.name}")
    found = on_board.modelled(
        stand_in.name, image, graph, to_int16(graph, signal), folder.path / "tools"
    )
    if found is None:
        return nothing
    steps_per_s = float(graph.input.rate) / graph.samples_per_step
    return {
        "cycles_per_s": found.cycles / found.steps * steps_per_s,
        "method": found.method,
        "counted_on": stand_in.name,
    }


def emulated_twin(board: Description) -> Description | None:
    """The board itself when it is emulated, else the emulated one whose cycles are modelled on this
    board's chip."""
    if board.emulator is not None:
        return board
    for other in map(load_board, boards.names()):
        model = other.emulator.cycle_model if other.emulator else None
        if model in chips.CHIPS and chips.CHIPS[model].board == board.name:
            return other
    return None


def missed(found: dict[str, Any]) -> list[str]:
    """What the built network takes beyond its budget, in words."""
    measured, budget = found["measured"], found["request"]["budget"]
    out = []
    if measured["flash"] is not None and measured["flash"] > budget["flash"]:
        out.append(
            f"flash: {measured['flash']:,} bytes of {budget['flash']:,}; give a smaller FLASH to"
            " aim lower"
        )
    if (
        measured["ram"] is not None
        and measured["ram_budget"] is not None
        and measured["ram"] > measured["ram_budget"]
    ):
        out.append(
            f"RAM: {measured['ram']:,} bytes of {measured['ram_budget']:,}; matrices decide little"
            " of it: narrower layers would"
        )
    if measured["cycles_per_s"] is not None:
        share = measured["cycles_per_s"] / measured["clock_hz"]
        if share > measured["load_budget"]:
            out.append(
                f"cycles: {share:.0%} of the clock, {measured['load_budget']:.0%} allowed; give a"
                " smaller LOAD to aim lower"
            )
    return out

"""`quantize`: checkpoint and recordings -> graph.npz and float.npz, scored in quantize.json; remade
when a key changes."""

from __future__ import annotations

import argparse
import functools
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from compress import artifacts, cli, evaluate, tasks
from compress import graph as g
from compress.artifacts import Folder
from compress.data import datasets
from compress.data.datasets import Dataset
from compress.errors import CheckpointError, GraphError, TendonError
from compress.files import sha256, write_json
from compress.frontend.families import HYPER_PARAMETERS, PUBLISHED
from compress.graph import macs
from compress.graph.samples import Signal
from compress.quantization.calibrate import Ranges, observe
from compress.quantization.precisions import PRECISIONS
from compress.quantization.proof import accumulator_bounds
from compress.quantization.quantize import quantize
from compress.tasks import distances

REPORT_VERSION = 2
SCORES = (  # of a task: what its networks are judged by says nothing about their integers
    "compress.tasks.*.scores",
    "compress.tasks.*.text",
    "compress.tasks.costs",
    "compress.tasks.distances",
    "compress.tasks.statistics",
    "compress.tasks.text",
)


def run(
    folder: Folder, checkpoint_path: Path, data: Path | None, calibration: Path | None = None
) -> dict[str, Any]:
    """Quantize, score on the held-out sessions, write the artifacts; returns quantize.json's
    content."""
    integer = graphs(folder, checkpoint_path, data, calibration)
    dataset = datasets.find(data, folder.build, tasks.of(integer).collection)
    key = artifacts.key(
        graph=integer.provenance["key"],
        heldout=dataset.heldout,
        code=_code_of("run", *artifacts.TASK_DATA),
    )
    if key == artifacts.recorded_key(folder.quantize_json):
        print(f"{folder.quantize_json}: unchanged")
        return read_report(folder)
    real, signals_from = (
        g.load(folder.float_graph),
        [calibration] if calibration else dataset.calibration,
    )
    report = score(real, integer, dataset) | {
        "key": key,
        "calibration": [p.name for p in signals_from],
    }
    report["layers"] = evaluate.layers(real, integer, _signal(real, signals_from[0]))
    write_json(folder.quantize_json, report)
    return report


def graphs(
    folder: Folder, checkpoint_path: Path, data: Path | None, calibration: Path | None = None
) -> g.Graph:
    """Make both graphs unless what they are made from is unchanged; returns the integer one. Scores
    nothing."""
    _check(folder, checkpoint_path)
    if calibration:
        return family([folder], checkpoint_path, [calibration])[0]
    collection = tasks.named(_task_of(folder, checkpoint_path)).collection
    return family(
        [folder], checkpoint_path, datasets.find(data, folder.build, collection).calibration
    )[0]


def _task_of(folder: Folder, checkpoint_path: Path) -> str:
    """The task of a checkpoint's network.

    A graph that this code made from it says so. Without one its hyper-parameters do, which takes
    torch to read; export, build and run of a graph that is there do without.
    """
    known = g.provenance(folder.graph)
    if known.get("checkpoint") == sha256(checkpoint_path) and known.get("code") == _graph_code():
        return str(known["task"])
    from compress.frontend import checkpoint

    return checkpoint.task_of(checkpoint_path)


def family(folders: list[Folder], checkpoint_path: Path, signals_from: list[Path]) -> list[g.Graph]:
    """The integer graphs of one model at several precisions, made where something changed;
    calibration is observed once."""

    @functools.cache
    def observed() -> tuple[g.Graph, Ranges]:
        real = load_float(folders[0].model, checkpoint_path, folders[0].window)
        print(f"calibrating on {', '.join(p.name for p in signals_from)}")
        narrow = bool(real.provenance.get("bits")) or any(
            PRECISIONS[folder.precision].weights < 8 for folder in folders
        )
        return real, observe(real, [_signal(real, p) for p in signals_from], products=narrow)

    return [_graph(folder, checkpoint_path, signals_from, observed) for folder in folders]


def _graph(
    folder: Folder,
    checkpoint_path: Path,
    signals_from: list[Path],
    observed: Callable[[], tuple[g.Graph, Ranges]],
) -> g.Graph:
    _check(folder, checkpoint_path)
    key = artifacts.key(
        code=_graph_code(),
        model=folder.model,
        checkpoint=checkpoint_path,
        precision=folder.precision,
        window=folder.window,
        calibration=signals_from,
    )
    known = _unchanged(folder, key)
    if known is not None:
        print(f"{folder.graph}: unchanged")
        return known
    real, ranges = observed()
    integer = quantize(real, ranges, folder.precision)
    integer.provenance["code"] = _graph_code()
    integer.provenance["key"] = key  # vouches for both files, so the integer graph is written last
    folder.quantize_json.unlink(missing_ok=True)  # it speaks of the graph that was there
    folder.graph.unlink(missing_ok=True)
    g.save(real, folder.float_graph)
    g.save(integer, folder.graph)
    return integer


def _graph_code() -> str:
    """Digest of the code that decides a graph."""
    return _code_of("family", without=SCORES)


def _code_of(name: str, *data: str, without: tuple[str, ...] = ()) -> str:
    """Digest of the code, and of folders of `data`, that decide what a function here makes of
    checkpoint and recordings."""
    entries = (f"{__name__}:{name}", artifacts.TASKS, artifacts.FAMILIES, *data)
    apart = (*artifacts.SIMULATOR, *artifacts.PAGES, *without)
    return artifacts.code_hash(*entries, without=apart)


def _check(folder: Folder, checkpoint_path: Path) -> None:
    if folder.precision not in PRECISIONS:
        raise TendonError(f"PRECISION={folder.precision}: expected one of {', '.join(PRECISIONS)}")
    if not checkpoint_path.is_file():
        raise CheckpointError(f"{checkpoint_path}: no such checkpoint")


def _unchanged(folder: Folder, key: str) -> g.Graph | None:
    """The integer graph on disk when it has this key and the float graph lies beside it, whole."""
    if g.provenance(folder.graph).get("key") != key:
        return None
    try:
        g.load(folder.float_graph)
        return g.load(folder.graph)
    except GraphError:
        return None


def _signal(graph: g.Graph, path: Path) -> Signal:
    return tasks.of(graph).load_input(graph, path, datasets.CALIBRATION_SECONDS).signal


def load_float(model: str, path: Path, window: int | None = None) -> g.Graph:
    """The float graph of a checkpoint that must be the model asked for; `window` as in `lower`."""
    from compress.frontend import checkpoint  # torch, which a graph that is there does not need
    from compress.frontend.lower import lower

    loaded = checkpoint.load(path)
    if (
        "tendon" in loaded.hyper_parameters
    ):  # compressed by us: its own sizes, of the network it was made from
        return replace(lower(loaded, window), name=model)
    if model in HYPER_PARAMETERS and loaded.name != model:
        raise CheckpointError(
            f"{path}: expected a checkpoint of {model}, found one of {loaded.name} by its"
            " hyper-parameters"
        )
    return lower(loaded, window)


def read_report(folder: Folder) -> dict[str, Any]:
    """quantize.json of a folder; TendonError when `make quantize` has not run."""
    try:
        content: dict[str, Any] = json.loads(folder.quantize_json.read_text())
    except (OSError, ValueError) as error:
        raise TendonError(
            f"{folder.quantize_json}: cannot be read ({error}); run `make quantize"
            f" MODEL={folder.model}`"
        ) from error
    return content


def score(real: g.Graph, integer: g.Graph, dataset: Dataset) -> dict[str, Any]:
    """What quantize.json says of both graphs on the held-out sessions."""
    print(f"scoring {len(dataset.heldout)} held-out sessions, float and integer")
    heldout = evaluate.read_heldout(integer, dataset.heldout)
    task, recorded = tasks.of(integer), heldout.recorded
    a, b = heldout.float_frames(real), heldout.integer_frames(integer)
    low, high = task.difference(integer, a, b, recorded)
    published, (amount, amount_is) = PUBLISHED.get(integer.name), task.amount(recorded)
    return {
        "version": REPORT_VERSION,
        "model": integer.name,
        "precision": integer.provenance["precision"],
        "graph": integer.hash(),
        "checkpoint": integer.provenance["checkpoint"],
        "recordings": [p.name for p in dataset.heldout],
        "simulated": dataset.simulated,
        "metric": {
            "name": task.metric,
            "unit": task.unit,
            "float": task.error(integer, a, recorded),
            "quantized": task.error(integer, b, recorded),
            "low": low,
            "high": high,
        },
        "published": (
            None if published is None else {"value": published.value, "source": published.source}
        ),
        "amount": amount,
        "amount_is": amount_is,
        "details": {
            "float": task.details(integer, a, recorded),
            "quantized": task.details(integer, b, recorded),
        },
        "trivial": task.trivial(integer, recorded, dataset.calibration),
        "agreement": task.agreement(a, b),
        "sqnr_db": distances.sqnr_db(distances.concatenate(a), distances.concatenate(b)),
        "accumulators": [
            {"module": x.module, "largest": x.largest, "share": x.largest / 2**31}
            for x in accumulator_bounds(integer)
        ],
    }


def text(report: dict[str, Any]) -> str:
    """What a user reads on the console."""
    m, where = report["metric"], "simulated recordings" if report["simulated"] else "recordings"
    agreement = (
        ""
        if report["agreement"] is None
        else f"frames with equal arg-max {100 * report['agreement']:.2f} %, "
    )
    lines = [
        (
            f"{report['model']} {report['precision']} on {report['amount']:,} held-out"
            f" {report['amount_is']} of {where}"
        ),
        (
            f"  {m['name']} float {m['float']:.2f} {m['unit']}, integer {m['quantized']:.2f}"
            f" {m['unit']} (difference {m['quantized'] - m['float']:+.2f}, 95 % interval"
            f" {m['low']:+.2f} … {m['high']:+.2f})"
        ),
        f"  {agreement}output SQNR {report['sqnr_db']:.1f} dB",
    ]
    if report["trivial"]:
        trivial = ", ".join(
            f"{name.replace('_', ' ')} {value:.2f} {m['unit']}"
            for name, value in report["trivial"].items()
        )
        lines.append(f"  trivial predictors: {trivial}")
    if report["published"]:
        lines.append(
            f"  published: {report['published']['value']} {m['unit']}"
            f" ({report['published']['source']})"
        )
    return "\n".join(lines)


def quantize_command(args: argparse.Namespace) -> None:
    """`python -m compress quantize`."""
    folder = cli.folder(args)
    path = artifacts.checkpoint_for(folder, args.checkpoint)
    print(text(run(folder, path, args.data, args.calibration)))
    print(f"wrote {folder.graph} and {folder.quantize_json}")


def macs_command(args: argparse.Namespace) -> None:
    """`python -m compress macs`."""
    path = artifacts.checkpoint_for(cli.folder(args), args.checkpoint)
    graph = load_float(args.model, path, args.window)
    print(macs.table(graph))
    out = args.build / args.model / "macs.json"
    write_json(out, macs.report(graph))
    print(f"wrote {out}")

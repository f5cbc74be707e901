"""`quantize`: checkpoint and recordings -> graph.npz and float.npz, scored in quantize.json; remade when a key changes."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from compress import artifacts, checkpoint, evaluate, scores
from compress import graph as g
from compress.artifacts import Folder
from compress.calibrate import Ranges, observe
from compress.data import datasets
from compress.data.datasets import Dataset
from compress.errors import CheckpointError, GraphError, TendonError
from compress.files import write_json
from compress.lower import lower
from compress.models import HYPER_PARAMETERS, PUBLISHED
from compress.quantize import PRECISIONS, accumulator_bounds, quantize

REPORT_VERSION = 1


def run(folder: Folder, checkpoint_path: Path, data: Path | None, calibration: Path | None = None) -> dict[str, Any]:
    """Quantize, score on the held-out sessions, write the artifacts; returns quantize.json's content."""
    integer = graphs(folder, checkpoint_path, data, calibration)
    dataset = datasets.find(data, folder.build)
    key = artifacts.key(graph=integer.provenance["key"], heldout=dataset.heldout)
    if key == artifacts.recorded_key(folder.quantize_json):
        print(f"{folder.quantize_json}: unchanged")
        return read_report(folder)
    real, signals_from = g.load(folder.float_graph), [calibration] if calibration else dataset.calibration
    report = _report(real, integer, dataset) | {"key": key, "calibration": [p.name for p in signals_from]}
    report["layers"] = evaluate.layers(real, integer, _signal(signals_from[0]))
    write_json(folder.quantize_json, report)
    return report


def graphs(folder: Folder, checkpoint_path: Path, data: Path | None, calibration: Path | None = None) -> g.Graph:
    """Make both graphs unless what they are made from is unchanged; returns the integer one. Scores nothing."""
    _check(folder, checkpoint_path)
    return family([folder], checkpoint_path, [calibration] if calibration else datasets.find(data, folder.build).calibration)[0]


def family(folders: list[Folder], checkpoint_path: Path, signals_from: list[Path]) -> list[g.Graph]:
    """The integer graphs of one model at several precisions, made where something changed; calibration is observed once."""

    @functools.cache
    def observed() -> tuple[g.Graph, Ranges]:
        real = load_float(folders[0].model, checkpoint_path)
        print(f"calibrating on {', '.join(p.name for p in signals_from)}")
        return real, observe(real, [_signal(p) for p in signals_from])

    return [_graph(folder, checkpoint_path, signals_from, observed) for folder in folders]


def _graph(
    folder: Folder, checkpoint_path: Path, signals_from: list[Path], observed: Callable[[], tuple[g.Graph, Ranges]]
) -> g.Graph:
    _check(folder, checkpoint_path)
    key = artifacts.key(
        code=artifacts.code_hash("compress"),
        model=folder.model,
        checkpoint=checkpoint_path,
        precision=folder.precision,
        calibration=signals_from,
    )
    known = _unchanged(folder, key)
    if known is not None:
        print(f"{folder.graph}: unchanged")
        return known
    real, ranges = observed()
    integer = quantize(real, ranges, folder.precision)
    integer.provenance["key"] = key  # vouches for both files, so the integer graph is written last
    folder.graph.unlink(missing_ok=True)
    g.save(real, folder.float_graph)
    g.save(integer, folder.graph)
    return integer


def _check(folder: Folder, checkpoint_path: Path) -> None:
    if folder.precision not in PRECISIONS:
        raise TendonError(f"PRECISION={folder.precision}: expected one of {', '.join(PRECISIONS)}")
    if not checkpoint_path.is_file():
        raise CheckpointError(f"{checkpoint_path}: no such checkpoint")


def _unchanged(folder: Folder, key: str) -> g.Graph | None:
    """The integer graph on disk when it has this key and the float graph lies beside it."""
    try:
        graph = g.load(folder.graph)
    except GraphError:
        return None
    return graph if graph.provenance.get("key") == key and folder.float_graph.is_file() else None


def _signal(path: Path) -> g.Array:
    return datasets.load_input(path)[: round(datasets.CALIBRATION_SECONDS * datasets.SAMPLE_RATE)]


def load_float(model: str, path: Path) -> g.Graph:
    """The float graph of a checkpoint that must be the model asked for."""
    loaded = checkpoint.load(path)
    if model in HYPER_PARAMETERS and loaded.name != model:
        raise CheckpointError(f"{path}: expected a checkpoint of {model}, found one of {loaded.name} by its hyper-parameters")
    return lower(loaded)


def read_report(folder: Folder) -> dict[str, Any]:
    """quantize.json of a folder; TendonError when `make quantize` has not run."""
    try:
        content: dict[str, Any] = json.loads(folder.quantize_json.read_text())
    except (OSError, ValueError) as error:
        raise TendonError(
            f"{folder.quantize_json}: cannot be read ({error}); run `make quantize MODEL={folder.model}`"
        ) from error
    return content


def _report(real: g.Graph, integer: g.Graph, dataset: Dataset) -> dict[str, Any]:
    print(f"scoring {len(dataset.heldout)} held-out sessions, float and integer")
    heldout = evaluate.read_heldout(integer, dataset.heldout)
    a, b = heldout.float_frames(real), heldout.integer_frames(integer)
    rates = [scores.score(frames, heldout.texts) for frames in (a, b)]
    low, high = scores.bootstrap_difference(a, b, heldout.texts)
    published = PUBLISHED.get(integer.name)
    return {
        "version": REPORT_VERSION,
        "model": integer.name,
        "precision": integer.provenance["precision"],
        "graph": integer.hash(),
        "checkpoint": integer.provenance["checkpoint"],
        "recordings": [p.name for p in dataset.heldout],
        "simulated": dataset.simulated,
        "metric": {
            "name": "CER",
            "unit": "%",
            "float": rates[0].cer,
            "quantized": rates[1].cer,
            "low": low,
            "high": high,
        },
        "published": None if published is None else {"value": published.value, "source": published.source},
        "characters": rates[0].characters,
        "agreement": scores.agreement(a, b),
        "sqnr_db": scores.sqnr_db(scores.concatenate(a), scores.concatenate(b)),
        "accumulators": [
            {"module": x.module, "largest": x.largest, "share": x.largest / 2**31} for x in accumulator_bounds(integer)
        ],
    }


def text(report: dict[str, Any]) -> str:
    """What a user reads on the console."""
    m, where = report["metric"], "simulated recordings" if report["simulated"] else "recordings"
    lines = [
        f"{report['model']} {report['precision']} on {report['characters']:,} held-out characters of {where}",
        f"  {m['name']} float {m['float']:.2f} {m['unit']}, integer {m['quantized']:.2f} {m['unit']} "
        f"(difference {m['quantized'] - m['float']:+.2f}, 95 % interval {m['low']:+.2f} … {m['high']:+.2f})",
        f"  frames with equal arg-max {100 * report['agreement']:.2f} %, log-probability SQNR {report['sqnr_db']:.1f} dB",
    ]
    if report["published"]:
        lines.append(f"  published: {report['published']['value']} % ({report['published']['source']})")
    return "\n".join(lines)

"""`quantize`: checkpoint and recordings -> graph.npz, float.npz and quantize.json, or nothing when their key is unchanged."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from compress import artifacts, checkpoint, evaluate, scores
from compress import graph as g
from compress.artifacts import Folder
from compress.calibrate import observe
from compress.data import datasets
from compress.data.datasets import Dataset
from compress.errors import CheckpointError, TendonError
from compress.files import write_json
from compress.lower import lower
from compress.models import HYPER_PARAMETERS, PUBLISHED
from compress.quantize import PRECISIONS, accumulator_bounds, quantize

REPORT_VERSION = 1


def run(folder: Folder, checkpoint_path: Path, data: Path | None, calibration: Path | None = None) -> dict[str, Any]:
    """Quantize, score on the held-out sessions, write the artifacts; returns quantize.json's content."""
    if folder.precision not in PRECISIONS:
        raise TendonError(f"PRECISION={folder.precision}: expected one of {', '.join(PRECISIONS)}")
    dataset = datasets.find(data, folder.build)
    signals_from = [calibration] if calibration else dataset.calibration
    key = artifacts.key(
        code=artifacts.code_hash("compress"),
        checkpoint=checkpoint_path if checkpoint_path.is_file() else None,
        precision=folder.precision,
        calibration=signals_from,
        heldout=dataset.heldout,
    )
    if key == artifacts.recorded_key(folder.quantize_json) and folder.graph.is_file() and folder.float_graph.is_file():
        print(f"{folder.graph}: unchanged")
        return read_report(folder)
    real = load_float(folder.model, checkpoint_path)
    print(f"calibrating on {', '.join(p.name for p in signals_from)}")
    signals = [datasets.load_input(p)[: round(datasets.CALIBRATION_SECONDS * 2000)] for p in signals_from]
    ranges = observe(real, signals)
    integer = quantize(real, ranges, folder.precision)
    report = _report(real, integer, dataset) | {"key": key, "layers": evaluate.layers(real, integer, signals[0])}
    report["calibration"] = [p.name for p in signals_from]
    folder.quantize_json.unlink(missing_ok=True)  # the key vouches for both graphs: it goes first and comes last
    g.save(real, folder.float_graph)
    g.save(integer, folder.graph)
    write_json(folder.quantize_json, report)
    return report


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

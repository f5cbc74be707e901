"""`pareto`: every network at every precision through every decoder, and what each costs; table,
pictures, page, CSV and JSON.

One command, one report per task, each in files of its own.
"""

from __future__ import annotations

import argparse
import logging
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from bench import results
from bench.pareto import FLOAT, points, recorded, remembered, reports, sweep, table
from bench.pareto.jobs import Setting
from bench.pareto.points import Point
from bench.pareto.reports import Report
from compress import artifacts, pipeline, tasks
from compress.artifacts import COMPRESSED, Sources
from compress.data import datasets
from compress.data.datasets import Dataset
from compress.data.recordings import Collection
from compress.errors import RecordingError, TendonError
from compress.files import replace_atomically, write_json, write_text
from compress.frontend import checkpoint
from host import lm

log = logging.getLogger(__name__)


def run(args: argparse.Namespace) -> int:
    """The sweep of each task that has networks, and its report; exit code 1 when a job failed."""
    begin = time.monotonic()
    sources, left_out = remembered.sources(args)
    checkpoints, missing = _checkpoints(args, sources, left_out)
    chosen = remembered.data(args, sources)
    recordings = _recordings(args, checkpoints, chosen, missing)
    compressed = _compressed(args, checkpoints, sources, missing)
    choice = {name: getattr(chosen, name) for name in remembered.CHOICE}
    sources = {model: replace(found, **choice) for model, found in sources.items()}
    for message in missing:
        log.warning(f"left out: {message}")
    pages, failed, reasons = [], False, list(missing)
    for report, dataset in recordings:
        setting = _setting(
            args, report, checkpoints[report.task.name], compressed, sources, dataset
        )
        swept = sweep.run(setting, sweep.Backend(args.backend, args.jobs, args.scheduler))
        user_of = dict(zip(setting.heldout, dataset.users, strict=False))
        found = points.collect(report, setting, swept, dataset.simulated, user_of)
        failed, reasons = (
            failed or bool(swept.failures),
            [*reasons, *(f"{n}: {e}" for n, e in swept.failures.items())],
        )
        if found:
            found += points.published(report, args.models)
            about = _about(args, report, setting, dataset, swept, missing) | {
                "wall_s": round(time.monotonic() - begin, 1)
            }
            pages.append(write(args.build / "pareto", report, found, about))
            print(_text(found, report, about))
            results.record(args, recorded.measurement(report, found, about))
    if not pages:
        raise TendonError(
            "pareto: expected at least one finished point, found none:\n  " + "\n  ".join(reasons)
        )
    print(
        f"\ndone in {time.monotonic() - begin:.0f} s",
        *(f"report: {page}" for page in pages),
        sep="\n",
    )
    return 1 if failed else 0


def write(folder: Path, report: Report, found: list[Point], about: dict[str, Any]) -> Path:
    """pareto.json, .csv, .png, .html and sweep.json of a report, each whole or not at all; returns
    the path of the page."""
    from bench.pareto import pictures  # matplotlib is slow to import, and only needed here
    from bench.pareto.page import html

    write_json(folder / f"{report.stem}.json", points.as_json(found, report))
    write_json(folder / report.about, about)
    replace_atomically(folder / f"{report.stem}.csv", points.as_csv(found, report))
    replace_atomically(folder / f"{report.stem}.png", pictures.png(found, report))
    write_text(folder / f"{report.stem}.html", html(found, report, about))
    return folder / f"{report.stem}.html"


def _checkpoints(
    args: argparse.Namespace, sources: dict[str, Sources], left_out: dict[str, str]
) -> tuple[dict[str, dict[str, Path]], list[str]]:
    """Task -> model -> checkpoint, and why the models asked for that have none are left out."""
    checkpoints: dict[str, dict[str, Path]] = {}
    missing = list(left_out.values())
    for model, found in sources.items():
        try:
            path = _checkpoint(args, model, found)
        except TendonError as error:
            missing.append(str(error))
            continue
        if path.is_file():
            checkpoints.setdefault(checkpoint.task_of(path), {})[model] = path.resolve()
        else:
            missing.append(f"{model}: expected its checkpoint at {path}, found none")
    if not checkpoints:
        raise TendonError(
            "pareto: expected a checkpoint for at least one of the models, found none:\n  "
            + "\n  ".join(missing)
        )
    return checkpoints, missing


def _checkpoint(args: argparse.Namespace, model: str, sources: Sources) -> Path:
    """Of one network; one of a file that cannot be lowered is refused before anything is swept."""
    file = args.networks.get(model)
    folder = artifacts.Folder(args.build, model, FLOAT, network=file)
    path = artifacts.whole_checkpoint(folder, sources)
    if file is not None:
        pipeline.load_float(model, path)
    return path


def _recordings(
    args: argparse.Namespace,
    checkpoints: dict[str, dict[str, Path]],
    chosen: Sources,
    missing: list[str],
) -> list[tuple[Report, Dataset]]:
    """The reports that have networks and recordings. DATA= holds one task's: the other's networks
    are then among the missing."""
    found, errors = [], []
    for report in reports.every():
        models = checkpoints.get(report.task.name)
        if models:
            try:
                collection = _collection(args, report, models, missing)
                dataset = datasets.find(
                    chosen.data, args.build, collection, chosen.split, chosen.users
                )
                found.append((report, dataset))
                for note in dataset.notes:
                    log.info(note)
            except RecordingError as error:
                errors.append(error)
                missing.append(f"{', '.join(models)}: {error}")
    if not found:
        raise errors[0]
    return found


def _collection(
    args: argparse.Namespace, report: Report, models: dict[str, Path], missing: list[str]
) -> Collection:
    """The recordings that all networks of a report read: those of the first. Networks of files that
    read others, at another rate or of other electrodes, are among the missing."""
    own = [model for model in models if model in args.networks]
    if len(own) < len(models) or not own:
        return report.task.collection
    found = {model: tasks.collection_of(pipeline.load_float(model, models[model])) for model in own}
    first = found[own[0]]
    for model in own:
        if found[model].folder != first.folder:
            missing.append(f"{model}: reads other recordings than {own[0]}; sweep it by itself")
            del models[model]
    return first


def _compressed(
    args: argparse.Namespace,
    checkpoints: dict[str, dict[str, Path]],
    sources: dict[str, Sources],
    missing: list[str],
) -> dict[str, Path]:
    """Model -> the checkpoint that `compress` made of it; the models without one are among the
    missing."""
    if COMPRESSED not in args.precisions:
        return {}
    models = [model for of_task in checkpoints.values() for model in of_task]
    folders = {model: artifacts.Folder(args.build, model, COMPRESSED) for model in models}
    found = {
        model: folder.checkpoint.resolve()
        for model, folder in folders.items()
        if artifacts.was_made_from(folder, sources[model].checkpoint)
    }
    without = ", ".join(model for model in models if model not in found)
    if without:
        missing.append(
            f"compressed {without}: not made yet, or from another checkpoint; `make compress"
            " MODEL=… FLASH=…` makes one"
        )
    return found


def _setting(
    args: argparse.Namespace,
    report: Report,
    checkpoints: dict[str, Path],
    compressed: dict[str, Path],
    sources: dict[str, Sources],
    dataset: Dataset,
) -> Setting:
    if report.decodes and not args.lm.is_file():
        raise TendonError(
            f"LM={args.lm}: expected a KenLM character model (.arpa or .bin), found no such file"
        )
    return Setting(
        build=args.build.resolve(),
        checkpoints=checkpoints,
        calibration=tuple(p.resolve() for p in dataset.calibration),
        heldout=tuple(p.resolve() for p in dataset.heldout),
        precisions=tuple(dict.fromkeys(args.precisions)),
        decoders=tuple(dict.fromkeys(args.decoders)) if report.decodes else ("",),
        lm=args.lm.resolve(),
        compressed={model: path for model, path in compressed.items() if model in checkpoints},
        networks={model: file for model, file in args.networks.items() if model in checkpoints},
        sources={model: found for model, found in sources.items() if model in checkpoints},
        task=report.task.name,
    )


def _about(
    args: argparse.Namespace,
    report: Report,
    setting: Setting,
    dataset: Dataset,
    swept: sweep.Swept,
    missing: list[str],
) -> dict[str, Any]:
    """sweep.json: what the points have in common, and what is missing from them."""
    lm_used = {
        "name": setting.lm.name,
        "sha256": artifacts.sha256(setting.lm),
        "shipped": setting.lm == lm.SHIPPED.resolve(),
    }
    return {
        "simulated": dataset.simulated,
        "notes": [*dataset.notes],
        "recordings": {p.name: artifacts.sha256(p) for p in setting.heldout},
        "calibration": {p.name: artifacts.sha256(p) for p in setting.calibration},
        "checkpoints": {
            model: artifacts.sha256(path) for model, path in setting.checkpoints.items()
        },
        "compressed": {model: artifacts.sha256(path) for model, path in setting.compressed.items()},
        **({"lm": lm_used} if report.decodes else {}),
        "code": artifacts.code_hash(
            __name__, artifacts.TASKS, artifacts.FAMILIES, "firmware", "host/native", "bench/bare"
        ),
        "backend": args.backend or "joblib's own",
        "left_out": missing,
        "failures": swept.failures,
    }


def _text(found: list[Point], report: Report, about: dict[str, Any]) -> str:
    lines = ["", table.text(found, report), "", *table.notes(found, report, about)]
    lines += [
        "native C, seconds of signal per second of one core, slowest session:",
        *_paces(found),
    ]
    lines += [f"left out: {message}" for message in about["left_out"]]
    lines += [f"FAILED {name}: {error}" for name, error in about["failures"].items()]
    return "\n".join(lines)


def _paces(found: list[Point]) -> list[str]:
    """One line per network."""
    paces: dict[str, dict[str, str]] = {}
    for p in found:
        if p.pace is not None:
            paces.setdefault(p.model, {})[p.precision] = f"{p.precision} {p.pace:.0f} ×"
    return [f"  {model}: {', '.join(of.values())}" for model, of in paces.items()]

"""`pareto`: every network at every precision through every decoder, and what each costs; table, pictures, page, CSV and JSON."""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

from bench.pareto import points, sweep, table
from bench.pareto.jobs import FLOAT, Setting
from bench.pareto.points import Point
from compress import artifacts
from compress.data import datasets
from compress.data.datasets import Dataset
from compress.errors import TendonError
from compress.files import replace_atomically, write_json
from compress.models import HYPER_PARAMETERS
from compress.quantize import PRECISIONS
from host import decoders, lm

PRECISION_NAMES = (FLOAT, *PRECISIONS)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `python -m bench pareto`."""
    parser.add_argument("--models", nargs="+", default=list(HYPER_PARAMETERS), help="networks (default: those with a checkpoint)")
    parser.add_argument("--checkpoints", type=Path, help="folder of <MODEL>.ckpt instead of the shipped ones")
    parser.add_argument("--precisions", nargs="+", default=list(PRECISION_NAMES), choices=PRECISION_NAMES, metavar="PRECISION")
    parser.add_argument("--decoders", nargs="+", default=list(decoders.NAMES), choices=decoders.NAMES, metavar="DECODER")
    parser.add_argument("--lm", type=Path, default=lm.SHIPPED, help="KenLM character model for beam+lm (default: %(default)s)")
    parser.add_argument("--data", type=Path, help="folder of emg2qwerty sessions (default: the simulated set)")
    parser.add_argument("--build", type=Path, default=Path("build"), help="where artifacts go (default: %(default)s)")
    parser.add_argument("--jobs", type=int, help="how many jobs at a time (default: one per core)")
    parser.add_argument("--backend", help="joblib's: loky, threading, multiprocessing, dask, ray, … (default: processes here)")
    parser.add_argument("--scheduler", help="address of a running dask or ray cluster whose workers see the same files")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """The sweep and its report; exit code 1 when a job failed."""
    begin = time.monotonic()
    checkpoints, missing = _checkpoints(args)
    dataset = datasets.find(args.data, args.build)
    setting = _setting(args, checkpoints, dataset)
    swept = sweep.run(setting, sweep.Backend(args.backend, args.jobs, args.scheduler))
    found = points.collect(setting, swept, dataset.simulated)
    if not found:
        reasons = "\n  ".join(f"{name}: {error}" for name, error in swept.failures.items())
        raise TendonError(f"pareto: expected at least one finished point, found none:\n  {reasons}")
    about = _about(args, setting, dataset, swept, missing) | {"wall_s": round(time.monotonic() - begin, 1)}
    page = write(args.build / "pareto", found + points.published(args.models), about)
    print(_text(found + points.published(args.models), about))
    print(f"\ndone in {about['wall_s']:.0f} s\nreport: {page}")
    return 1 if swept.failures else 0


def write(folder: Path, found: list[Point], about: dict[str, Any]) -> Path:
    """pareto.json, .csv, .png, .html and sweep.json, each whole or not at all; returns the path of the page."""
    from bench.pareto import pictures  # matplotlib is slow to import, and only needed here
    from bench.pareto.page import html

    write_json(folder / "pareto.json", points.as_json(found))
    write_json(folder / "sweep.json", about)
    replace_atomically(folder / "pareto.csv", points.as_csv(found))
    replace_atomically(folder / "pareto.png", pictures.png(found))
    replace_atomically(folder / "pareto.html", html(found, about).encode())
    return folder / "pareto.html"


def _checkpoints(args: argparse.Namespace) -> tuple[dict[str, Path], list[str]]:
    """Model -> checkpoint, and the models asked for that have none."""
    checkpoints: dict[str, Path] = {}
    missing = []
    for model in dict.fromkeys(args.models):
        try:
            given = None if args.checkpoints is None else args.checkpoints / f"{model}.ckpt"
            path = artifacts.checkpoint_of(model, given)
        except TendonError as error:
            missing.append(str(error))
            continue
        if path.is_file():
            checkpoints[model] = path.resolve()
        else:
            missing.append(f"{model}: expected its checkpoint at {path}, found none")
    for message in missing:
        print(f"left out: {message}")
    if not checkpoints:
        raise TendonError("pareto: expected a checkpoint for at least one of the models, found none")
    return checkpoints, missing


def _setting(args: argparse.Namespace, checkpoints: dict[str, Path], dataset: Dataset) -> Setting:
    if not args.lm.is_file():
        raise TendonError(f"LM={args.lm}: expected a KenLM character model (.arpa or .bin), found no such file")
    return Setting(
        build=args.build.resolve(),
        checkpoints=checkpoints,
        calibration=tuple(p.resolve() for p in dataset.calibration),
        heldout=tuple(p.resolve() for p in dataset.heldout),
        precisions=tuple(dict.fromkeys(args.precisions)),
        decoders=tuple(dict.fromkeys(args.decoders)),
        lm=args.lm.resolve(),
    )


def _about(
    args: argparse.Namespace, setting: Setting, dataset: Dataset, swept: sweep.Swept, missing: list[str]
) -> dict[str, Any]:
    """sweep.json: what the points have in common, and what is missing from them."""
    return {
        "simulated": dataset.simulated,
        "recordings": {p.name: artifacts.sha256(p) for p in setting.heldout},
        "calibration": {p.name: artifacts.sha256(p) for p in setting.calibration},
        "checkpoints": {model: artifacts.sha256(path) for model, path in setting.checkpoints.items()},
        "lm": {"name": setting.lm.name, "sha256": artifacts.sha256(setting.lm), "shipped": setting.lm == lm.SHIPPED.resolve()},
        "code": artifacts.code_hash("compress", "export", "firmware", "host", "bench"),
        "backend": args.backend or "joblib's own",
        "left_out": missing,
        "failures": swept.failures,
    }


def _text(found: list[Point], about: dict[str, Any]) -> str:
    lines = ["", table.text(found), "", *table.notes(found, about["lm"])]
    lines += ["native C, seconds of signal per second of one core, slowest session:", *_paces(found)]
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

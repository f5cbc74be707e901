"""What the networks of a sweep are made from: what its options say, else what their folders
remember."""

from __future__ import annotations

import argparse
from pathlib import Path

from bench.pareto import FLOAT
from compress import artifacts
from compress.artifacts import Folder, Sources, SourcesError
from compress.errors import TendonError


def sources(args: argparse.Namespace) -> tuple[dict[str, Sources], dict[str, str]]:
    """Model -> what it is made from; model -> why it is left out, a checkpoint that is not there.
    SourcesError where a folder was made from something else than the options say, or by what a
    sweep does not take."""
    models = list(dict.fromkeys(args.models))
    if args.checkpoint is not None and (args.checkpoints is not None or len(models) != 1):
        raise TendonError(
            f"CHECKPOINT={args.checkpoint}: of one network; expected one in MODELS=, and no"
            f" CHECKPOINTS=, found {', '.join(models)}; CHECKPOINTS=folder holds one for each"
        )
    found, missing = {}, {}
    for model in models:
        given = args.checkpoints / f"{model}.ckpt" if args.checkpoints else args.checkpoint
        if given is not None and str(given) != artifacts.DEFAULT and not given.is_file():
            missing[model] = f"{model}: expected its checkpoint at {given}, found none"
            continue
        asked = {"checkpoint": given, "data": args.data}
        found[model] = artifacts.resolve(_folder(args, model), asked, begins=False)
        _check(model, found[model])
    return found, missing


def data(args: argparse.Namespace, sources: dict[str, Sources]) -> Path | None:
    """The recordings of all of them; SourcesError where they were made from several."""
    of = {m: s.data for m, s in sources.items() if artifacts.remembered(_folder(args, m))}
    if len(set(of.values())) > 1:
        made = ", ".join(f"{m} from {d or 'the simulated recordings'}" for m, d in of.items())
        raise SourcesError(
            f"pareto: expected networks that were made from the same recordings, found {made}; name"
            " those of one in MODELS=, or give another BUILD="
        )
    return next(iter((of or {m: s.data for m, s in sources.items()}).values()), None)


def _check(model: str, found: Sources) -> None:
    """SourcesError for what a sweep does not take."""
    if found != Sources(checkpoint=found.checkpoint, data=found.data):
        raise SourcesError(
            f"{model}: was made with CALIBRATION=, SPLIT=, USERS= or WINDOW=, which a sweep does"
            " not take; leave it out of MODELS=, or give another BUILD="
        )


def _folder(args: argparse.Namespace, model: str) -> Folder:
    return Folder(args.build, model, FLOAT, network=args.networks.get(model))

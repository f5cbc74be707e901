"""What the networks of a sweep are made from: what its options say, else what their folders
remember."""

from __future__ import annotations

import argparse
from dataclasses import replace

from bench.pareto import FLOAT
from compress import artifacts
from compress.artifacts import Folder, OtherSourcesError, Sources
from compress.artifacts.sources import text
from compress.errors import UsageError

CHOICE = ("data", "split", "users")


def sources(args: argparse.Namespace) -> tuple[dict[str, Sources], dict[str, str]]:
    """Model -> what it is made from; model -> why it is left out, a checkpoint that is not there.
    SourcesError where a folder was made from something else than the options say, or by what a
    sweep does not take."""
    models = list(dict.fromkeys(args.models))
    if args.checkpoint is not None and (args.checkpoints is not None or len(models) != 1):
        raise UsageError(
            f"CHECKPOINT={args.checkpoint}: of one network; expected one in MODELS=, and no"
            f" CHECKPOINTS=, found {', '.join(models)}; CHECKPOINTS=folder holds one for each"
        )
    found, missing = {}, {}
    for model in models:
        given = args.checkpoints / f"{model}.ckpt" if args.checkpoints else args.checkpoint
        if given is not None and str(given) != artifacts.DEFAULT and not given.is_file():
            missing[model] = f"{model}: expected its checkpoint at {given}, found none"
            continue
        asked = {"checkpoint": given, **{name: getattr(args, name) for name in CHOICE}}
        found[model] = artifacts.resolve(_folder(args, model), asked, begins=False)
        _check(model, found[model])
    return found, missing


def data(args: argparse.Namespace, sources: dict[str, Sources]) -> Sources:
    """The recordings of all of them, and what is chosen of these; SourcesError where they were made
    from several."""
    every = {model: _chosen(found) for model, found in sources.items()}
    of = {m: s for m, s in every.items() if artifacts.remembered(_folder(args, m))}
    if len(set(of.values())) > 1:
        made = ", ".join(f"{m} from {_words(chosen)}" for m, chosen in of.items())
        raise OtherSourcesError(
            f"pareto: expected networks that were made from the same recordings, found {made}; name"
            " those of one in MODELS=, or give another BUILD="
        )
    return next(iter((of or every).values()), Sources())


def _chosen(found: Sources) -> Sources:
    """Which recordings, and nothing else."""
    return Sources(**{name: getattr(found, name) for name in CHOICE})


def _words(chosen: Sources) -> str:
    given = [text(name, getattr(chosen, name)) for name in CHOICE if getattr(chosen, name)]
    return " ".join(given) or "the simulated recordings"


def _check(model: str, found: Sources) -> None:
    """SourcesError for what a sweep does not take."""
    if found != replace(_chosen(found), checkpoint=found.checkpoint):
        raise OtherSourcesError(
            f"{model}: was made with CALIBRATION= or WINDOW=, which a sweep does not take; leave it"
            " out of MODELS=, or give another BUILD="
        )


def _folder(args: argparse.Namespace, model: str) -> Folder:
    return Folder(args.build, model, FLOAT, network=args.networks.get(model))

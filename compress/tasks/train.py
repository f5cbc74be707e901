"""`train`: a network on recordings, by the training of its task."""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from compress import artifacts, pipeline, tasks
from compress.artifacts import Folder, Sources, locks
from compress.data import training_sessions
from compress.data.recording_file import file_digest
from compress.data.recordings import Collection
from compress.errors import UsageError
from compress.files import read_json, refuse_output, write_json
from compress.tasks.training import TrainingRequest, training_of

VERSION = 1


def run(args: argparse.Namespace) -> int:
    """Train, then say where the checkpoint is and how it validates."""
    if args.out is not None:
        refuse_output(args.out)
    task, collection = _own(args) if args.network else _published(args)
    training = training_of(task)
    sessions = training_sessions.find(args.data, args.split, args.build, collection, args.users)
    sessions = sessions.with_validation(training.HELD_BACK)
    print(sessions.text())
    request = TrainingRequest(
        model=args.model,
        train=sessions.train,
        validation=sessions.validation,
        out=args.out or args.build / args.model / "train" / f"{args.model}.ckpt",
        network=args.network,
        checkpoint=args.checkpoint,
        split=sessions.split,
        steps=args.steps,
        seed=args.seed,
        threads=args.threads,
    )
    inputs = _inputs(request)  # before the checkpoint may be written over what it began with
    _check_kept(request.out, inputs)
    trained = training.train(request)
    write_json(
        request.out.with_suffix(".json"),
        {"version": VERSION, "model": args.model, "task": task, "source": sessions.source}
        | inputs
        | {
            "checkpoint": file_digest(request.out),
            "recipe": dict(trained.recipe),
            "figures": {  # a loss that no step has set is not a number, and JSON has none for it
                name: value if math.isfinite(value) else None
                for name, value in trained.figures.items()
            },
        },
    )
    print(f"{request.out}: {trained.text}")
    return 0


def _published(args: argparse.Namespace) -> tuple[str, Collection]:
    """Task and recordings of a network by its name, or of a checkpoint's."""
    from compress.tasks import start  # torch, which an option's help does not need

    task = start.task_of(args.model, args.checkpoint)
    return task, tasks.named(task).collection


def _own(args: argparse.Namespace) -> tuple[str, Collection]:
    """Task and recordings of a file's network; one that cannot be lowered is refused before it is
    trained."""
    folder = Folder(args.build, args.model, "", network=args.network)
    with locks.held(args.build, args.model):  # other commands make one of other weights
        path = artifacts.whole_checkpoint(folder, Sources(args.checkpoint))
        graph = pipeline.load_float(args.model, path)
    return tasks.of(graph).name, tasks.collection_of(graph)


def _inputs(request: TrainingRequest) -> dict[str, Any]:
    """What the checkpoint is trained on, each with its hash."""
    start = request.checkpoint
    own = {} if request.network is None else {"network": file_digest(request.network.path)}
    return own | {
        "started_from": None if start is None else file_digest(start),
        "split": request.split,
        "train": _sessions(request.train),
        "validation": _sessions(request.validation),
    }


def _check_kept(out: Path, inputs: dict[str, Any]) -> None:
    """TendonError where the checkpoint to write is there, from something else: a finished training
    is not lost for a variable that was forgotten."""
    if not out.is_file():
        return
    known = read_json(out.with_suffix(".json"))
    names = {
        "network": "MODEL",
        "started_from": "CHECKPOINT",
        "split": "SPLIT",
        "train": "DATA",
        "validation": "DATA",
    }
    others = dict.fromkeys(names[key] for key, value in inputs.items() if known.get(key) != value)
    if others:
        raise UsageError(
            f"{out}: a finished training with another {', '.join(others)}: move it away, or write"
            " elsewhere with OUTPUT=path.ckpt"
        )


def _sessions(paths: Sequence[Path]) -> list[dict[str, str]]:
    return [{"session": path.stem, "sha256": file_digest(path)} for path in paths]

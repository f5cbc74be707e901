"""`train`: a network on recordings, by the training of its task."""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from compress import tasks
from compress.data import training_sessions
from compress.data.recording_file import file_digest
from compress.files import write_json
from compress.tasks.training import TrainingRequest, training_of

VERSION = 1


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `python -m compress train`."""
    parser.add_argument(
        "--model", default="TC_S4_small", help="name of the network (default: %(default)s)"
    )
    parser.add_argument(
        "--data",
        type=Path,
        help="folder of sessions to train on (default: the simulated train split)",
    )
    parser.add_argument(
        "--split",
        type=Path,
        help="YAML file of emg2qwerty's kind: which sessions of --data train, validate and test",
    )
    parser.add_argument(
        "--checkpoint",
        "--start",
        type=Path,
        help="checkpoint whose weights to begin with (default: random ones, from the seed)",
    )
    parser.add_argument(
        "--build",
        type=Path,
        default=Path("build"),
        help="where artifacts go (default: %(default)s)",
    )
    parser.add_argument(
        "--out", type=Path, help="checkpoint to write (default: <build>/<MODEL>/train/<MODEL>.ckpt)"
    )
    parser.add_argument("--steps", type=int, help="steps to train (default: the network's recipe)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2)


def run(args: argparse.Namespace) -> int:
    """Train, then say where the checkpoint is and how it validates."""
    from compress.tasks import start  # torch, which an option's help does not need

    task = start.task_of(args.model, args.checkpoint)
    training, collection = training_of(task), tasks.TASKS[task].collection
    sessions = training_sessions.find(args.data, args.split, args.build, collection)
    sessions = sessions.with_validation(training.HELD_BACK)
    print(sessions.text())
    request = TrainingRequest(
        model=args.model,
        train=sessions.train,
        validation=sessions.validation,
        out=args.out or args.build / args.model / "train" / f"{args.model}.ckpt",
        checkpoint=args.checkpoint,
        split=sessions.split,
        steps=args.steps,
        seed=args.seed,
        threads=args.threads,
    )
    inputs = _inputs(request)  # before the checkpoint may be written over what it began with
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


def _inputs(request: TrainingRequest) -> dict[str, Any]:
    """What the checkpoint is trained on, each with its hash."""
    start = request.checkpoint
    return {
        "started_from": None if start is None else file_digest(start),
        "split": request.split,
        "train": _sessions(request.train),
        "validation": _sessions(request.validation),
    }


def _sessions(paths: Sequence[Path]) -> list[dict[str, str]]:
    return [{"session": path.stem, "sha256": file_digest(path)} for path in paths]

"""`train`: a network on recordings, by the training of its task."""

from __future__ import annotations

import argparse
from pathlib import Path

from compress import tasks
from compress.data import datasets, recordings
from compress.errors import CheckpointError
from compress.frontend.families import HYPER_PARAMETERS, family_of
from compress.tasks.pose import training as tracking
from compress.tasks.typing import training as typing


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `python -m compress train`."""
    parser.add_argument("--model", default="TC_S4_small", choices=list(HYPER_PARAMETERS))
    parser.add_argument(
        "--data",
        type=Path,
        help="folder of sessions to train on (default: the simulated train split)",
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
    parser.add_argument(
        "--start", type=Path, help="checkpoint whose weights to begin with (pose networks)"
    )


def run(args: argparse.Namespace) -> int:
    """Train, then say where the checkpoint is and how it validates."""
    task = family_of(HYPER_PARAMETERS[args.model]).task
    collection = tasks.named(task).collection
    if args.data:
        paths = datasets.sessions(args.data, collection)
    else:
        paths = recordings.ensure(args.build / collection.folder, "train", collection)
    out = args.out or args.build / args.model / "train" / f"{args.model}.ckpt"
    print(f"{out}: {(_tracking if task == 'pose' else _typing)(args, paths, out)}")
    return 0


def _typing(args: argparse.Namespace, paths: list[Path], out: Path) -> str:
    if args.start:
        raise CheckpointError(
            f"--start: {args.model} is trained from its seed only; expected a pose network"
            " (tracking_vemg2pose)"
        )
    recipe = typing.recipe_for(args.model, steps=args.steps, seed=args.seed)
    result = typing.train(args.model, paths, out, recipe, args.threads)
    return (
        f"{result['steps']} steps, validation CER {result['validation_cer']:.2f} % (one session,"
        " greedy)"
    )


def _tracking(args: argparse.Namespace, paths: list[Path], out: Path) -> str:
    recipe = tracking.recipe_for(again=args.start is not None, steps=args.steps, seed=args.seed)
    score = tracking.train(args.model, paths, out, recipe, args.threads, args.start)
    return (
        f"{recipe.feature_steps} + {recipe.rollout_steps} steps; {recipe.validation} validation"
        f" sessions in closed loop: MAE {score.mae:.2f}°, initial pose held"
        f" {score.hold_initial:.2f}°, mean pose {score.mean_pose:.2f}°"
    )

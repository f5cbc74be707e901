"""The options that commands share, and the types of their numbers. Light to import (see `cli`)."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

from compress import tasks
from compress.artifacts import (
    COMPRESSED,
    DEFAULT,
    USUAL,
)
from compress.compression.budget import parse_bytes
from compress.data.choice import split_files, user_names
from compress.errors import TendonError
from compress.frontend.own.named import HOLDS, named
from compress.quantization.precisions import PRECISIONS

DAY_S = 86_400.0
LARGEST_SEED = 2**32 - 1  # of numpy's generators


def whole(least: int, most: int) -> Callable[[str], int]:
    """The type of an option that is a whole number in this range."""

    def parse(text: str) -> int:
        try:
            value = int(text) if len(text) < 40 else most + 1
        except ValueError:
            value = least - 1
        if not least <= value <= most:
            raise argparse.ArgumentTypeError(
                f"expected a whole number from {least:,} to {most:,}, found {text[:40]!r}"
            )
        return value

    return parse


def real(least: float, most: float) -> Callable[[str], float]:
    """The type of an option that is a finite number in this range; 0 only where `least` is."""

    def parse(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not least <= value <= most:  # nor is a NaN
            raise argparse.ArgumentTypeError(
                f"expected a number from {least:g} to {most:,g}, found {text[:40]!r}"
            )
        return value

    return parse


def path(text: str) -> Path:
    """The type of an option that is a path; an empty one would be the folder here."""
    if not text:
        raise argparse.ArgumentTypeError("expected a path, found nothing")
    return Path(text)


seconds = real(0.001, 10 * DAY_S)  # of signal


class _Build(argparse.Action):
    """`args.build`: a folder's path."""

    def __call__(self, parser: Any, namespace: Any, values: Any, option: Any = None) -> None:
        if not values or not values.isprintable():
            raise TendonError(f"BUILD={values!r}: expected the path of a folder, in one line")
        namespace.build = Path(values)


def add_build_argument(parser: argparse.ArgumentParser, what: str = "artifacts") -> None:
    """--build; `what` goes there."""
    parser.add_argument(
        "--build",
        action=_Build,
        default=Path("build"),
        help=f"where {what} go (default: %(default)s)",
    )


class _Model(argparse.Action):
    """`args.model`: the network's name; `args.network`: the file of the user's that holds it, or
    None."""

    def __call__(self, parser: Any, namespace: Any, values: Any, option: Any = None) -> None:
        namespace.network = named(values)
        namespace.model = values if namespace.network is None else namespace.network.name


def _add_model_argument(parser: argparse.ArgumentParser) -> None:
    """--model, which also sets `network`."""
    parser.add_argument(
        "--model",
        action=_Model,
        default="TC_S4_small",
        help=(
            "name of the network, or path/net.py or path/net.py:name, a Python file of yours that"
            f" holds {HOLDS}; it is executed (default: %(default)s)"
        ),
    )
    parser.set_defaults(network=None, begins=False, looks=False)


class _Models(argparse.Action):
    """`args.models`: names of networks; `args.networks`: by name the files of the user's that hold
    some of them."""

    def __call__(self, parser: Any, namespace: Any, values: Any, option: Any = None) -> None:
        namespace.models, namespace.networks = [], {}
        for value in values:
            file = named(value)
            name = value if file is None else file.name
            if file is not None and namespace.networks.setdefault(name, file) != file:
                raise TendonError(
                    f"MODELS: {namespace.networks[name]} and {file} would both be called {name};"
                    " rename one of the files"
                )
            namespace.models.append(name)


def add_models_argument(parser: argparse.ArgumentParser, default: list[str]) -> None:
    """--models, which also sets `networks`."""
    parser.add_argument(
        "--models",
        nargs="+",
        action=_Models,
        default=default,
        help=(
            "networks, by name or by files of yours, path/net.py or path/net.py:name, which are"
            " executed (default: those with a checkpoint)"
        ),
    )
    parser.set_defaults(networks={})


def _add_training_arguments(parser: argparse.ArgumentParser) -> None:
    """--seed, --threads."""
    parser.add_argument("--seed", type=whole(0, LARGEST_SEED), default=1)
    parser.add_argument("--threads", type=whole(1, 1024), default=2)


def add_checkpoint_arguments(parser: argparse.ArgumentParser) -> None:
    """--model, --checkpoint, --build."""
    _add_model_argument(parser)
    parser.add_argument(
        "--checkpoint",
        type=path,
        help=(
            "Lightning .ckpt in the published format; of a network file any .pt, .pth or .ckpt with"
            " its state_dict (default: the shipped one, the weights that the file gives)"
        ),
    )
    add_build_argument(parser)


def add_model_arguments(parser: argparse.ArgumentParser) -> None:
    """--model, --checkpoint, --build, --precision, --window."""
    add_checkpoint_arguments(parser)
    parser.add_argument(
        "--precision",
        choices=sorted(PRECISIONS),
        help=(
            f"bits of weights and activations (default: {USUAL}, or {COMPRESSED} where `compress`"
            " made one)"
        ),
    )
    parser.add_argument(
        "--window",
        type=_window,
        help="samples at a time, of a network that is not causal (default: 1920, 0.96 s)",
    )


def _window(text: str) -> int | str:
    """A number of samples, or the word that takes it back."""
    return text if text == DEFAULT else whole(1, 10_000_000)(text)


class _SplitFiles(argparse.Action):
    """`args.split`: a tuple of files."""

    def __call__(self, parser: Any, namespace: Any, values: Any, option: Any = None) -> None:
        namespace.split = split_files(values)


class _Users(argparse.Action):
    """`args.users`: a tuple of names."""

    def __call__(self, parser: Any, namespace: Any, values: Any, option: Any = None) -> None:
        namespace.users = user_names(values)


def add_choice_arguments(parser: argparse.ArgumentParser) -> None:
    """--data, --split, --users: which recordings calibrate and are scored."""
    parser.add_argument(
        "--data",
        type=path,
        help="folder of sessions of the network's task (default: the simulated set)",
    )
    parser.add_argument(
        "--split",
        nargs="+",
        action=_SplitFiles,
        default=(),
        metavar="FILE",
        help=(
            "YAML files of emg2qwerty's or emg2pose's kind, several for several users: val of"
            " --data calibrates (or else train), test is scored"
        ),
    )
    _add_users_argument(parser, "whose sessions of --data calibrate and are scored")


def _add_users_argument(parser: argparse.ArgumentParser, what: str) -> None:
    """--users."""
    parser.add_argument(
        "--users",
        nargs="+",
        action=_Users,
        default=(),
        metavar="USER",
        help=f"{what}, as its metadata.csv or its files name them (default: everybody's)",
    )


def add_data_arguments(parser: argparse.ArgumentParser) -> None:
    """--data, --split, --users, --calibration."""
    add_choice_arguments(parser)
    parser.add_argument(
        "--calibration", type=path, help="one recording or .npy to calibrate on instead"
    )


def add_source_arguments(parser: argparse.ArgumentParser) -> None:
    """--model, --checkpoint, --build, --data, --split, --users, --calibration: what a command says
    that a network is to be made from, before what it is to be made into."""
    add_checkpoint_arguments(parser)
    add_data_arguments(parser)


def add_graph_arguments(parser: argparse.ArgumentParser) -> None:
    """--model, …, --window, --data, --split, --users, --calibration: what an integer graph is made
    from."""
    add_model_arguments(parser)
    add_data_arguments(parser)


def add_format_arguments(parser: argparse.ArgumentParser) -> None:
    """--format, --tflm."""
    parser.add_argument(
        "--format",
        default="c",
        choices=("c", "tflm"),
        help="what runs on the board (default: %(default)s)",
    )
    parser.add_argument(
        "--tflm",
        type=path,
        help="a TFLite-Micro checkout with its library built, for --format tflm",
    )


def add_latency_argument(parser: argparse.ArgumentParser) -> None:
    """--latency."""
    parser.add_argument(
        "--latency",
        type=real(0.0, 60_000.0),
        help=(
            "milliseconds that an output frame may come later, so that several are computed at once"
            " (default: as it was exported last, else 0)"
        ),
    )


def add_record_argument(parser: argparse.ArgumentParser) -> None:
    """--record, of commands that measure."""
    parser.add_argument(
        "--record",
        nargs="?",
        const="",
        metavar="TYPED",
        help=(
            "write what is measured to bench/results/ as well, a table with date and commit, and"
            " with what was typed (default: this command)"
        ),
    )


def add_recordings_arguments(parser: argparse.ArgumentParser) -> None:
    """Those of `recordings`."""
    parser.add_argument(
        "--task",
        choices=tasks.names(),
        help="which kind of recordings to make (default: all)",
    )
    add_build_argument(parser, "the folders")
    parser.add_argument(
        "--splits",
        nargs="+",
        metavar="SPLIT",
        help="which to make: train, calibration, heldout, … (default: all)",
    )


def add_train_arguments(parser: argparse.ArgumentParser) -> None:
    """Those of `train`."""
    _add_model_argument(parser)
    parser.add_argument(
        "--data",
        type=path,
        help="folder of sessions to train on (default: the simulated train split)",
    )
    parser.add_argument(
        "--split",
        type=path,
        help="YAML file of emg2qwerty's kind: which sessions of --data train, validate and test",
    )
    _add_users_argument(parser, "whose sessions of --data to train on")
    parser.add_argument(
        "--checkpoint",
        "--start",
        type=path,
        help="checkpoint whose weights to begin with (default: random ones, from the seed)",
    )
    add_build_argument(parser)
    parser.add_argument(
        "--out", type=path, help="checkpoint to write (default: <build>/<MODEL>/train/<MODEL>.ckpt)"
    )
    parser.add_argument(
        "--steps",
        type=whole(0, 10**9),
        help="steps to train (default: the network's recipe)",
    )
    _add_training_arguments(parser)


def add_users_arguments(parser: argparse.ArgumentParser) -> None:
    """Those of `users`."""
    parser.add_argument(
        "--reports",
        nargs="+",
        default=["build/user*/w8a16/quantize.json"],
        metavar="JSON",
        help="the quantize.json of each network, or patterns of them (default: %(default)s)",
    )
    parser.add_argument("--output", type=path, help="JSON to write as well")


def add_budget_arguments(parser: argparse.ArgumentParser) -> None:
    """--flash, --steps, --seed, --threads, of what makes a network fit."""
    parser.add_argument(
        "--flash", type=size, required=True, help="flash for the whole image: 2M, 384K or bytes"
    )
    parser.add_argument(
        "--steps",
        type=whole(0, 10**9),
        help=(
            "steps of fine-tuning; 0 for none (default: those of the task's recipe, where it tunes"
            " a network that needs them)"
        ),
    )
    _add_training_arguments(parser)


def size(text: str) -> int:
    """An option's bytes."""
    try:
        return parse_bytes(text)
    except TendonError as error:
        raise argparse.ArgumentTypeError(str(error)) from error

"""`lm`: the shipped character model again, from prompts of the simulator's train split. The same
command gives the same bytes."""

from __future__ import annotations

import argparse
from pathlib import Path

from compress import tasks
from compress.files import replace_atomically
from host import lm
from host.lm import kneser_ney

ORDER = 6  # as the published model
PROMPTS = 2500
SEED = 20261121


def arpa(prompts: int = PROMPTS, order: int = ORDER) -> str:
    """The model of the first `prompts` prompts of the train split."""
    text = tasks.texts()[0]
    return kneser_ney.arpa(*kneser_ney.model(text.corpus(prompts, SEED), order))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `python -m host lm`."""
    parser.add_argument(
        "--output",
        type=Path,
        default=lm.SHIPPED,
        help="where to write the model (default: the shipped one)",
    )
    parser.add_argument(
        "--prompts",
        type=int,
        default=PROMPTS,
        help="how many prompts to read (default: %(default)s)",
    )
    parser.add_argument(
        "--order",
        type=int,
        default=ORDER,
        choices=range(2, 7),
        help="longest n-gram (default: %(default)s)",
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    """Write the model and say what it is."""
    content = arpa(args.prompts, args.order).encode()
    replace_atomically(args.output, content)
    print(
        f"wrote {args.output}: {args.order}-gram model of {args.prompts} prompts of the train"
        f" split, {len(content):,} bytes"
    )

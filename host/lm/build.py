"""`lm`: the shipped character model again, from prompts of the simulator's train split. The same
command gives the same bytes."""

from __future__ import annotations

import argparse
import re
import string
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

import numpy as np

from compress.data.simulator.text import Writer
from compress.files import replace_atomically
from compress.tasks.typing.charset import CHARSET, KEYS
from host import lm
from host.lm import kneser_ney

ORDER = 6  # as the published model
PROMPTS = 2500
SEED = 20261121
SHIFTED = set(string.ascii_uppercase + '~!@#$%^&*()_+{}|:"<>?')  # of a US keyboard
_KEY = dict(zip(CHARSET, KEYS, strict=True))


def keys_of(prompt: str) -> str:
    """A prompt as it is typed without mistakes: ⇧ before every character that needs it, ⏎ at the
    end."""
    return "".join("⇧" + c if c in SHIFTED else c for c in prompt) + "⏎"


def runs(typed: Iterable[str]) -> Iterator[list[str]]:
    """Tokens between the keys that the model does not know, as in the published convention: space,
    ⏎ and ⇧ (and ⌫) end a run."""
    for text in typed:
        yield from ([_KEY[c] for c in run] for run in re.split("[ ⏎⇧⌫]", text) if run)


def arpa(prompts: int = PROMPTS, order: int = ORDER) -> str:
    """The model of the first `prompts` prompts of the train split."""
    texts = islice(Writer(np.random.default_rng(SEED)).prompts("train"), prompts)
    return kneser_ney.arpa(*kneser_ney.model(runs(map(keys_of, texts)), order))


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

"""`lm`: the shipped character model again, from prompts of the simulator's train split. The same
command gives the same bytes."""

from __future__ import annotations

import argparse

from compress import tasks
from compress.files import replace_atomically
from host.lm import ORDER, PROMPTS, kneser_ney

SEED = 20261121


def arpa(prompts: int = PROMPTS, order: int = ORDER) -> str:
    """The model of the first `prompts` prompts of the train split."""
    text = tasks.texts()[0]
    return kneser_ney.arpa(*kneser_ney.model(text.corpus(prompts, SEED), order))


def run(args: argparse.Namespace) -> None:
    """Write the model and say what it is."""
    content = arpa(args.prompts, args.order).encode()
    replace_atomically(args.output, content)
    print(
        f"wrote {args.output}: {args.order}-gram model of {args.prompts} prompts of the train"
        f" split, {len(content):,} bytes"
    )

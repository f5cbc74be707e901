"""Typed text: the alphabet, and what `scores` says of texts, as the decoders of `host` and the
reports ask for it."""

from __future__ import annotations

import re
import string
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

import numpy as np

from compress.tasks.text import Alphabet, Array, Text
from compress.tasks.typing import charset, scores

SHIFTED = set(string.ascii_uppercase + '~!@#$%^&*()_+{}|:"<>?')  # of a US keyboard
ALPHABET = Alphabet(tuple(charset.CHARSET), tuple(charset.KEYS), delete="⌫")
_KEY = dict(zip(charset.CHARSET, charset.KEYS, strict=True))


class TypedText(Text):
    """Texts hold ⌫, ⏎ and ⇧ as characters like any other."""

    alphabet = ALPHABET
    metric, unit = "CER", "%"
    written, heading = "typed", "Typed and read"
    remark = "⌫, ⏎ and ⇧ are characters like any other."

    def of(self, target: Any) -> str:
        return "" if target is None else str(target.text)

    def read(self, frames: Array) -> str:
        return scores.greedy(frames)

    def runs(self, target: str, prediction: str) -> tuple[Array, Array]:
        return scores.segment_errors(target, prediction), scores.segment_lengths(target)

    def error(self, predictions: Sequence[str], targets: Sequence[str]) -> float:
        return scores.score_texts(predictions, targets).cer

    def details(self, predictions: Sequence[str], targets: Sequence[str]) -> dict[str, Any]:
        return scores.score_texts(predictions, targets).as_dict()

    def interval(self, predictions: Sequence[str], targets: Sequence[str]) -> tuple[float, float]:
        return scores.text_rate(predictions, targets)

    def difference(
        self, first: Sequence[str], second: Sequence[str], targets: Sequence[str]
    ) -> tuple[float, float]:
        return scores.text_difference(first, second, targets)

    def corpus(self, prompts: int, seed: int) -> Iterator[list[str]]:
        from compress.data.simulator.text import Writer

        texts = islice(Writer(np.random.default_rng(seed)).prompts("train"), prompts)
        return key_runs(keys_of(text) for text in texts)


def keys_of(prompt: str) -> str:
    """A prompt as it is typed without mistakes: ⇧ before every character that needs it, ⏎ at the
    end."""
    return "".join("⇧" + c if c in SHIFTED else c for c in prompt) + "⏎"


def key_runs(typed: Iterator[str]) -> Iterator[list[str]]:
    """Tokens between the keys that the model does not know, as in the published convention: space,
    ⏎ and ⇧ (and ⌫) end a run."""
    for text in typed:
        yield from ([_KEY[c] for c in run] for run in re.split("[ ⏎⇧⌫]", text) if run)

"""A KenLM n-gram model over the characters of an alphabet, as emg2qwerty uses one.

A token is a key as the key logger names it: "a", "T", "%", "Key.space". The model is heard over
runs of characters that it knows. A character outside its vocabulary ends the run: it costs what
</s> costs there, and the next run begins at <s>. Outside any run such a character costs what <unk>
costs. To a model without "Key.space" a run is a word; one that has it hears sentences.
"""

from __future__ import annotations

import os
import string
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from compress.errors import TendonError
from compress.reading.limited import Limits, Refusal, Server
from compress.reading.words import one_line
from compress.tasks.text import Alphabet

START = 0  # the state at <s>
END, UNKNOWN = "</s>", "<unk>"
LETTERS = string.ascii_lowercase
WORDS = ("the", "and", "with")  # tokens that only a model of words has
LIMITS = 1 << 30, 32  # bytes: any process, and for each byte of the file
SECONDS = 600  # to load a file
_server = Server("host.kenlm_child", "KenLM")


class CharacterModel:
    """States are numbers (START, then as they are met); every score is asked of KenLM once and
    kept.

    KenLM's state is the longest context that the model distinguishes, so the states are at most the
    n-grams below its order.
    """

    def __init__(self, path: Path, alphabet: Alphabet) -> None:
        self.path, self._keys = path, alphabet.keys
        memory = LIMITS[0] + LIMITS[1] * path.stat().st_size
        self._model = _server.open(str(path), Limits(memory, SECONDS, SECONDS))
        self._known = self.known(alphabet.keys)
        self._unknown = float(self._ask({"alone": UNKNOWN}))
        self._scores = np.full(
            (64, len(alphabet.keys)), np.nan, np.float32
        )  # KenLM's own precision
        self._next = np.zeros((64, len(alphabet.keys)), np.int32)

    def known(self, tokens: Sequence[str]) -> list[bool]:
        """Whether each is a token of the model."""
        return [bool(known) for known in self._ask({"known": list(tokens)})]

    def extend(
        self, states: npt.NDArray[np.int64], labels: npt.NDArray[np.int64]
    ) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int32]]:
        """log10 probability of each label (m,) after each state (n,), and the state then: both (n,
        m)."""
        at = np.ix_(states, labels)
        scores = self._scores[at]
        missing = np.isnan(scores)
        if missing.any():
            places = np.argwhere(missing)
            self._hear(states[places[:, 0]].tolist(), labels[places[:, 1]].tolist())
            scores = self._scores[at]
        return scores.astype(np.float64), self._next[at]

    def ends(self, states: list[int]) -> npt.NDArray[np.float64]:
        """log10 probability that the run ends here; 0 where none has begun."""
        found = np.array(self._ask({"ends": states}), np.float64)
        found[np.array(states, np.int64) == START] = 0.0
        return found

    def _hear(self, states: list[int], labels: list[int]) -> None:
        """Ask for pairs of state and label that were not asked before."""
        pairs = [
            (state, label)
            for state, label in dict.fromkeys(zip(states, labels, strict=True))
            if self._known[label] or state != START
        ]
        heard = [
            (state, self._keys[label] if self._known[label] else END) for state, label in pairs
        ]
        self._scores[states, labels], self._next[states, labels] = self._unknown, START
        for (state, label), (score, then) in zip(pairs, self._ask({"pairs": heard}), strict=True):
            after = int(then) if self._known[label] else START
            self._grow(after)
            self._scores[state, label], self._next[state, label] = score, after

    def _grow(self, state: int) -> None:
        """Make room for a state."""
        while state >= len(self._scores):
            self._scores = np.concatenate([self._scores, np.full_like(self._scores, np.nan)])
            self._next = np.concatenate([self._next, np.zeros_like(self._next)])

    def _ask(self, request: dict[str, Any]) -> Any:
        try:
            return self._model.ask(request)
        except Refusal as refusal:
            raise TendonError(
                f"LM={self.path}: KenLM cannot read it ({_reason(str(refusal))}); expected an ARPA"
                " or KenLM binary file, whole"
            ) from refusal


def load(path: Path, alphabet: Alphabet) -> CharacterModel:
    """A model file, ARPA or KenLM binary; TendonError when it is missing, damaged or no model of
    these characters.

    Loading the same unchanged file again gives the same model, with all it has been asked.
    """
    if not path.is_file():
        raise TendonError(
            f"LM={path}: no such file; expected a KenLM character model (.arpa or .bin)"
        )
    status = path.stat()
    return _load(path.resolve(), alphabet, status.st_mtime_ns, status.st_size, os.getpid())


@lru_cache(maxsize=4)
def _load(
    path: Path, alphabet: Alphabet, changed_ns: int, size: int, process: int
) -> CharacterModel:
    model = CharacterModel(path, alphabet)
    letters = zip(LETTERS, model.known(LETTERS), strict=True)
    missing = [letter for letter, known in letters if not known]
    if missing or any(model.known(WORDS)):
        found = f"lacks {' '.join(missing)}" if missing else "is a model of words"
        raise TendonError(
            f"LM={path}: expected a model of characters, with tokens a … z, Key.space as the keys"
            f" are named; it {found}"
        )
    return model


def _reason(said: str) -> str:
    """What KenLM gave as its reason, without the place in its source."""
    return one_line(said.rpartition(" threw ")[2].rstrip(")").rstrip("."))

"""A KenLM n-gram model over the characters of an alphabet, as emg2qwerty uses one.

A token is a key as the key logger names it: "a", "T", "%", "Key.space". The model is heard over
runs of characters that it knows. A character outside its vocabulary ends the run: it costs what
</s> costs there, and the next run begins at <s>. Outside any run such a character costs what <unk>
costs. To a model without "Key.space" a run is a word; one that has it hears sentences.
"""

from __future__ import annotations

import string
import subprocess
import sys
from functools import lru_cache
from pathlib import Path

import kenlm
import numpy as np
import numpy.typing as npt

from compress.errors import TendonError
from compress.tasks.text import Alphabet

START = 0  # the state at <s>
END, UNKNOWN = "</s>", "<unk>"
LETTERS = string.ascii_lowercase
WORDS = ("the", "and", "with")  # tokens that only a model of words has
# Loading in a process of its own first: kenlm trusts the counts in a file; a damaged one can end
# the process or fill memory.
PROBE = """
import resource, sys, kenlm
resource.setrlimit(resource.RLIMIT_AS, (int(sys.argv[3]),) * 2)
kenlm.Model(sys.argv[1]).score(sys.argv[2])
"""
PROBE_SECONDS = 600
PROBE_MEMORY = 1 << 30, 32  # bytes: any process, and for each byte of the file


class CharacterModel:
    """States are numbers (START, then as they are met); every score is asked of KenLM once and
    kept.

    KenLM's state is the longest context that the model distinguishes, so the states are at most the
    n-grams below its order.
    """

    def __init__(self, model: kenlm.Model, alphabet: Alphabet) -> None:
        self._model, self._keys = model, alphabet.keys
        self._known = [key in model for key in alphabet.keys]
        self._unknown = model.score(UNKNOWN, bos=False, eos=False)
        start = kenlm.State()
        model.BeginSentenceWrite(start)
        self._states: list[kenlm.State] = [start]
        self._numbers: dict[kenlm.State, int] = {start: START}
        self._scores = np.full(
            (64, len(alphabet.keys)), np.nan, np.float32
        )  # KenLM's own precision
        self._next = np.zeros((64, len(alphabet.keys)), np.int32)

    def extend(
        self, states: npt.NDArray[np.int64], labels: npt.NDArray[np.int64]
    ) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int32]]:
        """log10 probability of each label (m,) after each state (n,), and the state then: both (n,
        m)."""
        at = np.ix_(states, labels)
        scores = self._scores[at]
        missing = np.isnan(scores)
        if missing.any():
            for i, j in np.argwhere(missing).tolist():
                self._ask(int(states[i]), int(labels[j]))
            scores = self._scores[at]
        return scores.astype(np.float64), self._next[at]

    def ends(self, states: list[int]) -> npt.NDArray[np.float64]:
        """log10 probability that the run ends here; 0 where none has begun."""
        return np.array(
            [
                0.0 if s == START else self._model.BaseScore(self._states[s], END, kenlm.State())
                for s in states
            ]
        )

    def _ask(self, state: int, label: int) -> None:
        if np.isfinite(self._scores[state, label]):
            return
        after, then = kenlm.State(), START
        if self._known[label]:
            score = self._model.BaseScore(self._states[state], self._keys[label], after)
            then = self._number(after)
        elif state != START:
            score = self._model.BaseScore(self._states[state], END, after)
        else:
            score = self._unknown
        self._scores[state, label], self._next[state, label] = score, then

    def _number(self, state: kenlm.State) -> int:
        number = self._numbers.setdefault(state, len(self._states))
        if number == len(self._states):
            self._states.append(state)
            if number == len(self._scores):
                self._scores = np.concatenate([self._scores, np.full_like(self._scores, np.nan)])
                self._next = np.concatenate([self._next, np.zeros_like(self._next)])
        return number


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
    return _load(path.resolve(), alphabet, status.st_mtime_ns, status.st_size)


@lru_cache(maxsize=4)
def _load(path: Path, alphabet: Alphabet, changed_ns: int, size: int) -> CharacterModel:
    probe = [
        sys.executable,
        "-c",
        PROBE,
        str(path),
        " ".join(alphabet.keys),
        str(PROBE_MEMORY[0] + PROBE_MEMORY[1] * size),
    ]
    done = subprocess.run(
        probe, capture_output=True, text=True, errors="replace", check=False, timeout=PROBE_SECONDS
    )
    if done.returncode:
        raise TendonError(
            f"LM={path}: KenLM cannot read it ({_reason(done)}); expected an ARPA or KenLM binary"
            " file, whole"
        )
    model = read(str(path))
    missing = [key for key in LETTERS if key not in model]
    if missing or any(word in model for word in WORDS):
        found = f"lacks {' '.join(missing)}" if missing else "is a model of words"
        raise TendonError(
            f"LM={path}: expected a model of characters, with tokens a … z, Key.space as the keys"
            f" are named; it {found}"
        )
    return CharacterModel(model, alphabet)


def read(path: str) -> kenlm.Model:
    """KenLM's own reading, silent, with its complaints as exceptions."""
    config = kenlm.Config()
    config.show_progress = False
    config.arpa_complain = kenlm.ARPALoadComplain.NONE
    return kenlm.Model(path, config)


def _reason(done: subprocess.CompletedProcess[str]) -> str:
    """What KenLM gave as its reason, or the signal that ended it."""
    if done.returncode < 0:
        return f"it crashes on it, signal {-done.returncode}"
    said = [line.strip() for line in done.stderr.splitlines() if line.strip()]
    return (
        said[-1].rpartition(" threw ")[2].rstrip(")").rstrip(".")
        if said
        else f"exit code {done.returncode}"
    )

"""How good an output is: text from CTC frames, and its error rates with an interval.

Text conventions are those of emg2qwerty (Sivakumar et al., NeurIPS 2024): greedy CTC merges repeats
and drops the blank; ⌫, ⏎ and ⇧ are characters like any other, so a typist's corrections are part of
the target and never applied to it. An insertion is a character to insert into the prediction to get
the target, one that the network missed; a deletion is one it made up. Rates pool the errors of all
sessions before dividing by the characters of all targets.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from rapidfuzz.distance import Levenshtein

from compress.errors import TendonError
from compress.tasks import distances
from compress.tasks.statistics import RESAMPLES, RUNS, SEED, resampled
from compress.tasks.typing.charset import BLANK, decode

Array = npt.NDArray[np.generic]
# target characters that the bootstrap draws together: errors of one word or one burst are not
# independent
SEGMENT = 25


@dataclass(frozen=True)
class Rates:
    """Edit operations from predictions to targets, and the target's length. Rates are in % of the
    target's characters."""

    insertions: int
    deletions: int
    substitutions: int
    characters: int

    def __add__(self, other: Rates) -> Rates:
        return Rates(*(a + b for a, b in zip(self.counts, other.counts, strict=True)))

    @property
    def counts(self) -> tuple[int, int, int, int]:
        return self.insertions, self.deletions, self.substitutions, self.characters

    @property
    def errors(self) -> int:
        return self.insertions + self.deletions + self.substitutions

    @property
    def cer(self) -> float:
        return self._rate(self.errors)

    @property
    def ier(self) -> float:
        return self._rate(self.insertions)

    @property
    def der(self) -> float:
        return self._rate(self.deletions)

    @property
    def ser(self) -> float:
        return self._rate(self.substitutions)

    def _rate(self, count: int) -> float:
        if not self.characters:
            raise TendonError(
                "error rate: expected at least one typed character in the scored signal, found"
                " none; score a longer stretch"
            )
        return count / self.characters * 100.0  # the published order, and so its last digit

    def as_dict(self) -> dict[str, float]:
        """The published names, in %."""
        return {"CER": self.cer, "IER": self.ier, "DER": self.der, "SER": self.ser}


def greedy_labels(emissions: Array) -> npt.NDArray[np.int64]:
    """Labels of the best path of emissions (frames, classes): repeats merged, blanks (class 98)
    dropped."""
    best = distances.best(emissions)
    return best[_appear(best)]


def greedy_frames(emissions: Array) -> npt.NDArray[np.int64]:
    """The frames in which the labels of the best path appear."""
    return _appear(distances.best(emissions))


def _appear(best: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """The frames of which the best class is the beginning of a label."""
    changed = np.append(True, best[1:] != best[:-1])[: len(best)]
    return np.flatnonzero(changed & (best != BLANK))


def greedy(emissions: Array) -> str:
    """Text of emissions (frames, 99), probabilities in any monotonic unit."""
    return decode(greedy_labels(emissions))


def error_rates(target: str, prediction: str) -> Rates:
    """Edit operations between one prediction and its target."""
    kinds = Counter(op.tag for op in Levenshtein.editops(prediction, target))
    return Rates(kinds["insert"], kinds["delete"], kinds["replace"], len(target))


def pool(rates: Iterable[Rates]) -> Rates:
    """All errors over all characters."""
    return sum(rates, Rates(0, 0, 0, 0))


def score(emissions: Sequence[Array], targets: Sequence[str]) -> Rates:
    """Greedy text of each session (frames, 99) against what was typed there, pooled."""
    return score_texts([greedy(e) for e in emissions], targets)


def score_texts(predictions: Sequence[str], targets: Sequence[str]) -> Rates:
    """What any decoder read in each session against what was typed there, pooled."""
    return pool(error_rates(t, p) for p, t in zip(predictions, targets, strict=True))


def segment_errors(target: str, prediction: str, segment: int = SEGMENT) -> npt.NDArray[np.int64]:
    """Errors in each run of `segment` target characters (the last takes the rest); at least one
    run."""
    errors = np.zeros(max(1, len(target) // segment), dtype=np.int64)
    for op in Levenshtein.editops(prediction, target):
        errors[min(op.dest_pos // segment, len(errors) - 1)] += 1
    return errors


def segment_lengths(target: str, segment: int = SEGMENT) -> npt.NDArray[np.int64]:
    """Target characters in each run that `segment_errors` counts."""
    runs = max(1, len(target) // segment)
    lengths = np.full(runs, segment, dtype=np.int64)
    lengths[-1] = len(target) - segment * (runs - 1)
    return lengths


def bootstrap_difference(
    first: Sequence[Array],
    second: Sequence[Array],
    targets: Sequence[str],
    resamples: int = RESAMPLES,
    seed: int = SEED,
) -> tuple[float, float]:
    """95 % percentile interval of CER(second) − CER(first) in points, paired: both are drawn over
    the same runs of characters."""
    a, b = ([greedy(e) for e in emissions] for emissions in (first, second))
    return text_difference(a, b, targets, resamples, seed)


def text_difference(
    a: Sequence[str],
    b: Sequence[str],
    targets: Sequence[str],
    resamples: int = RESAMPLES,
    seed: int = SEED,
) -> tuple[float, float]:
    """As `bootstrap_difference`, of texts."""
    size = _segment(targets)
    errors = [
        segment_errors(t, y, size) - segment_errors(t, x, size)
        for x, y, t in zip(a, b, targets, strict=True)
    ]
    return resampled(errors, [segment_lengths(t, size) for t in targets], 100.0, resamples, seed)


def bootstrap_rate(
    emissions: Sequence[Array], targets: Sequence[str], resamples: int = RESAMPLES, seed: int = SEED
) -> tuple[float, float]:
    """95 % percentile interval of the CER in %, over runs of characters."""
    return text_rate([greedy(e) for e in emissions], targets, resamples, seed)


def text_rate(
    predictions: Sequence[str], targets: Sequence[str], resamples: int = RESAMPLES, seed: int = SEED
) -> tuple[float, float]:
    """As `bootstrap_rate`, of texts."""
    size = _segment(targets)
    errors = [segment_errors(t, p, size) for p, t in zip(predictions, targets, strict=True)]
    return resampled(errors, [segment_lengths(t, size) for t in targets], 100.0, resamples, seed)


def _segment(targets: Sequence[str]) -> int:
    """Characters in a run: SEGMENT, or fewer so that there are RUNS of them."""
    characters = sum(map(len, targets))
    if not characters:
        raise TendonError(
            "interval: expected at least one typed character in the scored signal, found none;"
            " score a longer stretch"
        )
    return min(SEGMENT, max(1, characters // RUNS))

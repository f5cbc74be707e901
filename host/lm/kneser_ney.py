"""An n-gram model from runs of tokens: interpolated modified Kneser-Ney (Chen and Goodman 1999),
written as ARPA.

    p(w | h) = (c(hw) − D(c)) / c(h) + γ(h) · p(w | h without its first token),   γ(h) = Σ D(c(hw))
    / c(h)

At the highest order c counts occurrences; below, the different tokens seen before the n-gram,
except where it begins the run: nothing comes before <s>. D takes three values an order, for c = 1,
2 and more. Single tokens fall back on a uniform share, which is all that <unk> gets.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

Gram = tuple[str, ...]
BEGIN, END, UNKNOWN = "<s>", "</s>", "<unk>"
FALLBACK = (
    0.5,
    1.0,
    1.5,
)  # discounts where the counts do not give any, as in a handful of single tokens
IMPOSSIBLE = -99.0  # log10, by ARPA's convention: nothing predicts <s>


def model(
    runs: Iterable[Sequence[str]], order: int
) -> tuple[list[dict[Gram, float]], dict[Gram, float]]:
    """Probabilities of the n-grams of each order, lowest first, and γ of every context."""
    counts = _adjusted(_counts(runs, order))
    words = {gram[0] for gram in counts[0]} | {END, UNKNOWN}
    gamma: dict[Gram, float] = {}
    probabilities: list[dict[Gram, float]] = []
    lower: dict[Gram, float] = {(): 1.0 / len(words)}
    for grams in counts:
        shares, left = _discounted(grams)
        gamma |= left
        found = {
            gram: share + left[gram[:-1]] * lower[gram[1:] if len(gram) > 1 else ()]
            for gram, share in shares.items()
        }
        if not probabilities:
            found[(UNKNOWN,)] = left[()] * lower[()]
        probabilities.append(found)
        lower = found
    return probabilities, gamma


def _counts(runs: Iterable[Sequence[str]], order: int) -> list[Counter[Gram]]:
    """Occurrences of the n-grams of each order, lowest first; those that are <s> alone are left
    out."""
    counts: list[Counter[Gram]] = [Counter() for _ in range(order)]
    for run in runs:
        tokens = (BEGIN, *run, END)
        for end in range(2, len(tokens) + 1):
            for n in range(1, min(order, end) + 1):
                counts[n - 1][tokens[end - n : end]] += 1
    return counts


def _adjusted(counts: list[Counter[Gram]]) -> list[Counter[Gram]]:
    """Below the highest order, the number of different tokens before an n-gram takes the place of
    its count."""
    adjusted = [*map(Counter, counts)]
    for n in range(len(counts) - 1):
        before = Counter(gram[1:] for gram in counts[n + 1])
        adjusted[n] = Counter(
            {gram: count if gram[0] == BEGIN else before[gram] for gram, count in counts[n].items()}
        )
    return adjusted


def _discounted(grams: Counter[Gram]) -> tuple[dict[Gram, float], dict[Gram, float]]:
    """Each n-gram's discounted share of its context, and γ of each context: the share that the
    discounts left."""
    discount = _discounts(grams)
    total: defaultdict[Gram, int] = defaultdict(int)
    taken: defaultdict[Gram, float] = defaultdict(float)
    for gram, count in grams.items():
        total[gram[:-1]] += count
        taken[gram[:-1]] += discount[min(count, 3) - 1]
    shares = {
        gram: (count - discount[min(count, 3) - 1]) / total[gram[:-1]]
        for gram, count in grams.items()
    }
    return shares, {context: taken[context] / total[context] for context in total}


def _discounts(grams: Counter[Gram]) -> tuple[float, float, float]:
    """D for counts 1, 2 and above, from how many n-grams have the counts 1 to 4."""
    n = Counter(grams.values())
    if not all(n[count] for count in (1, 2, 3, 4)):
        return FALLBACK
    y = n[1] / (n[1] + 2 * n[2])
    one, two, three = (count - (count + 1) * y * n[count + 1] / n[count] for count in (1, 2, 3))
    return (one, two, three) if 0 < one < 1 and 0 < two < 2 and 0 < three < 3 else FALLBACK


def arpa(probabilities: list[dict[Gram, float]], gamma: dict[Gram, float]) -> str:
    """The model as ARPA text: log10 of each probability, the n-gram, log10 of γ where longer ones
    follow it."""
    listed = [probabilities[0] | {(BEGIN,): 0.0}, *probabilities[1:]]
    lines = ["\\data\\", *(f"ngram {n}={len(grams)}" for n, grams in enumerate(listed, 1))]
    for n, grams in enumerate(listed, 1):
        lines += [
            "",
            f"\\{n}-grams:",
            *(_line(gram, grams[gram], gamma.get(gram)) for gram in sorted(grams)),
        ]
    return "\n".join([*lines, "", "\\end\\", ""])


def _line(gram: Gram, probability: float, gamma: float | None) -> str:
    log = math.log10(probability) if probability else IMPOSSIBLE
    return f"{log:.4g}\t{' '.join(gram)}" + ("" if gamma is None else f"\t{math.log10(gamma):.4g}")

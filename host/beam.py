"""CTC beam search over frames as they arrive, with an optional character model; the alphabet's
delete character, ⌫ below, is undone in the model and kept in the text.

The search is that of emg2qwerty (Sivakumar et al., NeurIPS 2024; `CTCBeamDecoder`). A beam is a set
of prefixes, each with the log-probability of all alignments that end in the blank and of those that
end in its last character. A character added to a prefix multiplies in weight · (the model's log10
probability) + bonus; blanks and repeats multiply in nothing. ⌫ takes back what the character before
it was given, so that a word costs the same whether or not it was mistyped and corrected; the model
then continues from the state before that character. The text keeps both, the mistake and its ⌫, as
the typist's own text does.

Prefixes are a tree in which each exists once: two alignments of one text meet in one node, and its
past is never copied.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from compress.errors import TendonError
from compress.tasks.text import Alphabet
from host.character_model import START, CharacterModel

Array = npt.NDArray[np.float64]
BEAMS = 50  # these four are the published configuration (emg2qwerty, config/decoder/ctc_beam.yaml)
TOP = 10
WEIGHT = 2.0
BONUS = 2.0
NEVER = -np.inf


class _Heard:
    """What the model has heard of a prefix after deletions: its state, what the last character was
    given, and the one before."""

    __slots__ = ("before", "context", "gain")

    def __init__(self, before: _Heard | None, context: int, gain: float) -> None:
        self.before, self.context, self.gain = before, context, gain


class _Prefix:
    """A node of the tree: the text from the root to here. `place` is its rank in the beam, −1
    outside."""

    __slots__ = ("children", "depth", "heard", "label", "parent", "place")

    def __init__(self, parent: _Prefix | None, label: int, heard: _Heard) -> None:
        self.parent, self.label, self.heard = parent, label, heard
        self.depth: int = parent.depth + 1 if parent else 0
        self.children: dict[int, _Prefix] = {}
        self.place = -1


class _Candidates(NamedTuple):
    """Log-probabilities (prefixes, 1 + labels): column 0 is the prefix as it is, column j the
    prefix with labels[j − 1] added."""

    blank: Array
    other: Array
    total: Array
    labels: list[int]
    gains: Array  # (prefixes, labels): what the model gives each added character
    contexts: npt.NDArray[np.int32]  # (prefixes, labels): its state after it


class BeamDecoder:
    """Beam search over frames (classes,): natural log-probabilities, or the board's int16 words
    with their `scale`.

    Args:
        alphabet: what the classes of a frame are.
        lm: character model; None: the probabilities of the network alone.
        beams: prefixes kept after each frame (published: 50).
        top: most probable classes of a frame that are considered (published: 10); the lower label
            wins a tie.
        weight: of the model's log10 probability (published: 2).
        bonus: added for each character, against the model's preference for short texts
            (published: 2).
        deletions: ⌫ undoes what the character before it was given (published: yes); otherwise ⌫ is
            a character that no model knows.

    `text` is the best text so far and may be taken back as far as `stable`, the beginning that all
    prefixes of the beam share.
    """

    def __init__(
        self,
        alphabet: Alphabet,
        lm: CharacterModel | None = None,
        *,
        scale: float = 1.0,
        beams: int = BEAMS,
        top: int = TOP,
        weight: float = WEIGHT,
        bonus: float = BONUS,
        deletions: bool = True,
    ) -> None:
        if beams < 1 or not 1 <= top <= alphabet.classes:
            raise TendonError(
                f"beam search: expected beams ≥ 1 and top in 1…{alphabet.classes}, found {beams}"
                f" and {top}"
            )
        self._alphabet, self._empty = alphabet, alphabet.blank
        self._delete = alphabet.delete_label if deletions else -1  # -1: no label
        self._lm, self._scale, self._beams, self._top = lm, scale, beams, top
        self._weight, self._bonus = weight, bonus
        self.reset()

    def reset(self) -> None:
        """Forget the text, as at the start of a session."""
        root = _Prefix(None, self._empty, _Heard(None, START, 0.0))
        root.place = 0
        self.frames = 0
        self._trunk = root  # the last node that all prefixes share
        self._path, self._text = [root], ""  # the best prefix when it was last asked for
        self._beam = [root]  # best first
        self._blank, self._other = np.zeros(1), np.full(1, NEVER)
        self._finished = False

    def push(self, frame: npt.ArrayLike) -> None:
        """Takes one frame (classes,). TendonError for another shape, for values that are not
        finite, and after `finish`."""
        if self._finished:
            raise TendonError("beam search: the session is finished; reset() begins another")
        values = self._scale * np.asarray(frame, dtype=np.float64)
        if values.shape != (self._alphabet.classes,) or not np.isfinite(values).all():
            raise TendonError(
                f"beam search: expected frames of {self._alphabet.classes} finite"
                f" log-probabilities, found {_what(values, self._alphabet.classes)}"
            )
        candidates = self._candidates(values)
        self._merge(candidates)
        self._keep(candidates)
        self.frames += 1

    def extend(self, frames: Iterable[npt.ArrayLike]) -> None:
        """Takes several frames."""
        for frame in frames:
            self.push(frame)

    @property
    def stable(self) -> str:
        """What no later frame can take back: the beginning that all prefixes of the beam share."""
        while (
            self._trunk.place < 0 and len(self._trunk.children) == 1
        ):  # the tree holds nothing but the beam's own paths
            (self._trunk,) = self._trunk.children.values()
        return self.text[: self._trunk.depth]

    @property
    def text(self) -> str:
        """The best text so far; begins with `stable`. Costs what has changed since it was last
        asked for."""
        node, added = self._beam[0], []
        while node.depth >= len(self._path) or self._path[node.depth] is not node:
            added.append(node)
            assert node.parent is not None, "every path begins at the root"
            node = node.parent
        added.reverse()
        self._path[node.depth + 1 :] = added
        self._text = self._text[: node.depth] + "".join(
            self._alphabet.characters[prefix.label] for prefix in added
        )
        return self._text

    def finish(self) -> str:
        """Lets the model end the last word (</s>) in each prefix, and returns the best text, which
        is final."""
        if not self._finished:
            total = np.logaddexp(self._blank, self._other)
            if self._lm is not None:
                total += self._weight * self._lm.ends(
                    [prefix.heard.context for prefix in self._beam]
                )
            self._trunk = self._beam[int(np.argmax(total))]
            self._beam, self._finished = [self._trunk], True
        return self.text

    def _candidates(self, values: Array) -> _Candidates:
        """Every prefix as it is and with each of the frame's best classes added."""
        best = np.argsort(-values, kind="stable")[: self._top]
        labels = best[best != self._empty]
        last = np.array([prefix.label for prefix in self._beam])
        gains, contexts = self._gains(labels)
        before = np.logaddexp(self._blank, self._other)
        shape = len(last), 1 + len(labels)
        blank, other = np.full(shape, NEVER), np.empty(shape)
        repeated = (
            labels == last[:, None]
        )  # a character follows itself only across a blank; without one it is held
        if len(labels) < len(best):
            blank[:, 0] = before + values[self._empty]
        other[:, 0] = np.where(
            repeated.any(1), self._other + np.append(values[: self._empty], NEVER)[last], NEVER
        )
        other[:, 1:] = (
            np.where(repeated, self._blank[:, None], before[:, None]) + values[labels] + gains
        )
        total = other.copy()
        total[:, 0] = np.logaddexp(blank[:, 0], other[:, 0])
        return _Candidates(blank, other, total, labels.tolist(), gains, contexts)

    def _gains(self, labels: npt.NDArray[np.int64]) -> tuple[Array, npt.NDArray[np.int32]]:
        """What the model gives each label after each prefix, and its state then (both (prefixes,
        labels))."""
        shape = len(self._beam), len(labels)
        if self._lm is None:
            return np.zeros(shape), np.zeros(shape, np.int32)
        scores, contexts = self._lm.extend(
            np.array([prefix.heard.context for prefix in self._beam]), labels
        )
        gains = self._weight * scores + self._bonus
        gains[:, labels == self._delete] = [[-prefix.heard.gain] for prefix in self._beam]
        return gains, contexts

    def _merge(self, c: _Candidates) -> None:
        """A prefix that is also another one with a character added is one candidate, at the better
        of its two places."""
        column = {label: j for j, label in enumerate(c.labels, 1)}
        for row, prefix in enumerate(self._beam):
            j = column.get(prefix.label, 0)
            parent = prefix.parent.place if prefix.parent and j else -1
            if parent < 0:
                continue
            into, out = ((parent, j), (row, 0)) if parent < row else ((row, 0), (parent, j))
            c.other[into] = np.logaddexp(c.other[row, 0], c.other[parent, j])
            c.blank[into] = c.blank[row, 0]
            c.total[into] = np.logaddexp(c.blank[into], c.other[into])
            c.blank[out] = c.other[out] = c.total[out] = NEVER

    def _keep(self, c: _Candidates) -> None:
        """The most probable candidates become the beam; among equals those of better prefixes, then
        of better classes."""
        before, chosen = self._beam, _best(c.total.ravel(), self._beams)
        rows, columns = np.divmod(chosen, c.total.shape[1])
        self._beam = [
            self._node(c, row, j) for row, j in zip(rows.tolist(), columns.tolist(), strict=True)
        ]
        self._blank, self._other = c.blank.ravel()[chosen], c.other.ravel()[chosen]
        for prefix in before:
            prefix.place = -1
        for place, prefix in enumerate(self._beam):
            prefix.place = place
        for prefix in before:
            _prune(prefix)

    def _node(self, c: _Candidates, row: int, j: int) -> _Prefix:
        """The node of a candidate, which for an added character may exist already."""
        prefix = self._beam[row]
        if not j:
            return prefix
        label = c.labels[j - 1]
        child = prefix.children.get(label)
        if child is None:
            heard = prefix.heard
            if label == self._delete:
                heard = heard.before or heard
            else:
                heard = _Heard(heard, int(c.contexts[row, j - 1]), float(c.gains[row, j - 1]))
            child = prefix.children[label] = _Prefix(prefix, label, heard)
        return child


def _best(total: Array, count: int) -> npt.NDArray[np.intp]:
    """Indices of the `count` largest that are possible at all, largest first, the first of equals
    first."""
    least = np.partition(total, -count)[-count] if len(total) > count else NEVER
    chosen = np.flatnonzero((total >= least) & (total > NEVER))
    return chosen[np.argsort(-total[chosen], kind="stable")][:count]


def _prune(prefix: _Prefix) -> None:
    """Cut what neither is in the beam nor leads to it."""
    while prefix.place < 0 and not prefix.children and prefix.parent is not None:
        parent = prefix.parent
        parent.children.pop(prefix.label, None)
        prefix = parent


def _what(values: Array, classes: int) -> str:
    return (
        f"shape {values.shape}"
        if values.shape != (classes,)
        else f"{int((~np.isfinite(values)).sum())} others"
    )

"""What the simulated typist is asked to type: English sentences from a small grammar, never twice
in two splits.

A prompt is a sentence with capitals and punctuation, or (as in emg2qwerty) a handful of words in
lower case. Every prompt belongs to exactly one split by its CRC-32, so training, calibration and
held-out texts cannot share one, however long the sessions become.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator

import numpy as np

# Shares of sixteen: which remainders of the CRC-32 belong to a split.
SPLITS = {"heldout": range(0, 4), "calibration": range(4, 5), "train": range(5, 16)}


def _words(text: str) -> list[str]:
    return text.split()


NAMES = _words("""
    Anna Ben Clara David Emma Frank Grace Henry Irene Jack Kate Liam Maya Noah Olga Paul Quinn Ruth
    Sam Tom Uma Vera Will Zoe
    """)
PLACES = _words("""
    Berlin Cairo Dublin Geneva Hanoi Jaffa Kyoto Lima Madrid Naples Oslo Prague Quito Rome Sydney
    Tunis Vienna Warsaw York
    """)
ADJECTIVES = _words("""
    old young quiet busy green small large careful honest lazy brave cold warm bright dark heavy
    light simple strange quick slow soft rough empty fresh foreign famous gentle golden hollow jolly
    narrow plain proud rapid serious tiny useful vague weary zealous
    """)
PEOPLE = _words("""
    doctor teacher farmer sailor painter lawyer baker engineer student neighbour writer driver nurse
    judge pilot queen king waiter expert guest child woman man boy girl uncle sister brother mother
    father friend visitor player
    singer
    """)
THINGS = _words("""
    house garden window bridge river letter book table engine ticket basket blanket camera candle
    carpet clock copper cottage diamond drawer envelope fabric feather fence flower forest hammer
    island jacket journal kettle kitchen ladder lamp machine market mirror mountain needle ocean
    orange packet paper pencil picture pocket problem puzzle question quilt record road school
    shadow signal silver station story summer system train valley village voice wagon water winter
    wire yard zebra box
    """)
VERBS = _words("""
    watched carried opened painted bought sold found lost forgot followed noticed repaired examined
    described cleaned moved borrowed covered admired answered avoided blamed counted crossed drew
    enjoyed explained fixed gave guarded hid imagined joined kept liked measured needed offered
    packed pushed quoted reached searched shook studied took used visited warmed wrote expected
    """)
BASES = _words("""
    watch carry open paint buy sell find lose follow notice repair examine describe clean move
    borrow cover answer avoid count cross draw enjoy explain fix give hide imagine join keep like
    measure need offer pack push quote reach search study take use visit
    """)
PREPOSITIONS = _words("""
    in on under behind near beside across above below beyond around along against inside before
    after without with
    from
    """)
ADVERBS = _words("""
    slowly quickly often never always almost again today yesterday soon carefully quietly suddenly
    finally exactly just maybe
    """)
JOINERS = _words("""
    and but because while although so until when where after before if since unless
    """)
SMALL = _words("""
    the of and to in is that it was for on are as with his they at be this have from or had by not
    what all were we when your can said
    """)
_VOCABULARY = sorted(
    {*ADJECTIVES, *PEOPLE, *THINGS, *VERBS, *BASES, *PREPOSITIONS, *ADVERBS, *JOINERS, *SMALL}
)


class Writer:
    """Draws prompts from the grammar with one random generator."""

    def __init__(self, rng: np.random.Generator) -> None:
        self._rng = rng

    def prompts(self, split: str) -> Iterator[str]:
        """Endless prompts of one split (train, calibration or heldout)."""
        while True:
            prompt = self._prompt()
            if split_of(prompt) == split:
                yield prompt

    def _one(self, words: list[str]) -> str:
        return words[int(self._rng.integers(len(words)))]

    def _chance(self, p: float) -> bool:
        return bool(self._rng.random() < p)

    def _prompt(self) -> str:
        if self._chance(0.3):
            return " ".join(self._one(_VOCABULARY) for _ in range(int(self._rng.integers(4, 9))))
        kinds = [
            self._statement,
            self._statement,
            self._statement,
            self._question,
            self._speech,
            self._number,
            self._first_person,
        ]
        return kinds[int(self._rng.integers(len(kinds)))]()

    def _someone(self) -> str:
        if self._chance(0.35):
            return self._one(NAMES)
        adjective = self._one(ADJECTIVES) + " " if self._chance(0.4) else ""
        return f"{self._one(['the', 'the', 'my', 'our', 'every'])} {adjective}{self._one(PEOPLE)}"

    def _something(self) -> str:
        adjective = self._one(ADJECTIVES) + " " if self._chance(0.5) else ""
        return (
            f"{self._one(['the', 'the', 'that', 'his', 'her', 'their', 'this'])}"
            f" {adjective}{self._one(THINGS)}"
        )

    def _where(self) -> str:
        return (
            f" in {self._one(PLACES)}"
            if self._chance(0.3)
            else f" {self._one(PREPOSITIONS)} {self._something()}"
        )

    def _clause(self) -> str:
        adverb = self._one(ADVERBS) + " " if self._chance(0.2) else ""
        return (
            f"{self._someone()} {adverb}{self._one(VERBS)}"
            f" {self._something()}{self._where() if self._chance(0.5) else ''}"
        )

    def _statement(self) -> str:
        text = self._clause()
        if self._chance(0.35):
            text += f"{',' if self._chance(0.5) else ''} {self._one(JOINERS)} {self._clause()}"
        return _capital(text) + self._one([".", ".", ".", ".", "!"])

    def _question(self) -> str:
        start = self._one(["did", "will", "can", "why did", "when will", "where can", "how could"])
        return _capital(f"{start} {self._someone()} {self._one(BASES)} {self._something()}?")

    def _speech(self) -> str:
        return f'"{_capital(self._clause())}," said {self._one(NAMES)}.'

    def _number(self) -> str:
        n = int(self._rng.integers(2, 3000))
        time = f"{int(self._rng.integers(1, 13))}:{int(self._rng.integers(0, 60)):02d}"
        forms = [
            f"{self._clause()} at {time}",
            (
                f"{self._someone()} {self._one(VERBS)} {n} {self._one(ADJECTIVES)}"
                f" {self._one(THINGS)}s"
            ),
            f"{self._one(THINGS)} no. {n}: {self._clause()}",
        ]
        return _capital(self._one(forms)) + "."

    def _first_person(self) -> str:
        start = self._one(
            [
                "I don't",
                "I can't",
                "we didn't",
                "you shouldn't",
                "they'll",
                "I'll",
                "we'd",
                "let's",
                "I",
            ]
        )
        return _capital(
            f"{start} {self._one(BASES)} {self._something()}{self._where()}"
        ) + self._one([".", ".", ";-)", " (again)."])


def split_of(prompt: str) -> str:
    """The one split whose sessions may hold this prompt."""
    share = zlib.crc32(prompt.encode()) % 16
    return next(split for split, shares in SPLITS.items() if share in shares)


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
